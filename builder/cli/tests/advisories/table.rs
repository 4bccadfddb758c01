//! `.ci/advisories.toml`: what the RustSec database says about crates, in the form the dependency test reads. Written by
//! `cargo run --example advisories`, which shares this file.

use serde::{Deserialize, Serialize};

/// The whole table.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// The database's commit.
    pub commit: String,
    /// That commit's day, `2026-08-21`.
    pub date: String,
    /// How many advisories follow: a file that was cut is noticed.
    pub count: usize,
    /// Every advisory about a crate that has not been withdrawn, by package and id.
    pub advisories: Vec<Advisory>,
}

/// One advisory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Advisory {
    /// The crate.
    pub package: String,
    /// `RUSTSEC-YYYY-NNNN`.
    pub id: String,
    /// Version requirements, in cargo's words; a version that meets one is mended.
    pub patched: Vec<String>,
    /// Version requirements; a version that meets one never had the fault.
    #[serde(default)]
    pub unaffected: Vec<String>,
    /// `unmaintained`, `unsound` or `notice`; nothing for a vulnerability.
    #[serde(default)]
    pub kind: Option<String>,
    /// Its headline, where that is in the public domain.
    #[serde(default)]
    pub title: Option<String>,
}
