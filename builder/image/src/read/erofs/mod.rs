//! Root partition → the files in it: a reader of the EROFS images that [`crate::filesystem`] writes (Linux
//! `fs/erofs/erofs_fs.h`). It refuses features that are not written here, and tells of damage by the file that has it.
//!
//! Metadata is read at once; contents when they are asked for. So two images are compared by what is stored, and only pieces
//! that differ are decompressed.

mod index;
#[cfg(test)]
mod tests;

pub use index::StoredPiece;

use crate::region::Region;
use diorite_model::{Error, Result};
use diorite_rootfs::tree::TreePath;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::OnceLock;

const BLOCK: u64 = 4096;
const MAGIC: u32 = 0xE0F5_E1E2;
/// Features of an image that this reader understands: zero padding, large pieces, packed files.
const KNOWN_FEATURES: u32 = 0x23;
/// Bytes of a path, as Linux has them.
const LONGEST: usize = 4096;
/// Bit 63 of the index of a packed file.
const PACKED: u64 = 1 << 63;

/// A file of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFile {
    /// The inode; names of one file have the same.
    pub inode: u64,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Seconds since 1970.
    pub mtime: i64,
    /// Extended attributes by full name.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What it is.
    pub kind: ImageFileKind,
}

/// What a file of an image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageFileKind {
    /// A directory.
    Directory,
    /// A regular file of so many bytes.
    Regular(u64, Stored),
    /// A symbolic link and its target.
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

/// Where the bytes of a file are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// In blocks from this one on, as they are; the rest in the metadata.
    Plain(u32, Range<usize>),
    /// In pieces.
    Pieces(Vec<StoredPiece>),
    /// Together with other small files, from this offset on.
    Packed(u64),
}

/// An image being read.
pub struct ErofsReader {
    region: Region,
    /// From the first block of metadata to the end of the image.
    metadata: Vec<u8>,
    epoch: i64,
    root: u64,
    /// Bytes of the whole image.
    len: u64,
    /// The file that small files are packed into, and its content once it was read.
    packed: Option<(u64, Stored)>,
    unpacked: OnceLock<Result<Vec<u8>>>,
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}
fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    number(bytes, at).map(u16::from_le_bytes)
}
fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    number(bytes, at).map(u32::from_le_bytes)
}
fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    number(bytes, at).map(u64::from_le_bytes)
}

impl ErofsReader {
    /// Reads superblock and metadata of the image that the region begins with.
    ///
    /// # Errors
    /// [`diorite_model::Exit::Input`]: it is no EROFS image, has features that are not written here, or is damaged.
    pub fn open(region: Region) -> Result<Self> {
        let place = region.path().display().to_string();
        let wrong = |why: &str| Error::input("the root file system cannot be read").at(place.clone()).because(why);
        let superblock = region.bytes(1024, 256).map_err(|_| wrong("the partition is too small for one"))?;
        let word = |at: usize| u32_at(&superblock, at).unwrap_or_default();
        if word(0) != MAGIC {
            return Err(wrong("it does not begin as EROFS does"));
        }
        if superblock[12] != 12 || word(80) & !KNOWN_FEATURES != 0 {
            return Err(wrong("it has features of EROFS that Diorite does not write")
                .hint("another program made this image; `fsck.erofs` and `dump.erofs` read it"));
        }
        let (blocks, first) = (u64::from(word(36)), u64::from(word(40)));
        if blocks * BLOCK > region.len() || first >= blocks {
            return Err(wrong("it says that it is larger than its partition"));
        }
        let metadata = region.bytes(first * BLOCK, ((blocks - first) * BLOCK) as usize)?;
        let mut reader = Self {
            region,
            metadata,
            epoch: u64_at(&superblock, 24).unwrap_or_default() as i64,
            root: u64::from(u16_at(&superblock, 14).unwrap_or_default()),
            len: blocks * BLOCK,
            packed: None,
            unpacked: OnceLock::new(),
        };
        if word(80) & 0x20 != 0 {
            let inode = u64_at(&superblock, 96).unwrap_or_default();
            let file = reader.inode(inode).ok_or_else(|| wrong("the small files are not where it says"))?;
            let ImageFileKind::Regular(size, stored @ (Stored::Pieces(_) | Stored::Plain(..))) = file.kind else {
                return Err(wrong("the small files are in no file"));
            };
            reader.packed = Some((size, stored));
        }
        Ok(reader)
    }

