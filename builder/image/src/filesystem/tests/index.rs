//! The index encoder against a decoder that follows the reading side's rules, entry by entry, as a kernel does: it looks only
//! at the pack an entry is in.

use crate::filesystem::encode::{Lcluster, compact_index};
use proptest::prelude::*;

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

/// A piece as the property makes it: entries, and blocks unless it is raw.
fn entries(pieces: &[(u16, Option<u16>)], mut blkaddr: u32) -> Vec<Lcluster> {
    let mut out = Vec::new();
    for &(count, blocks) in pieces {
        match blocks {
            None => (0..count).for_each(|i| out.push(Lcluster::Plain { blkaddr: blkaddr + u32::from(i) })),
            Some(_) => {
                out.push(Lcluster::Head { blkaddr });
                let blocks = blocks.unwrap();
                out.extend((1..count).map(|i| Lcluster::NonHead { blkaddr, blocks, back: i, ahead: count - i }));
            }
        }
        blkaddr += u32::from(blocks.unwrap_or(count));
    }
    out
}

fn piece() -> impl Strategy<Value = (u16, Option<u16>)> {
    // Up to 1 MiB of content; compression always saves a block, so a single lcluster is never compressed.
    let count = prop_oneof![1..=5u16, 1..=64u16, 1..=256u16];
    count.prop_flat_map(|count| {
        let raw = Just((count, None)).boxed();
        if count == 1 {
            raw
        } else {
            prop_oneof![1 => raw, 4 => (1..count).prop_map(move |b| (count, Some(b)))].boxed()
        }
    })
}

proptest! {
    #[test]
    fn every_entry_decodes(pieces in prop::collection::vec(piece(), 1..40), at in 0..16usize, blkaddr in 1..1u32 << 30) {
        let entries = entries(&pieces, blkaddr);
        let start = at * 8;
        let mut area = vec![0xA5; start];
        area.extend(compact_index(start, &entries));
        for (n, entry) in entries.iter().enumerate() {
            let decoded = decode(&area, start, entries.len(), n);
            match *entry {
                Lcluster::Plain { blkaddr } => prop_assert_eq!((decoded.kind, decoded.blkaddr), (0, blkaddr)),
                Lcluster::Head { blkaddr } => prop_assert_eq!((decoded.kind, decoded.blkaddr), (1, blkaddr)),
                Lcluster::NonHead { blocks, back, ahead, .. } => {
                    prop_assert_eq!((decoded.kind, decoded.back), (2, u32::from(back)));
                    prop_assert_eq!(decoded.blocks, (back == 1).then_some(u32::from(blocks)));
                    // A pack may know less than the whole way, but never more, and always something.
                    prop_assert!((1..=u32::from(ahead)).contains(&decoded.ahead));
                }
            }
        }
    }
}
