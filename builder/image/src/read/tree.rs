//! The files of a root → a tree in memory, every content read and hashed.

use super::ImageReader;
use super::erofs::{ImageFile, ImageFileKind};
use diorite_model::Result;
use diorite_rootfs::tree::{Content, Node, NodeKind, Tree, TreePath};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// The root as a tree in memory.
pub(super) fn of(image: &ImageReader) -> Result<Tree> {
    let mut first: BTreeMap<u64, &TreePath> = BTreeMap::new();
    let mut links = Vec::new();
    let mut regular = Vec::new();
    for (path, file) in &image.files {
        if matches!(file.kind, ImageFileKind::Regular(..)) {
            match first.get(&file.inode) {
                Some(to) => links.push((path, file, (*to).clone())),
                None => {
                    first.insert(file.inode, path);
                    regular.push((path, file));
                }
            }
        }
    }
    let read = |(path, file): &(&TreePath, &ImageFile)| {
        image.root.content(path, file).map(|bytes| ((*path).clone(), NodeKind::File(Content::from_bytes(bytes))))
    };
    let contents: Result<BTreeMap<TreePath, NodeKind>> = regular.par_iter().map(read).collect();
    let mut kinds = contents?;
    kinds.extend(links.into_iter().map(|(path, _, to)| (path.clone(), NodeKind::HardLink(to))));
    let mut tree = Tree { nodes: BTreeMap::new() };
    for (path, file) in &image.files {
        let kind = match &file.kind {
            ImageFileKind::Regular(..) => kinds.remove(path).unwrap_or(NodeKind::File(Content::empty())),
            ImageFileKind::Directory => NodeKind::Directory,
            ImageFileKind::Symlink(target) => NodeKind::Symlink(target.clone()),
            ImageFileKind::CharDevice(major, minor) => NodeKind::CharDevice(*major, *minor),
            ImageFileKind::BlockDevice(major, minor) => NodeKind::BlockDevice(*major, *minor),
            ImageFileKind::Fifo => NodeKind::Fifo,
            ImageFileKind::Socket => NodeKind::Socket,
        };
        let ImageFile { mode, uid, gid, mtime, ref xattrs, .. } = *file;
        tree.nodes.insert(path.clone(), Node { mode, uid, gid, mtime, xattrs: xattrs.clone(), kind });
    }
    Ok(tree)
}
