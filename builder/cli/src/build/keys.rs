//! BuildInputs → the keys of a build's steps.
//!
//! A key is the digest of everything that can change the step's bytes: its inputs' keys, its part of the recipe and
//! this very program. So every key is known before anything runs.

use super::inputs::BuildInputs;
use diorite_model::python::Python;
use diorite_model::recipe::Packages;
use diorite_model::{Digest, Hasher, LockedPackage};
use std::collections::BTreeMap;

/// The keys of a build.
#[derive(Debug, Clone)]
pub struct StepKeys {
    /// The configured root.
    pub tree: Digest,
    /// The configured root of each container.
    pub containers: BTreeMap<String, Digest>,
    /// The unpacked wheels of each container that has some.
    pub wheels: BTreeMap<String, Digest>,
    /// What programs of the root's overlays change, if any has one.
    pub configure: Option<Digest>,
    /// Root file system with its hash tree.
    pub filesystem: Digest,
    /// Boot loader and unified kernel image before they are signed, of an image for Secure Boot.
    pub uki: Option<Digest>,
    /// disk.raw.
    pub disk: Digest,
}

/// The key of a tree unpacked and configured from these packages, `settings` being what else decides its bytes.
fn tree_key(program: &Digest, what: &str, packages: &[LockedPackage], settings: &Digest, epoch: u64) -> Digest {
    let mut key = Hasher::new();
    key.field(what.as_bytes());
    key.field(&program.0);
    key.field(&epoch.to_le_bytes());
    key.field(&settings.0);
    for package in packages {
        key.field(package.name.as_bytes());
        key.field(&package.sha256.0);
    }
    key.finish()
}

impl StepKeys {
    /// Computes every key; reads nothing but the inputs.
    pub fn of(inputs: &BuildInputs) -> Self {
        let epoch = inputs.recipe.image.epoch;
        let Packages { debconf, files, .. } = &inputs.recipe.packages;
        let settings = Digest::of_json(&(inputs.recipe.locale.compiled(), debconf, files));
        let tree = tree_key(&inputs.program, "root", &inputs.lock.image, &settings, epoch);
        let containers: BTreeMap<_, _> = inputs
            .lock
            .container
            .iter()
            .map(|(name, packages)| {
                let what = if packages.iter().any(LockedPackage::is_image) { "image" } else { "root" };
                (name.clone(), tree_key(&inputs.program, what, packages, &Digest::of(b""), epoch))
            })
            .collect();
        let wheels: BTreeMap<_, _> = inputs
            .lock
            .wheels
            .iter()
            .map(|(name, wheels)| {
                // The interpreter, and so the place of every file, follows from the packages.
                let packages = inputs.lock.container.get(name).map(Vec::as_slice).unwrap_or_default();
                let python = Python::of(packages).map(|python| python.short()).unwrap_or_default();
                (name.clone(), tree_key(&inputs.program, "wheels", wheels, &Digest::of(python.as_bytes()), epoch))
            })
            .collect();
        let laid = || inputs.recipe.overlays.iter().filter_map(|name| inputs.overlays.get(name));
        let configure = laid().any(|overlay| overlay.configure.is_some()).then(|| {
            let mut key = Hasher::new();
            key.field(b"configure");
            key.field(&inputs.program.0);
            key.field(&tree.0);
            key.field(&epoch.to_le_bytes());
            laid().for_each(|overlay| key.field(&overlay.digest().0));
            key.finish()
        });
        let mut key = Hasher::new();
        key.field(b"filesystem");
        key.field(&inputs.program.0);
        key.field(&tree.0);
        for (name, container) in containers.iter().chain(&wheels) {
            key.field(name.as_bytes());
            key.field(&container.0);
        }
        key.field(&inputs.recipe.digest().0);
        key.field(&Digest::of(inputs.carried().lock.as_bytes()).0);
        for (name, overlay) in &inputs.overlays {
            key.field(name.as_bytes());
            key.field(&overlay.digest().0);
        }
        let filesystem = key.finish();
        let uki = inputs.recipe.signing.is_some().then(|| {
            let mut key = Hasher::new();
            key.field(b"uki");
            key.field(&filesystem.0);
            key.finish()
        });
        let mut key = Hasher::new();
        key.field(b"disk");
        key.field(&filesystem.0);
        if uki.is_some() {
            key.field(&inputs.signing.identity().0);
        }
        Self { tree, containers, wheels, configure, filesystem, uki, disk: key.finish() }
    }
}
