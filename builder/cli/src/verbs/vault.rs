//! `vault export` and `vault import`: a lock with all its bytes, for a build with no network.

use super::Context;
use crate::args::Vault;
use crate::project::Project;
use diorite_archive::{fetch, vault};
use diorite_model::{Exit, Result};

/// Exports or imports.
pub fn run(verb: &Vault, context: &Context) -> Result<Exit> {
    let store = context.store()?;
    match verb {
        Vault::Export { target, file } => {
            let project = Project::load(target)?;
            let lock = project.lock(&project.lock_file)?;
            let packages = lock.packages();
            let pool = fetch::fetch(&packages, &lock, || project.archive(), &store, &context.progress)?;
            vault::export(&project.lock_file, &lock, &pool, file, &context.progress)?;
            println!("{}: {} packages", file.display(), packages.len());
        }
        Vault::Import { file } => {
            let count = vault::import(file, &store, &context.progress)?;
            println!("{} packages are in the store", count.lock.packages().len());
        }
    }
    Ok(Exit::Done)
}
