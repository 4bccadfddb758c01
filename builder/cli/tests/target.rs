//! `target check`: the program against a simulator for a Proxmox VE host, on loopback.

mod common;
use common::errors::{files, refuses, stderr};
use common::{Project, text};
use diorite_proxmox_simulator::{Simulator, TOKEN, TestCertificate, World};
use std::fs;
use std::process::Command;

/// A project with a target of this address.
fn project(url: &str, more: &str) -> Project {
    let project = Project::new();
    let target = format!(
        "[targets.school]\nurl = \"{url}\"\nstorage = {{ import = \"local\", disks = \"local-zfs\" }}\n\
         bridge = \"vmbr0\"\npool = \"school\"\ntoken_env = \"PVE_TOKEN\"\n{more}\n"
    );
    fs::write(project.path("profiles/targets.toml"), target).expect("targets");
    project
}

fn diorite(project: &Project) -> Command {
    let mut command = project.diorite();
    command.env("PVE_TOKEN", TOKEN).env("HOME", project.path("home")).env_remove("XDG_CONFIG_HOME");
    command
}

#[test]
fn a_target_that_is_ready() {
    let certificate = TestCertificate::new();
    let simulator = Simulator::https(World::new(), &certificate);
    let project = project(&simulator.url(), &format!("fingerprint = \"{}\"", certificate.fingerprint()));
    let before = files(project.directory.path());
    let output = diorite(&project).args(["target", "check", "school"]).output().expect("the program starts");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let page = text(&output.stdout);
    assert!(page.contains("all 15 privileges are granted") && page.ends_with("\nready\n"), "{page}");
    assert!(simulator.requests().iter().all(|asked| asked.method == "GET"));

    let output = diorite(&project).args(["target", "check", "school", "--json"]).output().expect("the program starts");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON value");
    assert_eq!((&report["schema"], &report["version"]), (&1.into(), &"9.1.7".into()));
    assert_eq!(report["storages"].as_array().map(Vec::len), Some(2));
    assert_eq!(files(project.directory.path()), before);
}

#[test]
fn what_stands_in_the_way() {
    let mut world = World::new();
    world.revoke("/pool/school", "VM.Config.Disk");
    world.storages.get_mut("local").expect("local").content = "iso".into();
    world.firewall = false;
    let simulator = Simulator::http(world);
    let project = project(&simulator.url(), "");
    let output = diorite(&project).args(["target", "check", "school"]).output().expect("the program starts");
    assert_eq!(output.status.code(), Some(6), "{}", text(&output.stderr));
    let page = text(&output.stdout);
    for wanted in [
        "PROBLEM  privilege VM.Config.Disk at /pool/school is missing",
        "PROBLEM  storage `local` on node `pve1` does not take `import` content, only iso",
        "PROBLEM  the datacenter's firewall is off",
        "3 problems\n",
    ] {
        assert!(page.contains(wanted), "{wanted}\n{page}");
    }
    let output = diorite(&project).args(["target", "check", "school", "--json"]).output().expect("the program starts");
    assert_eq!(output.status.code(), Some(6));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON value");
    let problems = report["findings"].as_array().expect("findings").iter().filter(|f| f["level"] == "problem").count();
    assert_eq!(problems, 3);
}

#[test]
fn no_such_target_and_no_targets() {
    let known = project("https://pve.example.invalid", "");
    let said = refuses(&known, &mut diorite(&known), &["target", "check", "scool"], 1);
    assert!(said.contains("there is no target `scool`") && said.contains("did you mean `school`?"), "{said}");
    let none = Project::new();
    let said = refuses(&none, &mut diorite(&none), &["target", "check", "school"], 1);
    assert!(said.contains("there is no profiles/targets.toml and no "), "{said}");
    assert!(said.contains("describe it in one of them:\n[targets.school]\n"), "{said}");
}

#[test]
fn a_host_that_refuses() {
    let simulator = Simulator::http(World::new());
    let project = project(&simulator.url(), "");
    let output = diorite(&project)
        .env("PVE_TOKEN", "deploy@pve!ci=wrong")
        .args(["--quiet", "target", "check", "school", "--json"])
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(6));
    let error: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON value");
    assert_eq!(error["error"]["what"], "target `school` does not accept the token");
    assert!(stderr(&project, &output).contains("it is from environment variable PVE_TOKEN"));
}

/// `targets.toml` stands among the profiles and is none.
#[test]
fn targets_are_no_profile() {
    let project = project("https://pve.example.invalid", "");
    let output = project.diorite().args(["show", "nothing"]).output().expect("the program starts");
    assert!(!text(&output.stderr).contains("targets"), "{}", text(&output.stderr));
}
