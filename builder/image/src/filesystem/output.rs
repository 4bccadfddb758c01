//! The image while it is being written from front to back.

use super::encode::BLOCK;
use diorite_host::file::NewFile;
use diorite_model::{Error, Result};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A file being written from front to back. It has its name only when it is complete.
pub(super) struct ImageWriter {
    new: NewFile,
    path: PathBuf,
    len: u64,
}

impl ImageWriter {
    /// Begins a file that will be at `path`.
    pub fn create(path: &Path) -> Result<Self> {
        let new = NewFile::create(path, 0o666).map_err(|e| failed(path, e))?;
        Ok(Self { new, path: path.to_owned(), len: 0 })
    }

    /// Bytes so far.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whole blocks so far: the address of the next one. Addresses have 32 bits.
    pub fn blocks(&self) -> Result<u32> {
        debug_assert!(self.len.is_multiple_of(BLOCK as u64));
        u32::try_from(self.len / BLOCK as u64).map_err(|_| {
            Error::input("the root file system would be larger than 16 TiB").at(self.path.display().to_string())
        })
    }

    /// Appends bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.write_at(bytes, self.len)?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Writes over what is there already.
    pub fn write_at(&self, bytes: &[u8], at: u64) -> Result<()> {
        self.new.file().write_all_at(bytes, at).map_err(|e| failed(&self.path, e))
    }

    /// Gives the file its name.
    pub fn publish(self) -> Result<()> {
        self.new.publish().map_err(|e| failed(&self.path, e))
    }
}

fn failed(path: &Path, error: std::io::Error) -> Error {
    Error::io("cannot write the root file system", path, error)
}