    /// Bytes of the image.
    pub fn len(&self) -> u64 {
        self.len
    }
    /// Never: it has a superblock.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Every file by its path; the root is the empty path.
    ///
    /// # Errors
    /// The metadata is damaged: the path at which it is.
    pub fn files(&self) -> Result<BTreeMap<TreePath, ImageFile>> {
        let mut all = BTreeMap::new();
        self.walk(Vec::new(), self.root, &mut BTreeSet::new(), &mut all)?;
        Ok(all)
    }

    fn damaged(&self, path: &[u8], why: &str) -> Error {
        Error::input("the root file system is damaged")
            .at(format!("/{} in {}", String::from_utf8_lossy(path), self.region.path().display()))
            .because(why)
            .hint("build or copy the image again")
    }

    /// Adds what is at a path and below it. `above`: the directories seen so far, each of which has one name.
    fn walk(
        &self,
        path: TreePath,
        inode: u64,
        above: &mut BTreeSet<u64>,
        all: &mut BTreeMap<TreePath, ImageFile>,
    ) -> Result<()> {
        let file = self.inode(inode).ok_or_else(|| self.damaged(&path, "its inode makes no sense"))?;
        let directory = file.kind == ImageFileKind::Directory;
        all.insert(path.clone(), file);
        if !directory {
            return Ok(());
        }
        if !above.insert(inode) {
            return Err(self.damaged(&path, "it is a directory that has another name as well"));
        }
        for (name, child) in self.directory(&path, inode)? {
            let slash: &[u8] = if path.is_empty() { b"" } else { b"/" };
            let below = [&path[..], slash, &name].concat();
            if below.len() > LONGEST || all.contains_key(&below) {
                return Err(self.damaged(&below, "its name is too long, or is there twice"));
            }
            self.walk(below, child, above, all)?;
        }
        Ok(())
    }

    /// Names and inodes of a directory, without `.` and `..`.
    fn directory(&self, path: &[u8], inode: u64) -> Result<Vec<(Vec<u8>, u64)>> {
        let damaged = || self.damaged(path, "the directory makes no sense");
        let (size, stored) = self.stored(inode).ok_or_else(damaged)?;
        let listing = self.read(size, &stored).map_err(|_| damaged())?;
        let mut names = Vec::new();
        for block in listing.chunks(BLOCK as usize) {
            let offset = |i: usize| u16_at(block, i * 12 + 8).map(usize::from);
            let count = offset(0).ok_or_else(damaged)? / 12;
            for i in 0..count {
                let start = offset(i).ok_or_else(damaged)?;
                let end = if i + 1 < count { offset(i + 1).ok_or_else(damaged)? } else { block.len() };
                let name = block.get(start..end).ok_or_else(damaged)?;
                let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
                let child = u64_at(block, i * 12).ok_or_else(damaged)?;
                match name {
                    b"." | b".." => {}
                    name if name.is_empty() || name.contains(&b'/') => return Err(damaged()),
                    name => names.push((name.to_vec(), child)),
                }
            }
        }
        Ok(names)
    }

    /// An inode; `None` when it makes no sense.
    fn inode(&self, inode: u64) -> Option<ImageFile> {
        let at = usize::try_from(inode).ok()?.checked_mul(32)?;
        let bytes = self.metadata.get(at..)?;
        let extended = u16_at(bytes, 0)? & 1 == 1;
        let kind = u16_at(bytes, 4)?;
        let core = if extended { 64 } else { 32 };
        let attributes = bytes.get(core..core + xattr_len(u16_at(bytes, 2)?))?;
        let device = || {
            // new_encode_dev of Linux: twelve bits of major number between twenty of minor number.
            let number = u32_at(bytes, 16)?;
            Some((number >> 8 & 0xfff, number & 0xff | number >> 12 & 0xf_ff00))
        };
        let kind = match kind >> 12 {
            0o04 => ImageFileKind::Directory,
            0o10 => {
                let (size, stored) = self.stored(inode)?;
                ImageFileKind::Regular(size, stored)
            }
            0o12 => {
                let (size, stored) = self.stored(inode)?;
                ImageFileKind::Symlink(self.read(size, &stored).ok()?)
            }
            0o02 => device().map(|(major, minor)| ImageFileKind::CharDevice(major, minor))?,
            0o06 => device().map(|(major, minor)| ImageFileKind::BlockDevice(major, minor))?,
            0o01 => ImageFileKind::Fifo,
            0o14 => ImageFileKind::Socket,
            _ => return None,
        };
        let short = |at: usize| u16_at(bytes, at).map(u32::from);
        Some(ImageFile {
            inode,
            mode: u32::from(u16_at(bytes, 4)? & 0o7777),
            uid: if extended { u32_at(bytes, 24)? } else { short(24)? },
            gid: if extended { u32_at(bytes, 28)? } else { short(26)? },
            mtime: if extended { u64_at(bytes, 32)? as i64 } else { self.epoch },
            xattrs: xattrs(attributes)?,
            kind,
        })
    }

