//! Failures that cannot be reopened: each is one clear error, and no machine is started.

mod common;
use common::Project;
use common::errors::{HEAD, profile, refused};
use diorite_model::Digest;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// What a failed verification leaves, as far as it is looked at before a machine is started: tools, a disk, a moment.
fn failure() -> Project {
    let project = Project::new();
    profile(&project, HEAD);
    let tools = project.path(TOOLS);
    fs::create_dir_all(tools.join("usr/share/OVMF")).expect("a directory");
    fs::write(tools.join("usr/share/OVMF/OVMF_CODE_4M.fd"), "firmware").expect("firmware");
    fs::write(tools.join("versions"), "qemu-system-x86 1:10.0.2\n").expect("versions");
    let (out, directory) = (project.path("out/mine"), project.path("out/mine/evidence"));
    fs::create_dir_all(&directory).expect("a directory");
    fs::write(out.join("disk.raw"), "disk").expect("a disk");
    for name in ["overlay.qcow2", "variables.qcow2", "qemu.argv"] {
        fs::write(directory.join(name), name).expect("a file");
    }
    let recipe = project.json(&["show", "mine"])["recipe"].to_string();
    fs::write(directory.join("recipe.json"), recipe).expect("a recipe");
    let moment = json!({
        "identity": {
            "format": 1, "qemu": "1:10.0.2", "disk_sha256": Digest::of(b"disk"),
            "machine": ["arguments 0"], "around": Digest::of(b"around"),
        },
        "name": "failed", "what": "an echo request is answered (ipv4)", "kept": 1_760_000_000,
        "accelerator": { "kind": "tcg", "reason": "a test" },
        "disk": out.join("disk.raw"), "disk_stamp": stamp(&out.join("disk.raw")), "tools": tools,
        "known": { "mac": null, "addresses": [], "leases": [], "shell": true },
        "files": {
            "overlay.qcow2": stamp(&directory.join("overlay.qcow2")),
            "variables.qcow2": stamp(&directory.join("variables.qcow2")),
        },
    });
    fs::write(directory.join("moment.json"), moment.to_string()).expect("a moment");
    project
}

/// Where the tools are that ran the machine.
const TOOLS: &str = "store/steps/tools/x";

fn stamp(file: &Path) -> Value {
    let about = fs::metadata(file).expect("a file");
    json!({ "bytes": about.len(), "modified": 0, "changed": 0, "device": about.dev(), "inode": about.ino() })
}

/// The moment's description with something changed.
fn change(project: &Project, change: impl FnOnce(&mut Value)) {
    let file = project.path("out/mine/evidence/moment.json");
    let mut moment: Value = serde_json::from_slice(&fs::read(&file).expect("a moment")).expect("JSON");
    change(&mut moment);
    fs::write(&file, moment.to_string()).expect("a moment");
}

fn reopened(project: &Project) -> String {
    refused(project, &["verify", "--reopen", "out/mine/evidence"], 1)
}

#[test]
fn a_directory_that_is_no_failure() {
    let project = Project::new();
    insta::assert_snapshot!(refused(&project, &["verify", "--reopen", "profiles"], 1));
    assert_eq!(
        refused(&project, &["verify", "--reopen", "nowhere"], 1),
        refused(&project, &["verify", "--reopen", "profiles"], 1).replace("profiles", "nowhere")
    );
}

#[test]
fn a_machine_that_had_ended() {
    let project = failure();
    fs::remove_file(project.path("out/mine/evidence/moment.json")).expect("no moment");
    insta::assert_snapshot!(reopened(&project));
}

#[test]
fn a_damaged_description() {
    let project = failure();
    fs::write(project.path("out/mine/evidence/moment.json"), "{\"identity\": ").expect("half a moment");
    insta::assert_snapshot!(reopened(&project));
}

#[test]
fn a_damaged_file() {
    let project = failure();
    fs::write(project.path("out/mine/evidence/overlay.qcow2"), "cut").expect("a file");
    insta::assert_snapshot!(reopened(&project));
}

#[test]
fn a_moment_that_is_no_failure() {
    let project = failure();
    change(&project, |moment| moment["name"] = "running".into());
    insta::assert_snapshot!(reopened(&project));
}

#[test]
fn another_disk() {
    let project = failure();
    fs::write(project.path("out/mine/disk.raw"), "a later build").expect("a disk");
    insta::assert_snapshot!(reopened(&project));
}

#[test]
fn no_disk() {
    let project = failure();
    fs::remove_file(project.path("out/mine/disk.raw")).expect("no disk");
    insta::assert_snapshot!(reopened(&project));
}

#[test]
fn another_qemu() {
    let project = failure();
    change(&project, |moment| moment["identity"]["qemu"] = "1:9.2.0".into());
    insta::assert_snapshot!(reopened(&project));
}

#[test]
fn another_machine() {
    let project = failure();
    insta::assert_snapshot!(reopened(&project));
}

#[test]
fn no_tools() {
    let project = failure();
    fs::remove_dir_all(project.path(TOOLS)).expect("no tools");
    insta::assert_snapshot!(refused(&project, &["verify", "--reopen", "out/mine/evidence"], 5));
}

/// Evidence may be anybody's, and what it names is run.
#[test]
fn tools_that_are_not_in_the_store() {
    let project = failure();
    fs::rename(project.path(TOOLS), project.path("tools")).expect("elsewhere");
    change(&project, |moment| moment["tools"] = project.path("tools").display().to_string().into());
    let said = refused(&project, &["verify", "--reopen", "out/mine/evidence"], 5);
    assert!(said.contains("they are not in this host's store") && said.contains("name its profile"), "{said}");
}

/// What cannot go together is refused before anything is looked for.
#[test]
fn nothing_is_chosen_of_a_failure() {
    let project = Project::new();
    for more in [&["--only", "lease"][..], &["--repeat", "2"], &["--list"], &["--boot"]] {
        let said = refused(&project, &[&["verify", "--reopen", "out/mine/evidence"], more].concat(), 2);
        assert!(said.contains("cannot be used with"), "{said}");
    }
    assert!(refused(&project, &["verify"], 2).contains("<NAME>"), "without a failure there must be a name");
}
