//! What files declare about the software inside them: Go and Rust programs in their own bytes, Python distributions in the
//! metadata beside their code.
//!
//! The bytes may be anybody's: every reader takes what is well-formed, bounds what it unpacks, and never fails.

mod elf;
mod go;
mod python;
mod rust;

use super::inventory::ComponentKind;
use super::purl;

/// Something that a file declares.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeclaredModule {
    /// Of which kind.
    pub kind: ComponentKind,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

impl DeclaredModule {
    /// Its package URL.
    pub fn purl(&self) -> String {
        let Self { kind, name, version } = self;
        match kind {
            ComponentKind::Go => purl::go(name, version),
            ComponentKind::Rust => purl::purl("cargo", "", name, version, &[]),
            _ => purl::python(name, version),
        }
    }
}

/// Everything that the file at this path declares, sorted.
pub fn declared(path: &[u8], bytes: &[u8]) -> Vec<DeclaredModule> {
    let mut found: Vec<DeclaredModule> = match elf::Sections::read(bytes) {
        Some(sections) => go::modules(&sections).into_iter().chain(rust::modules(&sections)).collect(),
        None => python::distribution(path, bytes).into_iter().collect(),
    };
    let sane = |text: &str| !text.is_empty() && text.len() <= 512 && !text.chars().any(char::is_control);
    found.retain(|module| sane(&module.name) && sane(&module.version));
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests;
