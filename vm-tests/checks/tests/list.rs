//! Which checks every example profile leads to: ids, where the answer comes from, words and order. An id that changes, a
//! check that comes or goes is seen here, before any machine boots.

use diorite_checks::plan;
use diorite_model::{
    Error, Result,
    profile::{self, Loaded},
    report::Evidence,
};
use std::path::{Path, PathBuf};

fn profiles() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../profiles")
}

fn load(name: &str) -> Result<Loaded> {
    let file = if name.ends_with(".txt") { name.to_owned() } else { format!("{name}.toml") };
    let path = profiles().join(&file);
    let text = std::fs::read_to_string(&path).map_err(|e| Error::io("a profile cannot be read", &path, e))?;
    Ok(Loaded { file: format!("profiles/{file}"), text })
}

/// What `diorite verify NAME --list` shows.
fn list(name: &str) -> String {
    let loaded = load(name).unwrap_or_else(|e| panic!("{e}"));
    let (recipe, settings) = profile::parse(&loaded.text, &loaded.file, &mut load).unwrap_or_else(|e| panic!("{e}"));
    let level = |evidence| match evidence {
        Evidence::Outside => "outside",
        Evidence::Inside => "inside",
        Evidence::Console => "console",
    };
    let line = |c: &plan::Check| format!("{}  {}  {}\n", c.id, level(c.evidence), c.what);
    plan::of(&recipe, &settings.checks).iter().map(line).collect()
}

#[test]
fn every_profile_has_the_checks_it_had() {
    let entries = std::fs::read_dir(profiles()).expect("the directory of profiles");
    let names =
        entries.filter_map(|e| e.ok()?.file_name().into_string().ok()?.strip_suffix(".toml").map(str::to_owned));
    let mut names: Vec<String> = names.collect();
    names.sort();
    assert!(names.len() >= 18, "{names:?}");
    for name in names {
        insta::assert_snapshot!(name.clone(), list(&name));
    }
}
