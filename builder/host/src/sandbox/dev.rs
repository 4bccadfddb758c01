//! A /dev made of real nodes, where mount(2) is not allowed.

use super::policy::{DEVICE_LINKS, DEVICES};
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

pub(super) fn chmod(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

pub(super) fn directory(path: &Path, mode: u32) -> io::Result<()> {
    fs::create_dir(path).and_then(|()| chmod(path, mode))
}

/// Nodes and links of /dev; without devpts, whose nodes only a mount can give.
pub(super) fn devices(dev: &Path) -> io::Result<()> {
    for (name, major, minor) in DEVICES {
        let path = dev.join(name);
        mknodat(CWD, &path, FileType::CharacterDevice, Mode::from_raw_mode(0o666), makedev(major, minor))?;
        chmod(&path, 0o666)?;
    }
    for (name, target) in DEVICE_LINKS {
        symlink(target, dev.join(name))?;
    }
    directory(&dev.join("pts"), 0o755)?;
    directory(&dev.join("shm"), 0o1777)
}
