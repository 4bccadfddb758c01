//! Inodes with their indexes and inline data, and the directories' blocks: everything behind the file data.
//!
//! What an inode looks like is settled first (where pieces lie is known by now), then its place, and then
//! the directories, which hold places.

use super::FilesystemOptions;
use super::data::PieceLocation;
use super::encode::{
    BLOCK, COMPACT_LEN, Dirent, EXTENDED_LEN, InodeFields, InodeLayout, Lcluster, SLOT, compact_index,
    directory_blocks, directory_tail, map_header, packed_header,
};
use super::layout::{self, Shape};
use super::plan::{Body, Inode, Plan};
use diorite_model::{Error, Result};

/// The end of the image.
pub(super) struct Metadata {
    /// Whole blocks that come first: directories' and long links'.
    pub directories: Vec<u8>,
    /// Whole blocks of inodes.
    pub inodes: Vec<u8>,
    pub meta_blkaddr: u32,
    pub root_nid: u16,
    pub packed_nid: Option<u64>,
}

/// One inode on its way to the disk.
struct InodeRecord<'t> {
    raw: InodeFields,
    /// Map header and index.
    index: Vec<u8>,
    /// Content behind it, unless it is a directory's.
    inline: &'t [u8],
    /// Bytes of content behind it.
    inline_len: usize,
    /// Content in blocks of its own, in front of the metadata area.
    own_blocks: usize,
}

/// Lays out everything behind the data, which ends at block `blkaddr`.
pub(super) fn assemble(
    plan: &Plan,
    stored: &[PieceLocation],
    blkaddr: u32,
    options: &FilesystemOptions,
) -> Result<Metadata> {
    let mut records: Vec<_> =
        plan.inodes.iter().enumerate().map(|(number, inode)| record(inode, number as u32 + 1, stored)).collect();
    let (places, len) = layout::place(&records.iter().map(|record| record.shape()).collect::<Vec<_>>());
    let nid = |number: usize| (places[number] / SLOT) as u64;

    let mut directories = Vec::new();
    let mut inodes = vec![0; len];
    for (number, (inode, record)) in plan.inodes.iter().zip(&mut records).enumerate() {
        let listing = match &inode.body {
            Body::Directory { parent, entries } => listing(plan, number, *parent, entries, nid),
            _ => Vec::new(),
        };
        let content = if listing.is_empty() { record.inline } else { &listing };
        let (own, inline) = content.split_at(content.len() - record.inline_len);
        if record.own_blocks > 0 {
            record.raw.union = blkaddr + (directories.len() / BLOCK) as u32;
            directories.extend(own);
            directories.resize(directories.len().next_multiple_of(BLOCK), 0);
        }
        let mut bytes = record.raw.encode(options.epoch);
        bytes.extend(&inode.xattrs);
        if !record.index.is_empty() {
            bytes.resize(bytes.len().next_multiple_of(8), 0);
            bytes.extend(&record.index);
        }
        bytes.extend(inline);
        debug_assert_eq!(bytes.len(), record.shape().head + record.inline_len);
        inodes[places[number]..][..bytes.len()].copy_from_slice(&bytes);
    }

    let too_large = || Error::input("the root file system would be larger than 16 TiB");
    let blocks = |len: usize| u32::try_from(len / BLOCK).map_err(|_| too_large());
    let meta_blkaddr = blkaddr.checked_add(blocks(directories.len())?).ok_or_else(too_large)?;
    meta_blkaddr.checked_add(blocks(inodes.len())?).ok_or_else(too_large)?;
    Ok(Metadata {
        directories,
        inodes,
        meta_blkaddr,
        root_nid: u16::try_from(nid(0)).map_err(|_| Error::bug("the root directory's inode lies too far back"))?,
        packed_nid: plan.packed.then(|| nid(plan.inodes.len() - 1)),
    })
}

impl InodeRecord<'_> {
    fn core(&self) -> usize {
        if self.raw.needs_extended() { EXTENDED_LEN } else { COMPACT_LEN }
    }

    fn shape(&self) -> Shape {
        let core = self.core();
        let base = core + self.raw.xattr_len;
        let head = if self.index.is_empty() { base } else { base.next_multiple_of(8) + self.index.len() };
        Shape { core, head, inline: self.inline_len }
    }
}

