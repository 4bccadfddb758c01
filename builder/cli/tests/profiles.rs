//! The profiles of the repository, with an example for each table: every one builds, and they boot in turn.

mod common;
#[path = "common/vm.rs"]
mod vm;
use common::{Project, text};
use std::fs;
use vm::{boots, online, profiles};

#[test]
fn every_profile_builds() {
    let project = Project::locked();
    for name in profiles() {
        let output =
            online(&project, &["build", &name, "--relock", "--format", "raw"]).output().expect("the program starts");
        assert!(output.status.success(), "{name}: {}{}", text(&output.stdout), text(&output.stderr));
        // The disk is made again when it boots; a dozen of them need not lie about.
        fs::remove_dir_all(project.path(format!("out/{name}"))).expect("its results");
    }
}

/// Which one is decided by `DIORITE_TURN`, a number that grows with every change.
#[test]
fn the_profile_whose_turn_it_is_boots() {
    let turn: usize = std::env::var("DIORITE_TURN").ok().and_then(|turn| turn.parse().ok()).unwrap_or(0);
    let all = profiles();
    let name = &all[turn % all.len()];
    println!("turn {turn}: {name}");
    boots(name);
}
