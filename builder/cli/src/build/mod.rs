//! The way from a locked profile to a disk image: ARCHITECTURE.md's diagram from the plan down. A step is a value
//! (step.rs); each function takes one type and gives the next.
//!
//! ```text
//! BuildInputs     recipe, checked lock, overlays             inputs.rs
//!   │ plan        a key for each step, hits and misses       keys.rs, steps.rs
//! BuildPlan       ═══ above: decide · below: do ═══
//!   │ trees       packages and container images, unpacked and configured   trees.rs, images.rs
//! BuildTrees
//!   │ wheels      wheels of containers, unpacked             wheels.rs
//!   │ configure   the `configure` programs of overlays       configure.rs
//!   │ seal        overlays, generated files, owners, times   seal.rs
//! SealedTree
//!   │ filesystem  EROFS and its dm-verity hash tree          filesystem.rs
//! RootImage
//!   │ uki, sign   for Secure Boot: the same as steps of their own   boot.rs
//!   │ disk        initrd, UKI, ESP, GPT, formats, SBOM        disk.rs, sbom.rs
//! Build           out/NAME                                   ../results.rs
//! ```

mod boot;
mod configure;
mod disk;
mod filesystem;
mod images;
mod inputs;
mod keys;
mod sbom;
mod seal;
mod step;
mod steps;
mod trees;
mod wheels;

pub use inputs::BuildInputs;
pub use steps::INSIDE;

use crate::project::Project;
use diorite_archive::fetch::Pool;
use diorite_host::progress::Progress;
use diorite_host::store::Store;
use diorite_image::BootPrograms;
use diorite_image::format::Format;
use diorite_model::plan::{Build, Step};
use diorite_model::{Error, Result};
use diorite_rootfs::configure::Changes;
use diorite_rootfs::seal::SealedTree;
use keys::StepKeys;
use sbom::SealedSources;
use std::path::PathBuf;
use step::{BuildContext, StepRunner};
use steps::Steps;

/// A build that is about to run: its inputs and its steps.
pub struct BuildPlan<'a> {
    project: &'a Project,
    inputs: BuildInputs,
    store: &'a Store,
    steps: Steps,
}

/// Recipe, lock and overlays → plan. Nothing has run yet.
pub fn plan<'a>(project: &'a Project, inputs: BuildInputs, store: &'a Store) -> BuildPlan<'a> {
    let keys = StepKeys::of(&inputs);
    let disk_is_there = project.results.finished(&keys.disk).is_some();
    let steps = Steps::of(&inputs, keys, store, disk_is_there);
    BuildPlan { project, inputs, store, steps }
}

impl BuildPlan<'_> {
    /// The steps in order.
    pub fn steps(&self) -> Vec<Step> {
        self.steps.planned()
    }

    /// The configured root of the machine in the store; empty when it has been collected since.
    pub fn tree_directory(&self) -> PathBuf {
        self.store.get("tree", &self.steps.trees[0].planned.key).unwrap_or_default()
    }

    /// The part that a whole build begins with.
    fn sealed(&self, runner: &mut StepRunner) -> Result<(SealedTree, Changes, SealedSources)> {
        let trees = trees::run(&self.steps.trees, &runner.context, &mut runner.results)?;
        let wheels = wheels::run(&self.steps.wheels, &runner.context, &mut runner.results)?;
        let configure = self.steps.configure.as_ref();
        let changes = configure.map(|step| runner.run(step, &trees)).transpose()?.unwrap_or_default();
        let (sealed, sources) = seal::run(trees, wheels, &changes, &self.inputs, runner.context.progress)?;
        Ok((sealed, changes, sources))
    }

    /// Plan and pool → boot loader and unified kernel image, which somebody else is to sign. No disk is written.
    pub fn programs(&self, pool: &dyn Fn() -> Result<Pool>, progress: &Progress) -> Result<BootPrograms> {
        let Self { project, inputs, store, steps } = self;
        inputs.signing.suits(&inputs.recipe)?;
        let boot = steps.boot.as_ref().ok_or_else(|| Error::bug("an unsigned image has no programs to sign"))?;
        let mut runner = StepRunner::new(BuildContext { project, inputs, store, pool, progress });
        let (sealed, changes, sources) = self.sealed(&mut runner)?;
        let root = runner.run(&steps.filesystem, &sealed)?;
        let source = disk::DiskSource { sealed, root, changes, sources, boot: None, formats: Vec::new() };
        runner.run(&boot.uki, &source)
    }

    /// Plan and pool → disk image in `out/NAME`.
    pub fn run(&self, pool: &dyn Fn() -> Result<Pool>, formats: &[Format], progress: &Progress) -> Result<Build> {
        let Self { project, inputs, store, steps } = self;
        let there = || formats.iter().all(|format| project.results.disk(format).exists());
        if let Some(build) = project.results.finished(&steps.disk.key).filter(|_| there()) {
            return Ok(build);
        }
        // Before seconds of work, not after them.
        inputs.signing.suits(&inputs.recipe)?;
        project.results.probe()?;
        let mut runner = StepRunner::new(BuildContext { project, inputs, store, pool, progress });
        let (sealed, changes, sources) = self.sealed(&mut runner)?;
        let root = runner.run(&steps.filesystem, &sealed)?;
        let mut source = disk::DiskSource { sealed, root, changes, sources, boot: None, formats: formats.to_vec() };
        if let Some(boot) = &steps.boot {
            let programs = runner.run(&boot.uki, &source)?;
            source.boot = Some(runner.run(&boot.sign, &programs)?);
        }
        let disk = runner.run(&steps.disk, &source)?;
        disk.publish(steps.disk.key, runner)
    }
}
