//! `fetch`, `build`, `image`: from a lock to a disk, and on to its verification.

use super::{Context, verify};
use crate::args::{BuildArgs, Target};
use crate::pipeline;
use crate::print;
use crate::project::Project;
use diorite_archive::fetch::{self, Pool};
use diorite_archive::lockfile;
use diorite_host::interrupt;
use diorite_host::store::Store;
use diorite_host::tools::ToolsTree;
use diorite_model::plan::Build;
use diorite_model::{Digest, Error, Exit, Lock, LockedPackage, Result};
use std::path::PathBuf;

/// Downloads everything the lock names.
pub fn fetch(target: &Target, context: &Context) -> Result<Exit> {
    let project = Project::load(target)?;
    let lock = project.lock(&project.lock_file)?;
    let packages = lock.packages();
    pool(&project, &lock, &packages, &context.store()?, context)?;
    println!("{}", print::fetched(packages.len(), packages.iter().map(|p| p.size).sum(), context.json));
    Ok(Exit::Done)
}

fn pool(project: &Project, lock: &Lock, packages: &[&LockedPackage], store: &Store, context: &Context) -> Result<Pool> {
    fetch::fetch(packages, lock, || project.archive(), store, &context.progress)
}

/// The lock to build from with `--relock`: the one an earlier `--relock` made, else the profile's own, else, when that
/// is missing or has outlived its mirrors, a fresh one in the results directory.
fn usable_lock(project: &Project, store: &Store, context: &Context) -> Result<(Lock, PathBuf)> {
    if let Some((lock, file)) = project.scratch_lock()
        && pool(project, &lock, &lock.packages(), store, context).is_ok()
    {
        context.progress.say(format!("using {}, made by an earlier --relock", file.display()));
        return Ok((lock, file));
    }
    interrupt::check()?;
    let tried = project.lock(&project.lock_file).and_then(|lock| {
        pool(project, &lock, &lock.packages(), store, context)?;
        Ok(lock)
    });
    match tried {
        Ok(lock) => Ok((lock, project.lock_file.clone())),
        Err(e) if e.exit == Exit::LockOutdated => {
            let scratch = project.scratch_file();
            let why = e.cause.as_deref().unwrap_or(&e.what).to_owned();
            context.progress.say(format!("locking afresh into {}: {why}", scratch.display()));
            std::fs::create_dir_all(&project.out)
                .map_err(|e| Error::io("the directory for results cannot be made", &project.out, e))?;
            let lock = project.resolve(None, &context.progress)?;
            pool(project, &lock, &lock.packages(), store, context)?;
            lockfile::write(&lock, &scratch)?;
            Ok((lock, scratch))
        }
        Err(e) => Err(e),
    }
}

/// What a build leaves for the verbs that follow it.
pub struct Built {
    /// The project.
    pub project: Project,
    /// The store.
    pub store: Store,
    /// The lock it was built from.
    pub lock: Lock,
    /// Where that lock is.
    pub lock_file: PathBuf,
    /// The configured root in the store.
    pub tree: PathBuf,
    /// `build.json`.
    pub build: Build,
}

/// Makes the disk image and prints the stage table.
pub fn build(args: &BuildArgs, context: &Context) -> Result<Built> {
    let built = build_silently(args, context)?;
    print!("{}", print::built(&built.build, &built.project.out, context.json));
    Ok(built)
}

/// Makes the disk image.
pub fn build_silently(args: &BuildArgs, context: &Context) -> Result<Built> {
    if args.no_qcow2 {
        return Err(Error::new(Exit::Usage, "`--no-qcow2` is now `--format raw`"));
    }
    let project = Project::load(&args.target)?;
    let store = context.store()?;
    let (lock, lock_file) = if args.relock {
        usable_lock(&project, &store, context)?
    } else {
        (project.lock(&project.lock_file)?, project.lock_file.clone())
    };
    let inputs = project.inputs(lock.clone())?;
    let (build, tree) = {
        let planned = pipeline::plan(&project, inputs, &store)?;
        let needed: Vec<&LockedPackage> = lock.image.iter().chain(lock.container.values().flatten()).collect();
        let pool = || pool(&project, &lock, &needed, &store, context);
        let build = pipeline::run(&planned, &pool, &args.format, &context.progress)?;
        (build, planned.tree_directory())
    };
    Ok(Built { project, store, lock, lock_file, tree, build })
}

/// Builds, verifies, and says where the result is.
pub fn image(args: &BuildArgs, context: &Context) -> Result<Exit> {
    let built = build(args, context)?;
    let tools = tools(&built.project, &built.lock, &built.store, context)?;
    verify::run(&verify::Wanted::of(&built.project, built.build.disk_sha256, &tools), context)
}

/// The tools tree of a lock: unpacked once, kept in the store.
pub fn tools(project: &Project, lock: &Lock, store: &Store, context: &Context) -> Result<ToolsTree> {
    let key = Digest::of_json(&lock.tools.iter().map(|p| p.sha256).collect::<Vec<_>>());
    let directory = match store.get("tools", &key) {
        Some(directory) => directory,
        None => {
            let packages: Vec<_> = lock.tools.iter().collect();
            let pool = pool(project, lock, &packages, store, context)?;
            let scratch = store.scratch("tools")?;
            let files: Vec<_> = packages.iter().map(|p| ((*p).clone(), pool.path(p))).collect();
            diorite_rootfs::unpack::tools(&files, scratch.path(), &context.progress)?;
            store.put("tools", &key, scratch)?
        }
    };
    ToolsTree::open(&directory)
}
