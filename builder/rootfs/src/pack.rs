//! Tree ⇄ pack: a directory of three files that holds a whole tree, whatever the host's ids and file systems can express.
//!
//! `index` is one line with the SHA-256 of what follows, then JSON: version, length of the contents, one row per node in
//! bytewise order of the paths. `contents` is every distinct file content once, uncompressed, in the order of first use.
//! `origins` says which package brought what (origins.rs).
//! Contents are mapped, so opening a pack costs milliseconds. The same tree always gives the same bytes.

use crate::escape::{escape, unescape};
use crate::mapped::MappedFile;
use crate::origins::Origins;
use crate::tree::{Content, Node, NodeKind, Tree};
use diorite_model::{Digest, Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

/// Version of the format; another one is an error, never a guess.
const VERSION: u32 = 1;
const INDEX: &str = "index";
const CONTENTS: &str = "contents";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PackIndex {
    version: u32,
    /// Length of the contents file in bytes.
    contents: u64,
    nodes: Vec<Row>,
}

/// One node: path, mode, owner, group, time, kind, extended attributes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    #[serde(rename = "p")]
    path: String,
    #[serde(rename = "m")]
    mode: u32,
    #[serde(rename = "u", default, skip_serializing_if = "is_zero")]
    uid: u32,
    #[serde(rename = "g", default, skip_serializing_if = "is_zero")]
    gid: u32,
    #[serde(rename = "t")]
    mtime: i64,
    #[serde(rename = "k")]
    kind: RowKind,
    #[serde(rename = "x", default, skip_serializing_if = "BTreeMap::is_empty")]
    xattrs: BTreeMap<String, String>,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RowKind {
    Dir,
    /// Start in the contents, length, digest.
    File(u64, u64, Digest),
    Hard(String),
    Sym(String),
    Char(u32, u32),
    Block(u32, u32),
    Fifo,
    Socket,
}

/// Writes a tree, and where its files come from, as a pack into `dir`, which must exist or be creatable. Nothing is synced: the store does that.
pub fn write(tree: &Tree, origins: &Origins, dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).map_err(|e| Error::io("cannot create the directory of a pack", dir, e))?;
    let contents = dir.join(CONTENTS);
    let failed = |e| Error::io("cannot write a pack's contents", &contents, e);
    let mut out = BufWriter::with_capacity(1 << 20, File::create(&contents).map_err(failed)?);
    let mut known: HashMap<Digest, u64> = HashMap::new();
    let mut end = 0u64;
    let mut nodes = Vec::with_capacity(tree.nodes.len());
    for (path, node) in &tree.nodes {
        let kind = match &node.kind {
            NodeKind::Directory => RowKind::Dir,
            NodeKind::File(content) => {
                let start = match known.get(&content.digest()) {
                    Some(&start) => start,
                    None => {
                        out.write_all(content.bytes()).map_err(failed)?;
                        known.insert(content.digest(), end);
                        let start = end;
                        end += content.len() as u64;
                        start
                    }
                };
                RowKind::File(start, content.len() as u64, content.digest())
            }
            NodeKind::HardLink(first) => RowKind::Hard(escape(first)),
            NodeKind::Symlink(target) => RowKind::Sym(escape(target)),
            NodeKind::CharDevice(major, minor) => RowKind::Char(*major, *minor),
            NodeKind::BlockDevice(major, minor) => RowKind::Block(*major, *minor),
            NodeKind::Fifo => RowKind::Fifo,
            NodeKind::Socket => RowKind::Socket,
        };
        let xattrs = node.xattrs.iter().map(|(name, value)| (escape(name), escape(value))).collect();
        let Node { mode, uid, gid, mtime, .. } = *node;
        nodes.push(Row { path: escape(path), mode, uid, gid, mtime, kind, xattrs });
    }
    out.flush().map_err(failed)?;
    origins.write(dir)?;
    let json = serde_json::to_vec(&PackIndex { version: VERSION, contents: end, nodes })
        .map_err(|e| Error::bug("a tree cannot be written as JSON").because(e))?;
    let path = dir.join(INDEX);
    let mut bytes = format!("{}\n", Digest::of(&json)).into_bytes();
    bytes.extend_from_slice(&json);
    diorite_host::file::write_scratch(&path, bytes).map_err(|e| Error::io("cannot write a pack's index", &path, e))
}

