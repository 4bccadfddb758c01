//! `test-material`: what the test suite needs from outside, prepared once by the product's own stages and printed as
//! shell assignments: the tools tree, the .debs of the server image, its configured tree, and this program.

use super::{Context, build};
use crate::args::BuildArgs;
use diorite_model::{Error, Exit, Result};
use std::fs;
use std::path::Path;

/// Builds the image, then shows the tests where everything is.
pub fn prepare(args: &BuildArgs, context: &Context) -> Result<Exit> {
    let quiet = Context {
        json: false,
        progress: context.progress.clone(),
        store: context.store.clone(),
        opened: context.store()?.into(),
    };
    let built = build::build_silently(args, &quiet)?;
    let tools = build::tools(&built.project, &built.lock, &built.store, &quiet)?;
    let pool = built.project.out.join("pool");
    links(&pool, built.lock.image.iter().map(|p| (p, built.store.blob(&p.sha256))))?;
    let tree = built.tree;
    let here = |path: &Path| fs::canonicalize(path).map_err(|e| Error::io("cannot be found", path, e));
    println!("DIORITE_TEST_TOOLS='{}'", tools.root().display());
    println!("DIORITE_TEST_POOL='{}'", here(&pool)?.display());
    println!("DIORITE_TEST_TREE='{}'", tree.display());
    println!("DIORITE_TEST_OUT='{}'", here(&built.project.out)?.display());
    println!("DIORITE_TEST_LOCK='{}'", here(&built.lock_file)?.display());
    println!("DIORITE_TEST_STORE='{}'", built.store.root().display());
    Ok(Exit::Done)
}

/// A directory of the packages under the names they have in the archive.
fn links<'a>(
    directory: &Path,
    packages: impl Iterator<Item = (&'a diorite_model::LockedPackage, std::path::PathBuf)>,
) -> Result<()> {
    let fail = |e| Error::io("the directory of packages cannot be made", directory, e);
    if directory.exists() {
        fs::remove_dir_all(directory).map_err(fail)?;
    }
    fs::create_dir_all(directory).map_err(fail)?;
    for (package, file) in packages {
        let name = Path::new(&package.path).file_name().unwrap_or_default();
        std::os::unix::fs::symlink(file, directory.join(name)).map_err(fail)?;
    }
    Ok(())
}
