//! Container images from registries and archives → trees in the store, and the configuration they are started with.

use super::inputs::BuildInputs;
use diorite_archive::fetch::Pool;
use diorite_archive::images;
use diorite_host::progress::Progress;
use diorite_host::store::Store;
use diorite_model::oci::Config;
use diorite_model::{Digest, Error, Result};
use diorite_rootfs::layers::{self, LayerFile};
use diorite_rootfs::origins::Origins;
use diorite_rootfs::pack;
use diorite_rootfs::tree::Tree;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Instant;

/// Beside the pack of an image's tree.
const CONFIG: &str = "config.json";

/// A container's tree, and its image's configuration, if it was an image.
pub type ContainerRoot = (Tree, Option<Config>);

/// Makes the trees of those containers whose root is an image and that the store does not have. Seconds by key. No child
/// is needed: owners are numbers in a pack, and no file is written under its own name.
pub fn merged<'a>(
    containers: impl Iterator<Item = (&'a str, &'a Digest)>,
    inputs: &BuildInputs,
    store: &Store,
    pool: &dyn Fn() -> Result<Pool>,
    progress: &Progress,
) -> Result<BTreeMap<Digest, f64>> {
    let mut seconds = BTreeMap::new();
    for (name, key) in containers {
        if inputs.recipe.containers[name].is_image() && store.get("tree", key).is_none() {
            let (started, pool) = (Instant::now(), pool()?);
            merge(name, key, inputs, store, &pool, progress)?;
            seconds.insert(*key, started.elapsed().as_secs_f64());
        }
    }
    Ok(seconds)
}

fn merge(
    name: &str,
    key: &Digest,
    inputs: &BuildInputs,
    store: &Store,
    pool: &Pool,
    progress: &Progress,
) -> Result<()> {
    let stage = progress.stage(format!("container {name}"));
    let (work, result) = (store.scratch("work")?, store.scratch("tree")?);
    let files = &inputs.lock.container[name];
    let (source, architecture) = (&inputs.recipe.containers[name].source, &inputs.recipe.archive.architecture);
    let image = images::open(name, source, files, &|p| pool.path(p), architecture)?;
    let layer = |l: images::Layer| LayerFile { file: l.file, start: l.start, size: l.size, diff_id: l.diff_id };
    let layers: Vec<LayerFile> = image.layers.into_iter().map(layer).collect();
    let tree = layers::merge(&layers, work.path()).map_err(|e| Error {
        what: format!("the image of container `{name}` cannot be used"),
        place: e.place.or_else(|| Some(format!("containers.{name}"))),
        ..e
    })?;
    let file = result.path().join(CONFIG);
    let json = serde_json::to_vec(&image.config).expect("our own types serialize");
    diorite_host::file::write_scratch(&file, json)
        .map_err(|e| Error::io("an image's configuration cannot be kept", &file, e))?;
    pack::write(&tree, &Origins::default(), result.path())?;
    stage.done(format!("{} files of {} layers", tree.nodes.len(), layers.len()));
    store.put("tree", key, result).map(drop)
}

/// The configuration of the image whose tree is in this directory of the store; nothing for a tree of packages.
pub fn config(directory: &Path) -> Result<Option<Config>> {
    let file = directory.join(CONFIG);
    let json = match fs::read(&file) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|e| Error::io("an image's configuration cannot be read", &file, e))?,
    };
    serde_json::from_slice(&json).map(Some).map_err(|e| Error::bug("the store's config.json").because(e))
}
