//! Tree: files with their modes, owners, times and contents, held as an index in memory; contents stay where they
//! are (a pack in the store, or bytes we made). Seal, initrd and the file-system writer work on this type alone.

pub(crate) mod edit;
pub(crate) mod listing;

use diorite_model::Digest;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A path inside a tree: no leading slash, no `.` or `..`, components separated by `/`; empty for the root itself.
pub type TreePath = Vec<u8>;

/// A whole tree. Every parent of a node is present and is a directory; the root is the empty path.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// Nodes in bytewise order of their paths.
    pub nodes: BTreeMap<TreePath, Node>,
}

/// One file of any kind.
#[derive(Debug, Clone)]
pub struct Node {
    /// Permission bits with setuid, setgid and sticky: 0o0 to 0o7777.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time in seconds since 1970.
    pub mtime: i64,
    /// Extended attributes by full name (`security.capability`), inode(7).
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What it is.
    pub kind: NodeKind,
}

/// What a node is.
#[derive(Debug, Clone)]
pub enum NodeKind {
    /// A directory.
    Directory,
    /// A regular file.
    File(Content),
    /// Another name of the regular file at this path; that node holds owner, mode and content.
    HardLink(TreePath),
    /// A symbolic link and its target, as written.
    Symlink(Vec<u8>),
    /// A character device (major, minor).
    CharDevice(u32, u32),
    /// A block device (major, minor).
    BlockDevice(u32, u32),
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

/// The bytes of a regular file, with their digest.
#[derive(Clone)]
pub struct Content {
    bytes: Arc<dyn AsRef<[u8]> + Send + Sync>,
    start: usize,
    len: usize,
    digest: Digest,
}

impl Content {
    /// Bytes we made ourselves.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        let digest = Digest::of(&bytes);
        Self { start: 0, len: bytes.len(), digest, bytes: Arc::new(bytes) }
    }
    /// No bytes.
    pub fn empty() -> Self {
        Self::from_bytes(Vec::new())
    }
    /// A piece of something larger that is already in memory or mapped, with its known digest.
    pub fn slice(whole: Arc<dyn AsRef<[u8]> + Send + Sync>, start: usize, len: usize, digest: Digest) -> Self {
        assert!(
            start.checked_add(len).is_some_and(|end| end <= (*whole).as_ref().len()),
            "content lies outside its pack"
        );
        Self { bytes: whole, start, len, digest }
    }
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &(*self.bytes).as_ref()[self.start..self.start + self.len]
    }
    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.len
    }
    /// Has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// SHA-256 of the bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes {}", self.len, self.digest.short(12))
    }
}

impl Node {
    /// A directory of root's.
    pub fn directory(mode: u32) -> Self {
        Self::new(mode, NodeKind::Directory)
    }
    /// A regular file of root's.
    pub fn file(mode: u32, bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(mode, NodeKind::File(Content::from_bytes(bytes.into())))
    }
    /// A symbolic link.
    pub fn symlink(target: impl Into<Vec<u8>>) -> Self {
        Self::new(0o777, NodeKind::Symlink(target.into()))
    }
    /// A node of root's, time zero.
    pub fn new(mode: u32, kind: NodeKind) -> Self {
        Self { mode, uid: 0, gid: 0, mtime: 0, xattrs: BTreeMap::new(), kind }
    }
}

impl Tree {
    /// An empty tree: the root directory alone.
    pub fn new() -> Self {
        let mut nodes = BTreeMap::new();
        nodes.insert(Vec::new(), Node::directory(0o755));
        Self { nodes }
    }
    /// The node at this path, symbolic links not followed.
    pub fn get(&self, path: impl AsRef<[u8]>) -> Option<&Node> {
        self.nodes.get(path.as_ref())
    }
    /// The bytes of the regular file at this path (hard links followed, symbolic links not).
    pub fn read(&self, path: impl AsRef<[u8]>) -> Option<&[u8]> {
        match &self.get(path)?.kind {
            NodeKind::File(content) => Some(content.bytes()),
            NodeKind::HardLink(first) => self.read(first),
            _ => None,
        }
    }
    /// Adds or replaces a node; missing parents become directories of root's with mode 0755.
    /// Anything that was below a replaced directory stays only if the new node is a directory too.
    pub fn insert(&mut self, path: impl Into<TreePath>, node: Node) {
        let path = path.into();
        debug_assert!(!path.starts_with(b"/") && !path.ends_with(b"/"), "tree paths have no outer slashes");
        for (i, _) in path.iter().enumerate().filter(|&(_, &b)| b == b'/') {
            self.nodes.entry(path[..i].to_vec()).or_insert_with(|| Node::directory(0o755));
        }
        if !matches!(node.kind, NodeKind::Directory) {
            self.remove(&path);
        }
        self.nodes.insert(path, node);
    }
    /// Removes a node and everything below it; returns whether there was one.
    pub fn remove(&mut self, path: impl AsRef<[u8]>) -> bool {
        let path = path.as_ref();
        let mut first = path.to_vec();
        first.push(b'/');
        let below: Vec<_> = self
            .nodes
            .range(first.clone()..)
            .take_while(|(p, _)| p.starts_with(&first))
            .map(|(p, _)| p.clone())
            .collect();
        for p in &below {
            self.nodes.remove(p);
        }
        self.nodes.remove(path).is_some() || !below.is_empty()
    }
    /// Paths directly below a directory.
    pub fn children<'a>(&'a self, path: &[u8]) -> impl Iterator<Item = (&'a [u8], &'a Node)> + use<'a> {
        let mut prefix = path.to_vec();
        if !prefix.is_empty() {
            prefix.push(b'/');
        }
        let start = prefix.clone();
        let length = prefix.len();
        self.nodes
            .range(start..)
            .take_while(move |(p, _)| p.starts_with(&prefix))
            .filter(move |(p, _)| p.len() > length && !p[length..].contains(&b'/'))
            .map(|(p, n)| (p.as_slice(), n))
    }
    /// Follows symbolic links inside the tree, as the kernel would with this tree as its root (path_resolution(7));
    /// `None` when something is missing or there are more than 40 links.
    pub fn resolve(&self, path: &[u8]) -> Option<TreePath> {
        let mut done: TreePath = Vec::new();
        let mut left: Vec<Vec<u8>> = path.split(|&b| b == b'/').rev().map(<[u8]>::to_vec).collect();
        let mut links = 0;
        while let Some(part) = left.pop() {
            match part.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    let parent = done.iter().rposition(|&b| b == b'/').unwrap_or(0);
                    done.truncate(parent);
                    continue;
                }
                _ => {}
            }
            let before = done.len();
            if !done.is_empty() {
                done.push(b'/');
            }
            done.extend_from_slice(&part);
            if let NodeKind::Symlink(target) = &self.get(&done)?.kind {
                links += 1;
                if links > 40 {
                    return None;
                }
                done.truncate(if target.starts_with(b"/") { 0 } else { before });
                left.extend(target.split(|&b| b == b'/').rev().map(<[u8]>::to_vec));
            }
        }
        Some(done)
    }
}
