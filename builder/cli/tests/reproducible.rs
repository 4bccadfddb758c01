//! Same profile and lock, same bytes: on empty stores, at other paths, with other numbers of threads, in every sandbox.
//! A sandbox that this host cannot have is an ignored test.

mod common;
use common::harness::{Outcome, ignored, run};
use common::{Project, host, material, reference, root, text, wheel_index};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    run(tests![
        an_empty_store_another_path_and_one_thread_give_the_same_disk,
        a_root_without_privileges_in_a_plain_container_gives_the_same_disk,
        trees_made_on_the_disk_for_want_of_memory_give_the_same_disk,
        a_user_namespace_gives_the_same_disk,
        somebody_without_any_privilege_gets_the_same_disk,
        wheels_of_an_index_give_the_same_disk_twice,
    ])
}

fn built(environment: &[(&str, &str)]) -> (Project, String) {
    let project = Project::locked();
    let mut command = project.diorite();
    command.args(["build", "server", "--format", "raw"]).envs(environment.iter().copied());
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

fn an_empty_store_another_path_and_one_thread_give_the_same_disk() -> Outcome {
    let (project, digest) = built(&[("RAYON_NUM_THREADS", "1"), ("TZ", "Asia/Tokyo"), ("LANG", "de_DE.UTF-8")]);
    assert_eq!(digest, reference());
    for name in ["sbom.spdx.json", "sbom.cdx.json"] {
        let read = |directory: std::path::PathBuf| fs::read(directory.join(name)).expect("a bill of materials");
        assert!(read(project.path("out/server")) == read(material("DIORITE_TEST_OUT")), "{name}");
    }
    // Positive control: the comparison notices one changed byte of one overlay.
    fs::write(project.path("overlays/web/tree/srv/www/index.html"), "another page\n").expect("the overlay changes");
    project.succeed(&["build", "server", "--format", "raw"]);
    let incremental = project.disk();
    assert_ne!(incremental, digest);
    // And what was made from the pieces of the image before is what a fresh build makes.
    let fresh = Project::locked();
    fs::write(fresh.path("overlays/web/tree/srv/www/index.html"), "another page\n").expect("the overlay changes");
    fresh.succeed(&["build", "server", "--format", "raw"]);
    assert_eq!(fresh.disk(), incremental);
    Ok(())
}

fn a_root_without_privileges_in_a_plain_container_gives_the_same_disk() -> Outcome {
    if !root() {
        return ignored("only root can be made the root of a plain container");
    }
    let (_project, digest) = built(&[("DIORITE_SIMULATE", "plain-container")]);
    assert_eq!(digest, reference());
    Ok(())
}

fn trees_made_on_the_disk_for_want_of_memory_give_the_same_disk() -> Outcome {
    let project = Project::locked();
    let mut command = project.diorite();
    command.args(["build", "server", "--format", "raw"]).env("DIORITE_SIMULATE", "little-memory");
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stderr).contains("not enough room in memory");
    // A host without namespaces has its trees on the disk always.
    assert!(said || why_not("namespaces").is_some() && why_not("userns").is_some(), "{}", text(&output.stderr));
    assert_eq!(project.disk(), reference());
    Ok(())
}

fn a_user_namespace_gives_the_same_disk() -> Outcome {
    if let Some(why) = why_not("userns") {
        return ignored(format!("no user namespace on this host: {why}"));
    }
    let (_project, digest) = built(&[("DIORITE_SANDBOX", "userns")]);
    assert_eq!(digest, reference());
    Ok(())
}

fn give(directory: &Path, uid: u32, gid: u32) {
    chown(directory, Some(uid), Some(gid)).expect("chown");
    for entry in fs::read_dir(directory).expect("a directory").flatten() {
        match entry.file_type().expect("a type").is_dir() {
            true => give(&entry.path(), uid, gid),
            false => chown(entry.path(), Some(uid), Some(gid)).expect("chown"),
        }
    }
}

