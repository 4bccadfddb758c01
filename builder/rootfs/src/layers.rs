//! Layers of an image → one tree. OCI image specification 1.1, layer.md: tar archives, each laid over those below it,
//! with whiteouts for what is gone.
//!
//! Everything happens in a [`Tree`] in memory, never in a directory: whatever a path in a layer says, there is nothing
//! outside that it could reach. Links in the way are followed inside the tree, as by a process whose root it is.
//! Contents stay in the (mapped) files of the layers.

use crate::mapped::MappedFile;
use crate::tree::{Content, Node, NodeKind, Tree, TreePath};
use diorite_host::interrupt;
use diorite_model::{Digest, Error, Hasher, Result};
use pax::{Extensions, MOST_SPARSE};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod pax;
#[cfg(test)]
mod tests;

/// One layer: tar, perhaps compressed with gzip or zstd.
#[derive(Debug, Clone)]
pub struct LayerFile {
    /// The file it is in.
    pub file: PathBuf,
    /// Where it begins there, in bytes.
    pub start: u64,
    /// Its bytes.
    pub size: u64,
    /// Digest of the tar in it.
    pub diff_id: Digest,
}

/// The most a layer may unpack to: what would fill a disk is refused before it does.
const LARGEST: u64 = 16 << 30;

/// Lays the layers over each other, lowest first. `work` takes what is decompressed; it must live as long as the tree.
///
/// # Errors
/// `Input` for a layer that has not its digest, is not a tar archive, or names a path outside the image; the caller says
/// which image.
pub fn merge(layers: &[LayerFile], work: &Path) -> Result<Tree> {
    let mut merge = Merge { tree: Tree::new(), inodes: HashMap::new(), next: 0 };
    for (i, layer) in layers.iter().enumerate() {
        interrupt::check()?;
        let number = |mut e: Error| {
            e.cause = Some(format!("layer {} of {}: {}", i + 1, layers.len(), e.cause.unwrap_or(e.what)));
            Error { what: "a layer cannot be used".into(), ..e }
        };
        let bytes = uncompressed(layer, &work.join(format!("layer-{i}"))).map_err(number)?;
        merge.lay(&bytes).map_err(number)?;
    }
    Ok(merge.finish())
}

/// A piece of a mapped file.
struct Piece {
    whole: Arc<dyn AsRef<[u8]> + Send + Sync>,
    start: usize,
    len: usize,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &(*self.whole).as_ref()[self.start..self.start + self.len]
    }
}

fn wrong(cause: impl Into<String>) -> Error {
    Error::input(cause)
}

/// The tar of a layer, which has its digest.
fn uncompressed(layer: &LayerFile, to: &Path) -> Result<Piece> {
    let map = |path: &Path| -> Result<MappedFile> {
        let failed = |e| Error::io("a layer cannot be read", path, e);
        let file = File::open(path).map_err(failed)?;
        let len = file.metadata().map_err(failed)?.len();
        MappedFile::of(&file, usize::try_from(len).unwrap_or(usize::MAX)).map_err(failed)
    };
    let whole: Arc<dyn AsRef<[u8]> + Send + Sync> = Arc::new(map(&layer.file)?);
    let there = (*whole).as_ref().len() as u64;
    if layer.start.checked_add(layer.size).is_none_or(|end| end > there) {
        return Err(wrong("its file ends before it does"));
    }
    let piece = Piece { whole, start: layer.start as usize, len: layer.size as usize };
    let bytes = piece.as_ref();
    // By their first bytes (RFC 1952, RFC 8878): media types have been wrong, the digest decides.
    let mut reader: Box<dyn Read + '_> = match bytes {
        [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(bytes)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            Box::new(zstd::Decoder::with_buffer(bytes).map_err(|e| wrong(format!("zstd: {e}")))?)
        }
        _ => {
            return match Digest::of(bytes) == layer.diff_id {
                true => Ok(piece),
                false => Err(wrong(format!("its digest is not {}", layer.diff_id))),
            };
        }
    };
    let failed = |e| Error::io("a layer cannot be written", to, e);
    let mut file = File::create(to).map_err(failed)?;
    let (mut hasher, mut buffer, mut size) = (Hasher::new(), vec![0; 1 << 18], 0);
    loop {
        interrupt::check()?;
        let n = reader.read(&mut buffer).map_err(|e| wrong(format!("it cannot be decompressed: {e}")))?;
        if n == 0 {
            break;
        }
        size += n as u64;
        if size > LARGEST {
            return Err(wrong(format!("it is larger than {LARGEST} bytes")));
        }
        hasher.update(&buffer[..n]);
        file.write_all(&buffer[..n]).map_err(failed)?;
    }
    if hasher.finish() != layer.diff_id {
        return Err(wrong(format!("its digest is not {}", layer.diff_id)));
    }
    drop(reader);
    Ok(Piece { whole: Arc::new(map(to)?), start: 0, len: size as usize })
}

