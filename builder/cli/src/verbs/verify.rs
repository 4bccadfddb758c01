//! `verify`: the disk, its digest, the recipe and the tools tree go in; a report comes out.

mod reopen;

use super::{Context, build};
use crate::args::{Target, VerifyArgs};
use crate::print;
use crate::project::Project;
use diorite_archive::lockfile;
use diorite_checks::{Choice, VerifyInput, plan};
use diorite_host::tools::ToolsTree;
use diorite_model::plan::Build;
use diorite_model::profile::Settings;
use diorite_model::{Digest, Error, Exit, Lock, Recipe, Result};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Boots what `build` left in `out/NAME`, or a disk from somewhere else; or shows what it would be asked.
pub fn verify(args: &VerifyArgs, context: &Context) -> Result<Exit> {
    if let Some(directory) = &args.reopen {
        return reopen::reopen(directory, args, context);
    }
    let target = args.target();
    let choice = Choice { only: args.only.clone(), skip: args.skip.clone(), shard: args.shard };
    let (project, disk) = match &args.recipe {
        None => (Project::load(&target)?, None),
        Some(file) => (foreign(&target, file)?, Some(PathBuf::from(&target.name))),
    };
    if args.list {
        let all = plan::of(&project.recipe, &project.settings.checks);
        print!("{}", print::checks(&choice.of(all)?, context.json));
        return Ok(Exit::Done);
    }
    let (disk, disk_sha256, lock) = match disk {
        None => built(&project, args.relock)?,
        Some(disk) => {
            let lock = any_lock(&project, &target)?;
            (disk.clone(), raw_digest(&disk)?, lock)
        }
    };
    let tools = build::tools(&project, &lock, &context.store()?, context)?;
    let wanted = Wanted {
        choice: &choice,
        runs: args.repeat,
        boot: args.boot,
        disk,
        ..Wanted::of(&project, disk_sha256, &tools)
    };
    run(&wanted, context)
}

/// The disk that `build` left, its digest, and the lock it was made from.
pub fn built(project: &Project, relock: bool) -> Result<(PathBuf, Digest, Lock)> {
    let file = project.out.join("build.json");
    let text = std::fs::read(&file).map_err(|e| {
        Error::io(format!("`{}` has not been built", project.name), &file, e)
            .hint(format!("run `diorite build {}`", project.name))
    })?;
    let built: Build = serde_json::from_slice(&text).map_err(|e| {
        Error::input("build.json is damaged").at(file.display().to_string()).because(e).hint("build again")
    })?;
    if built.recipe_digest != project.recipe.digest() {
        return Err(Error::input(format!("`{}` has changed since it was built", project.name))
            .at(file.display().to_string())
            .because("the disk is of another recipe than the profile's")
            .hint(format!("run `diorite build {}`", project.name)));
    }
    // The tools tree of the lock the disk was made from, whichever of the two that was.
    let lock = match project.lock_at_hand(relock) {
        Ok(lock) if lock.digest() == built.lock_digest => lock,
        other => match project.scratch_lock() {
            Some((scratch, _)) if scratch.digest() == built.lock_digest => scratch,
            _ => other?,
        },
    };
    Ok((project.out.join("disk.raw"), built.disk_sha256, lock))
}

/// What a disk from somewhere else was made from: a profile, or a recipe.json.
pub fn foreign(target: &Target, file: &Path) -> Result<Project> {
    let stem = Path::new(&target.name).file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let out = target.out.clone().unwrap_or_else(|| Path::new("out").join(stem));
    if file.extension().is_none_or(|e| e != "json") {
        let target = Target { name: file.display().to_string(), lock: target.lock.clone(), out: None };
        let project = Project::load(&target)?;
        // Its own directory of results may hold a lock; the results of this go elsewhere.
        let scratch = project.scratch_file();
        let lock_file = if project.lock_file.exists() { project.lock_file.clone() } else { scratch };
        return Ok(Project { out, lock_file, ..project });
    }
    let text = std::fs::read(file).map_err(|e| Error::io("the recipe cannot be read", file, e))?;
    let recipe: Recipe = serde_json::from_slice(&text).map_err(|e| {
        let error = Error::input("this is not a recipe of this version").at(file.display().to_string()).because(e);
        error.hint("give the profile the disk was made from, or the recipe.json of a build by this program")
    })?;
    let directory = file.parent().map(Path::to_owned).unwrap_or_default();
    let own = Path::new("profiles").join(format!("{}.lock", recipe.image.name));
    let near = directory.join("scratch.lock");
    let lock_file = target.lock.clone().unwrap_or(if near.exists() { near } else { own });
    let settings = Settings::default();
    Ok(Project { name: recipe.image.name.clone(), recipe, settings, lock_file, out, directory })
}

/// A lock to take the tools from; which disk it belongs to is no matter.
pub fn any_lock(project: &Project, target: &Target) -> Result<Lock> {
    let file = target.lock.as_ref().unwrap_or(&project.lock_file);
    if !file.exists() {
        let error = Error::new(Exit::LockOutdated, "there is no lock to take the tools from");
        return Err(error.at(file.display().to_string()).hint("name one with --lock: of any profile"));
    }
    lockfile::read(file)
}

/// The digest of a raw disk.
pub fn raw_digest(disk: &Path) -> Result<Digest> {
    let fail = |e| Error::io("the disk cannot be read", disk, e);
    let mut start = [0; 4];
    let read = std::fs::File::open(disk).and_then(|mut f| f.read(&mut start)).map_err(fail)?;
    if start[..read] == *b"QFI\xfb" {
        let error = Error::input("this is a qcow2 image, not a raw disk").at(disk.display().to_string());
        return Err(error.hint("`qemu-img convert -O raw` makes one of it"));
    }
    diorite_checks::disk_digest(disk)
}

/// What is verified, and how.
pub struct Wanted<'a> {
    project: &'a Project,
    disk: PathBuf,
    disk_sha256: Digest,
    choice: &'a Choice,
    runs: u32,
    boot: bool,
    tools: &'a ToolsTree,
}

/// Every check.
const ALL: &Choice = &Choice { only: Vec::new(), skip: Vec::new(), shard: None };

impl<'a> Wanted<'a> {
    /// Everything about the disk that `build` left, once.
    pub fn of(project: &'a Project, disk_sha256: Digest, tools: &'a ToolsTree) -> Self {
        Self { project, disk: project.out.join("disk.raw"), disk_sha256, choice: ALL, runs: 1, boot: false, tools }
    }
}

/// Boots the disk in the lab, prints the report and where everything is.
pub fn run(wanted: &Wanted<'_>, context: &Context) -> Result<Exit> {
    let Wanted { project, choice, runs, boot, tools, .. } = *wanted;
    let (disk, out): (&Path, &Path) = (&wanted.disk, &project.out);
    let disk_sha256 = wanted.disk_sha256;
    let (recipe, own, progress) = (&project.recipe, project.settings.checks.as_slice(), &context.progress);
    let input = VerifyInput { disk, disk_sha256, recipe, own, choice, boot, runs, tools, out, progress };
    let report = diorite_checks::verify(&input)?;
    print!("{}", print::report(&report, out, context.json));
    Ok(if report.passed() { Exit::Done } else { Exit::VerificationFailed })
}
