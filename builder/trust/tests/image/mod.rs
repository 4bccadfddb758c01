//! An image that was never built: a machine of three packages with an overlay and a script's files, a container of packages with
//! a wheel, and one of an image that Alpine made.
#![allow(dead_code)]

use diorite_model::lock::{PULLED, WHEEL};
use diorite_model::{Digest, Lock, LockedPackage, Recipe, profile};
use diorite_trust::sbom::contents::{FileContents, FileOwner, ImageContents, TreeContents};
use diorite_trust::sbom::inventory::ImageInventory;
use std::collections::BTreeMap;

const PROFILE: &str = r#"
[image]
name = "small"
version = "7"
[containers.app]
packages = ["python3"]
command = ["flask"]
[containers.cache]
oci = "registry.example:5000/team/cache@sha256:2222222222222222222222222222222222222222222222222222222222222222"
"#;

const MACHINE: &str = "\
Package: bash
Status: install ok installed
Maintainer: Matthias Example <bash@example.org>
Architecture: amd64
Source: bash (5.2.37-2)
Version: 5.2.37-2+b10
Depends: base-files (>= 2.1.12), debianutils (>= 5.6-0.1)
Pre-Depends: libc6 (>= 2.38), libtinfo6 | libtinfo7
Homepage: https://bash.example.org/

Package: base-files
Status: install ok installed
Architecture: all
Version: 1:13.8+deb13u8~x
Provides: base
Static-Built-Using: golang-1.24 (= 1.24.4-1), base-files (= 1:13.8+deb13u8~x)

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1

Package: diorite-initrd
Status: install ok installed
Maintainer: Diorite <diorite@localhost>
Architecture: all
Version: 1

Package: firmware-example
Status: install ok installed
Section: non-free-firmware/kernel
Architecture: all
Version: 20250410-2
Depends: base, firmware-example

Package: linux-image-6.12-amd64
Status: install ok installed
Section: kernel
Architecture: amd64
Version: 6.12.1-1
Depends: missing | bash
";

const CONTAINER: &str = "Package: python3\nStatus: install ok installed\nArchitecture: amd64\nVersion: 3.13.5-1\n";

const APK: &str = "\
P:busybox
V:1.36.1-r29
A:x86_64
L:GPL-2.0-only
o:busybox
m:Example <a@example.org>
F:bin
R:busybox
F:
R:top

P:ssl_client
V:1.36.1-r29
A:x86_64
o:busybox
F:usr/bin
R:ssl_client
";

