//! Bad input: one clear error that names the thing, the place and what to do; the documented exit code; nothing half-written.

mod common;
use common::{Project, text};
use std::fs;

/// stderr with what differs from run to run taken out.
fn stderr(project: &Project, output: &std::process::Output) -> String {
    let folder = project.folder.path();
    let real = fs::canonicalize(folder).expect("the project is there");
    text(&output.stderr)
        .replace(&real.display().to_string(), "PROJECT")
        .replace(&folder.display().to_string(), "PROJECT")
}

fn refused(project: &Project, arguments: &[&str], code: i32) -> String {
    let output = project.diorite().arg("--quiet").args(arguments).output().expect("the program starts");
    assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{}", stderr(project, &output));
    assert_eq!(text(&output.stdout), "", "an error prints nothing on stdout");
    stderr(project, &output)
}

fn profile(project: &Project, text: &str) {
    fs::write(project.path("profiles/mine.toml"), text).expect("a profile");
}

const HEAD: &str = "[image]\nname = \"mine\"\nversion = \"1\"\n";

#[test]
fn unknown_verb() {
    let project = Project::new();
    assert!(refused(&project, &["biuld", "server"], 2).contains("build"));
}

#[test]
fn missing_profile() {
    let project = Project::new();
    insta::assert_snapshot!(refused(&project, &["show", "sever"], 1));
}

#[test]
fn unknown_key() {
    let project = Project::new();
    profile(&project, &format!("{HEAD}[firewal]\nallow = []\n"));
    insta::assert_snapshot!(refused(&project, &["show", "mine"], 1));
}

#[test]
fn wrong_type() {
    let project = Project::new();
    profile(&project, &format!("{HEAD}[firewall]\nallow = [{{ port = \"ssh\" }}]\n"));
    insta::assert_snapshot!(refused(&project, &["show", "mine"], 1));
}

#[test]
fn no_lock() {
    let project = Project::new();
    profile(&project, HEAD);
    insta::assert_snapshot!(refused(&project, &["build", "mine"], 3));
    assert!(!project.path("out").exists(), "nothing is left");
}

#[test]
fn profile_edited_without_locking_again() {
    let project = Project::locked();
    let file = project.path("profiles/server.toml");
    let edited = fs::read_to_string(&file).expect("the profile").replace("\"less\"", "\"less\", \"nano\"");
    fs::write(&file, edited).expect("the profile changes");
    insta::assert_snapshot!(refused(&project, &["build", "server"], 3));
}

#[test]
fn unreachable_mirror() {
    let project = Project::new();
    insta::assert_snapshot!(refused(&project, &["lock", "base"], 6));
    assert!(!project.path("profiles/base.lock.part").exists());
}

#[test]
fn damaged_lock() {
    let project = Project::locked();
    let file = project.path("profiles/server.lock");
    let cut = fs::read_to_string(&file).expect("the lock");
    fs::write(&file, &cut[..cut.len() / 2]).expect("the lock is cut");
    assert!(refused(&project, &["plan", "server"], 1).contains("profiles/server.lock"));
}

#[test]
fn folder_for_results_that_cannot_be_written() {
    let project = Project::locked();
    fs::write(project.path("out"), "a file where the folder should be").expect("a file");
    insta::assert_snapshot!(refused(&project, &["build", "server"], 5));
}

#[test]
fn store_that_cannot_be_used() {
    let project = Project::locked();
    fs::remove_dir_all(project.path("store")).expect("no store");
    fs::write(project.path("store"), "a file where the store should be").expect("a file");
    insta::assert_snapshot!(refused(&project, &["build", "server"], 5));
}
