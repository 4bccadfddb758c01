//! The files that a machine writes: made before it is switched on, or copied from a moment that another has left.

use crate::arguments::{MachineSpec, Second};
use diorite_host::tools::Tool;
use diorite_model::{Error, Result};
use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

/// Makes every place of the machine absolute: QEMU has another working directory.
pub(crate) fn absolute(spec: &mut MachineSpec) -> Result<()> {
    let place = |path: &Path| path.canonicalize().map_err(|e| Error::io("the disk cannot be opened", path, e));
    spec.disk = place(&spec.disk)?;
    spec.directory = place(&spec.directory)?;
    if let Some(Second::Holding(disk)) = &mut spec.second {
        *disk = place(disk)?;
    }
    if let Some(disc) = &mut spec.disc {
        *disc = place(disc)?;
    }
    Ok(())
}

/// Makes them as for a machine that was never switched on; those that one has left in the directory are gone on with.
pub(crate) fn fresh(spec: &MachineSpec) -> Result<()> {
    if !spec.overlay().exists() {
        let overlay = spec.tools.command(Tool::QemuImg).args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"]);
        overlay.arg(&spec.disk).arg(spec.overlay()).input(&spec.disk).output(&spec.directory).run_ok()?;
    }
    let second = spec.tools.command(Tool::QemuImg).args(["create", "-q", "-f", "qcow2"]).output(&spec.directory);
    match &spec.second {
        None => {}
        Some(_) if spec.second_overlay().exists() => {}
        Some(Second::Blank(bytes)) => drop(second.arg(spec.second_overlay()).arg(bytes.to_string()).run_ok()?),
        Some(Second::Holding(disk)) => {
            drop(second.args(["-F", "raw", "-b"]).arg(disk).arg(spec.second_overlay()).input(disk).run_ok()?);
        }
    }
    if let Some([_, variables]) = spec.boot.firmware().filter(|_| !spec.variables().exists()) {
        let template = spec.tools.file(variables)?;
        let copy = spec.tools.command(Tool::QemuImg).args(["convert", "-q", "-f", "raw", "-O", "qcow2"]);
        copy.arg(template).arg(spec.variables()).output(&spec.directory).run_ok()?;
    }
    Ok(())
}

/// Copies them from a directory where a machine has left them.
pub(crate) fn copied(spec: &MachineSpec, from: &Path) -> Result<()> {
    for name in spec.files() {
        let (from, to): (PathBuf, PathBuf) = (from.join(name), spec.directory.join(name));
        copy(&from, &to).map_err(|e| Error::io("a kept moment cannot be copied", &from, e))?;
    }
    Ok(())
}

/// The same bytes in the file system's own blocks where it can share them, else in new ones.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let (source, target) = (File::open(from)?, File::create(to)?);
    match rustix::fs::ioctl_ficlone(&target, &source) {
        Ok(()) => Ok(()),
        // Another file system, or one that shares no blocks.
        Err(_) => std::fs::copy(from, to).map(drop),
    }
}
