//! Wheels made here, good and hostile: what is installed, and what is refused in which words. `docs/measurements` has the
//! comparison with pip on wheels that nobody here made.

use super::*;
use crate::origins::ShippedContents;
use crate::secrets::{self, FileSource, PublicSecrets, SecretScan};
use diorite_model::base64;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use std::io::Write as _;

/// One entry of an archive.
#[derive(Clone)]
pub(super) struct Entry {
    name: String,
    content: Vec<u8>,
    mode: u32,
    /// The name in the local header, where it is another.
    local: Option<String>,
    /// The size that is said, where it is another.
    size: Option<u32>,
    flags: u16,
    method: u16,
}

fn entry(name: &str, content: impl Into<Vec<u8>>) -> Entry {
    Entry { name: name.into(), content: content.into(), mode: 0o100_644, local: None, size: None, flags: 0, method: 8 }
}

/// A zip archive as Python's zipfile writes one.
fn zip(entries: &[Entry]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for e in entries {
        let packed = match e.method {
            8 => {
                let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(&e.content).unwrap();
                encoder.finish().unwrap()
            }
            _ => e.content.clone(),
        };
        let mut crc = flate2::Crc::new();
        crc.update(&e.content);
        let offset = out.len() as u32;
        let size = e.size.unwrap_or(e.content.len() as u32);
        let common = |name: &str| {
            let mut bytes = Vec::new();
            for number in [20, e.flags, e.method, 0, 0x21] {
                bytes.extend(number.to_le_bytes());
            }
            for number in [crc.sum(), packed.len() as u32, size] {
                bytes.extend(number.to_le_bytes());
            }
            bytes.extend((name.len() as u16).to_le_bytes());
            bytes.extend(0u16.to_le_bytes());
            bytes
        };
        let local = e.local.as_deref().unwrap_or(&e.name);
        out.extend(0x0403_4b50u32.to_le_bytes());
        out.extend(common(local));
        out.extend(local.as_bytes());
        out.extend(&packed);
        directory.extend(0x0201_4b50u32.to_le_bytes());
        directory.extend((3u16 << 8 | 20).to_le_bytes());
        directory.extend(common(&e.name));
        // Comment length, disk and internal attributes.
        directory.extend([0; 6]);
        directory.extend((e.mode << 16).to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(e.name.as_bytes());
    }
    let (start, count) = (out.len() as u32, entries.len() as u16);
    out.extend(&directory);
    out.extend(0x0605_4b50u32.to_le_bytes());
    out.extend([0; 4]);
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0; 2]);
    out
}

fn hash(content: &[u8]) -> String {
    let digest = base64::encode(&Digest::of(content).0);
    digest.replace('+', "-").replace('/', "_").trim_end_matches('=').to_owned()
}

const ABOUT: &str = "Demo_App-1.0.dist-info";

/// A wheel of these entries with metadata and a list.
fn wheel(entries: &[Entry]) -> Vec<Entry> {
    let mut all = entries.to_vec();
    all.push(entry(&format!("{ABOUT}/METADATA"), "Metadata-Version: 2.1\nName: demo.app\nVersion: 1.0.0\n\nWords.\n"));
    all.push(entry(&format!("{ABOUT}/WHEEL"), "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"));
    let row = |e: &Entry| format!("{},sha256={},{}\n", e.name, hash(&e.content), e.content.len());
    let list: String = all.iter().filter(|e| !e.name.ends_with('/')).map(row).collect();
    all.push(entry(&format!("{ABOUT}/RECORD"), format!("{list}{ABOUT}/RECORD,,\n")));
    all
}

fn python() -> Python {
    Python { minor: 13, full: "3.13.5".into(), glibc: 41 }
}

fn of_bytes(directory: &tempfile::TempDir, file: &str, bytes: &[u8]) -> WheelFile {
    let path = directory.path().join(file);
    std::fs::write(&path, bytes).unwrap();
    let name = WheelName::parse(file).unwrap();
    let package = LockedPackage {
        name: name.name.clone(),
        version: name.version.to_string(),
        architecture: "all".into(),
        release: diorite_model::lock::WHEEL.into(),
        path: format!("{}/{file}", name.name),
        size: bytes.len() as u64,
        sha256: Digest::of(bytes),
    };
    WheelFile { package, file: path }
}

