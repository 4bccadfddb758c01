//! Where contents are cut: large files into equal pieces, small files into bundles of about one piece.

use super::encode::BLOCK;
use diorite_model::{Digest, Hasher};
use diorite_rootfs::tree::Content;
use std::borrow::Cow;

/// A stretch of content that is compressed as one. Only the last piece of a file may end inside a block.
pub(super) struct DataPiece<'t> {
    parts: Vec<PiecePart<'t>>,
    /// Bytes, a bundle's padding included.
    pub len: usize,
}

struct PiecePart<'t> {
    content: &'t Content,
    start: usize,
    len: usize,
}

impl PiecePart<'_> {
    fn bytes(&self) -> &[u8] {
        &self.content.bytes()[self.start..self.start + self.len]
    }
}

impl DataPiece<'_> {
    /// The bytes to compress; only a bundle has to be put together.
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        match &self.parts[..] {
            [part] if part.len == self.len => Cow::Borrowed(part.bytes()),
            parts => {
                let mut bytes = Vec::with_capacity(self.len);
                parts.iter().for_each(|part| bytes.extend(part.bytes()));
                bytes.resize(self.len, 0);
                Cow::Owned(bytes)
            }
        }
    }

    /// What the stored bytes follow from, without reading the content: the files' digests and where they are cut.
    pub fn key(&self, rule: Digest) -> Digest {
        let mut key = Hasher::new();
        key.update(&rule.0);
        key.update(&(self.len as u64).to_le_bytes());
        for part in &self.parts {
            key.update(&part.content.digest().0);
            key.update(&(part.start as u64).to_le_bytes());
            key.update(&(part.len as u64).to_le_bytes());
        }
        key.finish()
    }
}

/// A file's pieces: as few as `limit` allows, and as equal as blocks allow, so that none is a small rest.
pub(super) fn cut(content: &Content, limit: usize) -> impl Iterator<Item = DataPiece<'_>> {
    let size = content.len();
    let step = size.div_ceil(size.div_ceil(limit).max(1)).next_multiple_of(BLOCK);
    (0..size).step_by(step).map(move |start| {
        let len = step.min(size - start);
        DataPiece { parts: vec![PiecePart { content, start, len }], len }
    })
}

/// Packs small files one after another. Every bundle begins at a block, so that bundles are the pieces of the
/// packed inode.
pub(super) struct Bundles<'t> {
    limit: usize,
    open: Vec<PiecePart<'t>>,
    open_len: usize,
    /// Bytes of all closed bundles: where the open one begins.
    closed_len: u64,
    pieces: Vec<DataPiece<'t>>,
}

impl<'t> Bundles<'t> {
    pub fn new(limit: usize) -> Self {
        Self { limit, open: Vec::new(), open_len: 0, closed_len: 0, pieces: Vec::new() }
    }

    /// Adds a file of at most `limit` bytes; returns its offset in the packed inode.
    ///
    /// A bundle ends when it is full, or when it is half full and the file's *name* says so: then a file that grows or
    /// goes away shifts only its neighbours, not every bundle after it.
    pub fn add(&mut self, name: &[u8], content: &'t Content) -> u64 {
        let len = content.len();
        if self.open_len + len > self.limit {
            self.close();
        }
        let offset = self.closed_len + self.open_len as u64;
        self.open.push(PiecePart { content, start: 0, len });
        self.open_len += len;
        if self.open_len >= self.limit / 2 && Digest::of(name).0[0].is_multiple_of(4) {
            self.close();
        }
        offset
    }

    /// All bundles, and the size of the packed inode.
    pub fn finish(mut self) -> (Vec<DataPiece<'t>>, u64) {
        self.close();
        (self.pieces, self.closed_len)
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            let len = self.open_len.next_multiple_of(BLOCK);
            self.pieces.push(DataPiece { parts: std::mem::take(&mut self.open), len });
            self.closed_len += len as u64;
            self.open_len = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_cut_into_equal_blocks() {
        let lens = |size: usize| {
            let content = Content::from_bytes(vec![1; size]);
            cut(&content, 4 * BLOCK).map(|piece| piece.len).collect::<Vec<_>>()
        };
        assert_eq!(lens(1), [1]);
        assert_eq!(lens(4 * BLOCK), [4 * BLOCK]);
        assert_eq!(lens(4 * BLOCK + 1), [3 * BLOCK, BLOCK + 1]);
        assert_eq!(lens(9 * BLOCK), [3 * BLOCK; 3]);
        assert_eq!(lens(9 * BLOCK + 5), [4 * BLOCK, 4 * BLOCK, BLOCK + 5]);
    }

    #[test]
    fn bundles_hold_every_file_whole() {
        let files: Vec<_> = (0..200usize).map(|i| Content::from_bytes(vec![i as u8; i * 37 % 8000 + 1])).collect();
        let mut bundles = Bundles::new(2 * BLOCK);
        let offsets: Vec<_> =
            files.iter().enumerate().map(|(i, f)| bundles.add(format!("{i}").as_bytes(), f)).collect();
        let (pieces, size) = bundles.finish();
        let packed = pieces.iter().flat_map(|piece| piece.bytes().into_owned()).collect::<Vec<_>>();
        assert_eq!(packed.len() as u64, size);
        assert!(pieces.iter().all(|piece| piece.len <= 2 * BLOCK && piece.len.is_multiple_of(BLOCK)));
        for (file, offset) in files.iter().zip(offsets) {
            assert_eq!(&packed[offset as usize..][..file.len()], file.bytes());
        }
    }
}
