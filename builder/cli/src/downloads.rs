//! What a lock names, as files: the pool of packages, and the tools tree unpacked from some of them.

use crate::context::Context;
use crate::project::Project;
use diorite_archive::fetch::{self, Pool};
use diorite_host::tools::ToolsTree;
use diorite_model::{Digest, Lock, LockedPackage, Result};

/// These packages of a lock, verified and in the store.
pub fn pool(project: &Project, lock: &Lock, packages: &[&LockedPackage], context: &Context) -> Result<Pool> {
    fetch::fetch(packages, lock, || project.archive(), &context.store()?, &context.progress)
}

/// The tools tree of a lock: unpacked once, kept in the store.
pub fn tools(project: &Project, lock: &Lock, context: &Context) -> Result<ToolsTree> {
    let store = context.store()?;
    let key = Digest::of_json(&lock.tools.iter().map(|p| p.sha256).collect::<Vec<_>>());
    let directory = match store.get("tools", &key) {
        Some(directory) => directory,
        None => {
            let packages: Vec<_> = lock.tools.iter().collect();
            let pool = pool(project, lock, &packages, context)?;
            let scratch = store.scratch("tools")?;
            let files: Vec<_> = packages.iter().map(|p| ((*p).clone(), pool.path(p))).collect();
            diorite_rootfs::tools_tree::unpack(&files, scratch.path(), &context.progress)?;
            store.put("tools", &key, scratch)?
        }
    };
    ToolsTree::open(&directory)
}
