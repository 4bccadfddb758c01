//! The compact index of a compressed file → the pieces it is stored in. The counterpart of `filesystem::encode::index`; the
//! format is Linux' `fs/erofs/erofs_fs.h`.

/// `Z_EROFS_LI_D0_CBLKCNT`: this entry holds the number of blocks of its piece.
const D0_CBLKCNT: u32 = 1 << 11;
const NONHEAD: u32 = 2;
/// Most bytes of content that a piece holds.
const LONGEST: usize = 1 << 20;
/// Bits of an entry that hold its kind.
const KIND: u32 = 12;

/// One stretch of a file, as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredPiece {
    /// First block.
    pub block: u32,
    /// Number of blocks.
    pub blocks: u32,
    /// Bytes of content.
    pub len: usize,
    /// Compressed, or stored as it is.
    pub compressed: bool,
}

/// Entries in order: their kind and low bits, and the base address of their pack.
struct Entries<'a> {
    index: &'a [u8],
    /// Entries before the packs of sixteen, and in them.
    first: usize,
    wide: usize,
    total: usize,
}

/// A pack of entries: where it begins, and its shape.
struct Pack {
    at: usize,
    bytes: usize,
    count: usize,
    /// The number of its first entry.
    number: usize,
}

impl<'a> Entries<'a> {
    fn new(index: &'a [u8], start: usize, total: usize) -> Self {
        let first = ((32 - start % 32) % 32 / 4).min(total);
        Self { index, first, wide: (total - first) / 16 * 16, total }
    }

    fn pack_of(&self, n: usize) -> Pack {
        let small = |n: usize, before: usize, at: usize| Pack {
            at: at + (n - before) / 2 * 8,
            bytes: 8,
            count: 2,
            number: before + (n - before) / 2 * 2,
        };
        let (first, wide) = (self.first, self.wide);
        match n {
            n if n < first => small(n, 0, 0),
            n if n < first + wide => {
                let nth = (n - first) / 16;
                Pack { at: first * 4 + nth * 32, bytes: 32, count: 16, number: first + nth * 16 }
            }
            n => small(n, first + wide, first * 4 + wide * 2),
        }
    }

    /// Kind and low bits of an entry.
    fn get(&self, n: usize) -> Option<(u32, u32)> {
        let pack = self.pack_of(n);
        let width = (pack.bytes - 4) * 8 / pack.count;
        let bit = width * (n - pack.number);
        let start = pack.at + bit / 8;
        // Up to three bytes hold the fourteen bits; the last of them may be the base address's.
        let byte = |i: usize| self.index.get(start + i).copied().map(u32::from);
        let value = byte(0)? | byte(1)? << 8 | byte(2).unwrap_or(0) << 16;
        let value = value >> (bit % 8) & 0x3fff;
        Some((value >> KIND, value & ((1 << KIND) - 1)))
    }

    /// The address that the first piece counted in this entry's pack begins at.
    fn base(&self, n: usize) -> Option<u32> {
        let pack = self.pack_of(n);
        let at = pack.at + pack.bytes - 4;
        Some(u32::from_le_bytes(self.index.get(at..at + 4)?.try_into().ok()?))
    }
}

/// How many bytes the index of so many entries takes.
pub fn len(start: usize, total: usize) -> usize {
    let first = ((32 - start % 32) % 32 / 4).min(total);
    let wide = (total - first) / 16 * 16;
    let packs = |entries: usize| entries.div_ceil(2) * 8;
    packs(first) + wide * 2 + packs(total - first - wide)
}

/// The pieces of a file of `size` bytes; `start` is where the index begins in the metadata area. All pieces of a file lie behind
/// one another, so the first address says where each is. `None` for what no writer makes.
pub fn pieces(index: &[u8], start: usize, size: usize) -> Option<Vec<StoredPiece>> {
    let entries = Entries::new(index, start, size.div_ceil(4096));
    let mut pieces = Vec::new();
    let mut block = match entries.total {
        0 => 0,
        _ => entries.base(0)?,
    };
    let mut n = 0;
    while n < entries.total {
        let (kind, _) = entries.get(n)?;
        let (end, blocks, compressed) = match kind {
            0 => (n + 1, 1, false),
            1 => {
                // The entry behind a head holds the block count; then come those inside the piece.
                let (inside, low) = entries.get(n + 1).filter(|_| n + 1 < entries.total)?;
                if inside != NONHEAD || low & D0_CBLKCNT == 0 {
                    return None;
                }
                let within = |&n: &usize| entries.get(n).is_some_and(|(kind, _)| kind == NONHEAD);
                let more = (n + 2..entries.total).take_while(within);
                (n + 2 + more.count(), low & !D0_CBLKCNT, true)
            }
            _ => return None,
        };
        let len = (end * 4096).min(size) - n * 4096;
        if blocks == 0 || blocks as usize > end - n || len > LONGEST {
            return None;
        }
        pieces.push(StoredPiece { block, blocks, len, compressed });
        block = block.checked_add(blocks)?;
        n = end;
    }
    Some(pieces)
}
