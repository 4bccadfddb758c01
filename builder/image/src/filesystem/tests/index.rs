//! The index encoder against the reader's decoder, for every entry.

use super::reader::index::decode;
use crate::filesystem::encode::{Lcluster, compact_index};
use proptest::prelude::*;

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
