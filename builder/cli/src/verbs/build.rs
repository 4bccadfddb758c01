//! `plan`, `fetch`, `build`, `image`: from a lock to a disk, and on to its verification.

use super::verify::{self, VerifyRequest};
use crate::args::{BuildArgs, PlanArgs, ProfileArgs};
use crate::build::{self, BuildInputs};
use crate::built::{self, BuiltImage};
use crate::context::Context;
use crate::lock::CheckedLock;
use crate::project::Project;
use crate::signing::{self, DiskSigning};
use crate::{downloads, file, out, print};
use diorite_model::{Exit, Result};
use std::path::Path;

/// Shows the steps and which results are there.
pub fn plan(args: &PlanArgs, context: &Context) -> Result<Exit> {
    let project = Project::load(&args.profile)?;
    let inputs = BuildInputs::read(&project, CheckedLock::at_hand(&project, args.lock.scratch_lock)?)?;
    let store = context.store()?;
    out::print(print::plan(&build::plan(&project, inputs, &store).steps(), context.json))?;
    Ok(Exit::Done)
}

/// Downloads everything the lock names.
pub fn fetch(profile: &ProfileArgs, context: &Context) -> Result<Exit> {
    let project = Project::load(profile)?;
    let lock = CheckedLock::own(&project)?;
    let packages = lock.packages();
    downloads::pool(&project, &lock, &packages, context)?;
    out::line(print::fetched(packages.len(), packages.iter().map(|p| p.size).sum(), context.json))?;
    Ok(Exit::Done)
}

/// Builds the disk image; or only what of it is to be signed elsewhere.
pub fn run(args: &BuildArgs, context: &Context) -> Result<Exit> {
    match &args.unsigned_digests {
        Some(file) => digests(args, file, context),
        None => build(args, context).map(|_| Exit::Done),
    }
}

/// Writes what is to be signed of the boot programs.
fn digests(args: &BuildArgs, to: &Path, context: &Context) -> Result<Exit> {
    let project = Project::load(&args.profile)?;
    let signing = DiskSigning::of(&args.signing, true)?;
    signing.suits(&project.recipe)?;
    let store = context.store()?;
    let (lock, _) = built::lock(&project, args.relock.relock, context)?;
    let inputs = BuildInputs::read(&project, lock.clone())?.signed(signing);
    let pool = || downloads::pool(&project, &lock, &lock.of_image(), context);
    let programs = build::plan(&project, inputs, &store).programs(&pool, &context.progress)?;
    file::write(to, &file::pretty(&signing::requests(&programs)?))?;
    out::line(format!("{}: what is to be signed; then build again with --signatures", to.display()))?;
    Ok(Exit::Done)
}

/// Builds the disk image and prints the table of its steps.
pub fn build(args: &BuildArgs, context: &Context) -> Result<BuiltImage> {
    let built = BuiltImage::make(args, context)?;
    out::print(print::built(&built.build, built.project.results.directory(), context.json))?;
    Ok(built)
}

/// Builds, verifies, and says where the result is.
pub fn image(args: &BuildArgs, context: &Context) -> Result<Exit> {
    if args.unsigned_digests.is_some() {
        return run(args, context);
    }
    let built = build(args, context)?;
    let tools = downloads::tools(&built.project, &built.lock, context)?;
    verify::run(&VerifyRequest::of(&built.project, built.build.disk_sha256, &tools), context)
}
