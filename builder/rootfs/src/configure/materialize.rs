//! Tree → a directory on disk, with owners, modes, times and attributes.

use crate::extract::times;
use crate::tree::{Node, NodeKind, Tree};
use diorite_model::{Error, Result};
use rustix::fs::{AtFlags, CWD, XattrFlags};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, chown, lchown, symlink};
use std::path::Path;

/// Writes the tree below `root`, which must not exist: nobody else has put a link there, and parents come before what is in
/// them. Devices and pipes are left out; no package brings any, and no sandbox may make them.
pub(super) fn write(tree: &Tree, root: &Path) -> Result<()> {
    for (path, node) in &tree.nodes {
        let place = if path.is_empty() { root.to_owned() } else { root.join(OsStr::from_bytes(path)) };
        one(node, &place, root).map_err(|e| Error::io("a tree cannot be written out", &place, e))?;
    }
    Ok(())
}

fn one(node: &Node, place: &Path, root: &Path) -> io::Result<()> {
    let owner =
        |follow: fn(&Path, Option<u32>, Option<u32>) -> io::Result<()>| follow(place, Some(node.uid), Some(node.gid));
    match &node.kind {
        NodeKind::Directory => {
            fs::create_dir(place)?;
            owner(|p, u, g| chown(p, u, g))?;
        }
        NodeKind::File(content) => {
            diorite_host::file::write_scratch(place, content.bytes())?;
            owner(|p, u, g| chown(p, u, g))?;
        }
        NodeKind::HardLink(first) => return fs::hard_link(root.join(OsStr::from_bytes(first)), place),
        NodeKind::Symlink(target) => {
            symlink(OsStr::from_bytes(target), place)?;
            owner(|p, u, g| lchown(p, u, g))?;
        }
        NodeKind::CharDevice(..) | NodeKind::BlockDevice(..) | NodeKind::Fifo | NodeKind::Socket => return Ok(()),
    }
    if !matches!(node.kind, NodeKind::Symlink(_)) {
        // Behind the owner: chown(2) takes setuid away, and capabilities with it.
        fs::set_permissions(place, fs::Permissions::from_mode(node.mode))?;
    }
    for (name, value) in &node.xattrs {
        rustix::fs::lsetxattr(place, name.as_slice(), value, XattrFlags::empty())?;
    }
    Ok(rustix::fs::utimensat(CWD, place, &times(node.mtime), AtFlags::SYMLINK_NOFOLLOW)?)
}
