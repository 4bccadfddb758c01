//! Unpacks wheels into a directory, for a comparison with what pip makes of the same files:
//! `cargo run --release -p diorite-rootfs --example wheels -- DIRECTORY FILE.whl…`. What cannot be used is said, and what
//! some of them need and is not among them; the rest goes on.

use diorite_model::lock::WHEEL;
use diorite_model::python::{Pinned, Python, WheelName};
use diorite_model::{Digest, LockedPackage};
use diorite_rootfs::tree::{NodeKind, Tree};
use diorite_rootfs::wheels::{WheelFile, install, missing};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

fn main() {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let directory = arguments.next().expect("a directory");
    let files: Vec<WheelFile> = arguments.map(wheel).collect();
    let python = Python { minor: 13, full: "3.13.5".into(), glibc: 41 };
    let started = Instant::now();
    let (mut good, mut bytes) = (Vec::new(), 0);
    for file in files {
        match install(std::slice::from_ref(&file), &python, 1_760_000_000) {
            Ok(_) => good.push(file),
            Err(error) => println!("{}: {error}", file.package.file_name()),
        }
    }
    let made = install(&good, &python, 1_760_000_000).unwrap_or_else(|e| panic!("{e}"));
    for (path, node) in &made.tree.nodes {
        let place = directory.join(OsStr::from_bytes(path));
        match &node.kind {
            NodeKind::Directory => fs::create_dir_all(&place).expect("a directory"),
            NodeKind::File(content) => {
                bytes += content.len();
                fs::write(&place, content.bytes()).expect("a file");
                fs::set_permissions(&place, fs::Permissions::from_mode(node.mode)).expect("its mode");
            }
            other => panic!("{other:?}"),
        }
    }
    let asked = |wheel: &WheelFile| {
        let LockedPackage { name, version, sha256, .. } = &wheel.package;
        Pinned::parse(&format!("{name}=={version} --hash=sha256:{sha256}")).expect("a requirement")
    };
    let wanted: Vec<Pinned> = good.iter().map(asked).collect();
    missing(&made.tree, &made.tree, &python, &wanted).iter().for_each(|line| println!("{line}"));
    let count = |tree: &Tree| tree.nodes.values().filter(|n| matches!(n.kind, NodeKind::File(_))).count();
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{} wheels, {} files, {bytes} bytes, unpacked twice and written in {seconds:.1} s",
        good.len(),
        count(&made.tree)
    );
}

fn wheel(file: PathBuf) -> WheelFile {
    let bytes = fs::read(&file).expect("a file");
    let name = file.file_name().and_then(|n| n.to_str()).expect("a name");
    let of = WheelName::parse(name).unwrap_or_else(|e| panic!("{}: {e}", Path::new(name).display()));
    let package = LockedPackage {
        version: of.version.to_string(),
        architecture: if of.is_pure() { "all" } else { "amd64" }.into(),
        release: WHEEL.into(),
        path: format!("{}/{name}", of.name),
        size: bytes.len() as u64,
        sha256: Digest::of(&bytes),
        name: of.name,
    };
    WheelFile { package, file }
}
