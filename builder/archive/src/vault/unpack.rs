//! The program's source out of a vault → a directory in which cargo compiles it without a network.
//!
//! ```text
//! DIRECTORY/diorite/…              the checkout
//!           vendor/NAME-VERSION/…  crates, unpacked, each with its digest (.cargo-checksum.json)
//!           .cargo/config.toml     says that crates come from vendor/ and from nowhere else
//! ```
//! The checkout stays as it was: cargo reads the configuration of the directories above, too.

use super::source::{ProgramCrate, ProgramFile};
use diorite_host::file::{rename_scratch, write_scratch};
use diorite_model::{Error, Result};
use flate2::read::GzDecoder;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Where cargo looks instead of an index.
const CONFIG: &str = "\
# Crates come from vendor/: this is the source of a vault, and compiles without a network.
[source.crates-io]
replace-with = \"vault\"

[source.vault]
directory = \"vendor\"

[net]
offline = true
";

/// A directory that is being filled under another name. Dropping it removes it.
#[derive(Debug)]
pub(super) struct SourceDirectory {
    part: PathBuf,
    directory: PathBuf,
}

impl SourceDirectory {
    /// For a directory that does not exist yet, or is empty.
    pub(super) fn new(directory: &Path) -> Result<Self> {
        if fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some()) || directory.is_file() {
            return Err(Error::input("the directory for the source is not empty")
                .at(directory.display().to_string())
                .hint("name a directory that does not exist"));
        }
        let mut part = directory.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let _ = fs::remove_dir_all(&part);
        let new = Self { part, directory: directory.to_owned() };
        for below in [".cargo", "diorite", "vendor"] {
            new.make(&new.part.join(below))?;
        }
        new.write(&new.part.join(".cargo/config.toml"), CONFIG.as_bytes())?;
        Ok(new)
    }

    fn make(&self, directory: &Path) -> Result<()> {
        fs::create_dir_all(directory).map_err(|e| self.failed(directory, e))
    }

    fn write(&self, file: &Path, bytes: &[u8]) -> Result<()> {
        write_scratch(file, bytes).map_err(|e| self.failed(file, e))
    }

    #[expect(clippy::unused_self, reason = "it is about what is made here")]
    fn failed(&self, path: &Path, error: std::io::Error) -> Error {
        Error::io("the source cannot be unpacked", path, error)
    }

    /// A file of the checkout.
    pub(super) fn file(&self, file: &ProgramFile, bytes: &[u8]) -> Result<()> {
        let path = self.part.join("diorite").join(&file.path);
        self.make(path.parent().unwrap_or(&self.part))?;
        self.write(&path, bytes)?;
        let mode = Permissions::from_mode(if file.executable { 0o755 } else { 0o644 });
        fs::set_permissions(&path, mode).map_err(|e| self.failed(&path, e))
    }

    /// A crate: unpacked, and its digest beside it, as cargo asks for.
    pub(super) fn unpack(&self, one: &ProgramCrate, archive: &[u8]) -> Result<()> {
        let vendor = self.part.join("vendor");
        let directory = vendor.join(one.directory());
        let mut tar = tar::Archive::new(GzDecoder::new(archive));
        tar.set_preserve_mtime(false);
        let mut unpack = || -> std::io::Result<()> {
            for entry in tar.entries()? {
                let mut entry = entry?;
                if !entry.path()?.starts_with(one.directory()) || !entry.unpack_in(&vendor)? {
                    return Err(std::io::Error::other("a file in it leads elsewhere"));
                }
            }
            Ok(())
        };
        unpack().map_err(|e| self.failed(&directory, e))?;
        let checksum = serde_json::json!({ "files": {}, "package": one.sha256 });
        self.write(&directory.join(".cargo-checksum.json"), checksum.to_string().as_bytes())
    }

    /// Everything has come: the directory gets its name.
    pub(super) fn finish(self) -> Result<()> {
        let _ = fs::remove_dir(&self.directory);
        rename_scratch(&self.part, &self.directory).map_err(|e| self.failed(&self.directory, e))
    }
}

impl Drop for SourceDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.part);
    }
}
