//! LockedPackages → configured trees in the store. Those that are missing are made together, in one child, so that a
//! package of several trees is decompressed once; in memory where there is enough of it.

use diorite_archive::fetch::Pool;
use diorite_host::progress::Progress;
use diorite_host::sandbox::{self, Memory};
use diorite_host::store::{Scratch, Store};
use diorite_model::{Digest, Error, LockedPackage, Result};
use diorite_rootfs::build::{self, TreeJob, TreeParts};
use diorite_rootfs::pack;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

/// Bytes of a configured tree for each byte of its packages, generously: `server` has 3.
const UNPACKED: u64 = 6;

/// A tree that is to be in the store.
pub struct Wanted<'a> {
    /// Its key.
    pub key: Digest,
    /// What it is made of.
    pub packages: &'a [LockedPackage],
    /// Locales to compile in it.
    pub locales: Vec<String>,
}

/// A tree in the store.
pub struct Made {
    /// Its pack.
    pub directory: PathBuf,
    /// What making it took; 0 for one that was there.
    pub seconds: f64,
}

/// The trees of these keys and packages, in this order. Those that could be made stay in the store also when another one
/// fails.
pub fn made(
    wanted: &[Wanted],
    epoch: u64,
    store: &Store,
    pool: &dyn Fn() -> Result<Pool>,
    progress: &Progress,
) -> Result<Vec<Made>> {
    let started = Instant::now();
    let mut missing: Vec<(&Wanted, Scratch)> = Vec::new();
    for tree in wanted {
        if store.get("tree", &tree.key).is_none() && missing.iter().all(|(other, _)| other.key != tree.key) {
            missing.push((tree, store.scratch("tree")?));
        }
    }
    let mut seconds = BTreeMap::new();
    if !missing.is_empty() {
        let pool = pool()?;
        let parts = missing.iter().map(|(tree, result)| TreeParts {
            packages: tree.packages.iter().map(|p| (p.clone(), pool.path(p))).collect(),
            locales: tree.locales.clone(),
            result: result.path().to_owned(),
        });
        let done = run(parts.collect(), epoch, store, progress);
        let inside: f64 = done.iter().flatten().sum();
        for (at, (tree, result)) in missing.into_iter().enumerate() {
            // A pack is written in one go, its index last: it can be opened or it was not finished.
            match &done {
                Ok(done) => {
                    store.put("tree", &tree.key, result)?;
                    seconds.insert(tree.key, done[at]);
                }
                Err(_) if pack::open(result.path()).is_ok() => drop(store.put("tree", &tree.key, result)),
                Err(_) => {}
            }
        }
        done?;
        // Starting the child and bringing the results to the disk are the first tree's, as unpacking is.
        if let Some(first) = seconds.get_mut(&wanted[0].key).filter(|s| **s > 0.0) {
            *first += started.elapsed().as_secs_f64() - inside;
        }
    }
    let found = |Wanted { key, .. }: &Wanted| {
        let directory = store.get("tree", key).ok_or_else(|| {
            Error::host("a result has gone from the store").at(store.root().display().to_string()).hint("build again")
        })?;
        Ok(Made { directory, seconds: seconds.remove(key).unwrap_or(0.0) })
    };
    wanted.iter().map(found).collect()
}

/// What the child is told.
#[derive(Serialize, Deserialize)]
pub struct Inside {
    trees: TreeJob,
    /// The work directory is in memory.
    memory: bool,
}

/// In memory if there is room, else, and also when it did not suffice, on the disk. Seconds for each tree.
fn run(trees: Vec<TreeParts>, epoch: u64, store: &Store, progress: &Progress) -> Result<Vec<f64>> {
    let work = store.scratch("work")?;
    let bytes: u64 = trees.iter().flat_map(|t| &t.packages).map(|(p, _)| p.size).sum();
    let trees = TreeJob { trees, epoch, work: work.path().to_owned() };
    let mut inside = Inside { trees, memory: true };
    if let Some(memory) = Memory::at(work.path(), bytes.saturating_mul(UNPACKED)) {
        let made = sandbox::run_inside_with::<Option<Vec<f64>>>(Some(&memory), "trees", &inside, progress)?;
        if let Some(seconds) = made {
            return Ok(seconds);
        }
        progress.say("there is not enough room in memory for the trees: making them on the disk");
    }
    inside.memory = false;
    let seconds = sandbox::run_inside::<Option<Vec<f64>>>("trees", &inside, progress)?;
    seconds.ok_or_else(|| Error::bug("trees on the disk were to be in memory"))
}

/// Makes the trees; `None` when there was no room in memory. What is left in the work directory has ids that only this child
/// may remove; what is in memory goes with it.
pub fn job(Inside { trees, memory }: Inside, progress: &Progress) -> Result<Option<Vec<f64>>> {
    if memory {
        if !Memory::suits(&trees.work) {
            return Ok(None);
        }
        let made = build::configured(&trees, progress);
        return if made.is_err() && Memory::full(&trees.work) { Ok(None) } else { made.map(Some) };
    }
    let made = build::configured(&trees, progress);
    let cleaned =
        fs::remove_dir_all(&trees.work).map_err(|e| Error::io("the work directory cannot be removed", &trees.work, e));
    made.and_then(|seconds| cleaned.map(|()| Some(seconds)))
}
