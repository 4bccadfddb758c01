//! A real QEMU with real firmware and nothing to boot: start, console, QMP, snapshots, end. Needs a tools tree
//! (`DIORITE_TEST_TOOLS`), no image.

use diorite_host::tools::ToolsTree;
use diorite_machine::{Accelerator, AlarmKind, Boot, Kind, Machine, MachineSpec, credentials};
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

fn spec(folder: &Path, disk: PathBuf) -> (MachineSpec, UnixStream) {
    let (near, far) = UnixStream::pair().expect("socket pair");
    let spec = MachineSpec {
        tools: tools(),
        accelerator: Accelerator { kind: Kind::Tcg, reason: "the test's".to_owned() },
        disk,
        second: None,
        tpm: None,
        boot: Boot::Firmware,
        memory: 256,
        cpus: 1,
        credentials: credentials::shell(),
        network: vec![far.into()],
        macs: vec![],
        folder: folder.to_owned(),
    };
    (spec, near)
}

#[test]
fn a_disk_with_nothing_on_it_is_noticed_at_once_and_nothing_is_left() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let disk = folder.path().join("empty,disk.raw");
    std::fs::write(&disk, vec![0; 8 << 20]).expect("disk");
    let (spec, _cable) = spec(folder.path(), disk.clone());
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
    let evidence = folder.path().join("evidence");
    machine.evidence(&evidence).unwrap_or_else(|e| panic!("{e}"));
    for name in ["console.log", "qemu.log", "qemu.argv", "qemu.json"] {
        assert!(evidence.join(name).exists(), "{name}");
    }
    drop(machine);
    let mut left: Vec<_> =
        std::fs::read_dir(folder.path()).expect("folder").map(|e| e.expect("entry").file_name()).collect();
    left.sort();
    assert_eq!(left, ["console.log", "empty,disk.raw", "evidence"]);
    assert!(std::fs::read(&disk).expect("disk").iter().all(|b| *b == 0), "the disk is never written");
}

#[test]
fn a_disk_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (spec, _cable) = spec(folder.path(), folder.path().join("none.raw"));
    let error = Machine::start(spec).expect_err("no disk");
    assert_eq!((error.exit, error.what.as_str()), (Exit::Input, "the disk cannot be opened"));
    assert!(error.place.expect("a place").ends_with("none.raw"));
}

/// swtpm keeps the TPM's state locked as long as it runs.
#[test]
fn a_tpm_is_there_and_ends_with_the_machine() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let disk = folder.path().join("empty.raw");
    std::fs::write(&disk, vec![0; 8 << 20]).expect("disk");
    let (mut spec, _cable) = spec(folder.path(), disk);
    let state = folder.path().join("a,tpm");
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
