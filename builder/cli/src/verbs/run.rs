//! `run`: what `build` makes, in the machine and the network that `verify` uses, for a person.

use super::{Context, build, verify};
use crate::args::{BuildArgs, RunArgs};
use crate::print;
use crate::project::Project;
use diorite_checks::{Forwarded, RunEnd, RunInput, run as boot};
use diorite_model::{Error, Exit, Result};

/// Builds what has to be built, and boots it.
pub fn run(args: &RunArgs, context: &Context) -> Result<Exit> {
    let (project, disk_sha256, lock) = if args.no_build {
        let project = Project::load(&args.target)?;
        let (_, digest, lock) = verify::built(&project, args.relock)?;
        (project, digest, lock)
    } else {
        let build = BuildArgs { target: args.target.clone(), relock: args.relock, format: Vec::new(), no_qcow2: false };
        let built = build::build_silently(&build, context)?;
        (built.project, built.build.disk_sha256, built.lock)
    };
    let tools = build::tools(&project, &lock, &context.store()?, context)?;
    let disk = project.out.join("disk.raw");
    let input = RunInput {
        tools: &tools,
        disk: &disk,
        disk_sha256,
        recipe: &project.recipe,
        out: &project.out,
        forwards: &args.forward,
        shell: args.shell,
        keep: args.keep,
        progress: &context.progress,
    };
    // The table belongs to stdout only where a program reads it: there the machine speaks.
    let end = boot(&input, &mut |table: &[Forwarded]| match context.json {
        true => print!("{}", print::forwarded(table, true)),
        false => context.progress.say(print::forwarded(table, false)),
    })?;
    match end {
        RunEnd::Shell(status) if status != 0 && !std::io::IsTerminal::is_terminal(&std::io::stdin()) => {
            Err(Error::new(Exit::VerificationFailed, format!("the commands have ended with status {status}")))
        }
        _ => Ok(Exit::Done),
    }
}
