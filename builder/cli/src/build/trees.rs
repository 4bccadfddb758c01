//! Pool → configured trees in the store, of the machine and of its containers. Those that are missing are made together,
//! in one child, so that a package of several trees is decompressed once; in memory where there is enough of it.

use super::images;
use super::step::{BuildContext, size_of};
use diorite_archive::fetch::Pool;
use diorite_host::progress::Progress;
use diorite_host::sandbox::{self, Memory};
use diorite_host::store::{Scratch, Store};
use diorite_model::plan::{Step, StepResult};
use diorite_model::recipe::{FileFilter, Packages};
use diorite_model::{Digest, Error, LockedPackage, Result};
use diorite_rootfs::build::{self, TreeJob, TreeParts, TreeTimes};
use diorite_rootfs::origins::{ImageOrigins, Origins};
use diorite_rootfs::pack;
use diorite_rootfs::tree::Tree;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

/// Bytes of a configured tree for each byte of its packages, generously: `server` has 3.
const UNPACKED: u64 = 6;

/// The step that makes one tree.
pub struct TreeStep {
    /// As it stands in a plan.
    pub planned: Step,
    /// The container whose root it is; none for the machine's.
    pub container: Option<String>,
}

/// The trees of a build.
pub struct BuildTrees {
    /// The machine's.
    pub root: Tree,
    /// Where the files of all of them come from.
    pub origins: ImageOrigins,
    /// Where its pack is.
    pub directory: PathBuf,
    /// Each container's.
    pub containers: BTreeMap<String, images::ContainerRoot>,
}

/// Makes the trees of these steps; the first is the machine's. What each cost goes to the results.
pub fn run(steps: &[TreeStep], context: &BuildContext, results: &mut Vec<StepResult>) -> Result<BuildTrees> {
    let BuildContext { inputs, store, pool, progress, .. } = context;
    let containers = steps.iter().filter_map(|step| Some((step.container.as_deref()?, &step.planned.key)));
    let merged = images::merged(containers, inputs, store, pool, progress)?;
    let requests: Vec<_> = steps.iter().map(|step| TreeRequest::of(step, context)).collect();
    let stored = stored(&requests, inputs.recipe.image.epoch, store, pool, progress)?;
    let mut opened = Vec::new();
    let mut origins = ImageOrigins::default();
    for (step, tree) in steps.iter().zip(&stored) {
        let started = Instant::now();
        opened.push((pack::open(&tree.directory)?, images::config(&tree.directory)?));
        let brought = Origins::open(&tree.directory)?;
        match &step.container {
            None => origins.machine = brought,
            Some(name) => drop(origins.containers.insert(name.clone(), brought)),
        }
        let merging = merged.get(&step.planned.key).unwrap_or(&0.0);
        let seconds = tree.seconds + merging + started.elapsed().as_secs_f64();
        results.push(StepResult { step: step.planned.clone(), seconds, bytes: size_of(&tree.directory) });
    }
    let (root, _) = opened.remove(0);
    let names = steps.iter().filter_map(|step| step.container.clone());
    let directory = stored[0].directory.clone();
    Ok(BuildTrees { root, origins, directory, containers: names.zip(opened).collect() })
}

/// A tree that is to be in the store.
struct TreeRequest<'a> {
    key: Digest,
    container: Option<String>,
    packages: &'a [LockedPackage],
    locales: Vec<String>,
    debconf: BTreeMap<String, String>,
    files: FileFilter,
}

impl<'a> TreeRequest<'a> {
    fn of(step: &TreeStep, context: &BuildContext<'a>) -> Self {
        let inputs = context.inputs;
        let key = step.planned.key;
        if let Some(name) = &step.container {
            let packages = &inputs.lock.container[name];
            let (debconf, files) = (BTreeMap::new(), FileFilter::default());
            let container = Some(name.clone());
            return Self { key, container, packages, locales: Vec::new(), debconf, files };
        }
        let Packages { debconf, files, .. } = &inputs.recipe.packages;
        let locales = inputs.recipe.locale.compiled();
        let packages = &inputs.lock.image;
        Self { key, container: None, packages, locales, debconf: debconf.clone(), files: files.clone() }
    }
}

