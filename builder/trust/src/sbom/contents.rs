//! What is known of an image when it is built: recipe, lock, and every regular file with its bytes and who put it there.

use diorite_model::{Digest, Lock, Recipe};
use std::collections::BTreeMap;

/// An image.
pub struct ImageContents<'a> {
    /// Its recipe.
    pub recipe: &'a Recipe,
    /// Its lock.
    pub lock: &'a Lock,
    /// Top of its hash tree.
    pub root_hash: Digest,
    /// SHA-256 of `disk.raw`.
    pub disk_sha256: Digest,
    /// The machine's root, without the roots of containers.
    pub machine: TreeContents<'a>,
    /// Roots of containers, by name.
    pub containers: BTreeMap<String, TreeContents<'a>>,
}

/// One root.
pub struct TreeContents<'a> {
    /// Where it is in the machine's root: empty, or a path with a slash at its end.
    pub place: Vec<u8>,
    /// dpkg's status file of the packages it was made from; nothing for an image that others made.
    pub status: &'a [u8],
    /// Its regular files by path, without a leading slash; of several hard links the first.
    pub files: BTreeMap<&'a [u8], FileContents<'a>>,
    /// Reads its files.
    pub read: FileReader<'a>,
}

/// The bytes at a path, links followed as the kernel would with this root.
pub type FileReader<'a> = Box<dyn Fn(&[u8]) -> Option<&'a [u8]> + 'a>;

/// A regular file.
#[derive(Clone)]
pub struct FileContents<'a> {
    /// Its content.
    pub bytes: &'a [u8],
    /// SHA-256 of it.
    pub sha256: Digest,
    /// Who put it there.
    pub source: FileOwner,
}

/// Who put a file there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileOwner {
    /// A package or, by the name of its file, a wheel, as it shipped it.
    Package(String),
    /// A package; the file has been changed since.
    Changed(String),
    /// A layer of an image that others made.
    Layer,
    /// Nobody who is in the lock; in words.
    Made(String),
}
