//! The cases, run in each mode. What runs inside the child is a job; what is asserted, outside or in the job.

use super::inmate::View;
use diorite_host::progress::Progress;
use diorite_host::sandbox::{Memory, Output, Sandbox, SandboxMode, Status, mode, run_inside, run_inside_with};
use diorite_model::{Error, Exit, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

pub const ALL: &[(&str, fn())] = &[
    ("a job answers, fails and panics in its own way", jobs),
    ("a job owns every id", ids),
    ("the sandbox shows the tree and little else", view),
    ("nothing of the sandbox stays in the tree", traces),
    ("a shown file is there only meanwhile", binds),
    ("an end is told as it was", ends),
    ("what a program leaves running dies", leftovers),
    ("a directory in memory is seen by the job alone", memory),
];

/// What a job does in a tree.
#[derive(Serialize, Deserialize)]
struct Run {
    root: PathBuf,
    argv: Vec<String>,
    binds: Vec<(PathBuf, PathBuf)>,
    stdin: String,
}

#[derive(Serialize, Deserialize)]
pub struct Ran {
    code: Option<i32>,
    signal: Option<i32>,
    log: String,
    cpu: f64,
}

pub fn sandbox(run: serde_json::Value, _: &Progress) -> Result<Ran> {
    let run: Run = serde_json::from_value(run).unwrap();
    let mut sandbox = Sandbox::new(&run.root).env("EXTRA", "1").stdin(run.stdin);
    for (host, inside) in run.binds {
        sandbox = sandbox.bind(host, inside);
    }
    let Output { status, log, cpu, .. } = sandbox.run(&run.argv, "/etc")?;
    let (code, signal) = match status {
        Status::Code(code) => (Some(code), None),
        Status::Signal(signal) => (None, Some(signal)),
    };
    Ok(Ran { code, signal, log: String::from_utf8_lossy(&log).into_owned(), cpu: cpu.as_secs_f64() })
}

pub fn fail(_: (), progress: &Progress) -> Result<()> {
    progress.stage("failing").done("said");
    Err(Error::new(Exit::NotReproducible, "what").at("place").detail("detail").because("cause").hint("hint"))
}

pub fn panic(_: (), _: &Progress) -> Result<()> {
    println!("a word on stdout");
    panic!("on purpose")
}

/// Makes a file of another owner; says who it belongs to.
pub fn own(path: PathBuf, _: &Progress) -> Result<(u32, u32)> {
    fs::create_dir(&path).unwrap();
    fs::write(path.join("file"), "").unwrap();
    std::os::unix::fs::chown(path.join("file"), Some(101), Some(65534)).unwrap();
    std::os::unix::fs::chown(&path, Some(101), Some(42)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    let m = fs::metadata(path.join("file")).unwrap();
    Ok((m.uid(), m.gid()))
}

/// Writes a file; whether the directory was empty, keeps everything and has room.
pub fn write(directory: PathBuf, _: &Progress) -> Result<[bool; 3]> {
    let empty = fs::read_dir(&directory).unwrap().next().is_none();
    fs::write(directory.join("inside"), "x").unwrap();
    Ok([empty, Memory::suits(&directory), !Memory::full(&directory)])
}

fn memory() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("outside"), "").unwrap();
    let names = || fs::read_dir(directory.path()).unwrap().map(|e| e.unwrap().file_name()).collect::<Vec<_>>();
    let quiet = Progress::quiet();
    let Some(memory) = Memory::at(directory.path(), 1) else {
        return assert_eq!(mode().unwrap(), SandboxMode::Chroot, "only there nothing can be mounted");
    };
    let told: [bool; 3] = run_inside_with(Some(&memory), "write", &directory.path(), &quiet).unwrap();
    assert_eq!(told, [true; 3]);
    assert_eq!(names(), ["outside"]);
    // Positive control: without it, the same job sees and leaves files on the disk.
    let told: [bool; 3] = run_inside("write", &directory.path(), &quiet).unwrap();
    assert!(!told[0]);
    assert_eq!(names().len(), 2);
}

