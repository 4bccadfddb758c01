//! `[signing]`: what is meant, and what is refused.

use super::*;
use crate::recipe::Enroll;

const START: &str = "[image]\nname = \"x\"\nversion = \"1\"\n";

fn read(tables: &str) -> Recipe {
    let text = format!("{START}{tables}");
    parse(&text, "profiles/x.toml", &mut shipped).unwrap_or_else(|e| panic!("{e}")).0
}

#[test]
fn an_empty_table_is_enough() {
    assert_eq!(read("").signing, None);
    let enroll = |tables: &str| read(tables).signing.expect("it is to be signed").enroll;
    assert_eq!(enroll("[signing]\n"), Enroll::Auto);
    assert_eq!(enroll("[signing]\nenroll = \"manual\"\n"), Enroll::Manual);
    assert_eq!(enroll("[signing]\nenroll = \"force\"\n").loader_word(), "force");
    let unsigned = serde_json::to_value(read("")).expect("JSON");
    assert!(unsigned.get("signing").is_none(), "recipes without it are as they were");
}

#[test]
fn what_cannot_be_meant_shows_its_lines() {
    let all = ["enroll = \"yes\"", "key = \"db.key\"", "enroll = true"];
    let all = all.map(|line| error(&format!("{START}[signing]\n{line}\n")));
    insta::assert_snapshot!("signing", all.join("\n\n"));
}
