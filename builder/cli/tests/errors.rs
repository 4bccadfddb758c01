//! Bad input: one clear error that names the thing, the place and what to do; the documented exit code; nothing
//! half-written. Each is a real run of the program. Here what a person writes: arguments, profiles, locks, directories.
//! Mirrors are in errors_archive.rs, hosts that lack something in errors_host.rs.

mod common;
use common::Project;
use common::errors::{HEAD, deb, lock, mirrored, profile, refused, refuses, with_one_package};
use std::fs;

#[test]
fn unknown_verb() {
    let project = Project::new();
    insta::assert_snapshot!(refused(&project, &["biuld", "server"], 2));
}

/// With two profiles only: these errors list what there is, and the repository gets more of them.
fn with_two_profiles() -> Project {
    let project = Project::new();
    for entry in fs::read_dir(project.path("profiles")).expect("profiles").flatten() {
        if !entry.file_name().to_str().is_some_and(|name| name.starts_with("base") || name.starts_with("server")) {
            fs::remove_file(entry.path()).expect("a profile goes");
        }
    }
    project
}

#[test]
fn missing_profile() {
    let project = with_two_profiles();
    insta::assert_snapshot!(refused(&project, &["show", "sever"], 1));
}

#[test]
fn no_profiles_here() {
    let project = Project::new();
    fs::remove_dir_all(project.path("profiles")).expect("no profiles");
    insta::assert_snapshot!(refused(&project, &["show", "server"], 1));
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
fn not_toml() {
    let project = Project::new();
    profile(&project, "[image\nname = \"mine\"\n");
    insta::assert_snapshot!(refused(&project, &["show", "mine"], 1));
}

#[test]
fn missing_parent() {
    let project = with_two_profiles();
    profile(&project, &format!("extends = \"bass\"\n{HEAD}"));
    insta::assert_snapshot!(refused(&project, &["show", "mine"], 1));
}

#[test]
fn missing_overlay() {
    let project = Project::new();
    profile(&project, &format!("overlays = [\"web2\"]\n{HEAD}"));
    lock(&project, &deb(10));
    insta::assert_snapshot!(refused(&project, &["build", "mine"], 1));
}

#[test]
fn no_lock() {
    let project = Project::new();
    profile(&project, HEAD);
    insta::assert_snapshot!(refused(&project, &["build", "mine"], 3));
}

#[test]
fn profile_edited_without_locking_again() {
    let project = Project::new();
    profile(&project, HEAD);
    lock(&project, &deb(10));
    profile(&project, &format!("{HEAD}[packages]\ninclude = [\"nano\"]\n"));
    insta::assert_snapshot!(refused(&project, &["build", "mine"], 3));
}

#[test]
fn lock_of_another_recipe() {
    let project = Project::new();
    profile(&project, HEAD);
    fs::copy(project.path("profiles/base.lock"), project.path("profiles/mine.lock")).expect("a lock");
    insta::assert_snapshot!(refused(&project, &["plan", "mine"], 3));
}

#[test]
fn lock_of_other_containers() {
    let project = Project::new();
    profile(&project, HEAD);
    lock(&project, &deb(10));
    let file = project.path("profiles/mine.lock");
    let whole = fs::read_to_string(&file).expect("the lock");
    // As a merge of two branches leaves it.
    fs::write(&file, format!("{whole}\n[container]\nweb = []\n")).expect("the lock");
    insta::assert_snapshot!(refused(&project, &["plan", "mine"], 3));
}

#[test]
fn damaged_lock() {
    let project = Project::new();
    profile(&project, HEAD);
    lock(&project, &deb(10));
    let file = project.path("profiles/mine.lock");
    let whole = fs::read_to_string(&file).expect("the lock");
    fs::write(&file, &whole[..whole.find("amd64").expect("a package")]).expect("the lock is cut");
    insta::assert_snapshot!(refused(&project, &["plan", "mine"], 3));
}

#[test]
fn directory_for_results_that_is_a_file() {
    let project = with_one_package(&deb(10), &deb(10));
    fs::write(project.path("out"), "a file where the directory should be").expect("a file");
    insta::assert_snapshot!(refuses(&project, &mut mirrored(&project), &["build", "mine"], 5));
}

#[test]
fn store_that_cannot_be_used() {
    let project = with_one_package(&deb(10), &deb(10));
    fs::write(project.path("store"), "a file where the store should be").expect("a file");
    insta::assert_snapshot!(refused(&project, &["build", "mine"], 5));
}

#[test]
fn limit_of_the_store_that_is_no_amount() {
    let project = with_one_package(&deb(10), &deb(10));
    let mut command = mirrored(&project);
    command.env("DIORITE_STORE_LIMIT", "20 gigabytes");
    insta::assert_snapshot!(refuses(&project, &mut command, &["build", "mine"], 1));
}

#[test]
fn verify_before_build() {
    let project = with_one_package(&deb(10), &deb(10));
    insta::assert_snapshot!(refused(&project, &["verify", "mine"], 1));
}

#[test]
fn a_vault_that_is_none() {
    let project = Project::new();
    fs::write(project.path("vault.tar"), "not a vault").expect("a file");
    insta::assert_snapshot!(refused(&project, &["vault", "import", "vault.tar"], 1));
}
