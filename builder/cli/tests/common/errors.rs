//! Runs of the program that must fail, and what they fail on: a profile, a lock and a mirror with one package.
#![allow(dead_code)]

use super::{Project, text};
use diorite_model::Digest;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// stderr with what differs from run to run taken out.
pub fn stderr(project: &Project, output: &Output) -> String {
    let directory = project.directory.path();
    let real = fs::canonicalize(directory).expect("the project is there");
    text(&output.stderr)
        .replace(&real.display().to_string(), "PROJECT")
        .replace(&directory.display().to_string(), "PROJECT")
}

/// Every path of the project but the store's own directories, which any run makes.
pub fn files(directory: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(next) = directories.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|t| t.is_dir()) {
                directories.push(path);
            } else {
                found.insert(path.strip_prefix(directory).expect("below").display().to_string());
            }
        }
    }
    found.remove("store/lock");
    found
}

/// Runs it, expects this exit code and nothing on stdout, and that no file came or went. Returns stderr.
pub fn refuses(project: &Project, command: &mut Command, arguments: &[&str], code: i32) -> String {
    let before = files(project.directory.path());
    let output = command.arg("--quiet").args(arguments).output().expect("the program starts");
    let said = stderr(project, &output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{said}");
    assert_eq!(text(&output.stdout), "", "an error prints nothing on stdout");
    assert_eq!(files(project.directory.path()), before, "an error leaves nothing half-written\n{said}");
    said
}

pub fn refused(project: &Project, arguments: &[&str], code: i32) -> String {
    refuses(project, &mut project.diorite(), arguments, code)
}

pub fn profile(project: &Project, text: &str) {
    fs::write(project.path("profiles/mine.toml"), text).expect("a profile");
}

pub const HEAD: &str = "[image]\nname = \"mine\"\nversion = \"1\"\n";

/// A member of an ar archive.
fn member(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut out = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 100644, bytes.len()).into_bytes();
    out.extend_from_slice(bytes);
    out.resize(out.len().next_multiple_of(2), b'\n');
    out
}

/// A .deb that says it is `hello`, of about so many bytes: a ustar with its control file alone, and no real data.
pub fn deb(size: usize) -> Vec<u8> {
    let control = b"Package: hello\nVersion: 1.0\nArchitecture: amd64\n";
    let mut header = [0u8; 512];
    for (at, field) in [
        (0, "./control".to_owned()),
        (100, "0000644\0".into()),
        (108, "0000000\0".into()),
        (116, "0000000\0".into()),
        (124, format!("{:011o}\0", control.len())),
        (136, format!("{:011o}\0", 0)),
        (148, " ".repeat(8)),
        (156, "0".into()),
        (257, "ustar\x0000".into()),
    ] {
        header[at..at + field.len()].copy_from_slice(field.as_bytes());
    }
    let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut tar = header.to_vec();
    tar.extend_from_slice(control);
    tar.resize(tar.len().next_multiple_of(512) + 1024, 0);
    let noise: Vec<u8> = (0..size).map(|i| (i * 7 % 251) as u8).collect();
    [&b"!<arch>\n"[..], &member("debian-binary", b"2.0\n"), &member("control.tar", &tar), &member("data.tar", &noise)]
        .concat()
}

/// A profile `mine` with a lock that names one package, and a mirror (a directory) that has these bytes for it.
pub fn with_one_package(locked: &[u8], on_the_mirror: &[u8]) -> Project {
    let project = Project::new();
    profile(&project, HEAD);
    lock(&project, locked);
    let pool = project.path("mirror/pool/main/h/hello");
    fs::create_dir_all(&pool).expect("a mirror");
    fs::write(pool.join("hello_1.0_amd64.deb"), on_the_mirror).expect("a package");
    project
}

/// Writes profiles/mine.lock for the profile as it is, naming one package.
pub fn lock(project: &Project, package: &[u8]) {
    let shown = project.succeed(&["show", "mine", "--json"]);
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    let text = format!(
        "schema = 1\nrecipe = {}\nimage = [\n  {{ name = \"hello\", version = \"1.0\", architecture = \"amd64\", \
         release = \"trixie\", path = \"pool/main/h/hello/hello_1.0_amd64.deb\", size = {}, sha256 = \"{}\" }},\n]\n\
         tools = []\n[release.trixie]\nsuite = \"trixie\"\ndate = \"2026-01-01T00:00:00Z\"\nsha256 = \"{}\"\n\
         components = [\"main\"]\n",
        shown["digest"],
        package.len(),
        Digest::of(package),
        Digest::of(b""),
    );
    fs::write(project.path("profiles/mine.lock"), text).expect("a lock");
}

pub fn mirrored(project: &Project) -> Command {
    let mut command = project.diorite();
    command.env("DIORITE_MIRROR", format!("file://{}", project.path("mirror").display()));
    command
}
