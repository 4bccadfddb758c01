//! `verify`: the disk, its digest, the recipe and the tools tree go in; a report comes out.

use super::{Context, build};
use crate::args::VerifyArgs;
use crate::print;
use crate::project::Project;
use diorite_checks::{Choice, VerifyInput, plan, verify as boot};
use diorite_host::tools::ToolsTree;
use diorite_model::plan::Build;
use diorite_model::{Digest, Error, Exit, Result};
use std::path::Path;

/// Boots what `build` left in `out/NAME`, or shows what it would be asked.
pub fn verify(args: &VerifyArgs, context: &Context) -> Result<Exit> {
    let choice = Choice { only: args.only.clone(), shard: args.shard };
    let project = Project::load(&args.target)?;
    if args.list {
        print!("{}", print::checks(&choice.of(plan::of(&project.recipe))?, context.json));
        return Ok(Exit::Done);
    }
    let file = project.out.join("build.json");
    let text = std::fs::read(&file).map_err(|e| {
        Error::io(format!("`{}` has not been built", project.name), &file, e)
            .hint(format!("run `diorite build {}`", project.name))
    })?;
    let built: Build = serde_json::from_slice(&text).map_err(|e| {
        Error::input("build.json is damaged").at(file.display().to_string()).because(e).hint("build again")
    })?;
    // The tools tree of the lock the disk was made from, whichever of the two that was.
    let lock = match project.lock_at_hand(args.relock) {
        Ok(lock) if lock.digest() == built.lock_digest => lock,
        other => match project.scratch_lock() {
            Some((scratch, _)) if scratch.digest() == built.lock_digest => scratch,
            _ => other?,
        },
    };
    let tools = build::tools(&project, &lock, &context.store()?, context)?;
    run(&Wanted { choice: &choice, runs: args.repeat, ..Wanted::of(&project, built.disk_sha256, &tools) }, context)
}

/// What is verified, and how.
pub struct Wanted<'a> {
    project: &'a Project,
    disk: std::path::PathBuf,
    disk_sha256: Digest,
    choice: &'a Choice,
    runs: u32,
    tools: &'a ToolsTree,
}

/// Every check.
const ALL: &Choice = &Choice { only: Vec::new(), shard: None };

impl<'a> Wanted<'a> {
    /// Everything about the disk that `build` left, once.
    pub fn of(project: &'a Project, disk_sha256: Digest, tools: &'a ToolsTree) -> Self {
        Self { project, disk: project.out.join("disk.raw"), disk_sha256, choice: ALL, runs: 1, tools }
    }
}

/// Boots the disk in the lab, prints the report and where everything is.
pub fn run(wanted: &Wanted<'_>, context: &Context) -> Result<Exit> {
    let Wanted { project, choice, runs, tools, .. } = *wanted;
    let (disk, out): (&Path, &Path) = (&wanted.disk, &project.out);
    let disk_sha256 = wanted.disk_sha256;
    let recipe = &project.recipe;
    let report =
        boot(&VerifyInput { disk, disk_sha256, recipe, choice, runs, tools, out, progress: &context.progress })?;
    print!("{}", print::report(&report, out, context.json));
    Ok(if report.passed() { Exit::Done } else { Exit::VerificationFailed })
}
