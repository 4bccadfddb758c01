//! Configured trees → the sealed tree of the machine, with its containers inside.

use super::BuildPlan;
use super::inputs::BuildInputs;
use super::sbom::SealedSources;
use super::step::{BuildContext, StepRunner};
use super::trees::BuildTrees;
use super::wheels::UnpackedWheels;
use diorite_archive::fetch::Pool;
use diorite_host::progress::Progress;
use diorite_model::Result;
use diorite_rootfs::configure::Changes;
use diorite_rootfs::seal::{self, SealedTree};
use diorite_rootfs::{container_root, guest};
use std::collections::BTreeMap;

/// Lays the overlays, generates the guest's configuration, and freezes owners and times. It takes a second, and is no step
/// of its own: the file system's key covers it.
pub fn run(
    mut trees: BuildTrees,
    wheels: BTreeMap<String, UnpackedWheels>,
    changes: &Changes,
    inputs: &BuildInputs,
    progress: &Progress,
) -> Result<(SealedTree, SealedSources)> {
    let stage = progress.stage("seal");
    let (recipe, epoch) = (&inputs.recipe, inputs.recipe.image.epoch);
    let mut inside = BTreeMap::new();
    let statuses = SealedSources::statuses(&trees);
    for (name, (mut tree, config)) in trees.containers {
        if let Some(wheels) = wheels.get(&name) {
            diorite_rootfs::wheels::lay(&mut tree, &wheels.tree, &name)?;
            trees.origins.containers.entry(name.clone()).or_default().extend(&wheels.origins);
            let wanted = &recipe.containers[&name].wheels;
            let missing = diorite_rootfs::wheels::missing(&tree, &wheels.tree, &wheels.python, wanted);
            missing.iter().for_each(|line| progress.say(format!("container {name}: {line}")));
        }
        let overlays = inputs.overlays(&recipe.containers[&name].overlays);
        let root = match config {
            Some(config) => {
                let public = container_root::image_public(&tree, &recipe.containers[&name].public, &name)?;
                container_root::of_image(tree, config, &overlays, public, epoch)
                    .map_err(|e| e.at(format!("containers.{name}")))
            }
            None => container_root::of_packages(tree, &overlays, epoch),
        };
        inside.insert(name, root?);
    }
    let (mut tree, mut overlays) = (trees.root, inputs.overlays(&recipe.overlays));
    changes.apply(&mut tree, &mut overlays);
    let generated = guest::generate(recipe, &tree, &overlays, &inside)?;
    let sealed = seal::seal(tree, generated, &overlays, recipe, &trees.origins, &inputs.carried())?;
    stage.done(format!("{} files", sealed.tree().nodes.len()));
    Ok((sealed, SealedSources { statuses, origins: trees.origins }))
}

impl BuildPlan<'_> {
    /// Plan and pool → the sealed tree, and no further.
    pub fn seal(&self, pool: &dyn Fn() -> Result<Pool>, progress: &Progress) -> Result<SealedTree> {
        let Self { project, inputs, store, .. } = self;
        let context = BuildContext { project, inputs, store, pool, progress };
        self.sealed(&mut StepRunner::new(context)).map(|(sealed, ..)| sealed)
    }
}
