//! The files that a machine writes: made before it is switched on, or copied from a moment that another has left.

use crate::arguments::{DataDisk, Ext4Name, MachineSpec, OVERLAY, SECOND, Second};
use diorite_host::tools::Tool;
use diorite_model::{Error, Result};
use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

/// A disk that can be exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MachineDisk {
    /// The one that it boots from.
    System,
    /// The second one.
    Second,
}

/// Throws away what a machine that has ended ([`crate::Machine::leave`]) wrote to this disk: the next machine in its directory
/// starts with the disk as its [`MachineSpec`] says.
pub fn discard(directory: &Path, disk: MachineDisk) -> Result<()> {
    let file = directory.join(match disk {
        MachineDisk::System => OVERLAY,
        MachineDisk::Second => SECOND,
    });
    match std::fs::remove_file(&file) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io("a disk cannot be removed", &file, e)),
        _ => Ok(()),
    }
}

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
    for (number, disk) in spec.data.iter().enumerate().filter(|(number, _)| !spec.data_overlay(*number).exists()) {
        data(spec, disk, &spec.data_overlay(number))?;
    }
    if let Some([_, variables]) = spec.boot.firmware().filter(|_| !spec.variables().exists()) {
        let template = spec.tools.file(variables)?;
        let copy = spec.tools.command(Tool::QemuImg).args(["convert", "-q", "-f", "raw", "-O", "qcow2"]);
        copy.arg(template).arg(spec.variables()).output(&spec.directory).run_ok()?;
    }
    Ok(())
}

/// One of the further disks, with its file system if it has any.
fn data(spec: &MachineSpec, disk: &DataDisk, file: &Path) -> Result<()> {
    let image = spec.tools.command(Tool::QemuImg).output(&spec.directory);
    let Some(name) = &disk.filesystem else {
        return image.args(["create", "-q", "-f", "qcow2"]).arg(file).arg(disk.bytes.to_string()).run_ok().map(drop);
    };
    let raw = file.with_extension("raw");
    let failed = |e| Error::io("a disk cannot be made", &raw, e);
    File::create(&raw).and_then(|f| f.set_len(disk.bytes)).map_err(failed)?;
    let (option, value) = match name {
        Ext4Name::Label(label) => ("-L", label),
        Ext4Name::Uuid(uuid) => ("-U", uuid),
    };
    let make = spec.tools.command(Tool::Mke2fs).args(["-q", "-F", "-t", "ext4", option, value.as_str()]);
    make.arg(&raw).output(&spec.directory).run_ok()?;
    image.args(["convert", "-q", "-f", "raw", "-O", "qcow2"]).arg(&raw).arg(file).run_ok()?;
    std::fs::remove_file(&raw).map_err(failed)
}

/// Copies them from a directory where a machine has left them.
pub(crate) fn copied(spec: &MachineSpec, from: &Path) -> Result<()> {
    for name in spec.files() {
        let (from, to): (PathBuf, PathBuf) = (from.join(&name), spec.directory.join(&name));
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
