//! The section `.go.buildinfo` of a Go program (Go's packages debug/buildinfo and runtime/debug): the version of Go, and
//! where the program was built in module mode, its modules.
//!
//! Read in the form that Go has written since 1.18, with the strings in the section. Debian builds in no module mode: its
//! programs say the version of Go alone, and their packages name the sources in `Built-Using`.

use super::DeclaredModule;
use super::elf::Sections;
use crate::sbom::inventory::ComponentKind;

const MAGIC: &[u8] = b"\xff Go buildinf:";
/// The flag that says that strings follow, not pointers to them.
const INLINE: u8 = 2;
/// Where they begin.
const STRINGS: usize = 32;
/// Go frames the list of modules by 16 bytes on either side.
const FRAME: usize = 16;

/// The modules of a program, with Go's own library under the name `stdlib`.
pub fn modules(sections: &Sections) -> Vec<DeclaredModule> {
    sections.get(".go.buildinfo").and_then(read).unwrap_or_default()
}

fn read(bytes: &[u8]) -> Option<Vec<DeclaredModule>> {
    if !bytes.starts_with(MAGIC) || bytes.get(MAGIC.len() + 1)? & INLINE == 0 {
        return None;
    }
    let (version, rest) = string(bytes.get(STRINGS..)?)?;
    let version = std::str::from_utf8(version).ok()?;
    let mut all = Vec::new();
    // `go1.24.4 X:experiment`.
    if let Some(version) = version.split(' ').next().and_then(|word| word.strip_prefix("go")) {
        all.push(module("stdlib", version));
    }
    let list = string(rest).map(|(list, _)| list).unwrap_or_default();
    let list = list.get(FRAME..list.len().saturating_sub(FRAME)).unwrap_or_default();
    let mut last: Option<DeclaredModule> = None;
    for line in String::from_utf8_lossy(list).lines() {
        let words: Vec<&str> = line.split('\t').collect();
        match words[..] {
            ["mod" | "dep", path, version, ..] => all.extend(last.replace(module(path, version))),
            // In place of the module named before.
            ["=>", path, version, ..] => last = Some(module(path, version)),
            _ => all.extend(last.take()),
        }
    }
    all.extend(last);
    Some(all)
}

fn module(path: &str, version: &str) -> DeclaredModule {
    DeclaredModule { kind: ComponentKind::Go, name: path.to_owned(), version: version.to_owned() }
}

/// A string behind its length as a varint, and what follows it.
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length = 0usize;
    for (i, byte) in bytes.iter().enumerate().take(5) {
        length |= usize::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return bytes.get(i + 1..)?.split_at_checked(length);
        }
    }
    None
}
