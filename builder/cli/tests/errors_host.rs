//! Hosts that lack something: one clear error, the documented exit code, nothing half-written. Each is a real run of the
//! program.

mod common;
use common::Project;
use common::errors::{deb, mirrored, refuses, stderr, with_one_package};
use common::harness::{Outcome, run};
use common::host::{may_mount, with_tmpfs};
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    run(tests![no_mirror_named, no_space_left, no_user_namespaces, folder_for_results_that_is_read_only,])
}

fn no_mirror_named() -> Outcome {
    let project = Project::new();
    may_mount(project.folder.path())?;
    let mut command = project.diorite();
    command.env_remove("DIORITE_MIRROR").env_remove("DIORITE_SECURITY_MIRROR");
    let apt = Path::new("/etc/apt");
    if apt.is_dir() {
        with_tmpfs(&mut command, apt, "size=64k", 0);
    }
    insta::assert_snapshot!(refuses(&project, &mut command, &["lock", "base"], 5));
    Ok(())
}

fn no_space_left() -> Outcome {
    let good = deb(300_000);
    let project = with_one_package(&good, &good);
    may_mount(project.folder.path())?;
    fs::create_dir_all(project.path("store")).expect("a store");
    let mut command = mirrored(&project);
    with_tmpfs(&mut command, &project.path("store"), "size=128k", 0);
    insta::assert_snapshot!(refuses(&project, &mut command, &["fetch", "mine"], 5));
    Ok(())
}

/// Somebody who has one uid and no helper that would give more.
fn no_user_namespaces() -> Outcome {
    let good = deb(1000);
    let project = with_one_package(&good, &good);
    fs::create_dir_all(project.path("store")).expect("a store");
    open_to_all(project.folder.path());
    let folder = project.path("bin");
    fs::create_dir_all(&folder).expect("a folder");
    fs::copy(common::DIORITE, folder.join("diorite")).expect("a program that anybody can start");
    let mut command = Command::new(folder.join("diorite"));
    for (name, value) in mirrored(&project).get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.current_dir(project.folder.path()).env("DIORITE_SIMULATE", "single-uid");
    if common::root() {
        command.uid(65_534).gid(65_534);
    }
    let output = command.args(["--quiet", "build", "mine"]).output().expect("the program starts");
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&project, &output));
    assert!(!project.path("out").exists(), "nothing half-written");
    assert_eq!(fs::read_dir(project.path("store/scratch")).expect("the store").count(), 0, "no scratch folder");
    let said = stderr(&project, &output);
    let name = said.split("gives user `").nth(1).and_then(|rest| rest.split('`').next()).expect("whose ids");
    let said = [("`", "`"), ("`", ":"), (" ", " (")].iter().fold(said.clone(), |said, (before, after)| {
        said.replace(&format!("{before}{name}{after}"), &format!("{before}nobody{after}"))
    });
    insta::assert_snapshot!(said);
    Ok(())
}

fn open_to_all(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).expect("permissions");
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        if entry.file_type().expect("a type").is_dir() {
            open_to_all(&entry.path());
        }
    }
}

fn folder_for_results_that_is_read_only() -> Outcome {
    let project = with_one_package(&deb(10), &deb(10));
    may_mount(project.folder.path())?;
    fs::create_dir_all(project.path("out")).expect("a folder");
    let mut command = mirrored(&project);
    with_tmpfs(&mut command, &project.path("out"), "size=64k", libc::MS_RDONLY);
    insta::assert_snapshot!(refuses(&project, &mut command, &["build", "mine"], 5));
    Ok(())
}
