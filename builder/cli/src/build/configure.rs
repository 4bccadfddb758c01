//! Configured tree and overlays → what the overlays' `configure` programs change.

use super::step::{BuildContext, StepOutput, size_of};
use super::trees::BuildTrees;
use diorite_host::progress::Progress;
use diorite_host::sandbox;
use diorite_model::{Digest, Error, Result};
use diorite_rootfs::configure::{self, Changes, ConfigureJob};
use std::fs;

/// Runs the programs in a child, or takes what they changed from the store.
pub fn run(context: &BuildContext, key: &Digest, trees: &BuildTrees) -> Result<StepOutput<Changes>> {
    let BuildContext { inputs, store, progress, .. } = context;
    let directory = match store.get("configure", key) {
        Some(directory) => directory,
        None => {
            let (work, result) = (store.scratch("work")?, store.scratch("configure")?);
            let overlays = inputs.recipe.overlays.iter();
            let job = ConfigureJob {
                tree: trees.directory.clone(),
                overlays: overlays.map(|n| (inputs.places[n].clone(), inputs.overlays[n].digest())).collect(),
                epoch: inputs.recipe.image.epoch,
                work: work.path().to_owned(),
                result: result.path().to_owned(),
            };
            sandbox::run_inside::<()>("configure", &job, progress)?;
            store.put("configure", key, result)?
        }
    };
    Ok(StepOutput { value: Changes::open(&directory)?, bytes: size_of(&directory) })
}

/// In the child: runs the programs. Only this child may remove what is left in the work directory, because of its ids.
pub fn job(job: ConfigureJob, progress: &Progress) -> Result<()> {
    let done = configure::configured(&job, progress);
    done.and(fs::remove_dir_all(&job.work).map_err(|e| Error::io("the work directory cannot be removed", &job.work, e)))
}
