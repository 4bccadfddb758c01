//! The profiles of the repository, with an example for each table: every one builds, and they boot in turn.

mod common;
#[path = "common/vm.rs"]
mod vm;
use common::{Project, text};
use std::fs;
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use vm::{boots, online, profiles};

#[test]
fn every_profile_builds() {
    let all = Mutex::new(profiles().into_iter());
    let next = || all.lock().expect("the other one goes on").next();
    // Most of a build is one thread; and a machine that boots beside them goes first.
    let builder = || {
        // In the store of the material, so many results would evict what the tests after this one need.
        let project = Project::locked();
        while let Some(name) = next() {
            let mut build = online(&project, &["build", &name, "--relock", "--format", "raw"]);
            build
                .args(vm::keys(&project, &name))
                .env("DIORITE_STORE", project.path("store"))
                .env("DIORITE_STORE_LIMIT", "3G");
            let output = behind_others(&build).output().expect("nice starts");
            assert!(output.status.success(), "{name}: {}{}", text(&output.stdout), text(&output.stderr));
            // The disk is made again when it boots; a dozen of them need not lie about.
            fs::remove_dir_all(project.path(format!("out/{name}"))).expect("its results");
        }
    };
    thread::scope(|scope| {
        scope.spawn(builder);
        scope.spawn(builder);
    });
}

/// The same command with the lowest priority.
fn behind_others(command: &Command) -> Command {
    let mut nice = Command::new("nice");
    nice.args(["-n", "19"]).arg(command.get_program()).args(command.get_args());
    nice.current_dir(command.get_current_dir().expect("the project"));
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => nice.env(name, value),
            None => nice.env_remove(name),
        };
    }
    nice
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
