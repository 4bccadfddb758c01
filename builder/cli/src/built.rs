//! Arguments of `build` → the built image: what `build`, `image`, `run` and the test material have in common.

use crate::args::BuildArgs;
use crate::build::{self, BuildInputs};
use crate::context::Context;
use crate::downloads;
use crate::lock::CheckedLock;
use crate::project::Project;
use crate::signing::DiskSigning;
use diorite_archive::lockfile;
use diorite_host::interrupt;
use diorite_model::plan::Build;
use diorite_model::{Exit, LockedPackage, Result};
use std::path::PathBuf;

/// What a build leaves for the verbs that follow it.
pub struct BuiltImage {
    /// The project.
    pub project: Project,
    /// The lock it was built from.
    pub lock: CheckedLock,
    /// Where that lock is.
    pub lock_file: PathBuf,
    /// The configured root in the store.
    pub tree: PathBuf,
    /// `build.json`.
    pub build: Build,
}

impl BuiltImage {
    /// Builds the disk image, as far as it is not there.
    pub fn make(args: &BuildArgs, context: &Context) -> Result<Self> {
        let project = Project::load(&args.profile)?;
        let signing = DiskSigning::of(&args.signing, false)?;
        signing.suits(&project.recipe)?;
        let store = context.store()?;
        let (lock, lock_file) = lock(&project, args.relock.relock, context)?;
        let inputs = BuildInputs::read(&project, lock.clone())?.signed(signing);
        let (build, tree) = {
            let plan = build::plan(&project, inputs, &store);
            if args.paranoid && plan.steps().iter().any(|step| !step.hit) {
                // A disk that is there does not stand for the steps before it.
                project.results.forget()?;
            }
            let needed: Vec<&LockedPackage> = lock.of_image();
            let pool = || downloads::pool(&project, &lock, &needed, context);
            let build = plan.run(&pool, &args.format, &context.progress)?;
            (build, plan.tree_directory())
        };
        Ok(Self { project, lock, lock_file, tree, build })
    }
}

/// The lock to build from, and where it is.
pub fn lock(project: &Project, relock: bool, context: &Context) -> Result<(CheckedLock, PathBuf)> {
    match relock {
        true => usable_lock(project, context),
        false => Ok((CheckedLock::own(project)?, project.lock_file.clone())),
    }
}

/// The lock to build from with `--relock`: the scratch lock of an earlier `--relock`, else the profile's own, else, when
/// that is missing or has outlived its mirrors, a fresh scratch lock.
fn usable_lock(project: &Project, context: &Context) -> Result<(CheckedLock, PathBuf)> {
    let fetch = |lock: &CheckedLock| downloads::pool(project, lock, &lock.packages(), context);
    if let Some((lock, file)) = CheckedLock::scratch(project)
        && fetch(&lock).is_ok()
    {
        context.progress.say(format!("using the scratch lock {}", file.display()));
        return Ok((lock, file));
    }
    interrupt::check()?;
    let tried = CheckedLock::own(project).and_then(|lock| fetch(&lock).map(|_| lock));
    match tried {
        Ok(lock) => Ok((lock, project.lock_file.clone())),
        Err(e) if e.exit == Exit::LockOutdated => {
            let scratch = project.results.scratch_lock();
            let why = e.cause.as_deref().unwrap_or(&e.what).to_owned();
            context.progress.say(format!("re-locking into {}: {why}", scratch.display()));
            project.results.create()?;
            let lock = CheckedLock::resolve(project, &context.progress)?;
            fetch(&lock)?;
            lockfile::write(&lock, &scratch)?;
            Ok((lock, scratch))
        }
        Err(e) => Err(e),
    }
}
