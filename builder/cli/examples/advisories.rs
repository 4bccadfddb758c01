//! A checkout of the RustSec advisory database → `.ci/advisories.toml`, the table that the dependency test judges
//! Cargo.lock by: that test needs no network, and the table says in its head how old it is.
//!
//! ```sh
//! cargo run --release -p diorite --example advisories -- PATH/TO/advisory-db > .ci/advisories.toml
//! ```
//! An advisory is a file crates/NAME/RUSTSEC-YYYY-NNNN.md that opens with a TOML block. The table holds all crates,
//! not ours alone, so that a new dependency is judged on the day it comes.

#[path = "../tests/advisories/table.rs"]
mod table;

use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use table::{Advisory, Table};

/// The TOML block, as far as the table wants it.
#[derive(Deserialize)]
struct FrontMatter {
    advisory: About,
    versions: Versions,
}

#[derive(Deserialize)]
struct About {
    id: String,
    package: String,
    informational: Option<String>,
    withdrawn: Option<toml::Value>,
    license: Option<String>,
}

#[derive(Deserialize)]
struct Versions {
    patched: Vec<String>,
    #[serde(default)]
    unaffected: Vec<String>,
}

fn main() -> ExitCode {
    let Some(database) = std::env::args_os().nth(1) else {
        eprintln!("usage: advisories PATH/TO/advisory-db > .ci/advisories.toml");
        return ExitCode::from(2);
    };
    match read(Path::new(&database)) {
        Ok(table) => {
            print!("{}", text(&table));
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

fn read(database: &Path) -> Result<Table, String> {
    let mut advisories = Vec::new();
    for directory in entries(&database.join("crates"))? {
        for file in entries(&directory)? {
            let text = fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
            advisories.extend(advisory(&text).map_err(|e| format!("{}: {e}", file.display()))?);
        }
    }
    advisories.sort_by(|a, b| (&a.package, &a.id).cmp(&(&b.package, &b.id)));
    let (commit, date) = (git(database, "%H")?, git(database, "%cs")?);
    Ok(Table { commit, date, count: advisories.len(), advisories })
}

/// What a directory holds, sorted.
fn entries(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let read = fs::read_dir(directory).map_err(|e| format!("{}: {e}", directory.display()))?;
    let mut paths: Vec<_> = read.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

/// One file of the database; nothing for an advisory that was withdrawn.
fn advisory(text: &str) -> Result<Option<Advisory>, String> {
    let rest = text.trim_start().strip_prefix("```toml").ok_or("it does not open with a TOML block")?;
    let (block, prose) = rest.split_once("\n```").ok_or("its TOML block does not end")?;
    let matter: FrontMatter = toml::from_str(block).map_err(|e| e.to_string())?;
    if matter.advisory.withdrawn.is_some() {
        return Ok(None);
    }
    // The database is in the public domain but for the words taken from elsewhere, and those say so.
    let ours_to_quote = matter.advisory.license.is_none_or(|l| l == "CC0-1.0");
    let title = prose.lines().find_map(|line| line.strip_prefix("# ")).map(|t| t.trim().to_owned());
    Ok(Some(Advisory {
        package: matter.advisory.package,
        id: matter.advisory.id,
        patched: matter.versions.patched,
        unaffected: matter.versions.unaffected,
        kind: matter.advisory.informational,
        title: title.filter(|_| ours_to_quote),
    }))
}

fn git(database: &Path, format: &str) -> Result<String, String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(database)
        .args(["log", "-1", &format!("--format={format}")])
        .output()
        .map_err(|e| format!("git cannot be run: {e}"))?;
    if !output.status.success() {
        return Err(format!("git log: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// One line for each advisory: made to be read in a diff.
fn text(table: &Table) -> String {
    let mut out = format!(
        "# What the RustSec advisory database said on {} about every crate. Written by\n\
         # `cargo run --release -p diorite --example advisories -- PATH/TO/advisory-db`, never by hand.\n\
         # The database is in the public domain (CC0-1.0); titles under another licence are left out.\n\
         commit = \"{}\"\ndate = \"{}\"\ncount = {}\nadvisories = [\n",
        table.date, table.commit, table.date, table.count
    );
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let list = |all: &[String]| format!("[{}]", all.iter().map(|r| quoted(r)).collect::<Vec<_>>().join(", "));
    for a in &table.advisories {
        out +=
            &format!("  {{ package = {}, id = {}, patched = {}", quoted(&a.package), quoted(&a.id), list(&a.patched));
        if !a.unaffected.is_empty() {
            out += &format!(", unaffected = {}", list(&a.unaffected));
        }
        if let Some(kind) = &a.kind {
            out += &format!(", kind = {}", quoted(kind));
        }
        if let Some(title) = &a.title {
            out += &format!(", title = {}", quoted(title));
        }
        out += " },\n";
    }
    out + "]\n"
}
