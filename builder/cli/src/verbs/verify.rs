//! `verify`: the disk, its digest, the recipe and the tools tree go in; a report comes out.

use super::{Context, build};
use crate::args::PlanArgs;
use crate::print;
use crate::project::Project;
use diorite_checks::{VerifyInput, verify as boot};
use diorite_host::tools::ToolsTree;
use diorite_model::plan::Build;
use diorite_model::{Digest, Error, Exit, Recipe, Result};

/// Boots what `build` left in `out/NAME`.
pub fn verify(args: &PlanArgs, context: &Context) -> Result<Exit> {
    let project = Project::load(&args.target)?;
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
    run(&project, &project.recipe, built.disk_sha256, &tools, context)
}

/// Boots the disk in the lab, prints the report and where everything is.
pub fn run(
    project: &Project,
    recipe: &Recipe,
    disk_sha256: Digest,
    tools: &ToolsTree,
    context: &Context,
) -> Result<Exit> {
    let disk = project.out.join("disk.raw");
    let input = VerifyInput { disk: &disk, disk_sha256, recipe, tools, out: &project.out, progress: &context.progress };
    let report = boot(&input)?;
    print!("{}", print::report(&report, &project.out, context.json));
    Ok(if report.passed() { Exit::Done } else { Exit::VerificationFailed })
}
