//! The index of a compressed file: `struct z_erofs_map_header`, then an entry for every 4 KiB of content (lcluster),
//! in the compacted form: 16 entries in 32 bytes, and 2 entries in 8 bytes up to the first 32-byte boundary and at the
//! end.
//!
//! A pack stores one block address, and that of each entry in it follows by counting blocks inside the pack;
//! so all pieces of a file must lie in consecutive blocks.

/// `Z_EROFS_LI_D0_CBLKCNT`: marks a NONHEAD entry that holds the number of blocks of its piece.
const D0_CBLKCNT: u16 = 1 << 11;

/// `COMPACTED_2B | BIG_PCLUSTER_1 | BIG_PCLUSTER_2`; the kernel wants the latter two together in compact form.
const ADVISE: u16 = 0x1 | 0x2 | 0x4;
/// `Z_EROFS_COMPRESSION_ZSTD` for HEAD1 (low four bits).
const ALGORITHM_ZSTD: u8 = 3;
/// Bit 63 of the header read as one number: the whole file lies in the packed inode, at the offset in the other bits.
const FRAGMENT_INODE: u64 = 1 << 63;

/// One entry of the index: what covers these 4 KiB of content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::filesystem) enum Lcluster {
    /// Stored as it is, in this block.
    Plain { blkaddr: u32 },
    /// A compressed piece begins here; it is stored from this block on.
    Head { blkaddr: u32 },
    /// Inside a compressed piece.
    NonHead {
        /// First block of the piece.
        blkaddr: u32,
        /// Blocks the piece is stored in.
        blocks: u16,
        /// Entries back to the piece's head: 1 or more.
        back: u16,
        /// Entries forward to the next head or the end.
        ahead: u16,
    },
}

impl Lcluster {
    /// `Z_EROFS_LCLUSTER_TYPE_*`.
    fn kind(self) -> u32 {
        match self {
            Self::Plain { .. } => 0,
            Self::Head { .. } => 1,
            Self::NonHead { .. } => 2,
        }
    }

    /// The 12 low bits: for a head its offset in the lcluster (always 0 here), else a distance or a block count.
    fn low(self, last_of_pack: bool) -> u16 {
        match self {
            Self::Plain { .. } | Self::Head { .. } => 0,
            Self::NonHead { blocks, back: 1, .. } => D0_CBLKCNT | blocks,
            Self::NonHead { ahead, .. } if last_of_pack => ahead.min(D0_CBLKCNT - 1),
            Self::NonHead { back, .. } => back,
        }
    }
}

/// The eight bytes in front of the index.
pub(in crate::filesystem) fn map_header() -> [u8; 8] {
    let mut header = [0; 8];
    header[4..6].copy_from_slice(&ADVISE.to_le_bytes());
    header[6] = ALGORITHM_ZSTD;
    header
}

/// The eight bytes that are all the index of a packed file.
pub(in crate::filesystem) fn packed_header(offset: u64) -> [u8; 8] {
    (offset | FRAGMENT_INODE).to_le_bytes()
}

/// How many entries come in 8-byte packs, in 32-byte packs and in 8-byte packs again. `start` is where the entries
/// begin: a multiple of 8.
fn split(start: usize, entries: usize) -> (usize, usize, usize) {
    let first = ((32 - start % 32) % 32 / 4).min(entries);
    let wide = (entries - first) / 16 * 16;
    (first, wide, entries - first - wide)
}

/// The index; `start` is its offset in the metadata area (only its remainder by 32 matters).
pub(in crate::filesystem) fn encode(start: usize, entries: &[Lcluster]) -> Vec<u8> {
    debug_assert!(start.is_multiple_of(8));
    let (first, wide, _) = split(start, entries.len());
    let (first, rest) = entries.split_at(first);
    let (wide, last) = rest.split_at(wide);
    let mut out = Vec::new();
    first.chunks(2).for_each(|entries| pack(entries, 2, 8, &mut out));
    wide.chunks(16).for_each(|entries| pack(entries, 16, 32, &mut out));
    last.chunks(2).for_each(|entries| pack(entries, 2, 8, &mut out));
    out
}

/// One pack of up to `count` entries in `bytes` bytes: their bits from the lowest up, then the base address.
fn pack(entries: &[Lcluster], count: usize, bytes: usize, out: &mut Vec<u8>) {
    let width = (bytes - 4) * 8 / count;
    let mut bits = [0u8; 32];
    for (i, entry) in entries.iter().enumerate() {
        let value = (entry.kind() << 12 | u32::from(entry.low(i + 1 == count))) << (width * i % 8);
        for (byte, part) in bits[width * i / 8..].iter_mut().zip(value.to_le_bytes()) {
            *byte |= part;
        }
    }
    out.extend(&bits[..bytes - 4]);
    out.extend(base(entries).to_le_bytes());
}

/// The address from which a pack counts. A piece is counted by the entry that holds its block count, so a piece that
/// began in the pack before counts here only if that entry is the first one here.
fn base(entries: &[Lcluster]) -> u32 {
    match entries[0] {
        Lcluster::Plain { blkaddr } | Lcluster::Head { blkaddr } | Lcluster::NonHead { blkaddr, back: 1, .. } => {
            blkaddr
        }
        Lcluster::NonHead { blkaddr, blocks, .. } => blkaddr.wrapping_add(u32::from(blocks)),
    }
}