/// Opens a pack. Version, digest of the index, shape of the tree and length of the contents are checked here; the
/// contents themselves are checked by [`verify`].
pub fn open(dir: &Path) -> Result<Tree> {
    let path = dir.join(INDEX);
    let bytes = fs::read(&path).map_err(|e| Error::io("cannot read a pack's index", &path, e))?;
    let damaged = |why: String| damaged(dir, why);
    let (first, json) = bytes.split_at_checked(65).ok_or_else(|| damaged("the index is too short".into()))?;
    if first != format!("{}\n", Digest::of(json)).as_bytes() {
        return Err(damaged("the index does not have the digest in its first line".into()));
    }
    let index: PackIndex =
        serde_json::from_slice(json).map_err(|e| damaged(format!("the index cannot be read: {e}")))?;
    if index.version != VERSION {
        return Err(damaged(format!("its version is {}, this program reads {VERSION}", index.version)));
    }
    let mapped = MappedFile::open(&dir.join(CONTENTS))?;
    if mapped.len() as u64 != index.contents {
        return Err(damaged(format!("the contents have {} bytes, the index says {}", mapped.len(), index.contents)));
    }
    let whole: Arc<dyn AsRef<[u8]> + Send + Sync> = Arc::new(mapped);
    let mut tree = Tree { nodes: BTreeMap::new() };
    for row in index.nodes {
        let wrong = |why: &str| damaged(format!("`{}`: {why}", row.path));
        let text = |s: &str| unescape(s).ok_or_else(|| wrong("a wrong escape sequence"));
        let path = text(&row.path)?;
        check_place(&tree, &path).map_err(&wrong)?;
        if row.mode > 0o7777 {
            return Err(wrong("a mode above 7777"));
        }
        let kind = match &row.kind {
            RowKind::Dir => NodeKind::Directory,
            RowKind::File(start, len, digest) => {
                if start.checked_add(*len).is_none_or(|end| end > index.contents) {
                    return Err(wrong("the content lies outside the contents file"));
                }
                NodeKind::File(Content::slice(whole.clone(), *start as usize, *len as usize, *digest))
            }
            RowKind::Hard(first) => NodeKind::HardLink(text(first)?),
            RowKind::Sym(target) => NodeKind::Symlink(text(target)?),
            RowKind::Char(major, minor) => NodeKind::CharDevice(*major, *minor),
            RowKind::Block(major, minor) => NodeKind::BlockDevice(*major, *minor),
            RowKind::Fifo => NodeKind::Fifo,
            RowKind::Socket => NodeKind::Socket,
        };
        let mut xattrs = BTreeMap::new();
        for (name, value) in &row.xattrs {
            xattrs.insert(text(name)?, text(value)?);
        }
        let Row { mode, uid, gid, mtime, .. } = row;
        tree.nodes.insert(path, Node { mode, uid, gid, mtime, xattrs, kind });
    }
    if !tree.nodes.contains_key([].as_slice()) {
        return Err(damaged("there is no root directory".into()));
    }
    for (path, node) in &tree.nodes {
        if let NodeKind::HardLink(first) = &node.kind
            && !tree.get(first).is_some_and(|n| matches!(n.kind, NodeKind::File(_)))
        {
            return Err(damaged(format!("`{}` is a hard link to what is not a regular file", escape(path))));
        }
    }
    Ok(tree)
}

/// Compares every content of a pack with its digest: about half a second for a gigabyte.
pub fn verify(dir: &Path) -> Result<Tree> {
    let tree = open(dir)?;
    for (path, node) in &tree.nodes {
        if let NodeKind::File(content) = &node.kind
            && Digest::of(content.bytes()) != content.digest()
        {
            return Err(damaged(dir, format!("the content of `{}` does not have its digest", escape(path))));
        }
    }
    Ok(tree)
}

fn damaged(dir: &Path, why: String) -> Error {
    Error::host("a stored tree is damaged")
        .at(dir.display().to_string())
        .because(why)
        .hint("remove that directory; the next build makes it again")
}

