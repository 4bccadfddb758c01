//! What we stand on: how many crates, under which licences, and none of those we promised to stay away from.
//!
//! Advisories need a database that is not in the registry; `deny.toml` holds the policy for `cargo deny check`
//! wherever that database can be reached.

use std::{collections::BTreeSet, process::Command};

/// Licences that may stand in the tree. sequoia-openpgp (LGPL) and its two helpers are the one exception: they are
/// a library whose source is public and which anybody can replace by rebuilding.
const ALLOWED: &[&str] = &[
    "MIT",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "0BSD",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "CC0-1.0",
    "MIT-0",
    "Unlicense",
    "BSL-1.0",
    "Apache-2.0 WITH LLVM-exception",
    "CDLA-Permissive-2.0",
];
const LGPL: &[&str] = &["sequoia-openpgp", "buffered-reader"];
const FORBIDDEN: &[&str] = &["tokio", "openssl-sys", "openssl", "aws-lc-sys", "native-tls", "nettle-sys"];
const MOST_CRATES: usize = 260;

fn tree(format: &str) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--locked",
            "--offline",
            "--workspace",
            "--edges",
            "normal,build",
            "--prefix",
            "none",
            "--format",
            format,
        ])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .output()
        .expect("cargo tree runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines: BTreeSet<_> = String::from_utf8(output.stdout)
        .expect("cargo prints UTF-8")
        .lines()
        .map(|l| l.trim_end_matches(" (*)").to_owned())
        .filter(|l| !l.is_empty() && !l.contains("diorite"))
        .collect();
    lines.into_iter().collect()
}

/// `MIT OR (Apache-2.0 AND ISC)`: some alternative whose every part is allowed.
fn acceptable(licence: &str) -> bool {
    let plain = licence.replace(['(', ')'], " ").replace('/', " OR ");
    plain.split(" OR ").any(|alternative| alternative.split(" AND ").all(|part| ALLOWED.contains(&part.trim())))
}

#[test]
fn the_tree_is_small_and_free_of_what_we_avoid() {
    let crates = tree("{p}");
    assert!(crates.len() > 50, "cargo tree said almost nothing");
    assert!(crates.len() <= MOST_CRATES, "{} crates, at most {MOST_CRATES} wanted", crates.len());
    let names: BTreeSet<_> = crates.iter().filter_map(|c| c.split(' ').next()).collect();
    for name in FORBIDDEN {
        assert!(!names.contains(name), "{name} came into the tree");
    }
}

#[test]
fn every_licence_is_known_and_allowed() {
    let wrong: Vec<_> = tree("{p}|{l}")
        .into_iter()
        .filter(|line| {
            let (package, licence) = line.split_once('|').expect("format has a bar");
            let name = package.split(' ').next().unwrap_or_default();
            !acceptable(licence) && !LGPL.contains(&name)
        })
        .collect();
    assert!(wrong.is_empty(), "not in the allow-list: {wrong:#?}");
}

#[test]
fn the_licence_reader_can_refuse() {
    assert!(acceptable("MIT OR GPL-3.0-only"));
    assert!(acceptable("(MIT OR Apache-2.0) AND Unicode-3.0"));
    assert!(!acceptable("GPL-2.0-only"));
    assert!(!acceptable("MIT AND GPL-2.0-only"));
    assert!(!acceptable(""));
}
