//! `plan`, `fetch`, `build`, `image`: from a lock to a disk, and on to its verification.

use super::verify::{self, VerifyRequest};
use crate::args::{BuildArgs, PlanArgs, ProfileArgs};
use crate::build::{self, BuildInputs};
use crate::built::BuiltImage;
use crate::context::Context;
use crate::lock::CheckedLock;
use crate::project::Project;
use crate::{downloads, out, paranoid, print, print_paranoid};
use diorite_model::{Exit, Result};

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

/// Builds the disk image and prints the table of its steps.
pub fn build(args: &BuildArgs, context: &Context) -> Result<Exit> {
    made(args, context).map(|(_, exit)| exit)
}

/// The image; and whether every step gave the same twice, where that was asked for.
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
    let (built, exit) = made(args, context)?;
    if exit != Exit::Done {
        return Ok(exit);
    }
    let tools = downloads::tools(&built.project, &built.lock, context)?;
    verify::run(&VerifyRequest::of(&built.project, built.build.disk_sha256, &tools), context)
}