/// A tree in the store.
struct StoredTree {
    /// Its pack.
    directory: PathBuf,
    /// What making it took; 0 for one that was there.
    seconds: f64,
}

/// The trees that were asked for, in this order. Those that could be made stay in the store also when another one fails.
fn stored(
    requests: &[TreeRequest],
    epoch: u64,
    store: &Store,
    pool: &dyn Fn() -> Result<Pool>,
    progress: &Progress,
) -> Result<Vec<StoredTree>> {
    let started = Instant::now();
    let mut missing: Vec<(&TreeRequest, Scratch)> = Vec::new();
    for tree in requests {
        if store.get("tree", &tree.key).is_none() && missing.iter().all(|(other, _)| other.key != tree.key) {
            missing.push((tree, store.scratch("tree")?));
        }
    }
    let mut seconds = BTreeMap::new();
    if !missing.is_empty() {
        let pool = pool()?;
        let parts = missing.iter().map(|(tree, result)| TreeParts {
            container: tree.container.clone(),
            packages: tree.packages.iter().map(|p| (p.clone(), pool.path(p))).collect(),
            locales: tree.locales.clone(),
            debconf: tree.debconf.clone(),
            files: tree.files.clone(),
            result: result.path().to_owned(),
        });
        let done = make(parts.collect(), epoch, store, progress);
        for (at, (tree, result)) in missing.into_iter().enumerate() {
            // A pack is written in one go, its index last: it can be opened or it was not finished.
            match &done {
                Ok(done) => {
                    store.put("tree", &tree.key, result)?;
                    seconds.insert(tree.key, done.trees[at]);
                }
                Err(_) if pack::open(result.path()).is_ok() => drop(store.put("tree", &tree.key, result)),
                Err(_) => {}
            }
        }
        let inside = done?.whole;
        // Starting the child and bringing the results to the disk are counted with the first tree, as unpacking is.
        if let Some(first) = seconds.get_mut(&requests[0].key).filter(|s| **s > 0.0) {
            *first += started.elapsed().as_secs_f64() - inside;
        }
    }
    let found = |TreeRequest { key, .. }: &TreeRequest| {
        let directory = store.get("tree", key).ok_or_else(|| {
            Error::host("a result has gone from the store").at(store.root().display().to_string()).hint("build again")
        })?;
        Ok(StoredTree { directory, seconds: seconds.remove(key).unwrap_or(0.0) })
    };
    requests.iter().map(found).collect()
}

/// What the child is told.
#[derive(Serialize, Deserialize)]
pub struct TreesInside {
    trees: TreeJob,
    /// The work directory is in memory.
    memory: bool,
}

/// In memory if there is room, else, and also when it did not suffice, on the disk.
fn make(trees: Vec<TreeParts>, epoch: u64, store: &Store, progress: &Progress) -> Result<TreeTimes> {
    let work = store.scratch("work")?;
    let bytes: u64 = trees.iter().flat_map(|t| &t.packages).map(|(p, _)| p.size).sum();
    let trees = TreeJob { trees, epoch, work: work.path().to_owned() };
    let mut inside = TreesInside { trees, memory: true };
    if let Some(memory) = Memory::at(work.path(), bytes.saturating_mul(UNPACKED)) {
        let made = sandbox::run_inside_with::<Option<TreeTimes>>(Some(&memory), "trees", &inside, progress)?;
        if let Some(seconds) = made {
            return Ok(seconds);
        }
        progress.say("not enough room in memory for the trees: making them on the disk");
    }
    inside.memory = false;
    let seconds = sandbox::run_inside::<Option<TreeTimes>>("trees", &inside, progress)?;
    seconds.ok_or_else(|| Error::bug("trees on the disk were to be in memory"))
}

/// Makes the trees, in the child; `None` when there was no room in memory. Only this child may remove what is left in the
/// work directory, because of its ids; what is in memory goes with it.
pub fn job(TreesInside { trees, memory }: TreesInside, progress: &Progress) -> Result<Option<TreeTimes>> {
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
