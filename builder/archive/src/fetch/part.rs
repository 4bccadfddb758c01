//! A file on its way into the pool: `pool/ab/abcdef….deb.part`. It is hashed while it grows, outlives the process, is
//! continued by the next one, and becomes the pool's file by a rename after its digest was right. A lock on it keeps
//! two processes from writing one file.

use crate::http::Failure;
use diorite_host::{interrupt, store::Store};
use diorite_model::{Digest, Error, Exit, Hasher, LockedPackage, Result};
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// An unfinished file, locked.
pub struct Part<'a> {
    file: File,
    path: PathBuf,
    package: &'a LockedPackage,
    hasher: Hasher,
    len: u64,
    /// Bytes in it come from an earlier process.
    pub inherited: bool,
}

/// Where the unfinished file of a digest lies.
pub fn path(store: &Store, digest: &Digest) -> PathBuf {
    let mut path = store.blob(digest).into_os_string();
    path.push(".part");
    path.into()
}

/// Does the pool hold this package? A file gets its name only after its digest was right, so name and size are enough.
pub fn held(store: &Store, package: &LockedPackage) -> bool {
    std::fs::metadata(store.blob(&package.sha256)).is_ok_and(|m| m.is_file() && m.len() == package.size)
}

impl<'a> Part<'a> {
    /// Opens or makes the unfinished file; nothing when another process finished it meanwhile.
    pub fn open(store: &Store, package: &'a LockedPackage) -> Result<Option<Self>> {
        let path = path(store, &package.sha256);
        let fail = |e| not_kept(package, None, &path, e);
        std::fs::create_dir_all(path.parent().unwrap_or(&path)).map_err(fail)?;
        loop {
            let file = File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(fail)?;
            lock(&file, &path, package)?;
            if held(store, package) {
                // Another process renamed the very file we waited for, or we just made a new empty one.
                if file.metadata().map_err(fail)?.len() == 0 {
                    let _ = std::fs::remove_file(&path);
                }
                return Ok(None);
            }
            // Whoever had the lock may have taken the file away; then ours is no longer the one of that name.
            let ours = file.metadata().map_err(fail)?;
            if !std::fs::metadata(&path).is_ok_and(|now| (now.dev(), now.ino()) == (ours.dev(), ours.ino())) {
                continue;
            }
            let mut part = Self { file, path: path.clone(), package, hasher: Hasher::new(), len: 0, inherited: false };
            if ours.len() > 0 {
                part.take_over(ours.len())?;
            }
            return Ok(Some(part));
        }
    }

    /// Hashes what an earlier process left.
    fn take_over(&mut self, len: u64) -> Result<()> {
        if len > self.package.size {
            return self.clear();
        }
        let mut buffer = vec![0; 1 << 18];
        loop {
            interrupt::check()?;
            let n = self
                .file
                .read(&mut buffer)
                .map_err(|e| Error::io("an unfinished file cannot be read", &self.path, e))?;
            if n == 0 {
                break;
            }
            self.hasher.update(&buffer[..n]);
            self.len += n as u64;
        }
        self.inherited = true;
        Ok(())
    }

    /// Bytes it holds.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The path of the partial file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds bytes; `from` is where they come from, for the error.
    pub fn write(&mut self, bytes: &[u8], from: &str) -> Result<()> {
        self.file.write_all(bytes).map_err(|e| not_kept(self.package, Some(from), &self.path, e))?;
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Empties the file, to begin again from the first byte.
    pub fn clear(&mut self) -> Result<()> {
        let fail = |e| Error::io("an unfinished file cannot be emptied", &self.path, e);
        self.file.set_len(0).map_err(fail)?;
        self.file.rewind().map_err(fail)?;
        (self.hasher, self.len, self.inherited) = (Hasher::new(), 0, false);
        Ok(())
    }

    /// The digest of what it holds.
    pub fn digest(&self) -> Digest {
        self.hasher.clone().finish()
    }

    /// Takes the unfinished file away.
    pub fn discard(self) {
        let _ = std::fs::remove_file(&self.path);
    }

    /// Puts the file into the pool. The caller has compared the digest.
    pub fn keep(self, store: &Store) -> Result<()> {
        store.put_blob(&self.package.sha256, &self.path).map(|_| ())
    }
}

/// Waits for the lock, so that it can be interrupted.
fn lock(file: &File, path: &Path, package: &LockedPackage) -> Result<()> {
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                interrupt::check()?;
                std::thread::sleep(Duration::from_millis(50));
            }
            Err(e) => return Err(not_kept(package, None, path, e.into())),
        }
    }
}

/// A package that arrives and cannot be written: disk full, read-only store.
pub fn not_kept(package: &LockedPackage, from: Option<&str>, path: &Path, error: std::io::Error) -> Error {
    let what = format!("package `{}` {} cannot be written into the store", package.name, package.version);
    let error = Error { exit: Exit::Host, ..Error::io(what, path, error) };
    match from {
        Some(url) => error.detail(format!("from {url}")),
        None => error,
    }
}

impl From<Failure> for super::FetchError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}