fn install_bytes(bytes: &[u8]) -> Result<WheelTree> {
    let directory = tempfile::tempdir().unwrap();
    install(&[of_bytes(&directory, "demo_app-1.0-py3-none-any.whl", bytes)], &python(), 1_760_000_000)
}

fn refused(bytes: &[u8]) -> String {
    match install_bytes(bytes) {
        Ok(tree) => {
            panic!("installed: {:?}", tree.tree.nodes.keys().map(|p| p.escape_ascii().to_string()).collect::<Vec<_>>())
        }
        Err(error) => error.cause.unwrap_or(error.what),
    }
}

#[test]
fn a_wheel_goes_where_pip_puts_it() {
    let mut run = entry("Demo_App-1.0.data/scripts/demo-run", "#!python\nprint()\n");
    run.mode = 0o100_755;
    let mut library = entry("demo/_fast.cpython-313-x86_64-linux-gnu.so", "\x7fELF");
    library.mode = 0o100_755;
    library.method = 0;
    let entries = [
        Entry { mode: 0o040_755, ..entry("demo/", "") },
        entry("demo/__init__.py", "import sys\n"),
        library,
        run,
        entry("Demo_App-1.0.data/scripts/plain", "#!/bin/sh\n"),
        entry("Demo_App-1.0.data/data/share/man/man1/demo.1", ".TH demo\n"),
        entry("Demo_App-1.0.data/data/etc/demo.conf", "a = 1\n"),
        entry("Demo_App-1.0.data/headers/demo.h", "int demo;\n"),
        entry("Demo_App-1.0.data/purelib/more.py", ""),
        entry("Demo_App-1.0.data/platlib/demo/fast.py", "x = 1\n"),
        entry(&format!("{ABOUT}/entry_points.txt"), "[console_scripts]\ndemo = demo.cli:main [x]\n"),
        entry(&format!("{ABOUT}/INSTALLER"), "somebody\n"),
        entry("caf\u{e9}.py", ""),
    ];
    let mut entries = wheel(&entries);
    let last = entries.iter_mut().find(|e| e.name.starts_with("caf")).unwrap();
    last.flags = 0x800;
    let made = install_bytes(&zip(&entries)).unwrap_or_else(|e| panic!("{e}"));
    let line = |(path, node): (&Vec<u8>, &Node)| {
        let content = content_of(node).map(|c| format!(" {:?}", String::from_utf8_lossy(c))).unwrap_or_default();
        format!("{:o} {}{content}\n", node.mode, String::from_utf8_lossy(path))
    };
    insta::assert_snapshot!(made.tree.nodes.iter().map(line).collect::<String>());
    assert!(made.tree.nodes.values().all(|n| (n.mtime, n.uid, n.gid) == (1_760_000_000, 0, 0)));
    // What a wheel ships is known as its own; what was made or changed of it is not.
    let shipped = ShippedContents::of([&made.origins]);
    let of = |text: &str| shipped.get(&Digest::of(text.as_bytes())).map(|(wheel, _)| wheel);
    assert_eq!(of("import sys\n"), Some("demo_app-1.0-py3-none-any.whl"));
    assert_eq!(of("#!/bin/sh\n"), Some("demo_app-1.0-py3-none-any.whl"));
    assert_eq!((of("#!/usr/bin/python3\nprint()\n"), of("diorite\n")), (None, None));
    // The same wheel, the same tree.
    assert_eq!(install_bytes(&zip(&entries)).unwrap().tree.listing(), made.tree.listing());
}

