//! SealedTree → root file system and its hash tree, in the store. The previous image of the same name lends its pieces.

use super::step::{BuildContext, StepOutput, size_of};
use crate::file;
use diorite_host::interrupt;
use diorite_host::progress::BarUnit;
use diorite_host::store::Store;
use diorite_image::{filesystem, verity};
use diorite_model::{Digest, Error, Result, uuid};
use diorite_rootfs::seal::SealedTree;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

const IMAGE: &str = "root.erofs";
const HASHES: &str = "root.verity";
const DESCRIPTION: &str = "root.json";

/// A root file system with its hash tree, in the store.
pub struct RootImage {
    directory: PathBuf,
    /// Top of the hash tree.
    pub root_hash: Digest,
}

impl RootImage {
    /// The EROFS image.
    pub fn image(&self) -> PathBuf {
        self.directory.join(IMAGE)
    }
    /// The dm-verity hash tree.
    pub fn hashes(&self) -> PathBuf {
        self.directory.join(HASHES)
    }
}

/// What lies beside them.
#[derive(Serialize, Deserialize)]
struct RootDescription {
    root_hash: Digest,
}

/// Writes both, or takes them from the store.
pub fn run(context: &BuildContext, key: &Digest, sealed: &SealedTree) -> Result<StepOutput<RootImage>> {
    let directory = match context.store.get("filesystem", key) {
        Some(directory) => directory,
        None => write(context, key, sealed)?,
    };
    let file = directory.join(DESCRIPTION);
    let text = fs::read(&file).map_err(|e| Error::io("the root hash cannot be read", &file, e))?;
    let RootDescription { root_hash } =
        serde_json::from_slice(&text).map_err(|e| Error::bug("the store's root.json").because(e))?;
    let bytes = size_of(&directory);
    Ok(StepOutput { value: RootImage { directory, root_hash }, bytes })
}

fn write(context: &BuildContext, key: &Digest, sealed: &SealedTree) -> Result<PathBuf> {
    let BuildContext { inputs, store, progress, .. } = context;
    let stage = progress.stage("root file system");
    let scratch = store.scratch("filesystem")?;
    // Identity follows from content alone, never from who built it.
    let identity = Digest::of(sealed.tree().listing().as_bytes());
    let options = filesystem::FilesystemOptions::new(inputs.recipe.image.epoch, uuid_of(&identity, b"root"));
    let previous = PreviousRoot::of(store, &inputs.recipe.image.name);
    let image = scratch.path().join(IMAGE);
    let bar = stage.bar(0, BarUnit::Bytes);
    let moved = |bytes| {
        bar.inc(bytes);
        interrupt::check()
    };
    let written = filesystem::write_with(sealed.tree(), &options, &image, previous.image().as_deref(), &moved)?;
    bar.finish();
    let hashes = verity::format(&image, &scratch.path().join(HASHES), &identity.0, uuid_of(&identity, b"verity"))?;
    describe(scratch.path(), hashes.root_hash)?;
    let directory = store.put("filesystem", key, scratch)?;
    previous.replace(key)?;
    stage.done(format!("{} of {} pieces reused", written.reused, written.pieces));
    Ok(directory)
}

fn describe(directory: &Path, root_hash: Digest) -> Result<()> {
    let text = serde_json::to_vec(&RootDescription { root_hash }).expect("a digest serializes");
    let file = directory.join(DESCRIPTION);
    diorite_host::file::write_scratch(&file, text).map_err(|e| Error::io("the root hash cannot be kept", &file, e))
}

/// The UUID of a part, which follows from an identity.
fn uuid_of(identity: &Digest, what: &[u8]) -> [u8; 16] {
    let mut hasher = diorite_model::Hasher::new();
    hasher.field(&identity.0);
    hasher.field(what);
    uuid::derived(&hasher.finish()).0
}

/// The newest root file system of this name in the store, whose unchanged pieces are copied.
struct PreviousRoot<'a> {
    store: &'a Store,
    link: PathBuf,
}

impl<'a> PreviousRoot<'a> {
    fn of(store: &'a Store, name: &str) -> Self {
        Self { store, link: store.root().join("steps/filesystem").join(format!("latest-{name}")) }
    }
    fn image(&self) -> Option<PathBuf> {
        let key: Digest = fs::read_to_string(&self.link).ok()?.trim().parse().ok()?;
        Some(self.store.get("filesystem", &key)?.join(IMAGE))
    }
    fn replace(&self, key: &Digest) -> Result<()> {
        file::write(&self.link, key.to_string().as_bytes())
    }
}
