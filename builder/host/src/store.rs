//! The store: results of steps by the digest of their inputs, verified .debs, scratch directories; one file system.
//!
//! ```text
//! STORE/lock                     shared by every user, exclusive for the garbage collection
//!       pool/ab/abcdef….deb      verified files, by their SHA-256
//!       steps/STEP/KEY/…         a result: a directory
//!       scratch/NAME-PID-N/…     being made; NAME-PID-N.lock is held while its maker lives
//! ```
//! A result appears by one rename(2) of a directory whose files have reached the disk, so what is there is whole. A
//! build killed at any moment leaves a scratch directory whose lock nobody holds; the next [`Store::open`] removes it.
//! Results can be made again, so those that nobody used for longest go when there are too many ([`Store::shrink`]).
//! The pool stays: a mirror may no longer have what is in it.

mod compare;
mod scratch;
mod shrink;

pub use compare::digest;
pub use scratch::Scratch;
pub use shrink::{Eviction, LIMIT, limit};

use crate::file::FileLock;
use diorite_model::{Digest, Error, Exit, Result};
use rustix::fs::RenameFlags;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

/// An open store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    root: Arc<PathBuf>,
    /// Held shared while the store is open; eviction takes it exclusively, or does not run.
    lock: Arc<FileLock>,
    /// When it was opened; what has been used since is in use.
    opened: SystemTime,
    /// Whether a result was added since.
    grew: Arc<AtomicBool>,
}

impl Store {
    /// Opens the store, making it where there is none, and sweeps what dead builds left: at `path`, else
    /// `$DIORITE_STORE`, else `$XDG_CACHE_HOME/diorite`, else `~/.cache/diorite`.
    ///
    /// # Errors
    /// [`Exit::Host`] when no directory can be named or it cannot be written.
    pub fn open(path: Option<&Path>) -> Result<Self> {
        let root = match path {
            Some(path) => path.to_owned(),
            None => location(|name| std::env::var_os(name).filter(|v| !v.is_empty()))?,
        };
        let fail = |e: io::Error| {
            let error = Error::io("the store cannot be used", &root, e);
            Error { exit: Exit::Host, ..error }
                .hint("make the directory writable for this user, or name another one with DIORITE_STORE")
        };
        for directory in ["pool", "steps", "scratch"] {
            fs::create_dir_all(root.join(directory)).map_err(fail)?;
        }
        let root = fs::canonicalize(&root).map_err(fail)?;
        let lock = File::options().create(true).append(true).open(root.join("lock")).map_err(fail)?;
        // A garbage collection never lasts long; until it ends we wait.
        let lock = FileLock::shared(lock).map_err(fail)?;
        let opened = SystemTime::now();
        let store = Self { root: Arc::new(root), lock: Arc::new(lock), opened, grew: Arc::default() };
        crate::sandbox::trees_in(&store.root);
        scratch::sweep(&store.root.join("scratch"));
        Ok(store)
    }

    /// The store's directory, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the verified file of this digest lies or will lie: `pool/ab/abcdef….deb`.
    pub fn blob(&self, digest: &Digest) -> PathBuf {
        let name = digest.to_string();
        self.root.join("pool").join(&name[..2]).join(format!("{name}.deb"))
    }

    /// Moves a verified file (it must lie in the store, for instance in a scratch directory) to [`Store::blob`]:
    /// fsync, rename, fsync of the directory. The caller has computed the digest while writing.
    pub fn put_blob(&self, digest: &Digest, file: &Path) -> Result<PathBuf> {
        let to = self.blob(digest);
        let directory = to.parent().expect("a blob lies in a directory");
        let fail = |e| Error::io("a verified file cannot be kept", &to, e);
        fs::create_dir_all(directory).map_err(fail)?;
        File::open(file).and_then(|f| f.sync_all()).map_err(fail)?;
        crate::file::rename(file, &to).map_err(fail)?;
        Ok(to)
    }

