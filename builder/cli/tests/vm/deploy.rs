//! From nothing to a machine, to its next image, and back: the program, a stand-in for Proxmox VE, and behind that real
//! disks and QEMU.

use crate::common::{Project, material, text};
use crate::hypervisor::Qemu;
use crate::vm;
use diorite_proxmox_double::{Double, TOKEN, World};
use std::fs;
use std::sync::Arc;

/// `server` with /var on a disk of its own.
const PROFILE: &str = "extends = \"server\"\n[image]\nname = \"mine\"\nversion = \"VERSION\"\n[state]\ndisk = \"own\"\n\
                       [machine]\nmemory = \"1536M\"\nstate = \"1G\"\n";

/// What a machine says of itself.
const WHO: &str = "systemctl is-system-running --wait; sed -n s/^IMAGE_VERSION=//p /etc/os-release; \
                   cat /var/lib/ssh/ssh_host_ed25519_key.pub /etc/machine-id; cat /var/lib/marker 2>/dev/null || true";

fn build(project: &Project, version: &str) {
    fs::write(project.path("profiles/mine.toml"), PROFILE.replace("VERSION", version)).expect("a profile");
    vm::relock(project, "mine");
    let mut command = project.diorite();
    command.args(["build", "mine", "--no-qcow2"]).env("DIORITE_STORE", material("DIORITE_TEST_STORE"));
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{}", text(&output.stderr));
}

fn run(project: &Project, arguments: &[&str]) -> String {
    let output = project.diorite().args(arguments).env("PVE_TOKEN", TOKEN).output().expect("the program starts");
    assert!(output.status.success(), "{arguments:?}\n{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn a_machine_gets_its_next_image_and_goes_back_with_its_state() {
    let _alone = vm::alone();
    let project = Project::locked();
    let qemu = Arc::new(Qemu::new(&project.path("hypervisor")));
    let mut world = World::new();
    world.hardware = Some(qemu.clone());
    let double = Double::http(world);
    let target = format!(
        "[targets.school]\nurl = \"{}\"\nstorage = {{ import = \"local\", disks = \"local-zfs\" }}\n\
         bridge = \"vmbr0\"\npool = \"school\"\ntoken_env = \"PVE_TOKEN\"\n",
        double.url()
    );
    fs::write(project.path("profiles/targets.toml"), target).expect("targets");
    let deploy = ["deploy", "mine", "--to", "school", "--unverified", "--patience", "600"];
    let who = || -> Vec<String> { qemu.shell(9000, WHO).lines().map(str::to_owned).collect() };

    build(&project, "1");
    let page = run(&project, &deploy);
    assert!(page.contains("mine 1 runs on school") && page.contains("its guest agent answers at "), "{page}");
    let first = who();
    assert_eq!((first[0].as_str(), first[1].as_str(), first.len()), ("running", "1", 4), "{first:?}");
    qemu.shell(9000, "echo kept >/var/lib/marker; sync");

    build(&project, "2");
    let page = run(&project, &deploy);
    assert!(page.contains("mine 2 runs on school") && page.contains("away for"), "{page}");
    println!("{page}");
    let second = who();
    assert_eq!((second[0].as_str(), second[1].as_str()), ("running", "2"), "{second:?}");
    assert_eq!(second[2..4], first[2..4], "host key and machine id stay");
    assert_eq!(second.get(4).map(String::as_str), Some("kept"), "/var stays");

    let page = run(&project, &["rollback", "school", "--patience", "600"]);
    assert!(page.contains("mine 1 runs on school"), "{page}");
    println!("{page}");
    let third = who();
    assert_eq!((third[1].as_str(), &third[2..]), ("1", &second[2..]), "{third:?}");
    assert!(double.asked().iter().filter(|a| a.path.ends_with("/upload")).count() == 2);
    assert_eq!(double.world().orphans(), Vec::<String>::new());
    assert_eq!(double.world().machines[&9000].starts, 3, "one restart each");
}
