//! Hosts that lack something: one clear error, the documented exit code, nothing half-written. Each is a real run of the
//! program.

mod common;
use common::errors::{deb, mirrored, refuses, stderr, with_one_package};
use common::harness::{Outcome, run};
use common::host;
use common::host::{may_mount, with_tmpfs};
use common::{Project, material, reference};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode, Output};
use std::time::SystemTime;

fn main() -> ExitCode {
    run(tests![
        no_mirror_named,
        no_space_left,
        no_user_namespaces,
        directory_for_results_that_is_read_only,
        full_store,
        full_directory_for_results,
    ])
}

fn no_mirror_named() -> Outcome {
    let project = Project::new();
    may_mount(project.directory.path())?;
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
    may_mount(project.directory.path())?;
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
    open_to_all(project.directory.path());
    let directory = project.path("bin");
    fs::create_dir_all(&directory).expect("a directory");
    fs::copy(common::DIORITE, directory.join("diorite")).expect("a program that anybody can start");
    let mut command = Command::new(directory.join("diorite"));
    for (name, value) in mirrored(&project).get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.current_dir(project.directory.path()).env("DIORITE_SIMULATE", "single-uid");
    if common::root() {
        command.uid(65_534).gid(65_534);
    }
    let output = command.args(["--quiet", "build", "mine"]).output().expect("the program starts");
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&project, &output));
    assert!(!project.path("out").exists(), "nothing half-written");
    assert_eq!(fs::read_dir(project.path("store/scratch")).expect("the store").count(), 0, "no scratch directory");
    let said = stderr(&project, &output);
    let name = said.split("gives user `").nth(1).and_then(|rest| rest.split('`').next()).expect("whose ids");
    let said = [("`", "`"), ("`", ":"), (" ", " (")].iter().fold(said.clone(), |said, (before, after)| {
        said.replace(&format!("{before}{name}{after}"), &format!("{before}nobody{after}"))
    });
    insta::assert_snapshot!(said);
    Ok(())
}

fn open_to_all(directory: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o777)).expect("permissions");
    for entry in fs::read_dir(directory).expect("a directory").flatten() {
        if entry.file_type().expect("a type").is_dir() {
            open_to_all(&entry.path());
        }
    }
}

fn directory_for_results_that_is_read_only() -> Outcome {
    let project = with_one_package(&deb(10), &deb(10));
    may_mount(project.directory.path())?;
    fs::create_dir_all(project.path("out")).expect("a directory");
    let mut command = mirrored(&project);
    with_tmpfs(&mut command, &project.path("out"), "size=64k", libc::MS_RDONLY);
    insta::assert_snapshot!(refuses(&project, &mut command, &["build", "mine"], 5));
    Ok(())
}

/// What a full file system must be told as: one error that names a path below this place, the reason, and the remedy.
fn out_of_room(project: &Project, output: &Output, place: &str) {
    let said = stderr(project, output);
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert_eq!(said.matches("error: ").count(), 1, "{said}");
    let line =
        |start: &str| said.lines().find_map(|l| l.strip_prefix(start)).unwrap_or_else(|| panic!("{start}: {said}"));
    assert!(line("  at ").trim_start_matches("PROJECT/").starts_with(place), "{said}");
    let why = line("  because ");
    assert!(why.contains("No space left on device") || why.contains("left on its file system"), "{said}");
    assert!(line("  help: ").starts_with("free some space there, or name another directory"), "{said}");
}

/// The store's file system fills up at one stage after another of a build; with room, the next build makes the disk.
fn full_store() -> Outcome {
    let project = Project::locked();
    let (store, pool) = (project.path("store"), material("DIORITE_TEST_STORE").join("pool"));
    let build = |simulate: &str| {
        let mut command = project.diorite();
        command.env("DIORITE_SIMULATE", simulate).env("DIORITE_STORE_LIMIT", "1M");
        command.args(["build", "server", "--format", "raw"]).output().expect("the program starts")
    };
    // A result that nobody used for long.
    let old = store.join("steps/tree").join("0".repeat(64));
    host::apart(|| {
        host::small(&store, "64k");
        symlink(fs::canonicalize(&pool).expect("the pool"), store.join("pool")).expect("a link to the pool");
        // Too little for the pack of trees made in memory; for the first file of those made on the disk, for what Debian's
        // scripts write, for the pack of the tree.
        let on_disk = "little-memory";
        for (simulate, size) in [("", "200m"), (on_disk, "64k"), (on_disk, "470m"), (on_disk, "600m")] {
            // A container's tree may have been made before there was no room: it stays, and takes some.
            drop(fs::remove_dir_all(store.join("steps")));
            host::resize(&store, size);
            out_of_room(&project, &build(simulate), "store");
            let left = fs::read_dir(store.join("scratch")).expect("the store").count();
            assert_eq!(left, 0, "{size}: no scratch directory");
            assert!(!project.path("out/server/disk.raw").exists(), "{size}: no disk");
        }
        drop(fs::remove_dir_all(store.join("steps")));
        host::resize(&store, "2g");
        fs::create_dir_all(&old).expect("an old result");
        fs::write(old.join("contents"), vec![0; 3 << 20]).expect("its bytes");
        fs::File::open(&old).and_then(|directory| directory.set_modified(SystemTime::UNIX_EPOCH)).expect("its age");
        let output = build("");
        let said = stderr(&project, &output);
        assert!(output.status.success(), "{said}");
        assert!(said.contains("evicted 1 cached result, 3.1 MB"), "{said}");
        let left = fs::read_dir(store.join("steps/tree")).expect("results").count();
        assert_eq!((old.exists(), left), (false, 2), "what this build has made stays, the machine and its container");
    })?;
    assert_eq!(project.disk(), reference());
    Ok(())
}

/// The file system of the results is full: at the first disk, at its second form, and over an earlier build, which
/// stays as it was.
fn full_directory_for_results() -> Outcome {
    let project = Project::locked();
    let out = project.path("results");
    fs::create_dir_all(&out).expect("a directory");
    let build = || {
        let mut command = project.diorite();
        command.args(["--quiet", "build", "server", "--out", "results/server"]);
        command.output().expect("the program starts")
    };
    let held = || common::errors::files(&out.join("server"));
    host::apart(|| {
        host::small(&out, "64k");
        // The whole of it needs some 360 MB, half of it for disk.raw.
        for size in ["64k", "100m", "250m"] {
            host::resize(&out, size);
            out_of_room(&project, &build(), "results/server");
            assert_eq!(held(), BTreeSet::new(), "{size}: nothing half-written");
        }
        host::resize(&out, "450m");
        let output = build();
        assert!(output.status.success(), "{}", stderr(&project, &output));
        assert_eq!(project.disk_in("results/server"), reference());

        let (before, files) = (fs::read(out.join("server/build.json")).expect("build.json"), held());
        fs::write(project.path("overlays/web/tree/srv/www/index.html"), "another page\n").expect("the overlay changes");
        out_of_room(&project, &build(), "results/server");
        assert_eq!(fs::read(out.join("server/build.json")).expect("build.json"), before, "the build before is whole");
        assert_eq!(held(), files);
        host::resize(&out, "1g");
        let output = build();
        assert!(output.status.success(), "{}", stderr(&project, &output));
        assert_ne!(project.disk_in("results/server"), reference());
        assert_eq!(held(), files);
    })
}
