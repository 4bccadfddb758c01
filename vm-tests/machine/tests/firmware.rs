//! A real QEMU with real firmware and nothing to boot: start, console, QMP, snapshots, end. Needs a tools tree
//! (`DIORITE_TEST_TOOLS`), no image.

use diorite_host::tools::ToolsTree;
use diorite_machine::{
    Accelerator, AcceleratorKind, AlarmKind, Boot, Machine, MachineHardware, MachineSpec, Second, credentials,
};
use diorite_model::Exit;
use serde_json::json;
use std::{
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

fn tools() -> ToolsTree {
    let tree = std::env::var_os("DIORITE_TEST_TOOLS").expect("DIORITE_TEST_TOOLS must name an unpacked tools tree");
    ToolsTree::open(Path::new(&tree)).unwrap_or_else(|e| panic!("{e}"))
}

fn spec(directory: &Path, disk: PathBuf) -> (MachineSpec, UnixStream) {
    let (near, far) = UnixStream::pair().expect("socket pair");
    let spec = MachineSpec {
        hardware: MachineHardware::default(),
        tools: tools(),
        accelerator: Accelerator { kind: AcceleratorKind::Tcg, reason: "the test's".to_owned() },
        disk,
        second: None,
        data: Vec::new(),
        disc: None,
        tpm: None,
        boot: Boot::Firmware,
        memory: 256,
        cpus: 1,
        uuid: None,
        credentials: credentials::shell(),
        network: vec![far.into()],
        macs: vec![],
        directory: directory.to_owned(),
    };
    (spec, near)
}

#[test]
fn a_disk_with_nothing_on_it_is_noticed_at_once_and_nothing_is_left() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let disk = directory.path().join("empty,disk.raw");
    std::fs::write(&disk, vec![0; 8 << 20]).expect("disk");
    let (spec, _cable) = spec(directory.path(), disk.clone());
    let machine = Machine::start(spec).unwrap_or_else(|e| panic!("{e}"));
    let mut watch = machine.watch(|| 0);
    let end = Instant::now() + Duration::from_secs(240);
    let error = loop {
        assert!(Instant::now() < end, "the firmware says nothing: {}", machine.console.tail(20));
        match watch.check() {
            Ok(()) => assert!(!machine.shell_ready(), "there is nothing that could give a shell"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.exit, Exit::VerificationFailed, "{error}");
    assert_eq!(machine.console.alarms()[0].kind, AlarmKind::NothingToBoot, "{error}");
    drop(watch);
    assert_eq!(machine.qmp("query-status", json!({})).unwrap_or_else(|e| panic!("{e}"))["status"], "running");
    machine.snapshot("here").unwrap_or_else(|e| panic!("{e}"));
    machine.restore("here").unwrap_or_else(|e| panic!("{e}"));
    assert!(machine.restore("nowhere").is_err() && machine.snapshot("a b").is_err());
    let picture = directory.path().join("picture.png");
    machine.screenshot(&picture).unwrap_or_else(|e| panic!("{e}"));
    assert!(std::fs::read(&picture).expect("a picture").starts_with(b"\x89PNG\r\n\x1a\n"));
    let evidence = directory.path().join("evidence");
    machine.evidence(&evidence).unwrap_or_else(|e| panic!("{e}"));
    for name in ["console.log", "qemu.log", "qemu.argv", "qemu.json"] {
        assert!(evidence.join(name).exists(), "{name}");
    }
    drop(machine);
    let mut left: Vec<_> =
        std::fs::read_dir(directory.path()).expect("directory").map(|e| e.expect("entry").file_name()).collect();
    left.sort();
    assert_eq!(left, ["console.log", "empty,disk.raw", "evidence", "picture.png"]);
    assert!(std::fs::read(&disk).expect("disk").iter().all(|b| *b == 0), "the disk is never written");
}

/// A machine with a TPM and a second disk is left at a moment and resumed from it, in another directory, as often as one likes;
/// another kind of machine does not take it, and neither is a damaged one taken.
#[test]
fn a_machine_goes_on_from_where_another_was_left() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let disk = directory.path().join("empty.raw");
    std::fs::write(&disk, vec![0; 8 << 20]).expect("disk");
    let made = |name: &str| {
        let own = directory.path().join(name);
        std::fs::create_dir(&own).expect("a directory");
        let (mut spec, cable) = spec(&own, disk.clone());
        (spec.second, spec.tpm) = (Some(Second::Blank(8 << 20)), Some(own.join("tpm")));
        (spec, cable)
    };
    let (first, _cable) = made("first");
    let (kind, names) = (first.kind().expect("its kind"), first.files());
    assert_eq!(names, ["overlay.qcow2", "second.qcow2", "variables.qcow2"]);
    let machine = Machine::start(first).unwrap_or_else(|e| panic!("{e}"));
    let end = Instant::now() + Duration::from_secs(240);
    while machine.console.alarms().is_empty() {
        assert!(Instant::now() < end, "the firmware says nothing: {}", machine.console.tail(20));
        std::thread::sleep(Duration::from_millis(50));
    }
    machine.snapshot("here").unwrap_or_else(|e| panic!("{e}"));
    let (console, left) = machine.leave();
    left.unwrap_or_else(|e| panic!("{e}"));
    assert!(!console.alarms().is_empty(), "what it had said is known");
    let kept = directory.path().join("first");
    let content = || names.iter().map(|n| std::fs::read(kept.join(n)).expect("a file")).collect::<Vec<_>>();
    let before = content();
    for name in ["second", "third"] {
        let (spec, _cable) = made(name);
        assert_eq!(spec.kind().expect("its kind"), kind, "neither places nor descriptors matter");
        let machine = Machine::resume(spec, &kept, "here").unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(machine.qmp("query-status", json!({})).unwrap_or_else(|e| panic!("{e}"))["status"], "running");
        assert!(machine.console.alarms().is_empty(), "the firmware does not begin anew");
    }
    assert!(content() == before, "what was left is not written");

    let (mut larger, _cable) = made("larger");
    larger.memory = 512;
    assert_ne!(larger.kind().expect("its kind"), kind);
    assert_eq!(Machine::resume(larger, &kept, "here").expect_err("another machine").exit, Exit::Host);
    assert!(Machine::resume(made("nowhere").0, &kept, "there").is_err(), "no such moment");
    std::fs::write(kept.join("variables.qcow2"), &before[2][..before[2].len() / 2]).expect("half a file");
    assert!(Machine::resume(made("half").0, &kept, "here").is_err(), "damaged");
}

/// Our disks are not signed by those whose keys machines are sold with: with Secure Boot enforced the firmware says so and
/// starts nothing; without, it starts the same disk.
#[test]
fn secure_boot_refuses_what_nobody_has_signed() {
    let out = std::env::var_os("DIORITE_TEST_OUT").expect("DIORITE_TEST_OUT must name a directory with a built disk");
    let said = |boot: Boot, enough: &dyn Fn(&Machine) -> bool| {
        let directory = tempfile::tempdir().expect("temporary directory");
        let (mut spec, _cable) = spec(directory.path(), Path::new(&out).join("disk.raw"));
        (spec.boot, spec.memory) = (boot, 1024);
        let machine = Machine::start(spec).unwrap_or_else(|e| panic!("{e}"));
        let end = Instant::now() + Duration::from_secs(240);
        while !enough(&machine) {
            assert!(Instant::now() < end, "it says neither: {}", machine.console.tail(20));
            std::thread::sleep(Duration::from_millis(50));
        }
        machine.console.tail(200)
    };
    let starts = |machine: &Machine| machine.console.tail(200).contains("Linux version");
    let over = |machine: &Machine| starts(machine) || !machine.console.alarms().is_empty();
    let refused = said(Boot::SecureBoot, &over);
    assert!(refused.contains("Access Denied") && !refused.contains("Linux version"), "{refused}");
    assert!(said(Boot::Firmware, &over).contains("Linux version"));
}

#[test]
fn a_disk_that_is_not_there_is_named() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let (spec, _cable) = spec(directory.path(), directory.path().join("none.raw"));
    let error = Machine::start(spec).expect_err("no disk");
    assert_eq!((error.exit, error.what.as_str()), (Exit::Input, "the disk cannot be opened"));
    assert!(error.place.expect("a place").ends_with("none.raw"));
}

/// swtpm keeps the TPM's state locked as long as it runs.
#[test]
fn a_tpm_is_there_and_ends_with_the_machine() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let disk = directory.path().join("empty.raw");
    std::fs::write(&disk, vec![0; 8 << 20]).expect("disk");
    let (mut spec, _cable) = spec(directory.path(), disk);
    let state = directory.path().join("a,tpm");
    spec.tpm = Some(state.clone());
    let machine = Machine::start(spec).expect("the machine starts");
    let known = machine.qmp("query-tpm", json!({})).expect("an answer");
    assert_eq!(known[0]["model"], "tpm-crb", "{known}");
    let lock = std::fs::File::options().write(true).open(state.join(".lock")).expect("swtpm's lock");
    let free = || rustix::fs::fcntl_lock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok();
    assert!(!free(), "it runs");
    drop(machine);
    assert!(free(), "it has ended");
    assert!(state.join("tpm2-00.permall").is_file(), "the TPM's state stays");
}
