//! A directory on disk → Tree, with ids as this process sees them. Everything is read once.

use crate::clock::Times;
use crate::mapped::MappedFile;
use crate::tree::{Content, Node, NodeKind, Tree};
use diorite_model::{Digest, Error, Result};
use rayon::prelude::*;
use rustix::fs::{self as rfs, FileType, Mode, OFlags};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files of at least this many bytes are mapped, smaller ones copied: a mapping costs about as much as reading this.
const MAPPED: u64 = 64 << 10;

/// Reads a whole tree. Of hard links the first path in bytewise order is the file, the others refer to it.
pub fn read_directory(root: &Path, times: &Times) -> Result<Tree> {
    let mut tree = Tree { nodes: BTreeMap::new() };
    let mut files: Vec<(Vec<u8>, u64)> = Vec::new();
    let mut links: HashMap<(u64, u64), Vec<Vec<u8>>> = HashMap::new();
    let mut directories = vec![(Vec::new(), root.to_owned())];
    let stat = rfs::lstat(root).map_err(|e| Error::io("cannot look at the tree", root, e.into()))?;
    tree.nodes.insert(Vec::new(), node(&stat, NodeKind::Directory, root, times)?);
    while let Some((path, place)) = directories.pop() {
        let failed = |e: rustix::io::Errno| Error::io("cannot read a directory of the tree", &place, e.into());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rfs::open(&place, flags, Mode::empty()).map_err(failed)?;
        for entry in rfs::Dir::read_from(&fd).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            if name.to_bytes() == b"." || name.to_bytes() == b".." {
                continue;
            }
            let mut below = path.clone();
            if !below.is_empty() {
                below.push(b'/');
            }
            below.extend_from_slice(name.to_bytes());
            let inside = place.join(std::ffi::OsStr::from_bytes(name.to_bytes()));
            let stat = rfs::statat(&fd, name, rfs::AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
            let device = || (rfs::major(stat.st_rdev), rfs::minor(stat.st_rdev));
            let kind = match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => {
                    directories.push((below.clone(), inside.clone()));
                    NodeKind::Directory
                }
                FileType::RegularFile => {
                    if stat.st_nlink > 1 {
                        links.entry((stat.st_dev, stat.st_ino)).or_default().push(below.clone());
                    }
                    files.push((below.clone(), stat.st_size as u64));
                    NodeKind::File(Content::empty())
                }
                FileType::Symlink => {
                    NodeKind::Symlink(rfs::readlinkat(&fd, name, Vec::new()).map_err(failed)?.into_bytes())
                }
                FileType::CharacterDevice => NodeKind::CharDevice(device().0, device().1),
                FileType::BlockDevice => NodeKind::BlockDevice(device().0, device().1),
                FileType::Fifo => NodeKind::Fifo,
                _ => NodeKind::Socket,
            };
            tree.nodes.insert(below, node(&stat, kind, &inside, times)?);
        }
    }
    for paths in links.values_mut() {
        paths.sort();
        for path in &paths[1..] {
            let node = tree.nodes.get_mut(path).expect("inserted above");
            node.kind = NodeKind::HardLink(paths[0].clone());
        }
    }
    files.retain(|(path, _)| matches!(tree.nodes[path].kind, NodeKind::File(_)));
    let contents: Vec<Result<Content>> = files.par_iter().map(|(path, size)| content(root, path, *size)).collect();
    for ((path, _), content) in files.iter().zip(contents) {
        tree.nodes.get_mut(path).expect("inserted above").kind = NodeKind::File(content?);
    }
    Ok(tree)
}

fn node(stat: &rfs::Stat, kind: NodeKind, place: &Path, times: &Times) -> Result<Node> {
    // A directory's time is that of the last file made in it, so the build's own.
    let mtime =
        if matches!(kind, NodeKind::Directory) { times.epoch() } else { times.of(stat.st_mtime, stat.st_mtime_nsec) };
    let mode = if matches!(kind, NodeKind::Symlink(_)) { 0o777 } else { stat.st_mode & 0o7777 };
    let xattrs = xattrs(place).map_err(|e| Error::io("cannot read extended attributes", place, e.into()))?;
    Ok(Node { mode, uid: stat.st_uid, gid: stat.st_gid, mtime, xattrs, kind })
}

/// What a package or a script gave; not what the host's security module or an overlay file system keeps for itself.
fn xattrs(place: &Path) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, rustix::io::Errno> {
    use rustix::io::Errno;
    let mut names = [0u8; 4096];
    let length = match rfs::llistxattr(place, &mut names) {
        Ok(length) => length,
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => 0,
        Err(e) => return Err(e),
    };
    let mut found = BTreeMap::new();
    for name in names[..length].split(|&b| b == 0).filter(|n| !n.is_empty()) {
        if name.starts_with(b"trusted.") || (name.starts_with(b"security.") && name != b"security.capability") {
            continue;
        }
        let mut value = vec![0u8; 65536];
        let length = rfs::lgetxattr(place, name, &mut value[..])?;
        value.truncate(length);
        found.insert(name.to_vec(), value);
    }
    Ok(found)
}

fn content(root: &Path, path: &[u8], size: u64) -> Result<Content> {
    let place: PathBuf = root.join(std::ffi::OsStr::from_bytes(path));
    let failed = |e: std::io::Error| Error::io("cannot read a file of the tree", &place, e);
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut file = File::from(rfs::open(&place, flags, Mode::empty()).map_err(|e| failed(e.into()))?);
    if size < MAPPED {
        let mut bytes = Vec::with_capacity(size as usize);
        file.read_to_end(&mut bytes).map_err(failed)?;
        return Ok(Content::from_bytes(bytes));
    }
    let mapped = MappedFile::of(&file, size as usize).map_err(failed)?;
    let digest = Digest::of(mapped.as_ref());
    Ok(Content::slice(Arc::new(mapped), 0, size as usize, digest))
}
