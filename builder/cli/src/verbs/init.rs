//! `init`: a project of one's own.

use crate::args::InitArgs;
use crate::context::Context;
use crate::{init, out, print_init};
use diorite_model::{Exit, Result};

/// Writes the files and says what comes next.
pub fn init(args: &InitArgs, context: &Context) -> Result<Exit> {
    let name = args.name.clone().unwrap_or_else(|| init::profile_name(&args.directory, args.like.name()));
    let files = init::files_of(args.like, &name);
    init::write(&args.directory, &files)?;
    out::print(print_init::project(&args.directory, &name, args.like, &files, context.json))?;
    Ok(Exit::Done)
}
