//! Positive controls of the derived checks: disks that are wrong in several ways at once, each verified against the
//! recipe of the right one. The checks that fail must be those that the wrongs of the disk are caught by, no more and no
//! less, and each wrong must have one of its own.
#![allow(dead_code)]

pub mod boots;
pub mod refusals;
pub mod right;
pub mod root;
pub mod router;
pub mod table;
pub mod watching;
pub mod wheels;

use crate::common::{Project, material, text};
use crate::vm;
use diorite_archive::lockfile;
use diorite_model::base64;
use diorite_model::report::{CheckResult, Class, Report, Verdict};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// One thing that is not as the right recipe promises.
pub struct Wrong {
    /// What, for people.
    pub what: &'static str,
    /// What stands in place of what in the right profile.
    pub edits: &'static [(&'static str, &'static str)],
    /// Files laid over the image: path and text. A text that begins with `-> ` is a link's target; a unit is started by
    /// what its `WantedBy=` names.
    pub files: &'static [(&'static str, &'static str)],
    /// The checks that catch it, the one of its own first, and words that must be in what each says.
    pub caught: &'static [(&'static str, &'static str)],
}

/// A disk.
pub struct Image {
    /// Name of its profile.
    pub name: &'static str,
    /// The profile that it is wrong against.
    pub right: &'static str,
    /// What is wrong with it.
    pub wrongs: &'static [Wrong],
    /// Checks that are boots of their own and would show nothing new.
    pub skip: &'static [&'static str],
}

/// OpenSSH's form (PROTOCOL.key) of the key in RFC 8032 §7.1, test 1: everybody's.
fn everybodys_key() -> String {
    let hex = |text: &str| -> Vec<u8> {
        let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
        (0..text.len()).step_by(2).map(byte).collect()
    };
    let secret = hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
    let public = hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    let string = |bytes: &[u8]| [&(bytes.len() as u32).to_be_bytes(), bytes].concat();
    let shown = [string(b"ssh-ed25519"), string(&public)].concat();
    let both = string(&[secret, public].concat());
    let mut inner = [&[7; 8][..], &shown, &both, &string(b"everybody")].concat();
    inner.extend((1..).take((8 - inner.len() % 8) % 8));
    let head = [&b"openssh-key-v1\0"[..], &string(b"none"), &string(b"none"), &string(b""), &[0, 0, 0, 1]].concat();
    let whole = base64::encode(&[head, string(&shown), string(&inner)].concat());
    let lines: Vec<String> = whole.as_bytes().chunks(70).map(|l| String::from_utf8_lossy(l).into_owned()).collect();
    let fence = |word: &str| format!("-----{word} OPENSSH PRIVATE KEY-----");
    format!("{}\n{}\n{}\n", fence("BEGIN"), lines.join("\n"), fence("END"))
}

/// Lays the files of all wrongs over the image.
fn lay(overlay: &Path, wrongs: &[Wrong]) {
    let mut about = String::from("why = \"to be caught\"\noverride = true\n");
    let put = |path: &str, text: &str| {
        let path = overlay.join("tree").join(path);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        match text.strip_prefix("-> ") {
            Some(target) => symlink(target, &path).expect("a link"),
            None => fs::write(&path, text).expect("a file"),
        }
        if text.starts_with("#!") {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its mode");
        }
    };
    // On a busy host an emulated machine needs longer for everything than systemd waits.
    for root in ["", "usr/lib/diorite/initrd/"] {
        put(
            &format!("{root}etc/systemd/system.conf.d/90-patience.conf"),
            "[Manager]\nDefaultDeviceTimeoutSec=900\nDefaultTimeoutStartSec=900\n",
        );
    }
    for (path, text) in wrongs.iter().flat_map(|w| w.files) {
        let key = [KEY, UNSAID_KEY].contains(text).then(everybodys_key);
        put(path, key.as_deref().unwrap_or(text));
        if *text == KEY {
            about += &format!("[files.\"{path}\"]\npublic = \"it is printed in RFC 8032\"\n");
        }
        let wanted = text.lines().find_map(|l| l.strip_prefix("WantedBy="));
        // A unit of a package: what is in /etc/systemd/system is judged by `exposure`.
        if let (Some(target), Some(unit)) = (wanted, path.strip_prefix("usr/lib/systemd/system/")) {
            put(&format!("etc/systemd/system/{target}.wants/{unit}"), &format!("-> /{path}"));
        }
    }
    fs::create_dir_all(overlay).expect("a directory");
    fs::write(overlay.join("overlay.toml"), about).expect("overlay.toml");
}