/// Decides the layout of one inode and encodes its index.
fn record<'t>(inode: &Inode<'t>, ino: u32, stored: &[PieceLocation]) -> InodeRecord<'t> {
    let mut record = InodeRecord {
        raw: InodeFields {
            layout: InodeLayout::FlatPlain,
            xattr_len: inode.xattrs.len(),
            mode: inode.file_type.mode_bits() | inode.mode,
            nlink: inode.nlink,
            size: 0,
            union: 0,
            ino,
            uid: inode.uid,
            gid: inode.gid,
            mtime: inode.mtime,
        },
        index: Vec::new(),
        inline: &[],
        inline_len: 0,
        own_blocks: 0,
    };
    match &inode.body {
        Body::Empty => {}
        Body::Device(number) => record.raw.union = *number,
        Body::Inline(bytes) => {
            record.inline = bytes;
            record.flat(0, bytes.len());
        }
        Body::Directory { entries, .. } => {
            let (full, tail) = directory_tail(sorted(entries, 0, 0).iter().map(|&(name, _)| name));
            record.flat(full, tail);
        }
        Body::Packed { offset, size } => {
            record.raw.layout = InodeLayout::CompressedCompact;
            record.raw.size = *size;
            record.index = packed_header(*offset).to_vec();
        }
        Body::Pieces { pieces, size } => {
            record.raw.size = *size;
            record.pieces(&stored[pieces.clone()]);
        }
    }
    record
}

impl InodeRecord<'_> {
    /// Content of `full` whole blocks and `tail` more bytes, which lie behind the inode if they can.
    fn flat(&mut self, full: usize, tail: usize) {
        self.raw.size = (full * BLOCK + tail) as u64;
        self.own_blocks = full + 1;
        if self.core() + self.raw.xattr_len + tail <= BLOCK {
            self.raw.layout = InodeLayout::FlatInline;
            self.inline_len = tail;
            self.own_blocks = full;
        }
    }

    fn pieces(&mut self, pieces: &[PieceLocation]) {
        if pieces.iter().all(|piece| piece.raw) {
            // Then the blocks simply are the file.
            self.raw.union = pieces[0].blkaddr;
            return;
        }
        self.raw.layout = InodeLayout::CompressedCompact;
        self.raw.union = pieces.iter().map(|piece| piece.blocks).sum();
        let entries: Vec<_> = pieces.iter().flat_map(lclusters).collect();
        // Inodes lie at multiples of 32, so this is the index's place as far as it matters.
        let start = (self.core() + self.raw.xattr_len).next_multiple_of(8) + map_header().len();
        self.index = [&map_header()[..], &compact_index(start, &entries)].concat();
    }
}

/// The index entries of one piece.
fn lclusters(piece: &PieceLocation) -> impl Iterator<Item = Lcluster> + use<> {
    let PieceLocation { len, blkaddr, blocks, raw } = *piece;
    let count = len.div_ceil(BLOCK);
    (0..count).map(move |i| match i {
        _ if raw => Lcluster::Plain { blkaddr: blkaddr + i as u32 },
        0 => Lcluster::Head { blkaddr },
        // Pieces are at most 1 MiB: none of these reaches 2,048.
        _ => Lcluster::NonHead { blkaddr, blocks: blocks as u16, back: i as u16, ahead: (count - i) as u16 },
    })
}

/// A directory's names with `.` and `..` in their places.
fn sorted<'t>(entries: &[(&'t [u8], usize)], own: usize, parent: usize) -> Vec<(&'t [u8], usize)> {
    let mut all: Vec<(&[u8], usize)> = Vec::with_capacity(entries.len() + 2);
    all.extend([(&b"."[..], own), (b"..", parent)]);
    all.extend(entries);
    all.sort_unstable();
    all
}

fn listing(plan: &Plan, own: usize, parent: usize, entries: &[(&[u8], usize)], nid: impl Fn(usize) -> u64) -> Vec<u8> {
    let entries: Vec<_> = sorted(entries, own, parent)
        .into_iter()
        .map(|(name, number)| Dirent { name, nid: nid(number), file_type: plan.inodes[number].file_type })
        .collect();
    directory_blocks(&entries)
}
