//! An installer as people use it: asked at its console, and the machine that it has made.

use super::{life, machine};
use crate::common::{Project, material};
use crate::vm;
use diorite_host::tools::{Tool, ToolsTree};
use diorite_machine::{Machine, MachineSpec, Second, accel};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

/// Waits until the console has said this.
fn says(machine: &Machine, words: &str) {
    let end = Instant::now() + Duration::from_secs(400);
    while !machine.console.tail(200).contains(words) {
        assert!(Instant::now() < end && machine.ended().is_none(), "not {words}: {}", machine.console.tail(60));
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn an_installer_asks_for_a_disk_and_writes_the_image_to_it() {
    let _alone = vm::alone();
    let project = Project::locked();
    let profile = fs::read_to_string(project.path("profiles/server.toml")).expect("the profile");
    let name = profile.replacen("name = \"server\"", "name = \"installed\"", 1);
    fs::write(project.path("profiles/installed.toml"), name).expect("a profile");
    vm::relock(&project, "installed");
    project.succeed(&["build", "installed", "--format", "raw,installer"]);
    let out = project.path("out/installed");

    let tools = ToolsTree::open(&material("DIORITE_TEST_TOOLS")).expect("the tools tree");
    let accelerator = accel::probe().expect("an accelerator");
    let directory = project.path("stick");
    let spec = machine(&tools, &accelerator, &out.join("installer.raw"), directory.clone());
    let spec = MachineSpec { second: Some(Second::Blank(4 << 30)), credentials: Vec::new(), ..spec };
    let installer = Machine::start(spec).expect("the machine starts");
    let answer = |line: &str| {
        let mut input = installer.console.input().expect("the console");
        input.write_all(line.as_bytes()).expect("a line");
    };
    // A console's line is known when it has ended.
    says(&installer, "  1  sda  ");
    answer("1\r");
    says(&installer, "installed 1 is on /dev/sda.");
    answer("\r");
    let end = Instant::now() + Duration::from_secs(120);
    while installer.ended().is_none() {
        assert!(Instant::now() < end, "it does not restart: {}", installer.console.tail(30));
        std::thread::sleep(Duration::from_millis(100));
    }
    drop(installer);

    let disk = project.path("installed.raw");
    let from = directory.join("second.qcow2");
    let convert = tools.command(Tool::QemuImg).args(["convert", "-f", "qcow2", "-O", "raw"]).arg(&from).arg(&disk);
    convert.input(&from).output(&disk).run_ok().expect("the disk as the installer left it");
    let image = fs::read(out.join("disk.raw")).expect("the image");
    let written = fs::File::open(&disk).expect("the disk");
    let mut start = vec![0; image.len()];
    written.read_exact_at(&mut start, 0).expect("as much as the image");
    assert!(start == image, "the disk does not begin with the image");
    let said = life(machine(&tools, &accelerator, &disk, project.path("installed")), &[]);
    assert_eq!(said["state"], "running");
}