struct Merge {
    tree: Tree,
    /// Which regular files are the same one, by a number of it.
    inodes: HashMap<TreePath, u64>,
    next: u64,
}

impl Merge {
    /// Lays one layer over the tree.
    fn lay(&mut self, piece: &Piece) -> Result<()> {
        let damaged =
            |e: std::io::Error| wrong(format!("it is not a complete tar archive: {}", e.to_string().escape_default()));
        // What this very layer brought: its whiteouts are about the layers below.
        let mut own: BTreeSet<TreePath> = BTreeSet::new();
        let mut tar = tar::Archive::new(Cursor::new(piece.as_ref()));
        for entry in tar.entries_with_seek().map_err(damaged)? {
            let mut entry = entry.map_err(damaged)?;
            let kind = entry.header().entry_type();
            if kind == tar::EntryType::XGlobalHeader {
                continue;
            }
            let Extensions { mtime, xattrs, mut sparse } = Extensions::read(&mut entry).map_err(damaged)?;
            let made_up = sparse.as_mut().and_then(|sparse| sparse.name.take());
            let written = made_up.unwrap_or_else(|| entry.path_bytes().into_owned());
            let path = plain(&written)?;
            let name = path.rsplit(|&b| b == b'/').next().unwrap_or_default();
            let directory = &path[..path.len() - name.len()];
            let directory = directory.strip_suffix(b"/").unwrap_or(directory);
            if let Some(gone) = name.strip_prefix(b".wh.") {
                if matches!(gone, b"" | b"." | b"..") {
                    return Err(outside(&written));
                }
                let Some(directory) = self.tree.resolve(directory) else { continue };
                match gone {
                    b".wh..opq" => self.whiten(&directory, &own, false),
                    _ if gone.starts_with(b".wh.") => {}
                    _ => self.whiten(&join(&directory, gone), &own, true),
                }
                continue;
            }
            let path = if path.is_empty() { path } else { join(&self.directory(directory)?, name) };
            let header = entry.header();
            let number = |n: std::io::Result<u64>| n.ok().and_then(|n| u32::try_from(n).ok());
            let (Some(uid), Some(gid)) = (number(header.uid()), number(header.gid())) else {
                return Err(wrong(format!("`{}` has no usable owner", shown(&path))));
            };
            let mode = header.mode().map_err(damaged)? & 0o7777;
            let mtime = mtime.map_or_else(|| pax::mtime(header), Ok).map_err(damaged)?;
            // The format of the seventh edition of Unix has no type for directories.
            let old_directory = header.as_old().linkflag == [0] && written.ends_with(b"/");
            let holes = |e: std::io::Error| wrong(format!("`{}` has holes, and {e}", shown(&path)));
            let made = match kind {
                tar::EntryType::Directory => NodeKind::Directory,
                tar::EntryType::Regular if old_directory => NodeKind::Directory,
                tar::EntryType::Regular | tar::EntryType::Continuous => {
                    let (start, size) = (entry.raw_file_position() as usize, entry.size() as usize);
                    let bytes = piece.as_ref().get(start..).and_then(|b| b.get(..size));
                    let bytes = bytes.ok_or_else(|| wrong(format!("it ends before `{}` does", shown(&path))))?;
                    NodeKind::File(match sparse {
                        Some(sparse) => Content::from_bytes(sparse.filled(bytes).map_err(holes)?),
                        None => Content::slice(piece.whole.clone(), piece.start + start, size, Digest::of(bytes)),
                    })
                }
                tar::EntryType::GNUSparse => {
                    let mut bytes = Vec::new();
                    let read = (&mut entry).take(MOST_SPARSE + 1).read_to_end(&mut bytes).map_err(holes)?;
                    if read as u64 > MOST_SPARSE {
                        return Err(wrong(format!("`{}` has holes, and it unpacks to more than 1 GiB", shown(&path))));
                    }
                    NodeKind::File(Content::from_bytes(bytes))
                }
                tar::EntryType::Symlink => match entry.link_name_bytes() {
                    Some(target) if !target.is_empty() && !target.contains(&0) => {
                        NodeKind::Symlink(target.into_owned())
                    }
                    _ => return Err(wrong(format!("`{}` is a link to nowhere", shown(&path)))),
                },
                tar::EntryType::Link => {
                    let target = entry.link_name_bytes().map(|t| t.into_owned()).unwrap_or_default();
                    self.link(&path, &plain(&target)?)?;
                    own.insert(path);
                    continue;
                }
                tar::EntryType::Fifo => NodeKind::Fifo,
                // /dev is the runtime's, and a container may not use any other device.
                tar::EntryType::Char | tar::EntryType::Block => continue,
                other => return Err(wrong(format!("`{}` has the unknown type {other:?}", shown(&path)))),
            };
            if path.is_empty() && !matches!(made, NodeKind::Directory) {
                return Err(wrong("its root is not a directory"));
            }
            let mode = if matches!(made, NodeKind::Symlink(_)) { 0o777 } else { mode };
            self.put(path.clone(), Node { mode, uid, gid, mtime, xattrs, kind: made });
            own.insert(path);
        }
        Ok(())
    }

