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

/// Neither a line, an option of ssh(1) nor a part of its command can be a value of the server.
#[test]
fn hostile_words_are_no_server() {
    for good in ["2001:db8::5", "inventory", "/backups", HOST_KEY.trim_matches('"'), "key\""] {
        for hostile in ["x\\nProxyCommand id", "-oProxyCommand=id", "a b", "$(id)", "`id`", "%h", "a'b", "", "../x"] {
            let text = sftp("credential = \"key\"")
                .replace(good, &format!("{hostile}{}", &good[good.trim_end_matches('"').len()..]));
            let error = parsed(&text).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(error.contains("backup.sftp"), "{good}: {hostile:?}: {error}");
            assert!(!error.contains("firewall.egress"), "{good}: {hostile:?} is taken");
        }
    }
}

const HOST_KEY: &str = "\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\"";

fn server(more: &str) -> String {
    let comma = if more.is_empty() { "" } else { ", " };
    format!("host = \"2001:db8::5\", user = \"inventory\", path = \"/backups\", host_keys = [{HOST_KEY}]{comma}{more}")
}

fn sftp(more: &str) -> String {
    format!("directories = [\"/srv\"]\nsftp = {{ {} }}\n", server(more))
}

#[test]
fn a_server_of_sftp_is_asked_at_its_port() {
    let text = sftp("credential = \"key\", port = 2222").replace("2001:db8::5", "backup.example");
    let parse_open = |text: &str| {
        let text = format!("[image]\nname = \"x\"\nversion = \"1\"\n[backup]\npassword = \"p\"\n{text}");
        parse(&text, "profiles/x.toml", &mut shipped).map(|(recipe, _)| recipe).unwrap_or_else(|e| panic!("{e}"))
    };
    let recipe = parse_open(&text);
    let backup = recipe.backup.as_ref().expect("it is there");
    assert_eq!(backup.location(), "sftp://inventory@backup.example:2222//backups");
    assert_eq!(backup.server_credential().map(String::as_str), Some("key"));
    assert!(recipe.packages.include.iter().any(|package| package == "openssh-client"));
    let asked: Vec<_> = recipe.outgoing().into_iter().map(|out| (out.host.to_owned(), out.port)).collect();
    assert_eq!(asked, [("backup.example".to_owned(), Some((Protocol::Tcp, 2222)))]);
    let json = serde_json::to_string(&recipe).unwrap();
    assert_eq!(serde_json::from_str::<Recipe>(&json).unwrap_or_else(|e| panic!("{e}")), recipe);
    let usual = parse_open(&sftp("credential = \"key\""));
    assert_eq!(usual.backup.expect("it is there").location(), "sftp://inventory@[2001:db8::5]:22//backups");
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
        refused(&format!("{to}directories = [\"/srv\"]\nsftp = {{ {} }}\n", server("credential = \"key\""))),
        refused(&sftp("")),
        refused(&sftp("password = \"secret\"")),
        refused(&sftp("credential = \"key\"")),
        refused(&sftp("credential = \"key\"").replace("/backups", "backups")),
        refused(&sftp("credential = \"key\"").replace("inventory", "-oProxyCommand=id")),
        refused(&sftp("credential = \"key\"").replace(HOST_KEY, "")),
        refused(&sftp("credential = \"key\"").replace(HOST_KEY, &HOST_KEY.replace("ssh-", "backup.example ssh-"))),
        refused(&sftp("credential = \"key\"").replace("AAAAC3", "AAAAC2")),
    ];
    insta::assert_snapshot!("backup", all.join("\n\n"));
}
