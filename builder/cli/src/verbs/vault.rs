//! `vault export` and `vault import`: a lock with all its bytes, for a build with no network.

use super::Context;
use crate::args::Vault;
use crate::print;
use crate::project::Project;
use diorite_archive::vault::VaultImport;
use diorite_archive::{fetch, lockfile, vault};
use diorite_model::{Error, Exit, Result};
use std::path::{Path, PathBuf};

/// Exports or imports.
pub fn run(verb: &Vault, context: &Context) -> Result<Exit> {
    let store = context.store()?;
    match verb {
        Vault::Export { target, file } => {
            let project = Project::load(target)?;
            let lock = project.lock(&project.lock_file)?;
            let packages = lock.packages();
            let pool = fetch::fetch(&packages, &lock, || project.archive(), &store, &context.progress)?;
            let digest = vault::export(&project.lock_file, &lock, &pool, file, &context.progress)?;
            print!("{}", print::exported(file, packages.len(), &digest, context.json));
        }
        Vault::Import { file } => {
            let imported = vault::import(file, &store, &context.progress)?;
            let lock = keep_lock(&imported)?;
            print!("{}", print::imported(&imported, lock.as_deref(), context.json));
        }
    }
    Ok(Exit::Done)
}

/// Puts the lock where `build` looks for it, and says where that is. Outside a project there is no such place.
fn keep_lock(imported: &VaultImport) -> Result<Option<PathBuf>> {
    let directory = Path::new("profiles");
    if !directory.is_dir() {
        return Ok(None);
    }
    let file = directory.join(&imported.lock_name);
    if !file.exists() {
        lockfile::write(&imported.lock, &file)?;
    } else if lockfile::read(&file).ok().as_ref() != Some(&imported.lock) {
        return Err(Error::input("another lock stands where the vault's lock belongs")
            .at(file.display().to_string())
            .because("a lock is never overwritten; the vault's packages are in the store")
            .hint("move that file away (version control has it) and import again"));
    }
    Ok(Some(file))
}