    /// Size and place of what an inode holds.
    fn stored(&self, inode: u64) -> Option<(u64, Stored)> {
        let at = usize::try_from(inode).ok()?.checked_mul(32)?;
        let bytes = self.metadata.get(at..)?;
        let format = u16_at(bytes, 0)?;
        let extended = format & 1 == 1;
        let head = if extended { 64 } else { 32 } + xattr_len(u16_at(bytes, 2)?);
        let size = if extended { u64_at(bytes, 8)? } else { u64::from(u32_at(bytes, 8)?) };
        let first = u32_at(bytes, 16)?;
        let stored = match format >> 1 {
            0 => Stored::Plain(first, 0..0),
            2 => {
                let tail = (size % BLOCK) as usize;
                let range = at + head..at + head + tail;
                self.metadata.get(range.clone())?;
                Stored::Plain(first, range)
            }
            3 => {
                let header = (at + head).next_multiple_of(8);
                let packed = u64_at(&self.metadata, header)?;
                if packed & PACKED != 0 {
                    Stored::Packed(packed & !PACKED)
                } else {
                    let (start, size) = (header + 8, usize::try_from(size).ok()?);
                    let end = start.checked_add(index::len(start, size.div_ceil(BLOCK as usize)))?;
                    Stored::Pieces(index::pieces(self.metadata.get(start..end)?, start, size)?)
                }
            }
            _ => return None,
        };
        // Nothing is larger than what it is stored in could ever hold.
        (size <= self.len.saturating_mul(1 << 12)).then_some((size, stored))
    }

    /// The content of a regular file.
    ///
    /// # Errors
    /// What it is stored in is damaged; `path` names the file.
    pub fn content(&self, path: &[u8], file: &ImageFile) -> Result<Vec<u8>> {
        let ImageFileKind::Regular(size, stored) = &file.kind else { return Ok(Vec::new()) };
        self.read(*size, stored).map_err(|error| self.damaged(path, error.cause.as_deref().unwrap_or(&error.what)))
    }

    /// Whether two regular files, of this image and of another one, have the same content. What is stored alike is not
    /// decompressed.
    ///
    /// # Errors
    /// As [`Self::content`].
    pub fn same(&self, path: &[u8], file: &ImageFile, other: &ErofsReader, theirs: &ImageFile) -> Result<bool> {
        let (ImageFileKind::Regular(size, a), ImageFileKind::Regular(other_size, b)) = (&file.kind, &theirs.kind)
        else {
            return Ok(false);
        };
        if size != other_size {
            return Ok(false);
        }
        match (a, b) {
            (Stored::Pieces(a), Stored::Pieces(b)) => {
                let alike = |(a, b): (&StoredPiece, &StoredPiece)| {
                    (a.blocks, a.len, a.compressed) == (b.blocks, b.len, b.compressed)
                };
                if a.len() == b.len() && a.iter().zip(b).all(alike) && self.same_blocks(a, other, b)? {
                    return Ok(true);
                }
            }
            (Stored::Packed(a), Stored::Packed(b)) => {
                return Ok(self.small_file(path, *a, *size)? == other.small_file(path, *b, *size)?);
            }
            _ => {}
        }
        Ok(self.content(path, file)? == other.content(path, theirs)?)
    }

    /// All pieces of a file lie behind one another.
    fn same_blocks(&self, a: &[StoredPiece], other: &ErofsReader, b: &[StoredPiece]) -> Result<bool> {
        let (Some(first), Some(theirs)) = (a.first(), b.first()) else { return Ok(true) };
        let len: u64 = a.iter().map(|piece| u64::from(piece.blocks) * BLOCK).sum();
        let (mut mine, mut their) = (vec![0; (1 << 18).min(len as usize)], vec![0; (1 << 18).min(len as usize)]);
        let mut at = 0;
        while at < len {
            let count = mine.len().min((len - at) as usize);
            self.region.read_at(&mut mine[..count], u64::from(first.block) * BLOCK + at)?;
            other.region.read_at(&mut their[..count], u64::from(theirs.block) * BLOCK + at)?;
            if mine[..count] != their[..count] {
                return Ok(false);
            }
            at += count as u64;
        }
        Ok(true)
    }

