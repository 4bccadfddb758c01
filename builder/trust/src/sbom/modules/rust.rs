//! The section `.dep-v0` of a Rust program built with cargo-auditable: the crates in it, as JSON under zlib.

use super::DeclaredModule;
use super::elf::Sections;
use crate::sbom::inventory::ComponentKind;
use flate2::read::ZlibDecoder;
use serde::Deserialize;
use std::io::Read as _;

/// More JSON than any program has.
const MOST: u64 = 8 << 20;

#[derive(Deserialize)]
struct Audit {
    packages: Vec<AuditedCrate>,
}

#[derive(Deserialize)]
struct AuditedCrate {
    name: String,
    version: String,
    /// `build` for what only ran while compiling.
    #[serde(default)]
    kind: Option<String>,
}

/// The crates that are in a program; those that only helped to build it are not.
pub fn modules(sections: &Sections) -> Vec<DeclaredModule> {
    sections.get(".dep-v0").and_then(read).unwrap_or_default()
}

fn read(bytes: &[u8]) -> Option<Vec<DeclaredModule>> {
    let mut json = Vec::new();
    ZlibDecoder::new(bytes).take(MOST).read_to_end(&mut json).ok()?;
    let audit: Audit = serde_json::from_slice(&json).ok()?;
    let inside = audit.packages.into_iter().filter(|one| one.kind.as_deref() != Some("build"));
    Some(inside.map(|one| DeclaredModule { kind: ComponentKind::Rust, name: one.name, version: one.version }).collect())
}
