//! `lock`: the recipe, resolved against the archive as it is now.

use crate::args::ProfileArgs;
use crate::context::Context;
use crate::project::Project;
use crate::{out, print};
use diorite_archive::{lockfile, resolve};
use diorite_model::{Exit, Result};

/// Writes the lock, or says what would change in it.
pub fn lock(profile: &ProfileArgs, update: bool, context: &Context) -> Result<Exit> {
    let project = Project::load(profile)?;
    let old = project.lock_file.exists().then(|| lockfile::read(&project.lock_file)).transpose()?;
    let new = project.resolve(old.as_ref(), &context.progress)?;
    let changes = old.as_ref().map(|old| resolve::explain_update(old, &new));
    let written = old.is_none() || update;
    if written {
        lockfile::write(&new, &project.lock_file)?;
    }
    out::print(print::locked(&project.lock_file, &new, changes.as_deref(), written, context.json))?;
    Ok(Exit::Done)
}
