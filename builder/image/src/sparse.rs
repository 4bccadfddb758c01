//! A disk held in memory without its zeros: pieces of 64 KiB, present only where something other than zero stands.
//! It can be read, written and sought like a file, so that libraries for file systems and tables work on it.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// Bytes in one piece.
pub const PIECE: usize = 64 * 1024;

/// A disk of a fixed size.
#[derive(Debug, Clone, Default)]
pub struct Sparse {
    pieces: BTreeMap<u64, Box<[u8]>>,
    size: u64,
    position: u64,
}

impl Sparse {
    /// A disk of `size` zero bytes.
    pub fn new(size: u64) -> Self {
        Self { pieces: BTreeMap::new(), size, position: 0 }
    }
    /// Number of bytes, zeros included.
    pub fn size(&self) -> u64 {
        self.size
    }
    /// Pieces that are not all zero, with their offsets, in order; the last may reach beyond `size` with zeros.
    pub fn pieces(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.pieces.iter().filter(|(_, p)| p.iter().any(|&b| b != 0)).map(|(i, p)| (i * PIECE as u64, &p[..]))
    }
    /// Reads `buffer.len()` bytes at an offset; beyond the end there are zeros.
    pub fn read_at(&self, mut offset: u64, mut buffer: &mut [u8]) {
        while !buffer.is_empty() {
            let (index, start) = (offset / PIECE as u64, (offset % PIECE as u64) as usize);
            let count = buffer.len().min(PIECE - start);
            let (now, later) = buffer.split_at_mut(count);
            match self.pieces.get(&index) {
                Some(piece) => now.copy_from_slice(&piece[start..start + count]),
                None => now.fill(0),
            }
            (offset, buffer) = (offset + count as u64, later);
        }
    }
    /// Writes at an offset. Zeros written where nothing is take no memory.
    pub fn write_at(&mut self, mut offset: u64, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (index, start) = (offset / PIECE as u64, (offset % PIECE as u64) as usize);
            let (now, later) = bytes.split_at(bytes.len().min(PIECE - start));
            if self.pieces.contains_key(&index) || now.iter().any(|&b| b != 0) {
                let piece = self.pieces.entry(index).or_insert_with(|| vec![0; PIECE].into());
                piece[start..start + now.len()].copy_from_slice(now);
            }
            (offset, bytes) = (offset + now.len() as u64, later);
        }
    }
}

impl Read for Sparse {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.size.saturating_sub(self.position);
        let count = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.read_at(self.position, &mut buffer[..count]);
        self.position += count as u64;
        Ok(count)
    }
}

impl Write for Sparse {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.size.saturating_sub(self.position);
        let count = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.write_at(self.position, &bytes[..count]);
        self.position += count as u64;
        Ok(count)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Sparse {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(delta) => self.size.checked_add_signed(delta),
            SeekFrom::Current(delta) => self.position.checked_add_signed(delta),
        };
        self.position = position.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behaves_like_a_file_and_keeps_no_zeros() {
        let mut disk = Sparse::new(3 * PIECE as u64 + 100);
        let mut plain = io::Cursor::new(vec![0u8; 3 * PIECE + 100]);
        let data: Vec<u8> = (0..70_000u32).map(|i| i as u8 | 1).collect();
        for (at, bytes) in [(65_500u64, &data[..]), (10, &[0; 500][..]), (3 * PIECE as u64, &[7; 100][..])] {
            disk.seek(SeekFrom::Start(at)).unwrap();
            disk.write_all(bytes).unwrap();
            plain.seek(SeekFrom::Start(at)).unwrap();
            plain.write_all(bytes).unwrap();
        }
        let mut read = Vec::new();
        disk.seek(SeekFrom::Start(0)).unwrap();
        disk.read_to_end(&mut read).unwrap();
        assert!(read == plain.into_inner());
        assert_eq!(disk.pieces().map(|p| p.0 / PIECE as u64).collect::<Vec<_>>(), [0, 1, 2, 3]);
        disk.write_at(65_500, &vec![0; 70_000]);
        assert_eq!(disk.pieces().count(), 1);
        assert_eq!(disk.write(b"x").unwrap(), 0, "the end is the end");
    }
}
