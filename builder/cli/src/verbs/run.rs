//! `run`: what `build` makes, in the machine and the network that `verify` uses, for interactive use.

use crate::args::{BuildArgs, RunArgs};
use crate::built::BuiltImage;
use crate::context::Context;
use crate::project::Project;
use crate::{disks, downloads, out, print};
use diorite_checks::{Forwarded, RunEnd, RunInput, run as boot};
use diorite_model::{Error, Exit, Result};

/// Builds what has to be built, and boots it.
pub fn run(args: &RunArgs, context: &Context) -> Result<Exit> {
    let (project, disk_sha256, lock) = if args.no_build {
        let project = Project::load(&args.profile)?;
        let (disk, lock) = disks::built(&project, false)?;
        (project, disk.sha256, lock)
    } else {
        let build = BuildArgs {
            profile: args.profile.clone(),
            relock: args.relock.clone(),
            format: Vec::new(),
            signing: args.signing.clone(),
            unsigned_digests: None,
            paranoid: false,
        };
        let built = BuiltImage::make(&build, context)?;
        (built.project, built.build.disk_sha256, (*built.lock).clone())
    };
    let tools = downloads::tools(&project, &lock, context)?;
    let disk = project.results.raw();
    let input = RunInput {
        tools: &tools,
        disk: &disk,
        disk_sha256,
        recipe: &project.recipe,
        out: project.results.directory(),
        forwards: &args.forward,
        shell: args.shell,
        keep: args.keep,
        progress: &context.progress,
    };
    // stdout is the machine's console; the table goes there only for programs.
    let mut written = Ok(());
    let end = boot(&input, &mut |table: &[Forwarded]| match context.json {
        true => written = out::print(print::forwarded(table, true)),
        false => context.progress.say(print::forwarded(table, false)),
    })?;
    written?;
    match end {
        RunEnd::Shell(status) if status != 0 && !std::io::IsTerminal::is_terminal(&std::io::stdin()) => {
            Err(Error::new(Exit::VerificationFailed, format!("the commands have ended with status {status}")))
        }
        _ => Ok(Exit::Done),
    }
}
