//! Tree → inodes and pieces: every decision that can be made before anything is compressed.

use super::FilesystemOptions;
use super::encode::{BLOCK, EXTENDED_LEN, FileType};
use super::limits::{self, refused};
use super::pieces::{Bundles, DataPiece, cut};
use diorite_model::{Digest, Error, Result};
use diorite_rootfs::tree::{Content, Node, NodeKind, Tree};
use std::collections::HashMap;
use std::ops::Range;

/// What will be written. The root is inode 0; the packed inode, if there is one, the last.
pub(super) struct Plan<'t> {
    pub inodes: Vec<Inode<'t>>,
    /// All pieces in the order in which they are stored.
    pub pieces: Vec<DataPiece<'t>>,
    /// Whether the last inode is the packed one.
    pub packed: bool,
}

/// One file with everything known of it so far.
pub(super) struct Inode<'t> {
    pub file_type: FileType,
    /// Permission bits.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Only where it differs from the epoch, and times are kept.
    pub mtime: Option<i64>,
    pub nlink: u32,
    /// As they stand on disk.
    pub xattrs: Vec<u8>,
    pub body: Body<'t>,
}

/// Where a file's content will be.
pub(super) enum Body<'t> {
    /// There is none: empty files, pipes, sockets.
    Empty,
    /// A device number as stored.
    Device(u32),
    /// Names in bytewise order, `.` and `..` not among them, with their inodes.
    Directory { parent: usize, entries: Vec<(&'t [u8], usize)> },
    /// Bytes small enough to lie behind the inode if there is room: link targets, small files when packing is off.
    Inline(&'t [u8]),
    /// In the packed inode at this offset.
    Packed { offset: u64, size: u64 },
    /// In these pieces.
    Pieces { pieces: Range<usize>, size: u64 },
}

impl<'t> Plan<'t> {
    /// Decides about every file. Fails on a tree that is none (missing parents, links to nothing) and on what EROFS has
    /// no room for, naming the path.
    pub fn of(tree: &'t Tree, options: &FilesystemOptions) -> Result<Self> {
        let mut builder = Builder::new(options);
        for (path, node) in &tree.nodes {
            builder.add(path, node)?;
        }
        for (path, node) in &tree.nodes {
            if let NodeKind::HardLink(first) = &node.kind {
                builder.link(path, first)?;
            }
        }
        if builder.inodes.is_empty() {
            return Err(Error::bug("a tree without a root cannot become a file system"));
        }
        Ok(builder.finish())
    }
}

struct Builder<'t, 'o> {
    options: &'o FilesystemOptions,
    inodes: Vec<Inode<'t>>,
    by_path: HashMap<&'t [u8], usize>,
    bundles: Bundles<'t>,
    /// Pieces of large files; bundles will come before them.
    pieces: Vec<DataPiece<'t>>,
    /// Where the content with this digest is, so that equal files are stored once.
    offsets: HashMap<Digest, u64>,
    ranges: HashMap<Digest, Range<usize>>,
}

impl<'t, 'o> Builder<'t, 'o> {
    fn new(options: &'o FilesystemOptions) -> Self {
        Self {
            options,
            inodes: Vec::new(),
            by_path: HashMap::new(),
            bundles: Bundles::new(options.piece),
            pieces: Vec::new(),
            offsets: HashMap::new(),
            ranges: HashMap::new(),
        }
    }

    fn add(&mut self, path: &'t [u8], node: &'t Node) -> Result<()> {
        let (parent, name) = split(path);
        let parent = if path.is_empty() { 0 } else { self.parent(path, parent, name)? };
        if matches!(node.kind, NodeKind::HardLink(_)) {
            return Ok(()); // its first name may come later
        }
        if path.is_empty() && !matches!(node.kind, NodeKind::Directory) {
            return Err(refused(path, "the root of the tree is not a directory"));
        }
        let xattrs = limits::xattrs(path, node)?;
        let (file_type, body) = match &node.kind {
            NodeKind::Directory => (FileType::Directory, Body::Directory { parent, entries: Vec::new() }),
            NodeKind::File(content) => (FileType::Regular, self.content(name, content, xattrs.len())),
            NodeKind::HardLink(_) => unreachable!("returned above"),
            NodeKind::Symlink(target) => (FileType::Symlink, Body::Inline(limits::target(path, target)?)),
            NodeKind::CharDevice(major, minor) => {
                (FileType::CharDevice, Body::Device(limits::device(path, *major, *minor)?))
            }
            NodeKind::BlockDevice(major, minor) => {
                (FileType::BlockDevice, Body::Device(limits::device(path, *major, *minor)?))
            }
            NodeKind::Fifo => (FileType::Fifo, Body::Empty),
            NodeKind::Socket => (FileType::Socket, Body::Empty),
        };
        let is_directory = file_type == FileType::Directory;
        let own_time = self.options.keep_times && node.mtime != self.options.epoch as i64;
        let number = self.inodes.len();
        self.inodes.push(Inode {
            file_type,
            mode: node.mode & 0o7777,
            uid: node.uid,
            gid: node.gid,
            mtime: own_time.then_some(node.mtime),
            nlink: if is_directory { 2 } else { 1 },
            xattrs,
            body,
        });
        self.by_path.insert(path, number);
        if !path.is_empty() {
            self.enter(parent, name, number);
            self.inodes[parent].nlink += u32::from(is_directory);
        }
        Ok(())
    }

    /// The inode of a directory that must already be there: parents sort before what is in them.
    fn parent(&self, path: &[u8], parent: &[u8], name: &[u8]) -> Result<usize> {
        limits::name(path, name)?;
        let number = self.by_path.get(parent).filter(|&&n| matches!(self.inodes[n].body, Body::Directory { .. }));
        number.copied().ok_or_else(|| refused(path, "its parent is not a directory of the tree"))
    }

    fn enter(&mut self, parent: usize, name: &'t [u8], number: usize) {
        let Body::Directory { entries, .. } = &mut self.inodes[parent].body else {
            unreachable!("parents are checked")
        };
        entries.push((name, number));
    }

    /// Gives an inode another name.
    fn link(&mut self, path: &'t [u8], first: &[u8]) -> Result<()> {
        let number = *self.by_path.get(first).ok_or_else(|| {
            refused(path, format!("it is a hard link to /{}, which is not a file of the tree", first.escape_ascii()))
        })?;
        if self.inodes[number].file_type == FileType::Directory {
            return Err(refused(path, "it is a hard link to a directory"));
        }
        let (parent, name) = split(path);
        let parent = self.parent(path, parent, name)?;
        self.enter(parent, name, number);
        self.inodes[number].nlink += 1;
        Ok(())
    }

    /// Where the content of a regular file goes.
    fn content(&mut self, name: &[u8], content: &'t Content, xattrs: usize) -> Body<'t> {
        let (len, size) = (content.len(), content.len() as u64);
        if len == 0 {
            return Body::Empty;
        }
        if len <= self.options.pack_limit {
            let bundles = &mut self.bundles;
            let offset = *self.offsets.entry(content.digest()).or_insert_with(|| bundles.add(name, content));
            return Body::Packed { offset, size };
        }
        if len <= BLOCK && fits_inline(xattrs, len) {
            return Body::Inline(content.bytes());
        }
        let (pieces, limit) = (&mut self.pieces, self.options.piece);
        let range = self.ranges.entry(content.digest()).or_insert_with(|| {
            let first = pieces.len();
            pieces.extend(cut(content, limit));
            first..pieces.len()
        });
        Body::Pieces { pieces: range.clone(), size }
    }

    fn finish(mut self) -> Plan<'t> {
        let (mut pieces, size) = self.bundles.finish();
        let bundles = pieces.len();
        for inode in &mut self.inodes {
            match &mut inode.body {
                Body::Pieces { pieces, .. } => *pieces = pieces.start + bundles..pieces.end + bundles,
                // Hard links were entered after the other names.
                Body::Directory { entries, .. } => entries.sort_unstable(),
                _ => {}
            }
        }
        pieces.append(&mut self.pieces);
        if size > 0 {
            self.inodes.push(Inode {
                file_type: FileType::Regular,
                mode: 0o600,
                uid: 0,
                gid: 0,
                mtime: None,
                nlink: 1,
                xattrs: Vec::new(),
                body: Body::Pieces { pieces: 0..bundles, size },
            });
        }
        Plan { inodes: self.inodes, pieces, packed: size > 0 }
    }
}

/// Parent and last component.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

/// Whether content can lie behind an inode of either form, within one block.
fn fits_inline(xattrs: usize, len: usize) -> bool {
    EXTENDED_LEN + xattrs + len <= BLOCK
}
