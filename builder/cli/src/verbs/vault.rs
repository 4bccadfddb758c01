//! `vault export` and `vault import`: a lock with all its bytes, for a build with no network.

use crate::args::VaultVerb;
use crate::context::Context;
use crate::lock::CheckedLock;
use crate::project::Project;
use crate::project_directory::{self, PROFILES};
use crate::{downloads, out, print};
use diorite_archive::vault::{Checkout, VaultImport};
use diorite_archive::{lockfile, vault};
use diorite_model::{Error, Exit, Result};
use std::path::PathBuf;

/// Exports or imports.
pub fn run(verb: &VaultVerb, context: &Context) -> Result<Exit> {
    let store = context.store()?;
    match verb {
        VaultVerb::Export { profile, file, source } => {
            let checkout = source.as_deref().map(|source| Checkout::read(source, &cargo_home()?)).transpose()?;
            let project = Project::load(profile)?;
            let lock = CheckedLock::own(&project)?;
            let packages = lock.packages();
            let pool = downloads::pool(&project, &lock, &packages, context)?;
            let digest = vault::export(&project.lock_file, &lock, &pool, checkout.as_ref(), file, &context.progress)?;
            let source = checkout.map(|checkout| (checkout.source.files.len(), checkout.source.crates.len()));
            out::print(print::exported(file, packages.len(), source, &digest, context.json))?;
        }
        VaultVerb::Import { file, source } => {
            let imported = vault::import(file, source.as_deref(), &store, &context.progress)?;
            let lock = keep_lock(&imported)?;
            out::print(print::imported(&imported, lock.as_deref(), context.json))?;
        }
    }
    Ok(Exit::Done)
}

/// Where cargo has its cache: `$CARGO_HOME`, else `~/.cargo`.
fn cargo_home() -> Result<PathBuf> {
    let named = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    named("CARGO_HOME").or_else(|| named("HOME").map(|home| home.join(".cargo"))).ok_or_else(|| {
        Error::host("cargo's cache of crates is not known")
            .because("neither CARGO_HOME nor HOME names a directory")
            .hint("set CARGO_HOME")
    })
}

/// Puts the lock where `build` looks for it, and returns that path. Outside a project there is none.
fn keep_lock(imported: &VaultImport) -> Result<Option<PathBuf>> {
    let directory = project_directory::path().join(PROFILES);
    if !directory.is_dir() {
        return Ok(None);
    }
    let file = directory.join(&imported.lock_name);
    if !file.exists() {
        lockfile::write(&imported.lock, &file)?;
    } else if lockfile::read(&file).ok().as_ref() != Some(&imported.lock) {
        return Err(Error::input("there is another lock where the vault's lock belongs")
            .at(file.display().to_string())
            .because("a lock is never overwritten; the vault's packages are in the store")
            .hint("move that file away (version control has it) and import again"));
    }
    Ok(Some(file))
}
