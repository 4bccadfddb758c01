//! Same profile and lock, same bytes: on empty stores, at other paths, with other numbers of threads, in every sandbox.

mod common;
use common::{Project, material, reference, root, skipped, text};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

fn built(environment: &[(&str, &str)]) -> (Project, String) {
    let project = Project::locked();
    let mut command = project.diorite();
    command.args(["build", "server", "--no-qcow2"]).envs(environment.iter().copied());
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{environment:?}\n{}", text(&output.stderr));
    let digest = project.disk();
    (project, digest)
}

/// Why a kind of sandbox is not to be had here, as the program itself says it.
fn why_not(mode: &str) -> Option<String> {
    let output = Project::new().diorite().args(["doctor", "--json"]).output().expect("the program starts");
    let doctor: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let sandboxes = doctor["sandboxes"].as_array().expect("a list");
    let found = sandboxes.iter().find(|s| s["mode"] == mode).unwrap_or_else(|| panic!("doctor knows {mode}: {doctor}"));
    let why = &found["why_not"];
    (!why.is_null()).then(|| why["cause"].as_str().unwrap_or("it does not say why").to_owned())
}

#[test]
fn an_empty_store_another_path_and_one_thread_give_the_same_disk() {
    let (project, digest) = built(&[("RAYON_NUM_THREADS", "1"), ("TZ", "Asia/Tokyo"), ("LANG", "de_DE.UTF-8")]);
    assert_eq!(digest, reference());
    // Positive control: the comparison notices one changed byte of one overlay.
    fs::write(project.path("overlays/web/tree/srv/www/index.html"), "another page\n").expect("the overlay changes");
    project.succeed(&["build", "server", "--no-qcow2"]);
    let incremental = project.disk();
    assert_ne!(incremental, digest);
    // And what was made from the pieces of the image before is what a fresh build makes.
    let fresh = Project::locked();
    fs::write(fresh.path("overlays/web/tree/srv/www/index.html"), "another page\n").expect("the overlay changes");
    fresh.succeed(&["build", "server", "--no-qcow2"]);
    assert_eq!(fresh.disk(), incremental);
}

#[test]
fn a_root_without_privileges_in_a_plain_container_gives_the_same_disk() {
    if !root() {
        return skipped("only root can be made the root of a plain container");
    }
    let (_project, digest) = built(&[("DIORITE_SIMULATE", "plain-container")]);
    assert_eq!(digest, reference());
}

#[test]
fn a_user_namespace_gives_the_same_disk() {
    if let Some(why) = why_not("userns") {
        return skipped(&format!("no user namespace on this host: {why}"));
    }
    let (_project, digest) = built(&[("DIORITE_SANDBOX", "userns")]);
    assert_eq!(digest, reference());
}

/// The first person of /etc/passwd who has ids in /etc/subuid and /etc/subgid: (name, uid, gid).
fn person() -> Option<(String, u32, u32)> {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let (uids, gids) = (read("/etc/subuid"), read("/etc/subgid"));
    let has = |text: &str, name: &str| text.lines().any(|l| l.starts_with(&format!("{name}:")));
    read("/etc/passwd").lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let (uid, gid) = (fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?);
        (uid != 0 && has(&uids, fields[0]) && has(&gids, fields[0])).then(|| (fields[0].to_owned(), uid, gid))
    })
}

fn give(folder: &Path, uid: u32, gid: u32) {
    chown(folder, Some(uid), Some(gid)).expect("chown");
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        match entry.file_type().expect("a type").is_dir() {
            true => give(&entry.path(), uid, gid),
            false => chown(entry.path(), Some(uid), Some(gid)).expect("chown"),
        }
    }
}

/// Nothing simulated: another user, who owns nothing but the project and reaches more ids only by newuidmap(1).
#[test]
fn somebody_without_any_privilege_gets_the_same_disk() {
    if !root() {
        return skipped("the suite is not root: all its builds are those of an ordinary user already");
    }
    let Some((name, uid, gid)) = person() else {
        return skipped("no user has ids in /etc/subuid and /etc/subgid");
    };
    if !["/usr/bin/newuidmap", "/bin/newuidmap"].iter().any(|p| Path::new(p).exists()) {
        return skipped("newuidmap (package uidmap) is not installed");
    }
    // Where that user can go, unlike perhaps the store of the material.
    let project = Project::new();
    fs::copy(material("DIORITE_TEST_LOCK"), project.path("profiles/server.lock")).expect("the lock");
    for blob in fs::read_dir(material("DIORITE_TEST_STORE").join("pool")).expect("the pool").flatten() {
        common::copy(&blob.path(), &project.path("store/pool").join(blob.file_name()));
    }
    fs::copy(common::DIORITE, project.path("diorite")).expect("the program");
    fs::set_permissions(project.folder.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
    give(project.folder.path(), uid, gid);
    let as_person = |arguments: &[&str]| {
        let mut command = Command::new(project.path("diorite"));
        command.env_clear().env("PATH", "/usr/bin:/bin").current_dir(project.folder.path()).uid(uid).gid(gid);
        command.env("DIORITE_STORE", project.path("store")).env("DIORITE_MIRROR", "http://127.0.0.1:9/debian");
        command.args(arguments).output().expect("the program starts")
    };
    let doctor = as_person(&["doctor", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&doctor.stdout).expect("JSON");
    if report["chosen"].is_null() {
        return skipped(&format!("{name} gets no sandbox on this host: {}", report["sandboxes"]));
    }
    assert_eq!(report["chosen"], "userns", "{report}");
    let output = as_person(&["build", "server", "--no-qcow2"]);
    assert!(output.status.success(), "as {name}\n{}", text(&output.stderr));
    assert_eq!(project.disk(), reference());
}