fn run(root: &Path, argv: &[&str]) -> Result<Ran> {
    run_with(root, argv, Vec::new(), "")
}

fn run_with(root: &Path, argv: &[&str], binds: Vec<(PathBuf, PathBuf)>, stdin: &str) -> Result<Ran> {
    let argv = argv.iter().map(|a| (*a).to_owned()).collect();
    run_inside("sandbox", &Run { root: root.to_owned(), argv, binds, stdin: stdin.into() }, &Progress::quiet())
}

/// A tree with ourselves as its only program, in a directory that only its owner may enter.
fn tree() -> tempfile::TempDir {
    let tree = tempfile::tempdir().unwrap();
    let root = tree.path();
    for directory in ["usr/bin", "etc", "proc", "dev", "run", "tmp"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
    std::os::unix::fs::symlink("usr/bin", root.join("bin")).unwrap();
    fs::copy("/proc/self/exe", root.join("usr/bin/inmate")).unwrap();
    age(root);
    tree
}

/// Gives everything an old time, so that a change shows.
fn age(path: &Path) {
    if path.is_dir() && !path.is_symlink() {
        fs::read_dir(path).unwrap().for_each(|e| age(&e.unwrap().path()));
    }
    if !path.is_symlink() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        fs::File::open(path).unwrap().set_modified(time).unwrap();
    }
}

fn listing(path: &Path, lines: &mut Vec<String>) {
    let m = fs::symlink_metadata(path).unwrap();
    lines.push(format!("{} {:o} {}:{} {} {}", path.display(), m.mode(), m.uid(), m.gid(), m.mtime(), m.rdev()));
    if m.is_dir() {
        let mut paths: Vec<_> = fs::read_dir(path).unwrap().map(|e| e.unwrap().path()).collect();
        paths.sort();
        paths.iter().for_each(|p| listing(p, lines));
    }
}

fn list(path: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    listing(path, &mut lines);
    lines
}

fn jobs() {
    let quiet = Progress::quiet();
    assert_eq!(run_inside::<u32>("double", &21, &quiet).unwrap(), 42);
    let error = run_inside::<()>("fail", &(), &quiet).unwrap_err();
    assert_eq!(error.exit, Exit::NotReproducible);
    assert_eq!(
        error.to_string(),
        "error: what\n  at place\n  detail\n  because cause\n  help: hint",
        "an error passes the pipe whole"
    );
    let error = run_inside::<()>("panic", &(), &quiet).unwrap_err();
    assert_eq!(error.exit, Exit::Bug);
    let words = error.detail.unwrap();
    assert!(words.contains("on purpose") && words.contains("a word on stdout"), "{words}");
    assert_eq!(run_inside::<()>("no such job", &(), &quiet).unwrap_err().exit, Exit::Bug);
}

fn ids() {
    let directory = tempfile::tempdir().unwrap();
    let store = diorite_host::store::Store::open(Some(directory.path())).unwrap();
    let scratch = store.scratch("ids").unwrap();
    let path = scratch.path().join("owned");
    assert_eq!(run_inside::<(u32, u32)>("own", &path, &Progress::quiet()).unwrap(), (101, 65534));
    drop(scratch);
    assert!(!path.exists(), "a scratch directory goes whoever owns what is in it");
}

