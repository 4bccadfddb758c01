//! Eviction: the results used least recently go when the store is over its limit.

use super::Store;
use diorite_model::profile::size;
use diorite_model::{Error, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// What all results together may take when nobody says otherwise: some fifty machines.
pub const LIMIT: u64 = 20 << 30;

/// Bytes that all results may take: `$DIORITE_STORE_LIMIT`, else [`LIMIT`].
///
/// # Errors
/// [`diorite_model::Exit::Input`] when the variable is not an amount such as `20G`.
pub fn limit() -> Result<u64> {
    let Some(text) = std::env::var_os("DIORITE_STORE_LIMIT").filter(|v| !v.is_empty()) else { return Ok(LIMIT) };
    size(&text.to_string_lossy()).map_err(|why| {
        Error::input("the limit of the store cannot be read")
            .at("DIORITE_STORE_LIMIT")
            .because(why)
            .hint("write a number with `M` (MiB) or `G` (GiB): `20G`")
    })
}

/// What was evicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Eviction {
    /// How many results were removed.
    pub results: usize,
    /// The bytes of their files.
    pub bytes: u64,
}

impl Store {
    /// Whether a result was added since it was opened.
    pub fn grew(&self) -> bool {
        self.grew.load(Ordering::Relaxed)
    }

    /// Removes the results that were not used for longest until all of them take at most `limit` bytes; what was used
    /// since the store was opened stays. Does nothing (and says `None`) while another process uses the store.
    /// Call it last: for a moment the lock that keeps others from doing the same is not held (flock(2)).
    pub fn shrink(&self, limit: u64) -> Result<Option<Eviction>> {
        self.lock.exclusively(|| self.remove_oldest(limit)).transpose()
    }

    fn remove_oldest(&self, limit: u64) -> Result<Eviction> {
        let mut results = Vec::new();
        for step in directories(&self.root.join("steps"))? {
            for path in directories(&step)? {
                let used = fs::metadata(&path).and_then(|m| m.modified());
                let used = used.map_err(|e| Error::io("a result cannot be read", &path, e))?;
                results.push((used, bytes(&path)?, path));
            }
        }
        results.sort();
        let mut total: u64 = results.iter().map(|(_, bytes, _)| bytes).sum();
        let mut gone = Eviction::default();
        for (_, bytes, path) in results.into_iter().take_while(|(used, ..)| *used < self.opened) {
            if total <= limit {
                break;
            }
            // Renamed away first: a result is there whole or not at all.
            let scratch = self.scratch("old")?;
            crate::file::rename_scratch(&path, scratch.path().join("old"))
                .map_err(|e| Error::io("an old result cannot be removed", &path, e))?;
            total -= bytes;
            gone = Eviction { results: gone.results + 1, bytes: gone.bytes + bytes };
        }
        Ok(gone)
    }
}

/// Bytes of the regular files below a directory.
fn bytes(directory: &Path) -> Result<u64> {
    let fail = |e| Error::io("a result cannot be read", directory, e);
    let mut sum = 0;
    for entry in fs::read_dir(directory).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let meta = entry.metadata().map_err(fail)?;
        if meta.is_dir() {
            sum += bytes(&entry.path())?;
        } else if meta.is_file() {
            sum += meta.len();
        }
    }
    Ok(sum)
}

fn directories(path: &Path) -> Result<Vec<PathBuf>> {
    let fail = |e| Error::io("the store cannot be read", path, e);
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        if entry.file_type().map_err(fail)?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}
