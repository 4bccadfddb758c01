//! A step as a value, and the one place that runs steps and keeps what each of them cost.

use super::inputs::BuildInputs;
use crate::project::Project;
use diorite_archive::fetch::Pool;
use diorite_host::progress::Progress;
use diorite_host::store::Store;
use diorite_model::plan::{Step, StepResult};
use diorite_model::{Digest, Result};
use std::fs;
use std::path::Path;
use std::time::Instant;

/// What every step may use.
pub struct BuildContext<'a> {
    /// The profile and its directories.
    pub project: &'a Project,
    /// What the build depends on.
    pub inputs: &'a BuildInputs,
    /// Results of steps, by key.
    pub store: &'a Store,
    /// The packages; downloaded when first asked for.
    pub pool: &'a dyn Fn() -> Result<Pool>,
    /// Where stages are shown.
    pub progress: &'a Progress,
}

/// One input-addressed step, from `I` to `O`.
pub struct BuildStep<I, O> {
    /// What it is called in a plan.
    pub name: &'static str,
    /// Digest of all its inputs.
    pub key: Digest,
    /// Its result is there already.
    pub hit: bool,
    /// Makes the result, or takes it from the store.
    pub run: fn(&BuildContext, &Digest, &I) -> Result<StepOutput<O>>,
}

/// The result of a step.
pub struct StepOutput<T> {
    /// For the next step.
    pub value: T,
    /// Bytes on the disk.
    pub bytes: u64,
}

impl<I, O> BuildStep<I, O> {
    /// As it stands in a plan.
    pub fn planned(&self) -> Step {
        Step { name: self.name.into(), key: self.key, hit: self.hit }
    }
}

/// Runs steps and keeps what each cost.
pub struct StepRunner<'a> {
    /// What the steps use.
    pub context: BuildContext<'a>,
    /// The steps that have run, in order.
    pub results: Vec<StepResult>,
}

impl<'a> StepRunner<'a> {
    /// Nothing has run.
    pub fn new(context: BuildContext<'a>) -> Self {
        Self { context, results: Vec::new() }
    }

    /// Runs a step.
    pub fn run<I, O>(&mut self, step: &BuildStep<I, O>, input: &I) -> Result<O> {
        let started = Instant::now();
        let StepOutput { value, bytes } = (step.run)(&self.context, &step.key, input)?;
        self.results.push(StepResult { step: step.planned(), seconds: started.elapsed().as_secs_f64(), bytes });
        Ok(value)
    }
}

/// Bytes of the files of a directory.
pub fn size_of(directory: &Path) -> u64 {
    let files = fs::read_dir(directory).into_iter().flatten().flatten();
    files.filter_map(|f| f.metadata().ok()).map(|m| m.len()).sum()
}
