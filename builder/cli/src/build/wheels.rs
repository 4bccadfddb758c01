//! Wheels of containers → trees in the store. No child is needed: nothing of them is run, and a pack holds owners as numbers.

use super::step::{BuildContext, size_of};
use diorite_model::plan::{Step, StepResult};
use diorite_model::python::Python;
use diorite_model::{Digest, Error, Result};
use diorite_rootfs::origins::Origins;
use diorite_rootfs::pack;
use diorite_rootfs::tree::Tree;
use diorite_rootfs::wheels::{self, WheelFile};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

/// The step that unpacks the wheels of one container.
pub struct WheelStep {
    /// As it stands in a plan.
    pub planned: Step,
    /// The container.
    pub container: String,
}

/// Wheels that are unpacked: what they bring into a container, and where each file is from.
pub struct UnpackedWheels {
    /// The files, from the container's root.
    pub tree: Tree,
    /// Those that are as a wheel ships them.
    pub origins: Origins,
    /// The container's interpreter.
    pub python: Python,
}

/// Unpacks the wheels of these steps, as far as the store does not have them. What each cost goes to the results.
pub fn run(
    steps: &[WheelStep],
    context: &BuildContext,
    results: &mut Vec<StepResult>,
) -> Result<BTreeMap<String, UnpackedWheels>> {
    let mut all = BTreeMap::new();
    for WheelStep { planned, container } in steps {
        let started = Instant::now();
        let python = python(context, container)?;
        let directory = match context.store.get("wheels", &planned.key) {
            Some(directory) => directory,
            None => unpack(container, &python, &planned.key, context)?,
        };
        let unpacked = UnpackedWheels { tree: pack::open(&directory)?, origins: Origins::open(&directory)?, python };
        all.insert(container.clone(), unpacked);
        let seconds = started.elapsed().as_secs_f64();
        results.push(StepResult { step: planned.clone(), seconds, bytes: size_of(&directory) });
    }
    Ok(all)
}

/// The interpreter by the container's packages; the lock was made with it.
fn python(context: &BuildContext, container: &str) -> Result<Python> {
    let packages = context.inputs.lock.container.get(container);
    packages.and_then(|packages| Python::of(packages)).ok_or_else(|| {
        Error::input(format!("container `{container}` has wheels and no Python"))
            .at(format!("containers.{container}"))
            .hint("lock again: `diorite lock NAME --update`")
    })
}

fn unpack(container: &str, python: &Python, key: &Digest, context: &BuildContext) -> Result<PathBuf> {
    let BuildContext { inputs, store, progress, .. } = context;
    let pool = (context.pool)()?;
    let stage = progress.stage(format!("wheels of container {container}"));
    let file =
        |package: &diorite_model::LockedPackage| WheelFile { package: package.clone(), file: pool.path(package) };
    let files: Vec<WheelFile> = inputs.lock.wheels[container].iter().map(file).collect();
    let result = store.scratch("wheels")?;
    let unpacked = wheels::install(&files, python, inputs.recipe.image.epoch)?;
    pack::write(&unpacked.tree, &unpacked.origins, result.path())?;
    let noun = if files.len() == 1 { "wheel" } else { "wheels" };
    stage.done(format!("{} files of {} {noun}", unpacked.origins.iter().count(), files.len()));
    store.put("wheels", key, result)
}