fn view() {
    let tree = tree();
    let ran = run_with(tree.path(), &["inmate", "view"], vec![], "words").unwrap();
    assert_eq!(ran.code, Some(0), "{}", ran.log);
    let view: View = serde_json::from_str(&ran.log).unwrap();
    assert_eq!(view.root, ["bin", "dev", "etc", "proc", "run", "tmp", "usr"]);
    let dev =
        ["fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero"];
    assert_eq!(view.dev, dev);
    assert_eq!(view.shm & 0o7777, 0o1777);
    assert!(view.null_is_device);
    let environment = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C", "LANG=C", "EXTRA=1"];
    assert_eq!(view.environment, environment);
    assert_eq!((view.cwd.as_str(), view.ids, view.umask), ("/etc", (0, 0), 0o022));
    assert_eq!(view.stdin, "words");
    assert_eq!(view.capabilities, 0xa00005fb);
    assert_eq!(view.escapes, Vec::<String>::new());
    if mode().unwrap() != diorite_host::sandbox::SandboxMode::Chroot {
        assert_eq!(view.hostname, "localhost");
        assert_eq!(view.processes, [1, 2], "only process 1 and the inmate");
        let host_paths: Vec<_> =
            view.mounts.lines().filter(|l| l.contains(&tree.path().display().to_string())).collect();
        assert_eq!(host_paths, Vec::<&str>::new());
    }
}

fn traces() {
    let tree = tree();
    // Missing mount points are made and removed, here /proc.
    fs::remove_dir(tree.path().join("proc")).unwrap();
    age(tree.path());
    let before = list(tree.path());
    let ran = run(tree.path(), &["/bin/inmate", "litter"]).unwrap();
    assert_eq!((ran.code, ran.log.as_str()), (Some(0), ""));
    let made = tree.path().join("etc/made");
    assert_eq!(fs::read_to_string(&made).unwrap(), "stays");
    fs::remove_file(made).unwrap();
    fs::File::open(tree.path().join("etc"))
        .unwrap()
        .set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000))
        .unwrap();
    assert_eq!(list(tree.path()), before);
}

fn binds() {
    let tree = tree();
    let host = tempfile::tempdir().unwrap();
    fs::write(host.path().join("new"), "from the host").unwrap();
    fs::write(tree.path().join("etc/there"), "the tree's own").unwrap();
    age(tree.path());
    let before = list(tree.path());
    for target in ["/etc/there", "/usr/sbin/policy-rc.d", "/run/x", "/bin/new"] {
        let bind = vec![(host.path().join("new"), PathBuf::from(target))];
        let ran = run_with(tree.path(), &["inmate", "read", target], bind, "").unwrap();
        assert_eq!((ran.code, ran.log.as_str()), (Some(0), "from the host"), "{target}");
        assert_eq!(list(tree.path()), before, "{target}");
    }
    assert_eq!(fs::read_to_string(tree.path().join("etc/there")).unwrap(), "the tree's own");
    let missing = vec![(host.path().join("missing"), PathBuf::from("/x"))];
    let error = run_with(tree.path(), &["inmate", "exit", "0"], missing, "").err().unwrap();
    assert!(error.place.unwrap().ends_with("missing"));
}

fn ends() {
    let tree = tree();
    assert_eq!(run(tree.path(), &["inmate", "exit", "3"]).unwrap().code, Some(3));
    assert_eq!(run(tree.path(), &["inmate", "signal"]).unwrap().signal, Some(libc::SIGKILL));
    assert_eq!(run(tree.path(), &["inmate", "shout"]).unwrap().log, "to stdout\nto stderr\n");
    assert!(run(tree.path(), &["inmate", "burn"]).unwrap().cpu >= 0.2);
    let error = run(tree.path(), &["missing-program"]).err().unwrap();
    assert_eq!(error.exit, Exit::Host);
    assert!(error.cause.unwrap().contains("`missing-program` cannot be executed: No such file"));
}

fn leftovers() {
    let tree = tree();
    // Would block for ever if what it left were still holding the output.
    assert_eq!(run(tree.path(), &["inmate", "linger"]).unwrap().code, Some(0));
    let inmate = fs::canonicalize(tree.path().join("usr/bin/inmate")).unwrap();
    let alive = fs::read_dir("/proc")
        .unwrap()
        .filter(|e| fs::read_link(e.as_ref().unwrap().path().join("exe")).is_ok_and(|exe| exe == inmate));
    assert_eq!(alive.count(), 0);
}
