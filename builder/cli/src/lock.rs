//! The lock of a profile. What a build takes is a [`CheckedLock`]: only this file makes one, after comparing the lock with
//! the recipe.

use crate::project::Project;
use diorite_archive::{lockfile, wheels};
use diorite_host::progress::Progress;
use diorite_model::{Error, Exit, Lock, Result};
use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};

/// A lock that was made for the recipe of its project.
#[derive(Debug, Clone)]
pub struct CheckedLock(Lock);

impl Deref for CheckedLock {
    type Target = Lock;
    fn deref(&self) -> &Lock {
        &self.0
    }
}

impl CheckedLock {
    /// The lock in this file, if it was made for the project's recipe.
    pub fn read(project: &Project, file: &Path) -> Result<Self> {
        let again = format!("run `diorite lock {} --update` and look at the difference", project.name);
        if !file.exists() {
            return Err(Error::new(Exit::LockOutdated, format!("profile `{}` has no lock", project.name))
                .at(file.display().to_string())
                .hint(format!("run `diorite lock {}`", project.name)));
        }
        let lock = lockfile::read(file)?;
        if lock.recipe != project.recipe.digest() {
            return Err(Error::new(
                Exit::LockOutdated,
                format!("the lock of `{}` was made for another recipe", project.name),
            )
            .at(file.display().to_string())
            .because("the profile has changed since it was locked")
            .hint(again));
        }
        let locked: Vec<_> = lock.container.keys().collect();
        let declared: Vec<_> = project.recipe.containers.keys().collect();
        if locked != declared {
            let what = format!("the lock of `{}` is not for the profile's containers", project.name);
            return Err(Error::new(Exit::LockOutdated, what)
                .at(file.display().to_string())
                .because(format!("it is for {locked:?}, and the profile has {declared:?}"))
                .hint(again));
        }
        wheels::agree(&project.recipe, &lock)?;
        Ok(Self(lock))
    }

    /// The profile's own lock.
    pub fn own(project: &Project) -> Result<Self> {
        Self::read(project, &project.lock_file)
    }

    /// The lock that an image carries, if it was made for the project's recipe.
    pub fn carried(project: &Project, text: &str, image: &Path) -> Result<Self> {
        let lock = lockfile::parse(text, image)?;
        match lock.recipe == project.recipe.digest() {
            true => Ok(Self(lock)),
            false => Err(Error::input("the lock that the image carries is for another recipe than the one it carries")
                .at(image.display().to_string())
                .hint("build the image again")),
        }
    }

    /// Resolves the project's recipe against the archive as it is now.
    pub fn resolve(project: &Project, progress: &Progress) -> Result<Self> {
        project.resolve(None, progress).map(Self)
    }

    /// The scratch lock, which an earlier `--relock` made: while it belongs to the recipe and is newer than the profile's own
    /// lock. A profile that has been locked again since is meant to be built from that lock.
    pub fn scratch(project: &Project) -> Option<(Self, PathBuf)> {
        let file = project.results.scratch_lock();
        let made = fs::metadata(&file).and_then(|m| m.modified()).ok()?;
        let own = fs::metadata(&project.lock_file).and_then(|m| m.modified());
        if own.is_ok_and(|own| own > made) {
            return None;
        }
        Some((Self::read(project, &file).ok()?, file))
    }

    /// A lock without using the network: with `scratch` the scratch lock goes before the profile's own.
    pub fn at_hand(project: &Project, scratch: bool) -> Result<Self> {
        match scratch.then(|| Self::scratch(project)).flatten() {
            Some((lock, _)) => Ok(lock),
            None => Self::own(project),
        }
    }
}
