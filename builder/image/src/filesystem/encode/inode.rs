//! `struct erofs_inode_compact` (32 bytes) and `struct erofs_inode_extended` (64 bytes).

/// Length of a compact inode.
pub(in crate::filesystem) const COMPACT_LEN: usize = 32;
/// Length of an extended inode.
pub(in crate::filesystem) const EXTENDED_LEN: usize = 64;

/// `EROFS_INODE_*`: how the content is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::filesystem) enum InodeLayout {
    /// Whole blocks from `i_u` on.
    FlatPlain = 0,
    /// As `FlatPlain`, but the last, partial block lies right behind the inode.
    FlatInline = 2,
    /// Pieces found through a compact index behind the inode.
    CompressedCompact = 3,
}

/// The fields of an inode, whichever of the two forms holds them.
#[derive(Debug, Clone)]
pub(in crate::filesystem) struct InodeFields {
    pub layout: InodeLayout,
    /// Bytes of attributes behind the inode, as [`super::xattrs`] made them.
    pub xattr_len: usize,
    /// Type and permission bits.
    pub mode: u32,
    pub nlink: u32,
    pub size: u64,
    /// `i_u`: first block, count of compressed blocks or device number.
    pub union: u32,
    /// What stat(2) showed before inode numbers became addresses; kept unique.
    pub ino: u32,
    pub uid: u32,
    pub gid: u32,
    /// Only where it differs from the superblock's epoch.
    pub mtime: Option<i64>,
}

impl InodeFields {
    /// Whether the short form is too short.
    pub fn needs_extended(&self) -> bool {
        let wide = |n: u32| n > u32::from(u16::MAX);
        self.mtime.is_some() || wide(self.uid) || wide(self.gid) || wide(self.nlink) || self.size > u64::from(u32::MAX)
    }

    /// The inode alone: 32 or 64 bytes. `epoch` fills the time of an extended inode that has none of its own.
    pub fn encode(&self, epoch: u64) -> Vec<u8> {
        let extended = self.needs_extended();
        let format = u16::from(extended) | (self.layout as u16) << 1;
        // 12 bytes of header count as one, then every 4 bytes as one.
        let icount = if self.xattr_len == 0 { 0 } else { 1 + (self.xattr_len - 12) / 4 };
        let mut out = Vec::with_capacity(EXTENDED_LEN);
        out.extend(format.to_le_bytes());
        out.extend((icount as u16).to_le_bytes());
        out.extend((self.mode as u16).to_le_bytes());
        if extended {
            out.extend([0; 2]);
            out.extend(self.size.to_le_bytes());
            out.extend(self.union.to_le_bytes());
            out.extend(self.ino.to_le_bytes());
            out.extend(self.uid.to_le_bytes());
            out.extend(self.gid.to_le_bytes());
            out.extend(self.mtime.unwrap_or(epoch as i64).to_le_bytes());
            out.extend([0; 4]); // nanoseconds
            out.extend(self.nlink.to_le_bytes());
            out.resize(EXTENDED_LEN, 0);
        } else {
            out.extend((self.nlink as u16).to_le_bytes());
            out.extend((self.size as u32).to_le_bytes());
            out.extend([0; 4]);
            out.extend(self.union.to_le_bytes());
            out.extend(self.ino.to_le_bytes());
            out.extend((self.uid as u16).to_le_bytes());
            out.extend((self.gid as u16).to_le_bytes());
            out.resize(COMPACT_LEN, 0);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inode() -> InodeFields {
        InodeFields {
            layout: InodeLayout::FlatPlain,
            xattr_len: 0,
            mode: 0o100_644,
            nlink: 1,
            size: 5,
            union: 7,
            ino: 9,
            uid: 65535,
            gid: 65535,
            mtime: None,
        }
    }

    #[test]
    fn compact_holds_sixteen_bits_of_everything() {
        let inode = InodeFields { nlink: 65535, size: 0xFFFF_FFFF, ..inode() };
        let bytes = inode.encode(1);
        assert_eq!(bytes.len(), COMPACT_LEN);
        assert_eq!(&bytes[..12], [0, 0, 0, 0, 0xA4, 0x81, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]);
    }

    #[test]
    fn one_more_of_anything_needs_the_extended_form() {
        let wider: [fn(&mut InodeFields); 5] =
            [|i| i.uid = 65536, |i| i.gid = 65536, |i| i.nlink = 65536, |i| i.size = 1 << 32, |i| i.mtime = Some(-1)];
        for widen in wider {
            let mut inode = inode();
            widen(&mut inode);
            let bytes = inode.encode(0x55);
            assert_eq!(bytes.len(), EXTENDED_LEN);
            assert_eq!(bytes[0] & 1, 1);
            let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
            let long = |at: usize| i64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
            assert_eq!(
                (long(8) as u64, word(24), word(28), long(32), word(44)),
                (inode.size, inode.uid, inode.gid, inode.mtime.unwrap_or(0x55), inode.nlink)
            );
        }
    }
}
