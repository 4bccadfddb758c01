//! `plan`, `fetch`, `build`, `image`: from a lock to a disk, and on to its verification.

use super::verify::{self, VerifyRequest};
use crate::args::{BuildArgs, PlanArgs, ProfileArgs};
use crate::build::{self, BuildInputs};
use crate::built::{self, BuiltImage};
use crate::context::Context;
use crate::lock::CheckedLock;
use crate::project::Project;
use crate::signing::{self, DiskSigning};
use crate::{downloads, file, out, paranoid, print, print_paranoid};
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
pub fn build(args: &BuildArgs, context: &Context) -> Result<Exit> {
    match &args.unsigned_digests {
        Some(file) => digests(args, file, context),
        None => made(args, context).map(|(_, exit)| exit),
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

/// Builds the disk image and prints the table of its steps. The image; and whether every step gave the same twice, where that was asked for.
fn made(args: &BuildArgs, context: &Context) -> Result<(BuiltImage, Exit)> {
    let built = BuiltImage::make(args, context)?;
    let table = |as_json| print::built(&built.build, built.project.results.directory(), as_json);
    if !args.paranoid {
        out::print(table(context.json))?;
        return Ok((built, Exit::Done));
    }
    let twice = paranoid::twice(&built, context)?;
    let text = match context.json {
        true => print_paranoid::json(&built.build, &twice),
        false => table(false) + &print_paranoid::table(&twice),
    };
    out::print(text)?;
    let exit = if twice.equal() { Exit::Done } else { Exit::NotReproducible };
    Ok((built, exit))
}

/// Builds, verifies, and says where the result is.
pub fn image(args: &BuildArgs, context: &Context) -> Result<Exit> {
    if args.unsigned_digests.is_some() {
        return build(args, context);
    }
    let (built, exit) = made(args, context)?;
    if exit != Exit::Done {
        return Ok(exit);
    }
    let tools = downloads::tools(&built.project, &built.lock, context)?;
    verify::run(&VerifyRequest::of(&built.project, built.build.disk_sha256, &tools), context)
}
