//! Scratch directories: made under a lock, removed on drop, swept when their maker died.
//!
//! Order is everything: the lock file is made and locked before the directory and removed after it. So a directory
//! without a lock file, or with one that nobody holds, belongs to a dead process.

use diorite_model::{Error, Result};
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory of our own on the store's file system. Dropping it removes it.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    lock_path: PathBuf,
    /// Locked until dropped; its removal comes first.
    _lock: File,
    keep: bool,
}

impl Scratch {
    pub(super) fn new(parent: &Path, name: &str) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        loop {
            let unique = format!("{name}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            let (path, lock_path) = (parent.join(&unique), parent.join(format!("{unique}.lock")));
            let fail = |e| Error::io("a scratch directory cannot be created", &path, e);
            let lock = match File::options().create_new(true).write(true).open(&lock_path) {
                Ok(file) => file,
                // Left by a dead process with our number; the next number is free.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(e) => return Err(fail(e)),
            };
            flock(&lock, FlockOperation::LockExclusive).map_err(|e| fail(e.into()))?;
            // Between making and locking, a sweep may have taken it for a dead one's.
            if lock.metadata().map_err(fail)?.nlink() == 0 {
                continue;
            }
            if let Err(e) = fs::create_dir(&path) {
                let _ = fs::remove_file(&lock_path);
                return Err(fail(e));
            }
            return Ok(Self { path, lock_path, _lock: lock, keep: false });
        }
    }

    /// The directory, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory has been renamed away; only the lock goes.
    pub(super) fn forget(mut self) {
        self.keep = true;
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.keep {
            remove(&self.path);
        }
        let _ = fs::remove_file(&self.lock_path);
    }
}

/// Removes the scratch directories of dead processes. Never fails: what cannot be removed stays for another time.
pub(super) fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    let mut names: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    names.sort();
    for path in names {
        if path.extension().is_some_and(|e| e == "lock") {
            let Ok(lock) = File::open(&path) else { continue };
            if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
                remove(&path.with_extension(""));
                let _ = fs::remove_file(&path);
            }
        } else if !path.with_extension("lock").exists() && path.is_dir() {
            remove(&path);
        }
    }
}

/// Removes a directory, also when its files belong to other ids of our user namespace or its directories are not writable.
fn remove(path: &Path) {
    if fs::symlink_metadata(path).is_ok() && fs::remove_dir_all(path).is_err() {
        let _ = unlock_directories(path);
        if fs::remove_dir_all(path).is_err() && !rustix::process::geteuid().is_root() {
            // A tree built in a user namespace: only there its files are ours. Never mind if that fails too.
            let _ =
                crate::sandbox::run_inside::<bool>(crate::sandbox::REMOVE, &path, &crate::progress::Progress::quiet());
        }
    }
}

/// Gives directories of our own the modes that let us remove what is in them.
fn unlock_directories(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            let _ = unlock_directories(&entry.path());
        }
    }
    Ok(())
}

/// Brings everything under a directory to the disk. A few files: fsync(2) each, after all writes have been started
/// together; many files (an unpacked tree): one syncfs(2), because a journal commit for each would take minutes.
pub(super) fn sync(path: &Path) -> io::Result<()> {
    const MANY: usize = 64;
    let (mut files, mut directories) = (Vec::new(), vec![path.to_owned()]);
    let mut next = 0;
    while next < directories.len() {
        for entry in fs::read_dir(&directories[next])? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                directories.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            }
        }
        if files.len() + directories.len() > MANY {
            return Ok(rustix::fs::syncfs(File::open(path)?)?);
        }
        next += 1;
    }
    let files = files.iter().map(File::open).collect::<io::Result<Vec<_>>>()?;
    for file in &files {
        // SAFETY: an open descriptor; starting the write early is a hint, its failure shows in fsync.
        unsafe { libc::sync_file_range(file.as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WRITE) };
    }
    for file in &files {
        file.sync_all()?;
    }
    for directory in directories.iter().rev() {
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}