    /// A new empty directory on the store's file system, removed on drop.
    pub fn scratch(&self, name: &str) -> Result<Scratch> {
        Scratch::new(&self.root.join("scratch"), name)
    }

    /// The result of a step, if the store holds it.
    pub fn get(&self, step: &str, key: &Digest) -> Option<PathBuf> {
        let path = self.result(step, key);
        let there = path.is_dir();
        if there {
            // The time of last use decides what the garbage collection keeps; a read-only store does without.
            let _ = File::open(&path).and_then(|f| f.set_modified(SystemTime::now()));
        }
        there.then_some(path)
    }

    /// Makes a scratch directory the result of a step. Its files reach the disk first; then one rename.
    ///
    /// # Errors
    /// [`Exit::NotReproducible`], naming the first file that differs, when the store holds another result for the key.
    pub fn put(&self, step: &str, key: &Digest, scratch: Scratch) -> Result<PathBuf> {
        let to = self.result(step, key);
        let directory = to.parent().expect("a result lies in a directory");
        let fail = |e| Error::io(format!("the result of step `{step}` cannot be kept"), &to, e);
        fs::create_dir_all(directory).map_err(fail)?;
        scratch::sync(scratch.path()).map_err(fail)?;
        match rename_new(scratch.path(), &to) {
            Ok(()) => {}
            Err(e) if matches!(e.raw_os_error(), Some(libc::EEXIST | libc::ENOTEMPTY)) => {
                return match compare::first_difference(&to, scratch.path())? {
                    None => Ok(to),
                    Some(difference) => Err(Error::new(
                        Exit::NotReproducible,
                        format!("step `{step}` produced different output from the same inputs"),
                    )
                    .at(to.join(&difference.path).display().to_string())
                    .because(difference.how)
                    .hint(format!(
                        "the earlier result was kept; to see which of the two comes back, move {} away and build again",
                        to.display()
                    ))),
                };
            }
            Err(e) => return Err(fail(e)),
        }
        File::open(directory).and_then(|f| f.sync_all()).map_err(fail)?;
        scratch.forget();
        self.grew.store(true, Ordering::Relaxed);
        Ok(to)
    }

    fn result(&self, step: &str, key: &Digest) -> PathBuf {
        let safe = |c: char| c.is_ascii_alphanumeric() || " ._-".contains(c);
        debug_assert!(step.chars().all(safe) && !step.starts_with('.'), "`{step}` names a directory");
        let step: String = step.chars().map(|c| if safe(c) { c } else { '-' }).collect();
        self.root.join("steps").join(step).join(key.to_string())
    }
}

/// rename(2) that never replaces, also where the file system does not know RENAME_NOREPLACE (then a directory that is
/// not empty stops it, and results never are).
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(rustix::fs::CWD, from, rustix::fs::CWD, to, RenameFlags::NOREPLACE) {
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => crate::file::rename_scratch(from, to),
        other => Ok(other?),
    }
}

/// The default place (XDG Base Directory Specification: a relative XDG_CACHE_HOME is ignored).
fn location(var: impl Fn(&str) -> Option<std::ffi::OsString>) -> Result<PathBuf> {
    if let Some(path) = var("DIORITE_STORE") {
        return Ok(path.into());
    }
    if let Some(path) = var("XDG_CACHE_HOME").map(PathBuf::from).filter(|p| p.is_absolute()) {
        return Ok(path.join("diorite"));
    }
    match var("HOME").map(PathBuf::from).filter(|p| p.is_absolute()) {
        Some(home) => Ok(home.join(".cache/diorite")),
        None => Err(Error::host("the store's directory is not known")
            .because("neither DIORITE_STORE, XDG_CACHE_HOME nor HOME names a directory")
            .hint("set DIORITE_STORE to a directory with some gigabytes of free space")),
    }
}

#[cfg(test)]
mod tests;
