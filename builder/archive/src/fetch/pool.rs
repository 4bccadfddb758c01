//! Pool: the verified .debs of a store.

use super::held;
use diorite_host::progress::{BarUnit, Progress, bytes};
use diorite_host::{file, store::Store};
use diorite_model::{Error, Exit, LockedPackage, Result};
use rayon::prelude::*;
use std::path::PathBuf;

/// The store's packages. Made by [`super::fetch`] or [`Pool::complete`], so what was asked for is there.
#[derive(Debug, Clone)]
pub struct Pool {
    store: Store,
}

impl Pool {
    pub(super) fn new(store: &Store) -> Self {
        Self { store: store.clone() }
    }

    /// The pool, if it holds all of these already; no network. Error: [`Exit::Host`] naming what is missing.
    pub fn complete(packages: &[&LockedPackage], store: &Store) -> Result<Self> {
        let missing = super::missing(packages, store);
        if missing.is_empty() {
            return Ok(Self::new(store));
        }
        let mut lines: Vec<_> = missing.iter().take(10).map(|p| format!("{} {}", p.name, p.version)).collect();
        if missing.len() > lines.len() {
            lines.push(format!("and {} more", missing.len() - lines.len()));
        }
        Err(Error::host(format!("{} packages of the lock are not in the store", missing.len()))
            .at(store.root().display().to_string())
            .detail(lines.join("\n"))
            .hint("`diorite fetch NAME` brings them, or `diorite vault import FILE` without a network"))
    }

    /// The file of a package. Whether it is there was decided when the pool was made.
    pub fn path(&self, package: &LockedPackage) -> PathBuf {
        self.store.blob(&package.sha256)
    }

    /// Hashes these packages again. Damaged files are removed and named in the error, so that the next fetch brings
    /// them again; nothing else ever reads a file that is not in the pool.
    pub fn verify(&self, packages: &[&LockedPackage], progress: &Progress) -> Result<()> {
        let stage = progress.stage("verify the pool");
        let total = packages.iter().map(|p| p.size).sum();
        let bar = stage.bar(total, BarUnit::Bytes);
        let check = |package: &&LockedPackage| -> Result<Option<String>> {
            let path = self.path(package);
            let found = match held(&self.store, package) {
                true => Some(file::sha256_with(&path, "a package of the store", &|n| bar.inc(n))?.0),
                false => None,
            };
            if found == Some(package.sha256) {
                return Ok(None);
            }
            match std::fs::remove_file(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    Err(Error::io("a damaged package cannot be removed", &path, e))
                }
                _ => Ok(Some(format!("{} {} ({})", package.name, package.version, path.display()))),
            }
        };
        let damaged: Vec<_> = packages.par_iter().map(check).collect::<Result<Vec<_>>>()?;
        let damaged: Vec<_> = damaged.into_iter().flatten().collect();
        if damaged.is_empty() {
            stage.done(format!("{} packages, {}", packages.len(), bytes(total)));
            return Ok(());
        }
        Err(Error::new(Exit::Host, format!("{} packages of the store are damaged or missing", damaged.len()))
            .at(self.store.root().display().to_string())
            .detail(damaged.join("\n"))
            .because("their SHA-256 is not the one in the lock, though it was when they were stored")
            .hint("they were removed: fetch again, and look at the disk's health"))
    }
}
