//! Where each inode lies in the metadata area. An inode must not cross a block; one with data behind it must lie in
//! one block with all of it. Room left over in front of one that had to move is offered to those after it.

use super::encode::{BLOCK, SLOT};

/// The outline of one inode with everything that lies behind it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// The inode itself: must lie in one block.
    pub core: usize,
    /// Inode, attributes and index: may continue in the next block if nothing is inline.
    pub head: usize,
    /// Inline content after the head. Head and content together must lie in one block: the format only asks it of the
    /// content, but a kernel may take a link by the short way, which looks at the block of its inode only.
    pub inline: usize,
}

impl Shape {
    fn len(&self) -> usize {
        self.head + self.inline
    }

    fn fits_at(&self, start: usize) -> bool {
        let whole = if self.inline == 0 { self.core } else { self.len() };
        start % BLOCK + whole <= BLOCK
    }
}

/// Gaps to look through; more would find little and cost time.
const MOST_GAPS: usize = 256;

/// Bytes left at the start, because nid 0 would be inode number 0, which readdir(3) hides.
const RESERVED: usize = 64;

/// Offsets in the metadata area in the order of the shapes, and the length of the area. First fit; the first shape
/// gets the first place, because the superblock has only 16 bits for the root's nid.
pub(super) fn place(shapes: &[Shape]) -> (Vec<usize>, usize) {
    let mut gaps: Vec<(usize, usize)> = Vec::new();
    let mut end = RESERVED;
    let places = shapes
        .iter()
        .map(|shape| {
            let gap = gaps.iter().position(|&(start, len)| shape.len() <= len && shape.fits_at(start));
            if let Some(gap) = gap {
                let (start, len) = gaps[gap];
                let used = shape.len().next_multiple_of(SLOT);
                if used < len {
                    gaps[gap] = (start + used, len - used);
                } else {
                    gaps.remove(gap);
                }
                return start;
            }
            // Every shape fits within one block of some start: the planner puts nothing inline that would not.
            let start = (end..).step_by(SLOT).find(|&start| shape.fits_at(start)).expect("some start fits");
            if start > end {
                gaps.push((end, start - end));
                if gaps.len() > MOST_GAPS {
                    gaps.remove(0);
                }
            }
            end = (start + shape.len()).next_multiple_of(SLOT);
            start
        })
        .collect();
    (places, end.next_multiple_of(BLOCK))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nothing_overlaps_and_nothing_crosses(
            list in prop::collection::vec((any::<bool>(), 0..6000usize, 0..=4096usize), 1..300)
        ) {
            let shapes: Vec<_> = list.into_iter().map(|(extended, more, inline)| {
                let core = if extended { 64 } else { 32 };
                let head = core + more / 4 * 4;
                Shape { core, head, inline: if head + inline <= BLOCK { inline } else { 0 } }
            }).collect();
            let (places, end) = place(&shapes);
            let mut taken: Vec<_> = places.iter().zip(&shapes).map(|(&start, shape)| (start, start + shape.len())).collect();
            prop_assert!(places[0] <= BLOCK);
            for (&start, shape) in places.iter().zip(&shapes) {
                prop_assert!(start.is_multiple_of(SLOT) && start >= RESERVED);
                prop_assert!(shape.fits_at(start));
            }
            taken.sort_unstable();
            prop_assert!(taken.windows(2).all(|pair| pair[0].1 <= pair[1].0));
            prop_assert!(taken.last().unwrap().1 <= end && end.is_multiple_of(BLOCK));
        }
    }
}