#[test]
fn hostile_archives_are_refused() {
    let with = |e: Entry| refused(&zip(&wheel(&[e])));
    let mode = |mode: u32| Entry { mode, ..entry("demo/x", "target") };
    let good = zip(&wheel(&[entry("a.py", "a")]));
    assert!(install_bytes(&good).is_ok());
    let twice = wheel(&[entry("a.py", "a")]);
    let twice = [&twice[..], &[entry("a.py", "b")]].concat();
    let changed = |at: usize, to: u8| {
        let mut bytes = good.clone();
        bytes[at] = to;
        refused(&bytes)
    };
    let prefixed = [b"#!/bin/sh\n", &good[..]].concat();
    let said = [
        with(entry("../escape.py", "")),
        with(entry("/etc/passwd", "")),
        with(entry("a/../../b", "")),
        with(entry("a//b", "")),
        with(entry("./a", "")),
        with(entry("a\\b", "")),
        with(entry("C:/x", "")),
        with(entry("a\nb", "")),
        with(entry(&"d/".repeat(600), "")),
        with(entry("caf\u{e9}.py", "")),
        with(mode(0o120_777)),
        with(mode(0o020_666)),
        with(mode(0o040_755)),
        with(entry("a/", "content")),
        with(Entry { local: Some("b.py".into()), ..entry("a.py", "") }),
        with(Entry { size: Some(7), ..entry("a.py", "a") }),
        with(Entry { size: Some(u32::MAX - 1), ..entry("a.py", "a") }),
        with(Entry { flags: 1, ..entry("a.py", "a") }),
        with(Entry { method: 12, ..entry("a.py", "a") }),
        refused(&zip(&twice)),
        refused(&zip(&[wheel(&[entry("a", "a"), entry("a/b", "b")])].concat())),
        refused(&prefixed),
        refused(&good[..good.len() - 1]),
        refused(&good[1..]),
        refused(b""),
        changed(good.len() - 22 + 10, 9),
        refused(&zip(&wheel(&[entry("zeros", vec![0; 100 << 20])]))),
    ];
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn what_is_not_as_its_list_says_is_refused() {
    let edited = |edit: &dyn Fn(&mut Vec<Entry>)| {
        let mut all = wheel(&[entry("a.py", "a"), entry("b.py", "b")]);
        edit(&mut all);
        refused(&zip(&all))
    };
    let find = |all: &mut Vec<Entry>, name: &str| all.iter().position(|e| e.name.ends_with(name)).unwrap();
    let text = |all: &mut Vec<Entry>, name: &str, from: &str, to: &str| {
        let at = find(all, name);
        let text = String::from_utf8(all[at].content.clone()).unwrap();
        assert!(text.contains(from), "{text}");
        all[at].content = text.replace(from, to).into();
    };
    let renamed = |from: &str, to: &str| {
        edited(&|all| {
            all.iter_mut().for_each(|e| e.name = e.name.replace(from, to));
            text(all, "RECORD", from, to);
        })
    };
    let said = [
        edited(&|all| all[0].content = b"A".to_vec()),
        edited(&|all| all[0].content = b"aa".to_vec()),
        edited(&|all| all.insert(0, entry("c.py", "c"))),
        edited(&|all| drop(all.remove(0))),
        edited(&|all| text(all, "RECORD", "b.py,sha256=", "b.py,md5=")),
        edited(&|all| text(all, "RECORD", &format!("b.py,sha256={},1", hash(b"b")), "b.py,,")),
        edited(&|all| {
            let at = find(all, "RECORD");
            drop(all.remove(at));
        }),
        edited(&|all| {
            text(all, "WHEEL", "1.0", "2.0");
            let new = hash(b"Wheel-Version: 2.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n");
            text(all, "RECORD", &hash(b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"), &new);
        }),
        renamed("Demo_App-1.0.dist-info", "Other-1.0.dist-info"),
        renamed("Demo_App-1.0.dist-info", "Demo_App-1.1.dist-info"),
        renamed("Demo_App-1.0.dist-info", "info"),
        refused(&zip(&wheel(&[entry("Other-1.0.dist-info/x", "")]))),
        refused(&zip(&wheel(&[entry("Demo_App-1.0.data/lib/x", "")]))),
        refused(&zip(&wheel(&[entry("Demo_App-1.0.data/x", "")]))),
        refused(&zip(&wheel(&[entry("Other-1.0.data/scripts/x", "")]))),
        refused(&zip(&wheel(&[entry("a.py", "1"), entry("Demo_App-1.0.data/purelib/a.py", "2")]))),
        refused(&zip(&wheel(&[entry(&format!("{ABOUT}/entry_points.txt"), "[console_scripts]\nx = a\n")]))),
    ];
    insta::assert_snapshot!(said.join("\n"));
}

/// A test key of a library is public because everybody can download it; the same key from anywhere else is refused.
#[test]
fn what_a_locked_wheel_ships_is_public() {
    let dash = "-----";
    let key =
        format!("{dash}BEGIN PRIVATE KEY{dash}\n{}\n{dash}END PRIVATE KEY{dash}\n", "MIIabc0123456789def".repeat(9));
    let made = install_bytes(&zip(&wheel(&[entry("demo/test.key", key)]))).unwrap();
    let scan = |origins: &Origins| {
        let search = SecretScan {
            shipped: &ShippedContents::of([origins]),
            declared: &PublicSecrets::default(),
            source: &|_, _| FileSource::Script(Vec::new()),
        };
        secrets::scan(&made.tree, &search)
    };
    assert_eq!(scan(&made.origins).unwrap().list.len(), 1);
    assert!(scan(&Origins::default()).unwrap_err().to_string().contains("a private key"));
}

/// Whatever one byte becomes, the wheel is refused or its files are the same.
#[test]
fn no_changed_byte_brings_another_content() {
    let good = zip(&wheel(&[
        entry("a.py", "a = 1\n"),
        entry(&format!("{ABOUT}/entry_points.txt"), "[console_scripts]\nx = a:b\n"),
    ]));
    let name = WheelName::parse("demo_app-1.0-py3-none-any.whl").unwrap();
    let contents = |files: Files| -> Vec<(String, Vec<u8>)> { files.into_iter().map(|(p, (c, ..))| (p, c)).collect() };
    let whole = contents(installed(&good, &name, &python()).unwrap());
    let mut taken = 0;
    for at in 0..good.len() {
        for change in [1, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[at] ^= change;
            if let Ok(files) = installed(&bad, &name, &python()) {
                assert_eq!(contents(files), whole, "byte {at}");
                taken += 1;
            }
        }
        assert!(installed(&good[..at], &name, &python()).is_err(), "{at} bytes");
    }
    // Times and permissions, and what the directory says once more in front of each file.
    assert!(taken < good.len() * 3 / 4, "{taken} of {}", good.len() * 3);
}

#[test]
fn wheels_that_do_not_go_together_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let of = |name: &str, entries: &[Entry]| {
        let renamed = |e: &Entry| Entry { name: e.name.replace("Demo_App", name), ..e.clone() };
        let mut all: Vec<Entry> = wheel(entries).iter().map(renamed).collect();
        let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n\n");
        let at = all.iter().position(|e| e.name.ends_with("METADATA")).unwrap();
        all[at].content = metadata.into();
        let at = all.len() - 1;
        let row = |e: &Entry| format!("{},sha256={},{}\n", e.name, hash(&e.content), e.content.len());
        all[at].content = all[..at].iter().map(row).collect::<String>().into();
        of_bytes(&directory, &format!("{name}-1.0-py3-none-any.whl"), &zip(&all))
    };
    let both = |a: &[Entry], b: &[Entry]| install(&[of("a", a), of("b", b)], &python(), 1);
    let same = both(&[entry("tests/__init__.py", "")], &[entry("tests/__init__.py", ""), entry("b.py", "")]).unwrap();
    let site = directory_of();
    assert!(same.tree.get(format!("{site}/b.py")).is_some());
    let said = [
        both(&[entry("tests/__init__.py", "1")], &[entry("tests/__init__.py", "2")]),
        both(&[entry("x", "1")], &[entry("x/y", "2")]),
        both(&[entry("x/y", "1")], &[entry("x", "2")]),
    ]
    .map(|r| r.map(|t| t.tree.listing()).unwrap_err().to_string());
    insta::assert_snapshot!(said.join("\n\n"));
}

fn directory_of() -> String {
    super::directory(&python())
}
