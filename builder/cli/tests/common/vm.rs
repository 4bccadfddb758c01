//! Verifications of prepared disks: run one at a time, read back from what they leave.
#![allow(dead_code)]

use crate::common::{Project, material, text, wheel_index};
use diorite_model::report::Verdict;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

static ONE: Mutex<()> = Mutex::new(());

/// Two machines at once on a small host would only slow each other down.
pub fn alone() -> MutexGuard<'static, ()> {
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A project whose `out/NAME` holds the disk that `make test` built from `server`, and the store with the tools.
pub fn prepared(name: &str) -> Project {
    let project = Project::locked();
    let out = project.path(format!("out/{name}"));
    fs::create_dir_all(&out).expect("a directory for results");
    for file in ["build.json", "disk.raw"] {
        let from = material("DIORITE_TEST_OUT").join(file);
        // The same bytes, not a copy: verification never writes them.
        symlink(&from, out.join(file)).expect(file);
    }
    project
}

/// `diorite verify NAME` with the store of the material, where the tools are.
pub fn verify(project: &Project, name: &str) -> Command {
    let mut command = project.diorite();
    command.args(["verify", name]).env("DIORITE_STORE", material("DIORITE_TEST_STORE"));
    // A process group of its own, as a shell would give it.
    command.process_group(0);
    command
}

/// Gives `name` the lock of `server`, as if it had been locked for the recipe of `name` and nothing had changed.
pub fn relock(project: &Project, name: &str) {
    let shown = project.succeed(&["show", name, "--json"]);
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).expect("a recipe");
    let digest = shown["digest"].as_str().expect("its digest");
    let lock = fs::read_to_string(project.path("profiles/server.lock")).expect("the lock");
    let old = lock.lines().find(|line| line.starts_with("recipe = ")).expect("the recipe's digest").to_owned();
    let new = lock.replacen(&old, &format!("recipe = \"{digest}\""), 1);
    fs::write(project.path(format!("profiles/{name}.lock")), new).expect("a lock");
}

/// `report.json`.
pub fn report(out: &Path) -> diorite_model::report::Report {
    serde_json::from_slice(&fs::read(out.join("report.json")).expect("report.json")).expect("a report")
}

/// Expects an exit code; shows everything otherwise: what was said, and the ends of console and journal.
pub fn expect(output: &Output, code: i32, out: &Path) {
    let end = |file: &str| {
        let told = text(&fs::read(out.join(file)).unwrap_or_default());
        let from = told.char_indices().rev().nth(6000).map_or(0, |(at, _)| at);
        format!("\n{file} ends with:\n{}", &told[from..])
    };
    assert_eq!(
        output.status.code(),
        Some(code),
        "{}{}{}{}",
        text(&output.stdout),
        text(&output.stderr),
        end("console.log"),
        end("evidence/journal.txt")
    );
}

/// Processes whose command line speaks of this directory.
pub fn processes(directory: &Path) -> Vec<String> {
    let directory = directory.display().to_string();
    let all = fs::read_dir("/proc").expect("/proc").flatten();
    let lines = all.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.map(|line| text(&line).replace('\0', " ")).filter(|line| line.contains(&directory)).collect()
}

/// Numbers of processes whose command line speaks of this directory and begins with this program.
pub fn ids(directory: &Path, program: &str) -> Vec<i32> {
    let directory = directory.display().to_string();
    let all = fs::read_dir("/proc").expect("/proc").flatten();
    let ours = |entry: fs::DirEntry| {
        let line = text(&fs::read(entry.path().join("cmdline")).ok()?);
        let first = line.split('\0').next().unwrap_or_default();
        (first.contains(program) && line.contains(&directory))
            .then(|| entry.file_name().to_str()?.parse().ok())
            .flatten()
    };
    all.filter_map(ours).collect()
}

/// Runs a command and kills every QEMU of the directory as soon as the console of this machine speaks, until it ends: with
/// status 5, and nothing left running.
pub fn killed_under(command: &mut Command, out: &Path, machine: &str) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let end = Instant::now() + Duration::from_secs(300);
    let mut killed = BTreeSet::new();
    while child.try_wait().expect("our own child").is_none() {
        assert!(Instant::now() < end, "it does not end: {killed:?}");
        let speaks = fs::metadata(out.join(".verify").join(machine).join("console.log")).is_ok_and(|m| m.len() > 0);
        for id in ids(out, "qemu-system").into_iter().filter(|_| speaks) {
            if killed.insert(id) {
                let id = rustix::process::Pid::from_raw(id).expect("a process");
                // It may have ended since.
                let _ = rustix::process::kill_process(id, rustix::process::Signal::KILL);
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(5), "{}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(processes(out), Vec::<String>::new());
}

/// Every path below a directory, sorted.
pub fn paths(directory: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.is_symlink() {
            all.extend(paths(&path));
        }
        all.push(path);
    }
    all.sort();
    all
}

/// Names of the profiles, sorted, but for the one that the whole suite hangs on.
pub fn profiles() -> Vec<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../profiles");
    let name = |entry: fs::DirEntry| entry.file_name().to_str()?.strip_suffix(".toml").map(str::to_owned);
    let mut names: Vec<_> = fs::read_dir(directory).expect("profiles").flatten().filter_map(name).collect();
    // Where no index of wheels is known, `reproducible` says that the example of wheels cannot be built.
    names.retain(|name| name != "server" && (name != "example-wheels" || wheel_index().is_some()));
    names.sort();
    assert!(!names.is_empty(), "there are no profiles");
    names
}

/// The program with the archive as this machine knows it: a profile may need packages that nothing else does.
pub fn online(project: &Project, arguments: &[&str]) -> Command {
    let mut command = project.diorite();
    for name in ["DIORITE_MIRROR", "DIORITE_SECURITY_MIRROR"] {
        match std::env::var_os(name) {
            Some(mirror) => command.env(name, mirror),
            None => command.env_remove(name),
        };
    }
    match wheel_index() {
        Some(index) => command.env("DIORITE_WHEEL_INDEX", index),
        None => command.env_remove("DIORITE_WHEEL_INDEX"),
    };
    // One store for all: profiles with the same packages share their tree.
    command.env("DIORITE_STORE", material("DIORITE_TEST_STORE")).args(arguments);
    command
}

/// What `build` is told besides the name of a profile: keys, made for it, where it is to be signed.
pub fn keys(project: &Project, name: &str) -> Vec<String> {
    if project.json(&["show", name])["recipe"]["signing"].is_null() {
        return Vec::new();
    }
    let directory = format!("keys-{name}");
    project.succeed(&["keys", "new", &directory]);
    vec!["--keys".into(), directory]
}

/// Builds and boots one profile; every check passes and none is left out.
pub fn boots(name: &str) {
    let _alone = alone();
    let project = Project::locked();
    let mut image = online(&project, &["image", name, "--relock", "--format", "raw"]);
    let output = image.args(keys(&project, name)).output().expect("the program starts");
    let out = project.path(format!("out/{name}"));
    expect(&output, 0, &out);
    let report = report(&out);
    assert!(report.passed(), "{name}");
    assert_eq!(report.count(Verdict::Skip), 0, "{name}");
}
