//! The formats in which hypervisors take disks. Each is made from the raw disk, and the same disk gives the same bytes.
//!
//! A format is a file of this directory with one value [`Format`], and a line in [`ALL`].

mod blocks;
pub mod installer;
pub mod qcow2;
pub mod vhd;
pub mod vhdx;
pub mod vmdk;

use crate::ImageParts;
use diorite_host::file::{self, NewFile};
use diorite_model::{Digest, Error, Result};
use std::fs::File;
use std::path::Path;

/// A format of disk images.
#[derive(Debug, Clone, Copy)]
pub struct Format {
    /// What people call it.
    pub name: &'static str,
    /// The file of a disk in this format, in the directory of results: `disk.qcow2`.
    pub file: &'static str,
    write: fn(source: &FormatSource<'_>, out: &Path) -> Result<()>,
}

/// What a format is made from.
#[derive(Clone, Copy)]
pub struct FormatSource<'a> {
    /// The raw disk.
    pub raw: &'a Path,
    /// Its SHA-256, from which follow the identifiers that some formats must have.
    pub sha256: Digest,
    /// What it was assembled from.
    pub parts: &'a ImageParts<'a>,
    /// Signs a further program that firmware is to start, where programs are signed: what it is called in a list, and its bytes.
    pub sign: ProgramSigner<'a>,
}

/// What signs programs, or gives them back as they are.
pub type ProgramSigner<'a> = &'a dyn Fn(&'static str, &[u8]) -> Result<Vec<u8>>;

/// The disk itself, byte for byte. Every other format is made from it, so it is always there.
pub const RAW: Format = Format { name: "raw", file: "disk.raw", write: |source, out| copy(source.raw, out) };

/// Every format, the disk itself first.
pub const ALL: &[Format] = &[RAW, qcow2::FORMAT, vhd::FORMAT, vhdx::FORMAT, vmdk::FORMAT, installer::FORMAT];

impl Format {
    /// The format of this name.
    ///
    /// # Errors
    /// A name that no format has; the hint lists all.
    pub fn named(name: &str) -> Result<Self> {
        ALL.iter().find(|f| f.name == name).copied().ok_or_else(|| {
            let names: Vec<_> = ALL.iter().map(|f| f.name).collect();
            Error::input(format!("`{name}` is not a disk format")).hint(format!("available: {}", names.join(", ")))
        })
    }

    /// Writes the disk to `out`, whole or not at all.
    pub fn write(&self, source: &FormatSource<'_>, out: &Path) -> Result<()> {
        (self.write)(source, out)
    }
}

/// Copies a disk, holes left out; nothing is to be done where it is in its place already.
fn copy(raw: &Path, out: &Path) -> Result<()> {
    if raw == out {
        return Ok(());
    }
    let copied = || {
        let from = File::open(raw)?;
        let size = from.metadata()?.len();
        let new = NewFile::create(out, 0o666)?;
        copy_data(&from, size, new.file(), size)?;
        new.publish()
    };
    copied().map_err(|e: std::io::Error| Error::io("the disk image cannot be copied", out, e))
}

/// Makes `to` a file of `length` bytes whose first `size` are those of `from`, holes left out.
fn copy_data(from: &File, size: u64, to: &File, length: u64) -> std::io::Result<()> {
    to.set_len(length)?;
    for (start, end) in file::data_ranges(from, size)? {
        file::copy_range(from, start, end, to, start)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_their_own_and_found() {
        for (n, format) in ALL.iter().enumerate() {
            let unlike = |other: &Format| other.name != format.name && other.file != format.file;
            assert!(ALL[..n].iter().all(unlike), "{}", format.name);
            assert_eq!(Format::named(format.name).unwrap().file, format.file);
        }
        let error = Format::named("floppy").unwrap_err();
        assert!(error.hint.is_some_and(|hint| hint.starts_with("available: raw, qcow2")));
    }
}
