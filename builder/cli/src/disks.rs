//! The disk to boot: the one that `build` left, or one from somewhere else; with its digest and a lock for the tools.

use crate::args::{PathArgs, ProfileArgs};
use crate::lock::CheckedLock;
use crate::project::Project;
use crate::project_directory::{self, PROFILES};
use crate::results::Results;
use diorite_archive::lockfile;
use diorite_model::plan::Build;
use diorite_model::profile::Settings;
use diorite_model::{Digest, Error, Exit, Lock, Recipe, Result};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// A raw disk image.
#[derive(Debug, Clone)]
pub struct RawDisk {
    /// Where it is.
    pub file: PathBuf,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
}

/// What `build` has made, when that is what the profile says today. Otherwise `next` would make it.
pub fn build_of(project: &Project, next: &str) -> Result<Build> {
    let build = project.results.read_build(&project.name, next)?;
    if build.recipe_digest != project.recipe.digest() {
        return Err(Error::input(format!("`{}` has changed since it was built", project.name))
            .at(project.results.build().display().to_string())
            .because("the disk was built from another recipe than the profile's")
            .hint(format!("run {next}")));
    }
    Ok(build)
}

/// The disk that `build` left, its digest, and the lock whose tools boot it. With `scratch` the scratch lock goes first.
pub fn built(project: &Project, scratch: bool) -> Result<(RawDisk, Lock)> {
    let build = build_of(project, &format!("`diorite build {}`", project.name))?;
    // The tools tree of the lock the disk was made from, whichever of the two that was.
    let lock = match CheckedLock::at_hand(project, scratch) {
        Ok(lock) if lock.digest() == build.lock_digest => lock,
        other => match CheckedLock::scratch(project) {
            Some((scratch, _)) if scratch.digest() == build.lock_digest => scratch,
            _ => other?,
        },
    };
    Ok((RawDisk { file: project.results.raw(), sha256: build.disk_sha256 }, (*lock).clone()))
}

/// A disk from somewhere else, and the lock whose tools boot it.
pub fn foreign(project: &Project, disk: &str, paths: &PathArgs) -> Result<(RawDisk, Lock)> {
    let lock = any_lock(project, paths)?;
    let file = PathBuf::from(disk);
    Ok((RawDisk { sha256: raw_digest(&file)?, file }, lock))
}

/// What a disk from somewhere else was made from: a profile, or a recipe.json.
pub fn foreign_project(disk: &str, paths: &PathArgs, file: &Path) -> Result<Project> {
    let stem = Path::new(disk).file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let results = Results::of(paths, &stem);
    if file.extension().is_none_or(|e| e != "json") {
        let paths = PathArgs { lock: paths.lock.clone(), out: None };
        let project = Project::load(&ProfileArgs { name: file.display().to_string(), paths })?;
        // The profile's own results directory may hold a lock; the results of this go elsewhere.
        let scratch = project.results.scratch_lock();
        let lock_file = if project.lock_file.exists() { project.lock_file.clone() } else { scratch };
        return Ok(Project { results, lock_file, ..project });
    }
    let text = fs::read(file).map_err(|e| Error::io("the recipe cannot be read", file, e))?;
    let recipe: Recipe = serde_json::from_slice(&text).map_err(|e| {
        let error = Error::input("this is not a recipe of this version").at(file.display().to_string()).because(e);
        error.hint("give the profile the disk was made from, or the recipe.json of a build by this program")
    })?;
    let directory = file.parent().map(Path::to_owned).unwrap_or_default();
    let own = project_directory::path().join(PROFILES).join(format!("{}.lock", recipe.image.name));
    let near = Results::beside(file).scratch_lock();
    let lock_file = paths.lock.clone().unwrap_or(if near.exists() { near } else { own });
    let settings = Settings::default();
    Ok(Project { name: recipe.image.name.clone(), recipe, settings, lock_file, results, directory })
}

/// A lock to take the tools from; it need not be that of the disk.
fn any_lock(project: &Project, paths: &PathArgs) -> Result<Lock> {
    let file = paths.lock.as_ref().unwrap_or(&project.lock_file);
    if !file.exists() {
        let error = Error::new(Exit::LockOutdated, "there is no lock to take the tools from");
        return Err(error.at(file.display().to_string()).hint("name the lock of any profile with --lock"));
    }
    lockfile::read(file)
}

/// The digest of a raw disk.
pub fn raw_digest(disk: &Path) -> Result<Digest> {
    let fail = |e| Error::io("the disk cannot be read", disk, e);
    let mut start = [0; 4];
    let read = fs::File::open(disk).and_then(|mut f| f.read(&mut start)).map_err(fail)?;
    if start[..read] == *b"QFI\xfb" {
        let error = Error::input("this is a qcow2 image, not a raw disk").at(disk.display().to_string());
        return Err(error.hint("convert it: `qemu-img convert -O raw`"));
    }
    diorite_checks::disk_digest(disk)
}
