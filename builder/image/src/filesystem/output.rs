//! A file that appears under its name only when it is complete.

use super::encode::BLOCK;
use diorite_model::{Error, Result};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A file being written from front to back.
pub(super) struct Output {
    file: File,
    /// Where it is being written.
    partial: PathBuf,
    /// Where it will be.
    path: PathBuf,
    len: u64,
    published: bool,
}

impl Output {
    /// Begins a file that will be at `path`, in the same directory under a temporary name.
    pub fn create(path: &Path) -> Result<Self> {
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(format!(".{}.partial", std::process::id()));
        let partial = path.with_file_name(name);
        let file = File::create(&partial).map_err(|e| Error::io("cannot write the root file system", &partial, e))?;
        Ok(Self { file, partial, path: path.to_owned(), len: 0, published: false })
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
        self.file.write_all_at(bytes, at).map_err(|e| Error::io("cannot write the root file system", &self.partial, e))
    }

    /// Gives the file its name.
    pub fn publish(mut self) -> Result<()> {
        std::fs::rename(&self.partial, &self.path)
            .map_err(|e| Error::io("cannot give the root file system its name", &self.path, e))?;
        self.published = true;
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if !self.published {
            let _ = std::fs::remove_file(&self.partial); // an error is already on its way
        }
    }
}
