//! `[backup]`: what it saves is kept, and goes somewhere else.

use super::*;
use crate::recipe::{Backup, BackupRepository};

fn parsed(backup: &str) -> Result<Recipe> {
    let text = format!(
        "[image]\nname = \"x\"\nversion = \"1\"\n[firewall.egress]\npolicy = \"drop\"\n\
         [containers.db]\npackages = [\"busybox\"]\ncommand = [\"busybox\", \"true\"]\n\
         [state]\nvolatile = [\"/var/cache\"]\n[backup]\npassword = \"backup.password\"\n{backup}"
    );
    parse(&text, "profiles/x.toml", &mut shipped).map(|(recipe, _)| recipe)
}

#[test]
fn what_is_not_said_has_a_default() {
    let text =
        "directory = \"/var/backups/restic\"\ndumps.db = { container = \"db\", command = [\"dump\", \"a b\"] }\n";
    let recipe = parsed(text).unwrap_or_else(|e| panic!("{e}"));
    let backup = recipe.backup.as_ref().expect("it is there");
    assert_eq!((backup.keep, backup.location().as_str()), ([7, 4, 6], "/var/backups/restic"));
    assert_eq!(backup.saved(), [Backup::DUMPS]);
    assert_eq!(backup.repository, BackupRepository::Directory("/var/backups/restic".into()));
    assert!(recipe.packages.include.iter().any(|package| package == "restic"));
}

#[test]
fn links_into_state_are_saved_as_what_they_lead_to() {
    let recipe =
        parsed("directory = \"/var/backups/restic\"\ndirectories = [\"/home\", \"/srv/files\", \"/var/lib/app\"]\n");
    let backup = recipe.unwrap_or_else(|e| panic!("{e}")).backup.expect("it is there");
    assert_eq!(backup.saved(), ["/var/home", "/var/srv/files", "/var/lib/app"]);
}

#[test]
fn what_cannot_be_meant_shows_the_line() {
    let refused = |text: &str| match parsed(text) {
        Ok(recipe) => format!("accepted: {:?}", recipe.backup),
        Err(error) => error.to_string(),
    };
    let to = "directory = \"/var/backups/restic\"\n";
    let all = [
        refused(to),
        refused("directories = [\"/srv/data\"]\n"),
        refused(&format!("{to}directories = [\"/etc\"]\n")),
        refused(&format!("{to}directories = [\"/var/cache/thumbnails\"]\n")),
        refused(&format!("{to}directories = [\"/var/backups\"]\n")),
        refused(&format!("{to}dumps.db = {{ container = \"bd\", command = [\"dump\"] }}\n")),
        refused(&format!("{to}dumps.db = {{ container = \"db\", command = [] }}\n")),
        refused(&format!("{to}dumps.db = {{ container = \"db\", command = [\"dump > /tmp/x\"] }}\n")),
        refused(&format!(
            "{to}directories = [\"/srv\"]\ns3 = {{ url = \"https://s3.example/b\", credential = \"s3\" }}\n"
        )),
        refused("directories = [\"/srv\"]\ns3 = { url = \"https://s3.example/b\", credential = \"s3\" }\n"),
    ];
    insta::assert_snapshot!("backup", all.join("\n\n"));
}