const OS: &str = "PRETTY_NAME=\"Debian GNU/Linux 13\"\nID=debian\nVERSION_ID=\"13\"\n";
const ALPINE: &str = "ID=alpine\nVERSION_ID=3.20.1\n";
const COPYRIGHT: &str = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n\
    Files: *\nCopyright: x\nLicense: GPL-3+\n\nFiles: debian/*\nCopyright: y\nLicense: Expat or ISC\n";
const METADATA: &str = "Metadata-Version: 2.4\nName: Flask\nVersion: 3.1.0\n";
const OTHER: &str = "Metadata-Version: 2.1\nName: pip_tools\nVersion: 25.0\n";

fn recipe() -> Recipe {
    let none = &mut |_: &str| -> diorite_model::Result<profile::Loaded> { panic!("nothing is extended") };
    profile::parse(PROFILE, "small.toml", none).unwrap_or_else(|e| panic!("{e}")).0
}

fn locked(name: &str, version: &str, architecture: &str, release: &str, path: &str) -> LockedPackage {
    LockedPackage {
        name: name.into(),
        version: version.into(),
        architecture: architecture.into(),
        release: release.into(),
        path: path.into(),
        size: 1,
        sha256: Digest::of(path.as_bytes()),
    }
}

fn lock() -> Lock {
    let deb = |name: &str, version: &str, architecture: &str, release: &str| {
        locked(name, version, architecture, release, &format!("pool/{name}_{version}_{architecture}.deb"))
    };
    let image = vec![
        deb("base-files", "1:13.8+deb13u8~x", "all", "trixie-security"),
        deb("bash", "5.2.37-2+b10", "amd64", "trixie"),
        deb("firmware-example", "20250410-2", "all", "Vendor"),
        deb("linux-image-6.12-amd64", "6.12.1-1", "amd64", "local"),
    ];
    let repository = "registry.example:5000/team/cache";
    let manifest = locked("manifest", "x", "amd64", PULLED, &format!("{repository}/manifests/sha256:22"));
    let wheel = locked("flask", "3.1.0", "any", WHEEL, "flask/flask-3.1.0-py3-none-any.whl");
    Lock {
        schema: 1,
        recipe: Digest::of(b"recipe"),
        release: BTreeMap::new(),
        image,
        container: [
            ("app".to_owned(), vec![deb("python3", "3.13.5-1", "amd64", "trixie")]),
            ("cache".to_owned(), vec![manifest]),
        ]
        .into(),
        wheels: [("app".to_owned(), vec![wheel])].into(),
        tools: Vec::new(),
    }
}

/// Path, content, source.
pub type Files = Vec<(&'static str, Vec<u8>, FileOwner)>;

fn made(words: &str) -> FileOwner {
    FileOwner::Made(words.into())
}

fn package(name: &str) -> FileOwner {
    FileOwner::Package(name.into())
}

/// The files of the machine and of its containers.
pub fn files() -> [Files; 3] {
    let text = |text: &str| text.as_bytes().to_vec();
    let machine = vec![
        ("usr/bin/bash", text("bash"), package("bash")),
        ("usr/share/doc/bash/copyright", text(COPYRIGHT), package("bash")),
        ("usr/lib/os-release", text(OS), package("base-files")),
        ("etc/profile", text("changed"), FileOwner::Changed("base-files".into())),
        ("etc/fstab", text("generated"), made("the profile, or scripts of packages")),
        ("srv/a name\\with\tcontrols", text("overlay"), made("overlay web")),
        ("usr/lib/python3/dist-packages/pip_tools-25.0.dist-info/METADATA", text(OTHER), package("bash")),
    ];
    let app = vec![
        ("etc/os-release", text(OS), package("python3")),
        ("usr/bin/python3", text("python"), package("python3")),
        (
            "usr/local/lib/python3.13/dist-packages/flask-3.1.0.dist-info/METADATA",
            text(METADATA),
            package("flask-3.1.0-py3-none-any.whl"),
        ),
        ("usr/local/bin/flask", text("#!/usr/bin/python3\n"), made("the profile, or scripts of packages")),
    ];
    let cache = vec![
        ("etc/os-release", text(ALPINE), FileOwner::Layer),
        ("lib/apk/db/installed", text(APK), FileOwner::Layer),
        ("bin/busybox", text("busybox"), FileOwner::Layer),
        ("top", text("top"), FileOwner::Layer),
        ("usr/bin/ssl_client", text("ssl"), FileOwner::Layer),
        ("opt/pip_tools-25.0.dist-info/METADATA", text(OTHER), FileOwner::Layer),
    ];
    [machine, app, cache]
}

fn tree<'a>(files: &'a Files, place: &str, status: &'a str) -> TreeContents<'a> {
    let content = |(path, bytes, source): &'a (&'static str, Vec<u8>, FileOwner)| {
        let about = FileContents { bytes, sha256: Digest::of(bytes), source: source.clone() };
        (path.as_bytes(), about)
    };
    let files: BTreeMap<&[u8], FileContents> = files.iter().map(content).collect();
    let all = files.clone();
    let read = move |path: &[u8]| all.get(path).map(|file| file.bytes);
    TreeContents { place: place.as_bytes().to_vec(), status: status.as_bytes(), files, read: Box::new(read) }
}

/// What is in it.
pub fn inventory() -> ImageInventory {
    let [machine, app, cache] = &files();
    let (recipe, lock) = (recipe(), lock());
    let containers = [
        ("app".to_owned(), tree(app, "usr/lib/containers/storage/overlay/aa/diff/", CONTAINER)),
        ("cache".to_owned(), tree(cache, "usr/lib/containers/storage/overlay/cc/diff/", "")),
    ];
    diorite_trust::sbom::inventory(&ImageContents {
        recipe: &recipe,
        lock: &lock,
        root_hash: Digest::of(b"root"),
        disk_sha256: Digest::of(b"disk"),
        machine: tree(machine, "", MACHINE),
        containers: containers.into(),
    })
}
