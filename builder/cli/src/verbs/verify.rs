//! `verify`: the disk, its digest, the recipe and the tools tree go in; a report comes out.

mod reopen;

use crate::args::{ProfileArgs, VerifyArgs};
use crate::context::Context;
use crate::disks::{self, RawDisk};
use crate::project::Project;
use crate::{downloads, out, print};
use diorite_checks::{Choice, VerifyInput, plan};
use diorite_host::tools::ToolsTree;
use diorite_model::{Digest, Error, Exit, Result, profile};
use std::fs;

/// Boots what `build` left in `out/NAME`, or a disk from somewhere else; or lists the checks.
pub fn verify(args: &VerifyArgs, context: &Context) -> Result<Exit> {
    if let Some(directory) = &args.reopen {
        return reopen::reopen(directory, args, context);
    }
    let name = args.name.as_deref().unwrap_or_default();
    let choice = Choice { only: args.only.clone(), skip: args.skip.clone(), shard: args.shard };
    let project = match &args.recipe {
        None => profile_of(name, args)?,
        Some(file) => disks::foreign_project(name, &args.paths, file)?,
    };
    if args.list {
        let all = plan::of(&project.recipe, &project.settings.checks);
        out::print(print::checks(&choice.of(all)?, context.json))?;
        return Ok(Exit::Done);
    }
    let (disk, lock) = match &args.recipe {
        None => disks::built(&project, args.lock.scratch_lock)?,
        Some(_) => disks::foreign(&project, name, &args.paths)?,
    };
    let tools = downloads::tools(&project, &lock, context)?;
    let request =
        VerifyRequest { project: &project, disk, choice: &choice, runs: args.repeat, boot: args.boot, tools: &tools };
    run(&request, context)
}

/// The profile of this name; a disk in its place lacks `--recipe`.
fn profile_of(name: &str, args: &VerifyArgs) -> Result<Project> {
    let too_large = |m: fs::Metadata| m.is_file() && m.len() > profile::LARGEST as u64;
    if !name.ends_with(".toml") && name.contains('/') && fs::metadata(name).is_ok_and(too_large) {
        let error = Error::input("a disk needs the recipe it was built from").at(name);
        return Err(error.hint("add `--recipe FILE`: the profile, or the recipe.json of its build"));
    }
    Project::load(&ProfileArgs { name: name.to_owned(), paths: args.paths.clone() })
}

/// What is verified, and how.
pub struct VerifyRequest<'a> {
    project: &'a Project,
    disk: RawDisk,
    choice: &'a Choice,
    runs: u32,
    boot: bool,
    tools: &'a ToolsTree,
}

/// Every check.
const ALL: &Choice = &Choice { only: Vec::new(), skip: Vec::new(), shard: None };

impl<'a> VerifyRequest<'a> {
    /// Every check of the disk that `build` left, once.
    pub fn of(project: &'a Project, sha256: Digest, tools: &'a ToolsTree) -> Self {
        let disk = RawDisk { file: project.results.raw(), sha256 };
        Self { project, disk, choice: ALL, runs: 1, boot: false, tools }
    }
}

/// Boots the disk in the lab, prints the report and where everything is.
pub fn run(request: &VerifyRequest<'_>, context: &Context) -> Result<Exit> {
    let VerifyRequest { project, choice, runs, boot, tools, .. } = *request;
    let RawDisk { file: disk, sha256: disk_sha256 } = &request.disk;
    let (disk_sha256, out) = (*disk_sha256, project.results.directory());
    let (recipe, own, progress) = (&project.recipe, project.settings.checks.as_slice(), &context.progress);
    let input = VerifyInput { disk, disk_sha256, recipe, own, choice, boot, runs, tools, out, progress };
    let report = diorite_checks::verify(&input)?;
    out::print(print::report(&report, out, context.json))?;
    Ok(if report.passed() { Exit::Done } else { Exit::VerificationFailed })
}
