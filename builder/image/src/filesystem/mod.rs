//! SealedTree → read-only root: an EROFS image (Linux `Documentation/filesystems/erofs.rst`, names as in
//! `fs/erofs/erofs_fs.h`).
//!
//! ```text
//! Tree ── plan ──► inodes, and the pieces their contents are cut into
//!           │  data: pieces compressed in parallel, written in order; known ones taken from the previous image
//!           ▼
//!         blocks ── metadata: an inode, its index and its inline data become one record
//!                     │  layout: where each record lies, which settles the directories
//!                     ▼
//!                   superblock
//! ```
//!
//! Files are cut at fixed lengths of *input* and every piece is compressed exactly once. mkfs.erofs looks for the
//! input that fills a fixed *output* instead, and with zstd must compress again and again to find it. Files up to
//! [`FilesystemOptions::pack_limit`] are packed together into bundles ("fragments"), and equal files are stored once.
//!
//! The image is superblock, data, directory blocks, metadata, in this order: data can be written while it is being
//! compressed, and nothing needs seeking back but block 0.

mod compress;
mod data;
mod encode;
mod layout;
mod limits;
mod metadata;
mod output;
mod pieces;
mod plan;
mod sidecar;
#[cfg(test)]
mod tests;

pub use sidecar::sidecar_path;

use diorite_model::{Digest, Error, Result};
use diorite_rootfs::tree::Tree;
use encode::{BLOCK, ErofsSuperblock};
use serde::Serialize;
use std::path::Path;

/// Everything besides the tree that decides the bytes of the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FilesystemOptions {
    /// Seconds since 1970: the time of every file that has none of its own.
    pub epoch: u64,
    /// UUID of the file system.
    pub uuid: [u8; 16],
    /// zstd level, 1 to 22.
    pub level: i32,
    /// Bytes of input compressed at a time: a multiple of 4096, at most 1 MiB. Larger is smaller on disk, and
    /// slower for random reads.
    pub piece: usize,
    /// Regular files up to this many bytes share pieces; 0 packs none. At most `piece`.
    pub pack_limit: usize,
    /// Keep modification times that differ from the epoch; each costs 32 bytes of metadata. Without it every file has
    /// the epoch, which makes compiled Python stale (it records its source's time) and font caches too.
    pub keep_times: bool,
}

impl FilesystemOptions {
    /// The measured optimum: level 3, pieces of 256 KiB, files up to 64 KiB packed, times kept.
    pub fn new(epoch: u64, uuid: [u8; 16]) -> Self {
        Self { epoch, uuid, level: 3, piece: 256 << 10, pack_limit: 64 << 10, keep_times: true }
    }

    fn check(&self) -> Result<()> {
        let wrong = |what: String, hint| Err(Error::input(what).hint(hint));
        if self.piece == 0 || !self.piece.is_multiple_of(BLOCK) || self.piece > 1 << 20 {
            return wrong(
                format!("a piece of {} bytes is not possible", self.piece),
                "a multiple of 4096, at most 1 MiB",
            );
        }
        if self.pack_limit > self.piece {
            let what =
                format!("packing files of {} bytes into pieces of {} is not possible", self.pack_limit, self.piece);
            return wrong(what, "lower pack_limit or raise piece");
        }
        if !(1..=22).contains(&self.level) {
            return wrong(format!("zstd has no level {}", self.level), "1 to 22");
        }
        Ok(())
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Filesystem {
    /// Length of the image: a whole number of 4096-byte blocks.
    pub bytes: u64,
    /// Inodes, hard links counted once.
    pub inodes: u64,
    /// Pieces of content.
    pub pieces: usize,
    /// How many of them were taken from the previous image.
    pub reused: usize,
}

/// Writes the image of `tree` to `out`, and beside it a sidecar ([`sidecar_path`]) from which a later call, given this
/// image as `previous`, takes every piece that did not change. The bytes do not depend on `previous`, on
/// the number of threads or on the host.
///
/// Both files appear complete and synchronised, by renaming.
///
/// # Errors
/// A tree that EROFS cannot hold (names, attributes, device numbers, more than 16 TiB): the path and the limit.
/// Failed reads and writes. A damaged or missing `previous` is never an error.
pub fn write(tree: &Tree, options: &FilesystemOptions, out: &Path, previous: Option<&Path>) -> Result<Filesystem> {
    write_with(tree, options, out, previous, &|_| Ok(()))
}

/// As [`write()`]; `done` is told the bytes of input of each stretch that has been written, in order, and ends the work
/// by failing: for progress and interruption. The sum is at most that of all file sizes plus 4 KiB for each bundle.
pub fn write_with(
    tree: &Tree,
    options: &FilesystemOptions,
    out: &Path,
    previous: Option<&Path>,
    done: &(dyn Fn(u64) -> Result<()> + Sync),
) -> Result<Filesystem> {
    options.check()?;
    let plan = plan::Plan::of(tree, options)?;
    let previous = previous.and_then(sidecar::Previous::open);
    let mut output = output::ImageWriter::create(out)?;
    output.write(&[0; BLOCK])?;
    let stored = data::write(&plan.pieces, options, previous.as_ref(), &mut output, done)?;
    let metadata = metadata::assemble(&plan, &stored.pieces, output.blocks()?, options)?;
    output.write(&metadata.directories)?;
    output.write(&metadata.inodes)?;

    let superblock = ErofsSuperblock {
        root_nid: metadata.root_nid,
        packed_nid: metadata.packed_nid,
        inodes: plan.inodes.len() as u64,
        blocks: output.blocks()?,
        meta_blkaddr: metadata.meta_blkaddr,
        epoch: options.epoch,
        uuid: options.uuid,
        window_log: compress::window_log(options.piece),
    };
    output.write_at(&superblock.encode(), 0)?;
    let bytes = output.len();
    sidecar::write(out, &stored.records)?;
    output.publish()?;
    Ok(Filesystem { bytes, inodes: plan.inodes.len() as u64, pieces: stored.pieces.len(), reused: stored.reused })
}

/// What decides the stored bytes of a piece, besides its content: part of every key, so that a changed rule or another
/// zstd is a miss.
fn rule(options: &FilesystemOptions) -> Digest {
    let zstd = zstd::zstd_safe::version_string();
    Digest::of(format!("piece 1, zstd {zstd} level {} window {}", options.level, options.piece).as_bytes())
}
