//! The sidecar of an image: for each piece its key, and where its blocks lie in the image. With both at hand the
//! next image takes over what did not change; there is no second copy of anything.
//!
//! Nothing here is believed: the sidecar carries its own digest, and blocks are used only if they still have the
//! digest they were written with. Whatever is damaged, cut off or missing is a miss.

use super::compress::Blocks;
use super::encode::BLOCK;
use super::output::ImageWriter;
use diorite_model::{Digest, Result};
use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 16] = b"diorite pieces 1";
/// Key, digest, start, length, raw.
const RECORD: usize = 32 + 32 + 8 + 4 + 4;

/// Where one piece is stored in an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    /// What the blocks follow from.
    pub key: Digest,
    /// Of the blocks.
    pub digest: Digest,
    /// Bytes from the start of the image.
    pub start: u64,
    /// Bytes, a whole number of blocks.
    pub len: u32,
    pub raw: bool,
}

/// Where the sidecar of an image is: beside it, with `.pieces` after the name.
pub fn sidecar_path(image: &Path) -> PathBuf {
    let mut name = image.file_name().unwrap_or_default().to_os_string();
    name.push(".pieces");
    image.with_file_name(name)
}

/// Writes the sidecar: magic, SHA-256 of the records, records; numbers in little endian.
pub(super) fn write(image: &Path, records: &[Record]) -> Result<()> {
    let mut body = Vec::with_capacity(records.len() * RECORD);
    for record in records {
        body.extend(record.key.0);
        body.extend(record.digest.0);
        body.extend(record.start.to_le_bytes());
        body.extend(record.len.to_le_bytes());
        body.extend(u32::from(record.raw).to_le_bytes());
    }
    let mut output = ImageWriter::create(&sidecar_path(image))?;
    output.write(MAGIC)?;
    output.write(&Digest::of(&body).0)?;
    output.write(&body)?;
    output.publish()
}

/// An image that was written before, with its sidecar.
pub(super) struct Previous {
    image: File,
    records: HashMap<Digest, Record>,
}

impl Previous {
    /// Opens both; `None` if either is missing or the sidecar is damaged.
    pub fn open(image: &Path) -> Option<Self> {
        let sidecar = std::fs::read(sidecar_path(image)).ok()?;
        let records = parse(&sidecar)?.map(|record| (record.key, record)).collect();
        Some(Self { image: File::open(image).ok()?, records })
    }

    /// The blocks stored for this key, if they are there and unharmed.
    pub fn get(&self, key: Digest) -> Option<(Blocks, Digest)> {
        let record = self.records.get(&key)?;
        let mut bytes = vec![0; record.len as usize];
        self.image.read_exact_at(&mut bytes, record.start).ok()?;
        (Digest::of(&bytes) == record.digest).then_some((Blocks { bytes, raw: record.raw }, record.digest))
    }
}

fn parse(sidecar: &[u8]) -> Option<impl Iterator<Item = Record> + use<'_>> {
    let rest = sidecar.strip_prefix(MAGIC)?;
    let (digest, body) = rest.split_at_checked(32)?;
    if Digest::of(body).0 != digest || !body.len().is_multiple_of(RECORD) {
        return None;
    }
    let records = body.chunks_exact(RECORD).map(|record| {
        let digest = |at: usize| Digest(record[at..at + 32].try_into().expect("32 bytes"));
        let number = |at: usize| u32::from_le_bytes(record[at..at + 4].try_into().expect("4 bytes"));
        Record {
            key: digest(0),
            digest: digest(32),
            start: u64::from(number(64)) | u64::from(number(68)) << 32,
            len: number(72),
            raw: number(76) == 1,
        }
    });
    // Longer than the largest piece, or not in blocks: not ours, and no reason to allocate gigabytes.
    Some(records.filter(|record| record.len as usize <= 1 << 20 && (record.len as usize).is_multiple_of(BLOCK)))
}
