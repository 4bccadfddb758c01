//! What we stand on: how many crates, under which licences, none of those we promised to stay away from, and none
//! with a known fault that nobody has looked at.
//!
//! Faults are those of `.ci/advisories.toml`, an excerpt of the RustSec database, so that no network is needed; the
//! exceptions are those of `deny.toml`, which `cargo deny check` goes by where it is installed.

mod advisories;
use advisories::table::Table;
use std::{collections::BTreeSet, fs, process::Command};

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
const MOST_CRATES: usize = 275;

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

/// A machine's patience is counted in a piece of work that is timed: without optimisation it takes ten times as long.
#[test]
fn what_times_the_host_is_optimised() {
    let profiles: toml::Table = toml::from_str(&ours("Cargo.toml")).expect("Cargo.toml");
    let level = &profiles["profile"]["release"]["package"]["diorite-machine"]["opt-level"];
    assert!(level.as_integer().is_some_and(|level| level >= 1), "{level:?}");
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

/// A file of the repository.
fn ours(name: &str) -> String {
    let file = format!("{}/../../{name}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&file).unwrap_or_else(|e| panic!("{file}: {e}"))
}

fn table() -> Table {
    let table: Table = toml::from_str(&ours(".ci/advisories.toml")).expect("the table");
    assert_eq!(table.advisories.len(), table.count, "the table has been cut or edited");
    table
}

#[test]
fn no_crate_has_a_known_fault_without_a_reasoned_exception() {
    let (table, locked) = (table(), advisories::locked(&ours("Cargo.lock")));
    let excused = advisories::excused(&ours("deny.toml"));
    let found = advisories::found(&locked, &table);
    let lines = |wanted: &dyn Fn(&str) -> bool| -> Vec<String> {
        let wanted = found.iter().filter(|(_, a)| wanted(&a.id));
        wanted.map(|(p, a)| format!("{} {} {} {:?} {:?}", a.id, p.name, p.version, a.kind, a.title)).collect()
    };
    println!("{} crates against {} advisories of {}", locked.len(), table.count, table.date);
    println!("excepted: {:#?}", lines(&|id| excused.contains_key(id)));
    let open = lines(&|id| !excused.contains_key(id));
    assert!(open.is_empty(), "take another version, or write the exception with its reason into deny.toml: {open:#?}");
    let ids: BTreeSet<_> = found.iter().map(|(_, a)| a.id.as_str()).collect();
    let stale: Vec<_> = excused.keys().filter(|id| !ids.contains(id.as_str())).collect();
    assert!(stale.is_empty(), "deny.toml excepts what no longer applies: {stale:?}");
    for (id, reason) in excused {
        assert!(reason.len() > 20, "{id} is excepted without a reason");
    }
}

/// Positive control: versions that had a fault are found, the first mended ones are not.
#[test]
fn a_faulty_version_in_a_lock_is_found() {
    let lock = |name: &str, version: &str| {
        let source = "registry+https://example.invalid/index";
        advisories::locked(&format!(
            "version = 4\n[[package]]\nname = \"{name}\"\nversion = \"{version}\"\nsource = \"{source}\"\n\
             [[package]]\nname = \"our-own\"\nversion = \"0.1.0\"\n"
        ))
    };
    let table = table();
    let ids = |name: &str, version: &str| -> Vec<String> {
        let locked = lock(name, version);
        assert_eq!(locked.len(), 1, "our own crates are left out");
        advisories::found(&locked, &table).iter().map(|(_, a)| a.id.clone()).collect()
    };
    assert!(ids("smallvec", "1.6.0").contains(&"RUSTSEC-2021-0003".to_owned()));
    assert!(!ids("smallvec", "1.6.1").contains(&"RUSTSEC-2021-0003".to_owned()));
    assert!(ids("smallvec", "0.6.13").contains(&"RUSTSEC-2021-0003".to_owned()));
    assert!(!ids("smallvec", "0.6.14").contains(&"RUSTSEC-2021-0003".to_owned()));
    assert!(ids("tar", "0.4.35").contains(&"RUSTSEC-2021-0080".to_owned()));
    assert_eq!(ids("a-name-nobody-has-taken", "1.0.0"), [""; 0]);
}