/// Stands for [`everybodys_key`] in a table; said to be public, so that it is let into an image.
pub const KEY: &str = "everybody's key";
/// The same with nothing said of it.
pub const UNSAID_KEY: &str = "everybody's key, unsaid";

/// Writes the profile of a disk; without wrongs it is the right one.
pub fn profile(project: &Project, right: &str, name: &str, wrongs: &[Wrong]) {
    let mut text = right.to_owned();
    for (from, to) in wrongs.iter().flat_map(|w| w.edits) {
        assert_eq!(text.matches(from).count(), 1, "`{from}` stands once in the right profile:\n{text}");
        text = text.replacen(from, to, 1);
    }
    if name != "right" {
        lay(&project.path("overlays/wrong"), wrongs);
        text = text.replacen("extends = \"base\"\n", "extends = \"base\"\noverlays = [\"wrong\"]\n", 1);
    }
    fs::write(project.path(format!("profiles/{name}.toml")), text).expect("a profile");
}

/// The lock that those of a right profile and its wrongs are made from: that of `server`, or one of its own, made of what
/// the archive has now.
fn origin(project: &Project, right: &str) -> PathBuf {
    if right == right::PROFILE {
        return project.path("profiles/server.lock");
    }
    let lock = project.path("profiles/origin.lock");
    if !lock.exists() {
        fs::write(project.path("profiles/origin.toml"), right).expect("a profile");
        let output = online(project, &["lock", "origin"]).output().expect("the program starts");
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    lock
}

/// The program with the archive as this machine knows it, and with the wheels that lie here.
fn online(project: &Project, arguments: &[&str]) -> Command {
    let mut command = vm::online(project, arguments);
    command.env("DIORITE_WHEEL_INDEX", concat!("file://", env!("CARGO_MANIFEST_DIR"), "/tests/wrong/index"));
    command
}

/// The recipe of a profile, and its lock, with the packages of a container for the other one too.
fn locked(project: &Project, right: &str, name: &str) -> String {
    let shown = project.json(&["show", name]);
    let mut lock = lockfile::read(&origin(project, right)).expect("the lock");
    if let (true, Some(packages)) =
        (shown["recipe"]["containers"].get("back").is_some(), lock.container.get("web").cloned())
    {
        lock.container.insert("back".into(), packages);
    }
    lock.recipe = serde_json::from_value(shown["digest"].clone()).expect("a digest");
    lockfile::write(&lock, &project.path(format!("profiles/{name}.lock"))).expect("a lock");
    shown["recipe"].to_string()
}

/// `diorite build` of a profile that is there.
fn build(project: &Project, right: &str, name: &str) -> Output {
    locked(project, right, name);
    let arguments = ["build", name, "--format", "raw"];
    if right != right::PROFILE {
        return online(project, &arguments).output().expect("the program starts");
    }
    let mut command = project.diorite();
    command.args(arguments).env("DIORITE_STORE", material("DIORITE_TEST_STORE"));
    command.output().expect("the program starts")
}

/// Builds a disk and asks it what the right one promises.
fn verified(project: &Project, image: &Image) -> Report {
    profile(project, image.right, "right", &[]);
    let recipe = project.path("right.json");
    fs::write(&recipe, locked(project, image.right, "right")).expect("the right recipe");
    let built = project.path(format!("out/{}", image.name));
    profile(project, image.right, image.name, image.wrongs);
    vm::expect(&build(project, image.right, image.name), 0, &built);
    let (store, out) = (material("DIORITE_TEST_STORE"), project.path("out/seen"));
    let mut command = project.diorite();
    command.arg("verify").arg(built.join("disk.raw")).arg("--recipe").arg(&recipe).arg("--out").arg(&out);
    command.arg("--lock").arg(origin(project, image.right)).env("DIORITE_STORE", &store);
    if !image.skip.is_empty() {
        command.arg("--skip").args(image.skip);
    }
    let output = command.output().expect("the program starts");
    vm::expect(&output, if image.wrongs.is_empty() { 0 } else { 4 }, &out);
    vm::report(&out)
}

/// What `show`, or else `build`, says to a wrong that must not come as far as a disk.
pub fn refused(wrong: &Wrong) {
    let project = Project::locked();
    profile(&project, right::PROFILE, "refused", std::slice::from_ref(wrong));
    let shown = project.diorite().args(["show", "refused"]).output().expect("the program starts");
    let output = if shown.status.success() { build(&project, right::PROFILE, "refused") } else { shown };
    let [(_, words)] = wrong.caught else { panic!("{}: one text", wrong.what) };
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{}: {said}", wrong.what);
    assert!(said.contains(words), "{}: {said}", wrong.what);
}

/// Everything that is wrong with a disk is caught, by what must catch it and by nothing else.
pub fn caught(image: &Image) {
    let _alone = vm::alone();
    let project = Project::locked();
    judged(image, &verified(&project, image));
}

/// A machine that does not get through its boot is the image's fault: one check tells how it ended, in these words, those
/// before it passed, and what could not be asked is no pass.
pub fn ends(image: &Image, id: &str, words: &[&str]) {
    let _alone = vm::alone();
    let project = Project::locked();
    let report = verified(&project, image);
    let place = report.checks.iter().position(|c| c.verdict == Verdict::Fail).expect("a check that fails");
    let (before, after) = (&report.checks[..place], &report.checks[place + 1..]);
    let only = &report.checks[place];
    assert_eq!((only.id.as_str(), only.class), (id, Some(Class::Product)), "{}", only.seen);
    assert!(words.iter().all(|words| only.seen.contains(words)), "{}", only.seen);
    assert!(before.iter().all(|c| c.verdict == Verdict::Pass), "{before:#?}");
    let unasked = |c: &&CheckResult| c.verdict == Verdict::Skip || c.id == "disk-unchanged";
    assert!(after.len() > 40 && after.iter().all(|c| unasked(&c)), "{after:#?}");
}

/// What a report says of a disk.
fn judged(image: &Image, report: &Report) {
    let failed: BTreeMap<&str, &str> =
        report.checks.iter().filter(|c| c.verdict == Verdict::Fail).map(|c| (c.id.as_str(), c.seen.as_str())).collect();
    told(image, &failed);
    let expected: BTreeSet<&str> = image.wrongs.iter().flat_map(|w| w.caught).map(|(id, _)| *id).collect();
    let seen: BTreeSet<&str> = failed.keys().copied().collect();
    let more: Vec<_> = seen.difference(&expected).map(|id| (id, failed[id])).collect();
    let less: Vec<_> = expected.difference(&seen).collect();
    assert!(more.is_empty() && less.is_empty(), "failed as well: {more:#?}\nnot failed: {less:#?}\n{failed:#?}");
    assert!(report.ended.is_none() && report.count(Verdict::Skip) == 0, "{:?}", report.ended);
    for wrong in image.wrongs {
        for (id, words) in wrong.caught {
            assert!(failed[id].contains(words), "{}: {id} says {:?}, not {words:?}", wrong.what, failed[id]);
        }
    }
}

/// Each wrong has a check that no other wrong of its disk is caught by: whatever failed, it is known which wrong did it.
pub fn attributed(images: &[&Image]) {
    for image in images {
        for (n, wrong) in image.wrongs.iter().enumerate() {
            let (own, _) = wrong.caught.first().unwrap_or_else(|| panic!("`{}` is caught by nothing", wrong.what));
            let others = image.wrongs.iter().enumerate().filter(|(m, _)| *m != n).flat_map(|(_, w)| w.caught);
            assert!(!others.map(|(id, _)| id).any(|id| id == own), "{}: `{}` shares {own}", image.name, wrong.what);
        }
    }
}

/// Appends the rows of docs/measurements where somebody asks for them.
fn told(image: &Image, failed: &BTreeMap<&str, &str>) {
    let Some(file) = std::env::var_os("DIORITE_TEST_WRONGS") else { return };
    let mut file = fs::File::options().create(true).append(true).open(file).expect("the table");
    for wrong in image.wrongs {
        let said = |(id, _): &(&str, &str)| {
            let said = failed.get(id).copied().unwrap_or("NOT CAUGHT");
            let words: String = said.replace('|', "\\|").replace('\n', " ").chars().take(110).collect();
            format!("`{id}`: {words}")
        };
        let all: Vec<String> = wrong.caught.iter().map(said).collect();
        writeln!(file, "| {} | {} | {} |", image.name, wrong.what, all.join("<br>")).expect("the table");
    }
}