/// Why nobody but root gets a user namespace with a range of ids here, whatever is installed.
fn forbidden() -> Option<String> {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default().trim().to_owned();
    for (name, forbids) in [
        ("kernel/apparmor_restrict_unprivileged_userns", "1"),
        ("kernel/unprivileged_userns_clone", "0"),
        ("user/max_user_namespaces", "0"),
    ] {
        if read(&format!("/proc/sys/{name}")) == forbids {
            return Some(format!("{} is {forbids}", name.replace('/', ".")));
        }
    }
    let ids = |map: &str| -> u64 { map.lines().filter_map(|l| l.split_whitespace().nth(2)?.parse::<u64>().ok()).sum() };
    let least = ids(&read("/proc/self/uid_map")).min(ids(&read("/proc/self/gid_map")));
    (least < 200_000).then(|| format!("this root owns only {least} ids, too few to give 65536 away"))
}

/// Nothing simulated: another user, who owns nothing but the project and reaches more ids only by newuidmap(1), on a
/// machine made of the tools tree, so that the host needs neither that program nor such a user.
fn somebody_without_any_privilege_gets_the_same_disk() -> Outcome {
    if !root() {
        return ignored("the suite is not root: all its builds are those of an ordinary user already");
    }
    if let Some(why) = why_not("userns").or_else(forbidden) {
        return ignored(format!("no user namespace for an ordinary user of this host: {why}"));
    }
    let project = Project::empty();
    fs::copy(material("DIORITE_TEST_LOCK"), project.path("profiles/server.lock")).expect("the lock");
    fs::copy(common::DIORITE, project.path("diorite")).expect("the program");
    fs::set_permissions(project.directory.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
    fs::create_dir_all(project.path("store/pool")).expect("a store");
    let (_, uid, gid) = host::PERSON;
    give(project.directory.path(), uid, gid);
    let pool = fs::canonicalize(material("DIORITE_TEST_STORE").join("pool")).expect("the pool");
    let (machine, tools) = (tempfile::tempdir().expect("a directory"), material("DIORITE_TEST_TOOLS"));
    let as_person = |arguments: &[&str]| {
        let mut command = Command::new("/project/diorite");
        command.env_clear().env("PATH", "/usr/bin:/bin").current_dir("/project").uid(uid).gid(gid);
        command.env("DIORITE_STORE", "/project/store").env("DIORITE_MIRROR", "http://127.0.0.1:9/debian");
        command.args(arguments).output().expect("the program starts")
    };
    let (doctor, built) = host::apart(|| {
        host::bind(&pool, &project.path("store/pool"));
        host::machine_with_uidmap(machine.path(), &tools, project.directory.path());
        (as_person(&["doctor", "--json"]), as_person(&["build", "server", "--format", "raw"]))
    })?;
    let report: serde_json::Value = serde_json::from_slice(&doctor.stdout).expect("JSON");
    assert_eq!(report["chosen"], "userns", "{report}");
    assert!(built.status.success(), "{}", text(&built.stderr));
    assert_eq!(project.disk(), reference());
    Ok(())
}

/// The example, from the index that this host's pip would ask: locked twice, built twice, with other numbers of threads.
fn wheels_of_an_index_give_the_same_disk_twice() -> Outcome {
    let Some(index) = wheel_index() else {
        return ignored("neither DIORITE_WHEEL_INDEX, PIP_INDEX_URL nor a pip of this host names an index of wheels");
    };
    let built = |threads: &str| {
        let project = Project::locked();
        let mut command = project.diorite();
        for name in ["DIORITE_MIRROR", "DIORITE_SECURITY_MIRROR"] {
            match std::env::var_os(name) {
                Some(mirror) => command.env(name, mirror),
                None => command.env_remove(name),
            };
        }
        command.args(["build", "example-wheels", "--relock", "--format", "raw"]);
        command.env("DIORITE_WHEEL_INDEX", &index).env("RAYON_NUM_THREADS", threads);
        let output = command.output().expect("the program starts");
        assert!(output.status.success(), "{}", text(&output.stderr));
        let manifest = fs::read_to_string(project.path("out/example-wheels/tree.manifest")).expect("tree.manifest");
        (project.disk_in("out/example-wheels"), manifest)
    };
    let (first, second) = (built("1"), built("3"));
    for path in
        ["bin/waitress-serve", "lib/python3.13/dist-packages/markupsafe/_speedups.cpython-313-x86_64-linux-gnu.so"]
    {
        assert!(first.1.contains(&format!("/diff/usr/local/{path}")), "{path} is not in the image");
    }
    assert!(first.0 == second.0, "two disks of one lock");
    Ok(())
}