/// Rows come sorted, each below a directory that came before.
fn check_place(tree: &Tree, path: &[u8]) -> std::result::Result<(), &'static str> {
    if let Some((last, _)) = tree.nodes.last_key_value()
        && last.as_slice() >= path
    {
        return Err("the paths are not in order");
    }
    if path.is_empty() {
        return Ok(());
    }
    let bad = |part: &[u8]| part.is_empty() || part == b"." || part == b".." || part.contains(&0);
    if path.split(|&b| b == b'/').any(bad) {
        return Err("a path with an empty component, `.`, `..` or NUL");
    }
    let parent = &path[..path.iter().rposition(|&b| b == b'/').unwrap_or(0)];
    match tree.get(parent).map(|n| &n.kind) {
        Some(NodeKind::Directory) => Ok(()),
        _ => Err("its parent is not a directory"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Tree {
        let mut tree = Tree::new();
        tree.insert("etc/passwd", Node::file(0o644, "root:x:0:0\n"));
        tree.insert("etc/copy", Node::file(0o600, "root:x:0:0\n"));
        tree.insert("etc/hard", Node::new(0o644, NodeKind::HardLink(b"etc/passwd".to_vec())));
        tree.insert("etc/empty", Node::file(0o4755, ""));
        tree.insert("bin", Node::symlink("usr/bin"));
        tree.insert("dev/null", Node::new(0o666, NodeKind::CharDevice(1, 3)));
        tree.insert("dev/vda", Node::new(0o660, NodeKind::BlockDevice(254, 0)));
        tree.insert("run/fifo", Node::new(0o600, NodeKind::Fifo));
        tree.insert("run/socket", Node::new(0o600, NodeKind::Socket));
        let mut odd = Node::file(0o755, vec![0, 255, 37]);
        (odd.uid, odd.gid, odd.mtime) = (998, 42, -5);
        odd.xattrs.insert(b"security.capability".to_vec(), vec![1, 0, 0, 2, b'%']);
        tree.insert(b"usr/bin/caf\xe9 100%\n".to_vec(), odd);
        tree
    }
    fn shown(tree: &Tree) -> String {
        tree.nodes.iter().map(|(p, n)| format!("{} {n:?}\n", escape(p))).collect()
    }

    #[test]
    fn a_pack_gives_back_the_tree_and_is_deterministic() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write(&sample(), &Origins::default(), a.path()).unwrap();
        let again = verify(a.path()).unwrap();
        assert_eq!(shown(&again), shown(&sample()));
        assert_eq!(again.read("etc/hard"), Some(b"root:x:0:0\n".as_slice()));
        write(&again, &Origins::default(), b.path()).unwrap();
        for file in [INDEX, CONTENTS] {
            assert_eq!(fs::read(a.path().join(file)).unwrap(), fs::read(b.path().join(file)).unwrap());
        }
        assert_eq!(fs::read(a.path().join(CONTENTS)).unwrap().len(), 11 + 3, "equal contents are stored once");
    }

    #[test]
    fn every_flipped_byte_of_the_index_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        write(&sample(), &Origins::default(), dir.path()).unwrap();
        let path = dir.path().join(INDEX);
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&path, &bad).unwrap();
            assert!(open(dir.path()).is_err(), "byte {at}");
        }
        fs::write(&path, &good[..good.len() - 1]).unwrap();
        assert!(open(dir.path()).is_err());
    }

    #[test]
    fn damaged_contents_are_noticed() {
        let dir = tempfile::tempdir().unwrap();
        write(&sample(), &Origins::default(), dir.path()).unwrap();
        let path = dir.path().join(CONTENTS);
        let good = fs::read(&path).unwrap();
        fs::write(&path, &good[1..]).unwrap();
        assert!(open(dir.path()).unwrap_err().to_string().contains("bytes"));
        let mut bad = good.clone();
        bad[3] ^= 1;
        fs::write(&path, bad).unwrap();
        assert!(verify(dir.path()).is_err());
    }

    /// An index that was written by somebody else, with a right digest and a wrong tree.
    #[test]
    fn wrong_trees_are_refused() {
        let row = |path: &str, kind| Row {
            path: path.into(),
            mode: 0o755,
            uid: 0,
            gid: 0,
            mtime: 0,
            kind,
            xattrs: BTreeMap::new(),
        };
        let cases: [(&str, Vec<Row>); 7] = [
            ("no root", vec![]),
            ("no parent", vec![row("", RowKind::Dir), row("a/b", RowKind::Dir)]),
            ("below a link", vec![row("", RowKind::Dir), row("a", RowKind::Sym("/".into())), row("a/b", RowKind::Dir)]),
            ("dots", vec![row("", RowKind::Dir), row("..", RowKind::Dir)]),
            ("order", vec![row("", RowKind::Dir), row("b", RowKind::Dir), row("a", RowKind::Dir)]),
            ("outside", vec![row("", RowKind::Dir), row("a", RowKind::File(0, 1, Digest::of(b"")))]),
            ("hard link", vec![row("", RowKind::Dir), row("a", RowKind::Hard("b".into()))]),
        ];
        for (name, nodes) in cases {
            let dir = tempfile::tempdir().unwrap();
            let json = serde_json::to_vec(&PackIndex { version: VERSION, contents: 0, nodes }).unwrap();
            let mut bytes = format!("{}\n", Digest::of(&json)).into_bytes();
            bytes.extend_from_slice(&json);
            fs::write(dir.path().join(INDEX), bytes).unwrap();
            fs::write(dir.path().join(CONTENTS), "").unwrap();
            assert!(open(dir.path()).is_err(), "{name}");
        }
    }
}