    fn read(&self, size: u64, stored: &Stored) -> Result<Vec<u8>> {
        let outside = || Error::input("a file lies outside the image");
        let size = usize::try_from(size).map_err(|_| outside())?;
        match stored {
            Stored::Plain(first, tail) => {
                let whole = size - tail.len();
                if whole as u64 > self.len {
                    return Err(outside());
                }
                let mut bytes = self.region.bytes(u64::from(*first) * BLOCK * u64::from(whole > 0), whole)?;
                bytes.extend_from_slice(&self.metadata[tail.clone()]);
                Ok(bytes)
            }
            Stored::Pieces(pieces) => self.pieces(pieces),
            Stored::Packed(at) => {
                let start = usize::try_from(*at).map_err(|_| outside())?;
                let end = start.checked_add(size).ok_or_else(outside)?;
                self.small_files()?.get(start..end).map(<[u8]>::to_vec).ok_or_else(outside)
            }
        }
    }

    fn small_file(&self, path: &[u8], at: u64, size: u64) -> Result<&[u8]> {
        let (start, size) = (at as usize, size as usize);
        let bytes = self.small_files()?.get(start..start.saturating_add(size));
        bytes.ok_or_else(|| self.damaged(path, "it lies outside the small files"))
    }

    /// Whether a block holds a part of the small file of this offset and size.
    pub fn packed_in(&self, at: u64, size: u64, block: usize) -> bool {
        let within = |first: u32, blocks: u64| (u64::from(first)..u64::from(first) + blocks).contains(&(block as u64));
        match &self.packed {
            Some((_, Stored::Plain(first, _))) => {
                within(*first + (at / BLOCK) as u32, (at % BLOCK + size).div_ceil(BLOCK))
            }
            Some((_, Stored::Pieces(pieces))) => {
                let mut start = 0;
                pieces.iter().any(|piece| {
                    let end = start + piece.len as u64;
                    let holds = start < at + size && at < end;
                    start = end;
                    holds && within(piece.block, piece.blocks.into())
                })
            }
            _ => false,
        }
    }

    /// The content of the small files.
    fn small_files(&self) -> Result<&[u8]> {
        let unpacked = self.unpacked.get_or_init(|| match &self.packed {
            Some((size, stored)) => self.read(*size, stored),
            None => Err(Error::input("a small file is stored where there are none")),
        });
        unpacked.as_deref().map_err(Clone::clone)
    }

    fn pieces(&self, pieces: &[StoredPiece]) -> Result<Vec<u8>> {
        let parts: Result<Vec<Vec<u8>>> = pieces.par_iter().map(|piece| self.piece(piece)).collect();
        Ok(parts?.concat())
    }

    fn piece(&self, piece: &StoredPiece) -> Result<Vec<u8>> {
        let at = u64::from(piece.block) * BLOCK;
        let mut stored = self.region.bytes(at, (u64::from(piece.blocks) * BLOCK) as usize)?;
        if !piece.compressed {
            stored.truncate(piece.len);
            return Ok(stored);
        }
        // The frame ends with its last block; zeros in front of it fill the first one.
        let start = stored.iter().position(|&byte| byte != 0).unwrap_or(stored.len());
        let failed = |why: String| {
            Error::input("a piece is damaged").because(format!("block {} does not decompress: {why}", piece.block))
        };
        let bytes = zstd::bulk::decompress(&stored[start..], piece.len).map_err(|e| failed(e.to_string()))?;
        if bytes.len() != piece.len {
            return Err(failed(format!("it has {} bytes, not {}", bytes.len(), piece.len)));
        }
        Ok(bytes)
    }
}

fn xattr_len(count: u16) -> usize {
    if count == 0 { 0 } else { 12 + (usize::from(count) - 1) * 4 }
}

/// Attributes behind an inode: a header of twelve bytes, then an entry for each.
fn xattrs(bytes: &[u8]) -> Option<BTreeMap<Vec<u8>, Vec<u8>>> {
    let mut all = BTreeMap::new();
    let mut at = 12;
    while at < bytes.len() {
        let (name_len, prefix) = (usize::from(*bytes.get(at)?), *bytes.get(at + 1)?);
        let value_len = usize::from(u16_at(bytes, at + 2)?);
        let prefix: &[u8] = match prefix {
            1 => b"user.",
            2 => b"system.posix_acl_access",
            3 => b"system.posix_acl_default",
            4 => b"trusted.",
            6 => b"security.",
            _ => return None,
        };
        let name = bytes.get(at + 4..at + 4 + name_len)?;
        let value = bytes.get(at + 4 + name_len..at + 4 + name_len + value_len)?;
        all.insert([prefix, name].concat(), value.to_vec());
        at += (4 + name_len + value_len).next_multiple_of(4);
    }
    Some(all)
}
