//! Tree + overlays → [`Changes`] by their `configure` programs: each runs in the fence, inside the tree with the
//! overlays laid, and everything it does to the tree is kept as a list.
//!
//! Runs in a process that owns all ids of a Debian tree (`sandbox::run_inside`). The tree is written out for it, because
//! a pack cannot be run in, and read back; the difference is the result.

mod changes;
mod materialize;

pub use changes::{Change, ChangeKind, Changes};

use crate::clock::BuildStart;
use crate::extract::Root;
use crate::overlay::{self, Overlay};
use crate::read_directory::read_directory;
use crate::scripts::{ScriptEnvironment, tail};
use crate::{accounts, build, pack};
use diorite_host::interrupt;
use diorite_host::progress::Progress;
use diorite_model::{Digest, Error, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

/// Where a program stands in the tree while it runs; nothing is left of it.
const PROGRAM: &str = "/run/configure";

/// Input of [`configured`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigureJob {
    /// Pack of the configured tree.
    pub tree: PathBuf,
    /// Directories of the overlays in their order, and what they are known by.
    pub overlays: Vec<(PathBuf, Digest)>,
    /// The time of everything that is written, in seconds since 1970, and the programs' SOURCE_DATE_EPOCH.
    pub epoch: u64,
    /// An empty directory to work in, on a file system with extended attributes.
    pub work: PathBuf,
    /// Directory of the result.
    pub result: PathBuf,
}

/// Runs the programs and leaves what they changed.
///
/// # Errors
/// A program that ends with another status than 0, with its output; an overlay that is not the one it was planned with.
pub fn configured(job: &ConfigureJob, progress: &Progress) -> Result<()> {
    let stage = progress.stage("configure overlays");
    let start = BuildStart::now();
    let epoch = i64::try_from(job.epoch).map_err(|_| Error::input("the epoch is too large"))?;
    let mut overlays = Vec::new();
    for (directory, digest) in &job.overlays {
        let overlay = overlay::load(directory)?;
        if overlay.digest() != *digest {
            return Err(Error::input(format!("overlay `{}` has changed while it was used", overlay.name))
                .at(directory.display().to_string())
                .hint("build again"));
        }
        overlays.push(overlay);
    }
    overlay::conflicts(&overlays)?;
    let mut before = pack::open(&job.tree)?;
    overlay::lay(&mut before, &overlays, epoch)?;
    let place = job.work.join("root");
    materialize::write(&before, &place)?;
    let brought: Vec<i64> = before.nodes.values().map(|node| node.mtime).collect();
    let mut changes = Changes::default();
    for overlay in overlays.iter().filter(|o| o.configure.is_some()) {
        interrupt::check()?;
        run(overlay, job, &place)?;
        build::clean(&mut Root::open(&place)?)?;
        let mut after = read_directory(&place, &start.times(epoch, brought.iter().copied()))?;
        accounts::stabilize(&mut after, job.epoch)?;
        changes.add(&overlay.name, &before, &after);
        before = after;
    }
    stage.done(format!("{} changes", changes.list.len()));
    changes.write(&before, &job.result)
}

/// One program, with what scripts of packages see: no network, a clean environment, the clock in SOURCE_DATE_EPOCH.
fn run(overlay: &Overlay, job: &ConfigureJob, place: &std::path::Path) -> Result<()> {
    let program = job.work.join("configure");
    let bytes = overlay.configure.as_ref().map(|c| c.bytes()).unwrap_or_default();
    diorite_host::file::write_scratch(&program, bytes)
        .and_then(|()| fs::set_permissions(&program, fs::Permissions::from_mode(0o755)))
        .map_err(|e| Error::io("cannot write", &program, e))?;
    let environment = ScriptEnvironment { root: place, epoch: job.epoch, dpkg: "" };
    let file = format!("overlays/{}/configure", overlay.name);
    let output = environment.fence().bind(&program, PROGRAM).run(&[PROGRAM], "/").map_err(|e| e.at(file.clone()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = tail(&output.text(), 20);
    let error = Error::input(format!("the configure program of overlay `{}` failed", overlay.name)).at(file);
    let error = if said.is_empty() { error } else { error.detail(said) };
    Err(error
        .because(format!("it ended with {}", output.status))
        .hint("it runs inside the image's tree, without network and without the host's files"))
}

#[cfg(test)]
mod tests;
