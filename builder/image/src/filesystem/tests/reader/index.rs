//! Decodes entries of a compact index as a kernel does: it looks only at the pack an entry is in.

/// `Z_EROFS_LI_D0_CBLKCNT`.
const CBLKCNT: u32 = 0x800;
const NONHEAD: u32 = 2;

/// An entry as decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// 0 plain, 1 head, 2 inside a piece.
    pub kind: u32,
    /// Address; only for plain and head.
    pub blkaddr: u32,
    /// Entries back to the head; 0 for plain and head.
    pub back: u32,
    /// Entries forward to the next head as far as this pack tells; only inside a piece.
    pub ahead: u32,
    /// Block count of the piece, where this entry holds it.
    pub blocks: Option<u32>,
}

/// Decodes entry `n` of `total`; `metadata` is the whole area and `start` the offset of the index in it.
pub fn decode(metadata: &[u8], start: usize, total: usize, n: usize) -> Entry {
    // Packs of two (8 bytes) up to a 32-byte boundary, packs of sixteen (32 bytes), packs of two again.
    let first = if start.is_multiple_of(32) { 0 } else { (32 - start % 32) / 4 };
    let wide = if first < total { (total - first) / 16 * 16 } else { 0 };
    let (pack, size, count, i) = if n < first {
        (start + n / 2 * 8, 8, 2, n % 2)
    } else if n < first + wide {
        let m = n - first;
        (start + first * 4 + m / 16 * 32, 32, 16, m % 16)
    } else {
        let m = n - first - wide;
        (start + first * 4 + wide * 2 + m / 2 * 8, 8, 2, m % 2)
    };
    let pack = &metadata[pack..pack + size];
    let width = (size - 4) * 8 / count;
    let at = |i: usize| {
        let bit = |b: usize| u32::from(pack[b / 8] >> (b % 8) & 1);
        let value: u32 = (0..14).map(|b| bit(i * width + b) << b).sum();
        (value >> 12, value & 0xfff)
    };
    let ahead = || {
        let mut distance = 0;
        for j in i..count {
            let (kind, low) = at(j);
            if kind != NONHEAD {
                return distance;
            }
            distance += 1;
            if j == count - 1 && low & CBLKCNT == 0 {
                distance += low - 1;
            }
        }
        distance
    };
    let (kind, low) = at(i);
    if kind == NONHEAD {
        let (back, blocks) = if low & CBLKCNT != 0 {
            (1, Some(low & !CBLKCNT))
        } else if i + 1 < count {
            (low, None)
        } else {
            // The last entry of a pack says how far the end is; the way back follows from the entry before it.
            match at(i - 1) {
                (NONHEAD, low) if low & CBLKCNT != 0 => (2, None),
                (NONHEAD, low) => (low + 1, None),
                _ => (1, None),
            }
        };
        return Entry { kind, blkaddr: 0, back, ahead: ahead(), blocks };
    }
    assert_eq!(low, 0, "pieces begin with their lcluster");
    // Blocks of the pieces that are counted in this pack before this entry.
    let (mut blocks, mut j) = (0, i as i64);
    while j > 0 {
        j -= 1;
        match at(j as usize) {
            (NONHEAD, low) if low & CBLKCNT != 0 => {
                blocks += low & !CBLKCNT;
                j -= 1;
            }
            (NONHEAD, low) => {
                assert!(low > 1, "an entry next to its head holds the block count");
                j -= i64::from(low) - 2;
            }
            _ => blocks += 1,
        }
    }
    let base = u32::from_le_bytes(pack[size - 4..].try_into().unwrap());
    Entry { kind, blkaddr: base.wrapping_add(blocks), back: 0, ahead: 0, blocks: None }
}
