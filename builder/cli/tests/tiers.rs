//! `make unit` runs every test file that needs no packages and no tools, and no other: the list in the Makefile is compared
//! with the files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Signs of a test that cannot run without what `make test` prepares, or without root.
const MATERIAL: &[&str] = &["losetup", "DIORITE_TEST_", "material(", "Project::locked", "prepared("];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// The text of a file, or of all Rust files of a directory.
fn text(path: &Path) -> String {
    match path.is_dir() {
        true => entries(path).iter().map(|path| text(path)).collect(),
        false => fs::read_to_string(path).unwrap_or_default(),
    }
}

/// Test files of all crates by name: `NAME.rs` with the directory NAME beside it, or `NAME/main.rs`. Whether any of that
/// name needs material.
fn test_files() -> BTreeMap<String, bool> {
    let manifest = fs::read_to_string(repository().join("Cargo.toml")).expect("Cargo.toml");
    let manifest: toml::Table = manifest.parse().expect("TOML");
    let members = manifest["workspace"]["members"].as_array().expect("members");
    let mut all = BTreeMap::new();
    for member in members.iter().filter_map(|m| m.as_str()) {
        for path in entries(&repository().join(member).join("tests")) {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            if path.extension().is_some_and(|e| e == "rs") || path.join("main.rs").exists() {
                let text = text(&path) + &text(&path.with_extension(""));
                *all.entry(name).or_insert(false) |= MATERIAL.iter().any(|sign| text.contains(sign));
            }
        }
    }
    // This one only speaks of it.
    all.insert("tiers".into(), false);
    all
}

#[test]
fn make_unit_runs_what_needs_no_material() {
    let makefile = fs::read_to_string(repository().join("Makefile")).expect("Makefile").replace("\\\n", " ");
    let line = makefile.lines().find_map(|line| line.strip_prefix("UNIT ")).expect("UNIT");
    let listed: Vec<&str> = line.trim_start_matches([' ', '=']).split_whitespace().collect();
    let files = test_files();
    assert!(files.len() > 30 && files.values().any(|needs| *needs), "{files:?}");
    for (name, needs) in &files {
        let (is, should) = (listed.contains(&name.as_str()), !needs);
        assert_eq!(is, should, "UNIT of the Makefile and tests/{name}.rs: does it need packages or tools?");
    }
    let gone: Vec<_> = listed.iter().filter(|name| !files.contains_key(**name)).collect();
    assert!(gone.is_empty(), "UNIT of the Makefile names no file: {gone:?}");
}
