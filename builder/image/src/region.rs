//! A stretch of a file that is read by itself: a partition of a disk image.

use diorite_host::file::data_ranges;
use diorite_model::{Error, Result};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

/// Bytes `start..start + len` of an open file. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Region {
    file: Arc<File>,
    /// For errors.
    path: Arc<Path>,
    start: u64,
    len: u64,
}

impl Region {
    /// A whole file.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(path: &Path) -> Result<Self> {
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (len, file) = opened.map_err(|e| Error::io("the image cannot be read", path, e))?;
        Ok(Self { file: Arc::new(file), path: path.into(), start: 0, len })
    }
    /// Number of bytes.
    pub fn len(&self) -> u64 {
        self.len
    }
    /// Has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// The file, for errors.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// A stretch of it; shortened where it would end behind it.
    pub fn part(&self, start: u64, len: u64) -> Self {
        let start = start.min(self.len);
        Self { start: self.start + start, len: len.min(self.len - start), ..self.clone() }
    }
    /// Fills the buffer from an offset.
    ///
    /// # Errors
    /// The bytes do not lie in the region, or the file cannot be read.
    pub fn read_at(&self, buffer: &mut [u8], at: u64) -> Result<()> {
        let read = match at.checked_add(buffer.len() as u64).is_some_and(|end| end <= self.len) {
            true => self.file.read_exact_at(buffer, self.start + at),
            false => Err(std::io::ErrorKind::UnexpectedEof.into()),
        };
        read.map_err(|e| Error::io("the image cannot be read", &*self.path, e))
    }
    /// Some of its bytes.
    ///
    /// # Errors
    /// As [`Self::read_at`].
    pub fn bytes(&self, at: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.read_at(&mut bytes, at)?;
        Ok(bytes)
    }
    /// Its stretches that hold data, as (start, end); everything between is zero.
    pub fn data_ranges(&self) -> Result<Vec<(u64, u64)>> {
        let end = self.start + self.len;
        let ranges = data_ranges(&self.file, end).map_err(|e| Error::io("the image cannot be read", &*self.path, e))?;
        let inside = ranges.into_iter().filter(|range| range.1 > self.start);
        Ok(inside.map(|(from, to)| (from.max(self.start) - self.start, to - self.start)).collect())
    }
    /// The first byte that is not zero.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn first_not_zero(&self) -> Result<Option<u64>> {
        let mut buffer = vec![0; 1 << 18];
        for (mut at, end) in self.data_ranges()? {
            while at < end {
                let count = buffer.len().min((end - at) as usize);
                self.read_at(&mut buffer[..count], at)?;
                if let Some(found) = buffer[..count].iter().position(|&byte| byte != 0) {
                    return Ok(Some(at + found as u64));
                }
                at += count as u64;
            }
        }
        Ok(None)
    }
}
