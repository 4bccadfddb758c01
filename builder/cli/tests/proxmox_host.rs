//! The same story as the simulator is told, on a real host: `make proxmox-test TARGET=…`. It creates a VM of its own, in the
//! target's pool, and removes it again; the images stay in the import storage, because removing them is an
//! administrator's right.

mod common;
#[path = "common/story.rs"]
mod story;
#[path = "common/vm.rs"]
mod vm;

use common::harness::{Outcome, ignored, run};
use common::{Project, text};
use std::process::ExitCode;
use story::Story;

fn main() -> ExitCode {
    run(tests![a_machine_is_made_and_goes_its_way])
}

fn a_machine_is_made_and_goes_its_way() -> Outcome {
    let Ok(target) = std::env::var("DIORITE_PROXMOX_TARGET") else {
        return ignored("no host is named (`make proxmox-test TARGET=…`)");
    };
    let project = Project::locked();
    let output = project.diorite().args(["target", "check", &target]).output().expect("the program starts");
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    let name = format!("diorite-test-{}", std::process::id());
    println!("target check         ready");
    let story = Story {
        project: &project,
        profile: "mine",
        build: &|story: &Story, version: &str, more: &str| story.build_mine(version, more),
        failing: 120,
        target: &target,
        name: &name,
        environment: vec![],
        signer: None,
        relock: vm::relock,
    };
    story.tell(|_| {});
    story.tell_of_trouble();
    story.end();
    Ok(())
}
