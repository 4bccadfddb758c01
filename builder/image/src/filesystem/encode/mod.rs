//! The on-disk format of EROFS, as bytes: pure functions that know nothing of trees, files or compression.
//!
//! Only what Linux 6.12 can mount is used: zstd (6.10), big physical clusters (5.13), fragments (6.1), compact indexes.
//! The newer 48-bit layout, extents and metaboxes are not.

mod directory;
mod index;
mod inode;
mod superblock;
mod xattr;

pub(super) use directory::{Dirent, blocks as directory_blocks, tail as directory_tail};
pub(super) use index::{Lcluster, encode as compact_index, map_header, packed_header};
pub(super) use inode::{COMPACT_LEN, EXTENDED_LEN, InodeFields, InodeLayout};
pub(super) use superblock::ErofsSuperblock;
pub(super) use xattr::{XattrError, encode as xattrs};

/// Bytes in a block, in a logical cluster and in a page: `1 << blkszbits`.
pub(in crate::filesystem) const BLOCK: usize = 4096;

/// The unit in which inodes are addressed: `nid` counts slots of 32 bytes from the start of the metadata area.
pub(in crate::filesystem) const SLOT: usize = 32;

/// `EROFS_FT_*`: the type of a directory entry, which also decides the type bits of the mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(in crate::filesystem) enum FileType {
    Regular = 1,
    Directory = 2,
    CharDevice = 3,
    BlockDevice = 4,
    Fifo = 5,
    Socket = 6,
    Symlink = 7,
}

impl FileType {
    /// The `S_IFMT` bits, inode(7).
    pub fn mode_bits(self) -> u32 {
        match self {
            Self::Regular => 0o100_000,
            Self::Directory => 0o040_000,
            Self::CharDevice => 0o020_000,
            Self::BlockDevice => 0o060_000,
            Self::Fifo => 0o010_000,
            Self::Socket => 0o140_000,
            Self::Symlink => 0o120_000,
        }
    }
}

/// A device number as the kernel's `new_encode_dev` writes it; `None` above 4,095 (major) or 1,048,575 (minor).
pub(in crate::filesystem) fn device(major: u32, minor: u32) -> Option<u32> {
    (major < 1 << 12 && minor < 1 << 20).then_some((minor & 0xff) | (major << 8) | ((minor & !0xff) << 12))
}