    /// The real path of a directory that something is put into; made where it is missing.
    fn directory(&mut self, path: &[u8]) -> Result<TreePath> {
        if let Some(real) = self.tree.resolve(path) {
            return match self.tree.get(&real).map(|n| &n.kind) {
                Some(NodeKind::Directory) => Ok(real),
                _ => Err(wrong(format!("`{}` is not a directory", shown(path)))),
            };
        }
        let cut = path.iter().rposition(|&b| b == b'/');
        let parent = self.directory(&path[..cut.unwrap_or(0)])?;
        let real = join(&parent, &path[cut.map_or(0, |c| c + 1)..]);
        // There is something, and it leads nowhere: a link to what is not there, or in a circle.
        if self.tree.get(&real).is_some() {
            return Err(wrong(format!("`{}` is a link to nowhere", shown(path))));
        }
        self.put(real.clone(), Node::directory(0o755));
        Ok(real)
    }

    fn put(&mut self, path: TreePath, node: Node) {
        let directory = matches!(node.kind, NodeKind::Directory);
        let kept = directory && matches!(self.tree.get(&path).map(|n| &n.kind), Some(NodeKind::Directory));
        if !kept && !path.is_empty() {
            self.tree.remove(&path);
        }
        if matches!(node.kind, NodeKind::File(_)) {
            self.next += 1;
            self.inodes.insert(path.clone(), self.next);
        }
        self.tree.nodes.insert(path, node);
    }

    /// One more name of a file that is there.
    fn link(&mut self, path: &[u8], target: &[u8]) -> Result<()> {
        let name = target.rsplit(|&b| b == b'/').next().unwrap_or_default();
        let directory = target[..target.len() - name.len()].strip_suffix(b"/").unwrap_or_default();
        let real = self.tree.resolve(directory).map(|directory| join(&directory, name));
        let node = real.as_ref().and_then(|real| self.tree.get(real)).cloned();
        let (Some(real), Some(node)) = (real, node) else {
            return Err(wrong(format!("`{}` is a hard link to `{}`, which is not there", shown(path), shown(target))));
        };
        if matches!(node.kind, NodeKind::Directory) || path.is_empty() {
            return Err(wrong(format!("`{}` is a hard link to a directory", shown(path))));
        }
        if real == path {
            return Ok(());
        }
        let inode = self.inodes.get(&real).copied();
        self.put(path.to_vec(), node);
        if let Some(inode) = inode {
            self.inodes.insert(path.to_vec(), inode);
        }
        Ok(())
    }

    /// Takes away what lower layers brought below a path, and at it.
    fn whiten(&mut self, path: &[u8], own: &BTreeSet<TreePath>, itself: bool) {
        let prefix = join(path, b"");
        let kept = |p: &[u8]| {
            let below = join(p, b"");
            own.contains(p) || own.range(below.clone()..).next().is_some_and(|o| o.starts_with(&below))
        };
        let below = self.tree.nodes.range(prefix.clone()..).map(|(p, _)| p);
        let mut gone: Vec<TreePath> =
            below.take_while(|p| p.starts_with(&prefix)).filter(|p| !p.is_empty()).cloned().collect();
        if itself && !path.is_empty() {
            gone.push(path.to_vec());
        }
        for path in gone.iter().filter(|p| !kept(p)) {
            self.tree.nodes.remove(path);
        }
    }

    /// Of names of one file the first in bytewise order is the file, the others refer to it.
    fn finish(mut self) -> Tree {
        let mut first: BTreeMap<u64, TreePath> = BTreeMap::new();
        for (path, node) in &mut self.tree.nodes {
            if !matches!(node.kind, NodeKind::File(_)) {
                continue;
            }
            let Some(inode) = self.inodes.get(path) else { continue };
            match first.get(inode) {
                Some(first) => node.kind = NodeKind::HardLink(first.clone()),
                None => drop(first.insert(*inode, path.clone())),
            }
        }
        self.tree
    }
}

/// A path of a layer as one of a tree. The outer slash and `.` mean nothing; `..` is refused.
fn plain(written: &[u8]) -> Result<TreePath> {
    // PATH_MAX, limits.h(0p).
    if written.len() > 4096 {
        return Err(wrong("a path in it is longer than 4096 bytes"));
    }
    let mut path = Vec::with_capacity(written.len());
    for part in written.split(|&b| b == b'/').filter(|p| !p.is_empty() && *p != b".") {
        if part == b".." || part.contains(&0) || part.len() > 255 {
            return Err(outside(written));
        }
        path = join(&path, part);
    }
    Ok(path)
}

fn outside(written: &[u8]) -> Error {
    wrong(format!("`{}` is not a path inside an image", shown(written)))
}

fn join(directory: &[u8], name: &[u8]) -> TreePath {
    if directory.is_empty() { name.to_vec() } else { [directory, b"/", name].concat() }
}

fn shown(path: &[u8]) -> String {
    path.escape_ascii().to_string()
}
