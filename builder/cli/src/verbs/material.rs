//! `test-material`: what the test suite needs from outside, prepared once by the product's own stages and printed as
//! shell assignments: the tools tree, the .debs of the server image, its configured tree, and this program. And `test-seal`:
//! a profile without its disk.

use crate::args::{BuildArgs, ProfileArgs};
use crate::build::{self, BuildInputs};
use crate::built::BuiltImage;
use crate::context::Context;
use crate::lock::CheckedLock;
use crate::project::Project;
use crate::{downloads, out};
use diorite_model::{Error, Exit, Result};
use diorite_rootfs::secrets;
use std::fs;
use std::path::Path;

/// Builds the image, then shows the tests where everything is.
pub fn prepare(args: &BuildArgs, context: &Context) -> Result<Exit> {
    let built = BuiltImage::make(args, context)?;
    let tools = downloads::tools(&built.project, &built.lock, context)?;
    let (results, store) = (&built.project.results, context.store()?);
    links(&results.pool(), built.lock.image.iter().map(|p| (p, store.blob(&p.sha256))))?;
    let here = |path: &Path| fs::canonicalize(path).map_err(|e| Error::io("cannot be found", path, e));
    for (name, path) in [
        ("TOOLS", tools.root()),
        ("POOL", &here(&results.pool())?),
        ("TREE", &built.tree),
        ("OUT", &here(results.directory())?),
        ("LOCK", &here(&built.lock_file)?),
        ("STORE", store.root()),
    ] {
        out::line(format!("DIORITE_TEST_{name}='{}'", path.display()))?;
    }
    Ok(Exit::Done)
}

/// A profile as far as its sealed tree: everything that can be wrong with its packages shows there, and no disk is written.
pub fn seal(profile: &ProfileArgs, listing: Option<&Path>, context: &Context) -> Result<Exit> {
    let project = Project::load(profile)?;
    let store = context.store()?;
    let lock = match CheckedLock::own(&project) {
        Err(e) if e.exit == Exit::LockOutdated => CheckedLock::resolve(&project, &context.progress)?,
        own => own?,
    };
    let inputs = BuildInputs::read(&project, lock.clone())?;
    let pool = || downloads::pool(&project, &lock, &lock.packages(), context);
    let sealed = build::plan(&project, inputs, &store).seal(&pool, &context.progress)?;
    if let Some(file) = listing {
        let listing = sealed.tree().listing();
        diorite_host::file::write_scratch(file, listing).map_err(|e| Error::io("cannot be written", file, e))?;
    }
    out::print(secrets::list(sealed.passed_secrets()))?;
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
