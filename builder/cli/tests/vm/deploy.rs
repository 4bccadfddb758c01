//! A deployment from end to end: the program, a simulator for Proxmox VE, and behind that real disks and QEMU.

use crate::common::Project;
use crate::hypervisor::Qemu;
use crate::story::Story;
use crate::vm;
use diorite_proxmox_simulator::{Simulator, TOKEN, World};
use std::fs;
use std::sync::Arc;

/// What a machine says of itself: that all is well, its version, what must stay, and a file on /var that it gets then.
const WHO: &str = "systemctl is-system-running --wait; sed -n s/^IMAGE_VERSION=//p /etc/os-release; \
                   cat /var/lib/ssh/ssh_host_ed25519_key.pub /etc/machine-id; cat /var/lib/marker 2>/dev/null; \
                   echo kept >/var/lib/marker; sync";

/// What the machine has of its own, from its disc.
const NOTE: &str = "cat /run/credentials/@system/note";

#[test]
fn a_machine_gets_its_next_image_and_goes_back_with_its_state() {
    let _alone = vm::alone();
    let project = Project::locked();
    let qemu = Arc::new(Qemu::new(&project.path("hypervisor")));
    let mut world = World::new();
    world.hardware = Some(qemu.clone());
    let simulator = Simulator::http(world);
    let target = format!(
        "[targets.school]\nurl = \"{}\"\nstorage = {{ import = \"local\", disks = \"local-zfs\" }}\n\
         bridge = \"vmbr0\"\npool = \"school\"\ntoken_env = \"PVE_TOKEN\"\nsigning_key_env = \"SIGNING_KEY\"\n",
        simulator.url()
    );
    fs::write(project.path("profiles/targets.toml"), target).expect("targets");
    let key = ssh_key::PrivateKey::from(ssh_key::private::Ed25519Keypair::from_seed(&[7; 32]));
    let private = key.to_openssh(ssh_key::LineEnding::LF).expect("a key").to_string();
    let note = ("NOTE", "only here".to_owned());
    let environment = vec![("PVE_TOKEN", TOKEN.to_owned()), ("SIGNING_KEY", private), note];
    let signer = Some(key.public_key().to_openssh().expect("its public half"));
    let story = Story {
        project: &project,
        profile: "mine",
        build: &|story: &Story, version: &str, more: &str| story.build_mine(version, more),
        failing: 120,
        target: "school",
        name: "mine",
        environment,
        signer,
        relock: vm::relock,
    };
    let mut first: Option<Vec<String>> = None;
    story.tell(|version| {
        let said: Vec<String> = qemu.shell(9000, WHO).lines().map(str::to_owned).collect();
        assert_eq!((said[0].as_str(), said[1].as_str()), ("running", version), "{said:?}");
        assert_eq!(qemu.shell(9000, NOTE), "only here");
        match &first {
            None => {
                assert_eq!(said.len(), 4, "/var is empty: {said:?}");
                first = Some(said);
            }
            Some(first) => {
                assert_eq!(said[2..4], first[2..4], "host key and machine id stay");
                assert_eq!(said.get(4).map(String::as_str), Some("kept"), "/var stays");
            }
        }
    });
    let uploads = simulator.requests().iter().filter(|a| a.path.ends_with("/upload")).count();
    assert_eq!(uploads, 3, "two images, and the disc of one machine");
    assert_eq!(simulator.world().orphans(), Vec::<String>::new());
    assert_eq!(simulator.world().machines[&9000].starts, 3, "one restart each");
    story.end();
    assert!(simulator.world().machines.is_empty());
}
