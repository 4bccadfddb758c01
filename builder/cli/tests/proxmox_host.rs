//! The same story as the simulator is told, on a real host: `make proxmox-test TARGET=…`. It makes a machine of its own, in the
//! target's pool, and takes it away again; the two images stay in the import storage, because to remove them is an
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
    let story = Story {
        project: &project,
        target: &target,
        name: &name,
        environment: vec![],
        signer: None,
        relock: vm::relock,
    };
    story.tell(|version| println!("{version} runs"));
    story.end();
    Ok(())
}
