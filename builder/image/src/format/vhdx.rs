//! Raw disk → VHDX, the format of Hyper-V: a dynamic disk, only blocks that are not all zero.
//!
//! Source: Microsoft, "[MS-VHDX]: Virtual Hard Disk v2 (VHDX) File Format". Everything begins at a whole MiB:
//!
//! ```text
//! 0      file type identifier, two headers, two region tables (each 64 KiB apart)
//! 1 MiB  log, empty: its GUID is zero, so nobody replays it
//! 2 MiB  metadata: block size, disk size, disk identifier, sector sizes
//! 3 MiB  block allocation table, then the blocks in the order of the disk
//! ```
//! Identifiers follow from the disk's SHA-256, so the same disk gives the same bytes.

use super::{Format, blocks};
use diorite_host::file::{self, NewFile};
use diorite_model::{Digest, Error, Hasher, Result};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use uuid::{Uuid, uuid};

/// The format's value.
pub const FORMAT: Format =
    Format { name: "vhdx", file: "disk.vhdx", write: |source, out| write(source.raw, &source.sha256, out) };

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
/// The smallest block the format has (2.6.2.1): the file holds the least zeros, and guests with ext4 spread widely.
const BLOCK: u64 = MIB;
const SECTOR: u32 = 512;
/// Hyper-V's own choice for new disks.
const PHYSICAL_SECTOR: u32 = 4096;
/// Payload entries between two entries for sector bitmaps (2.5.1), which a disk without a parent leaves empty.
const CHUNK: u64 = (1 << 23) * SECTOR as u64 / BLOCK;
/// State of a block in the table, PAYLOAD_BLOCK_FULLY_PRESENT (2.5.1.1).
const PRESENT: u64 = 6;
/// The largest disk (2.6.2.2).
const LARGEST: u64 = 64 << 40;

const LOG_AT: u64 = MIB;
const METADATA_AT: u64 = 2 * MIB;
const TABLE_AT: u64 = 3 * MIB;

/// Regions (2.2.3.2).
const TABLE_REGION: Uuid = uuid!("2dc27766-f623-4200-9d64-115e9bfd4a08");
const METADATA_REGION: Uuid = uuid!("8b7ca206-4790-4b9a-b8fe-575f050f886e");
/// Items of metadata (2.6.2).
const FILE_PARAMETERS: Uuid = uuid!("caa16737-fa36-4d43-b3b6-33f0aa44e76b");
const DISK_SIZE: Uuid = uuid!("2fa54224-cd1b-4876-b211-5dbed83bf4b8");
const DISK_ID: Uuid = uuid!("beca12ab-b2e6-4523-93ef-c309e000c746");
const LOGICAL_SECTOR: Uuid = uuid!("8141bf1d-a96f-4709-ba47-f233a8faab5f");
const PHYSICAL_SECTOR_SIZE: Uuid = uuid!("cda348c7-445d-4471-9cc9-e9885251c556");
/// Flags of an item: it describes the virtual disk; who does not know it must not open the file.
const VIRTUAL_DISK: u32 = 2;
const REQUIRED: u32 = 4;

/// Writes the disk at `raw`, whose SHA-256 is given, to `out`. A size that is no whole number of sectors is refused.
pub fn write(raw: &Path, sha256: &Digest, out: &Path) -> Result<()> {
    let unreadable = |e| Error::io("the disk image cannot be read", raw, e);
    let from = File::open(raw).map_err(unreadable)?;
    let size = from.metadata().map_err(unreadable)?.len();
    if size == 0 || size % u64::from(SECTOR) != 0 || size > LARGEST {
        return Err(Error::input(format!("a disk of {size} bytes cannot be a VHDX"))
            .at(raw.display().to_string())
            .hint("a whole number of 512-byte sectors, at most 64 TiB"));
    }
    let data = blocks::nonzero(&from, size, BLOCK).map_err(unreadable)?;
    let written = || {
        let new = NewFile::create(out, 0o666)?;
        let file = new.file();
        let table = table(size, &data);
        let first = TABLE_AT + (table.len() as u64).next_multiple_of(MIB);
        file.write_all_at(&start(sha256, first - TABLE_AT), 0)?;
        file.write_all_at(&metadata(size, sha256), METADATA_AT)?;
        file.write_all_at(&table, TABLE_AT)?;
        file.set_len(first + data.len() as u64 * BLOCK)?;
        let mut target = first;
        for run in data.chunk_by(|a, b| a + 1 == *b) {
            let begin = run[0] * BLOCK;
            let end = (begin + run.len() as u64 * BLOCK).min(size);
            file::copy_range(&from, begin, end, file, target)?;
            target += run.len() as u64 * BLOCK;
        }
        new.publish()
    };
    written().map_err(|e: std::io::Error| Error::io("the VHDX image cannot be written", out, e))
}

/// The first MiB: who wrote it, both headers, both region tables.
fn start(sha256: &Digest, table_length: u64) -> Vec<u8> {
    let mut out = b"vhdxfile".to_vec();
    out.extend("Diorite".encode_utf16().flat_map(u16::to_le_bytes));
    // The header with the higher number counts.
    for number in [1, 2] {
        out.resize((64 * KIB * number) as usize, 0);
        out.extend(header(number, sha256));
    }
    let regions = regions(table_length);
    for number in [3, 4] {
        out.resize((64 * KIB * number) as usize, 0);
        out.extend(&regions);
    }
    out
}

/// A header (2.2.2).
fn header(number: u64, sha256: &Digest) -> Vec<u8> {
    let mut out = b"head\0\0\0\0".to_vec();
    out.extend(number.to_le_bytes());
    out.extend(guid("file", sha256));
    out.extend(guid("data", sha256));
    out.extend([0; 16]); // an empty log
    out.extend(0u16.to_le_bytes()); // version of the log
    out.extend(1u16.to_le_bytes()); // version of the format
    out.extend((MIB as u32).to_le_bytes());
    out.extend(LOG_AT.to_le_bytes());
    out.resize(4 * KIB as usize, 0);
    with_checksum(out)
}

/// A region table (2.2.3).
fn regions(table_length: u64) -> Vec<u8> {
    let mut out = b"regi\0\0\0\0".to_vec();
    out.extend(2u32.to_le_bytes());
    out.extend([0; 4]);
    for (region, at, length) in [(TABLE_REGION, TABLE_AT, table_length), (METADATA_REGION, METADATA_AT, MIB)] {
        out.extend(region.to_bytes_le());
        out.extend(at.to_le_bytes());
        out.extend((length as u32).to_le_bytes());
        out.extend(1u32.to_le_bytes()); // required
    }
    out.resize(64 * KIB as usize, 0);
    with_checksum(out)
}

/// The metadata (2.6): a table of 64 KiB, then the items.
fn metadata(size: u64, sha256: &Digest) -> Vec<u8> {
    let parameters = [(BLOCK as u32).to_le_bytes(), 0u32.to_le_bytes()].concat();
    let disk = VIRTUAL_DISK | REQUIRED;
    let items = [
        (FILE_PARAMETERS, REQUIRED, parameters),
        (DISK_SIZE, disk, size.to_le_bytes().into()),
        (DISK_ID, disk, guid("disk", sha256).into()),
        (LOGICAL_SECTOR, disk, SECTOR.to_le_bytes().into()),
        (PHYSICAL_SECTOR_SIZE, disk, PHYSICAL_SECTOR.to_le_bytes().into()),
    ];
    let mut out = b"metadata\0\0".to_vec();
    out.extend((items.len() as u16).to_le_bytes());
    out.resize(32, 0);
    let mut at = 64 * KIB as u32;
    for (item, flags, bytes) in &items {
        out.extend(item.to_bytes_le());
        for number in [at, bytes.len() as u32, *flags, 0] {
            out.extend(number.to_le_bytes());
        }
        at += bytes.len() as u32;
    }
    out.resize(64 * KIB as usize, 0);
    items.iter().for_each(|(_, _, bytes)| out.extend(bytes));
    out
}

/// The block allocation table (2.5): where each block of the disk is, in the file, or zero.
fn table(size: u64, data: &[u64]) -> Vec<u8> {
    let blocks = size.div_ceil(BLOCK);
    let mut entries = vec![0u64; (blocks + (blocks - 1) / CHUNK) as usize];
    let first = TABLE_AT + (entries.len() as u64 * 8).next_multiple_of(MIB);
    for (n, block) in (0..).zip(data) {
        entries[(block + block / CHUNK) as usize] = (first + n * BLOCK) | PRESENT;
    }
    entries.into_iter().flat_map(u64::to_le_bytes).collect()
}

/// An identifier that follows from the disk, in the format's byte order.
fn guid(what: &str, sha256: &Digest) -> [u8; 16] {
    let mut hasher = Hasher::new();
    hasher.field(b"diorite vhdx");
    hasher.field(what.as_bytes());
    hasher.field(&sha256.0);
    Uuid::from_bytes(diorite_model::uuid::derived(&hasher.finish()).0).to_bytes_le()
}

/// Puts the checksum of a structure into its bytes 4 to 7, which are zero so far.
fn with_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
    let checksum = crc32c(&bytes);
    bytes[4..8].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// CRC-32C: Castagnoli's polynomial, reflected.
fn crc32c(bytes: &[u8]) -> u32 {
    let shift = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), |crc, _| shift(crc)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(size: u64, data: &[(u64, &[u8])]) -> (Vec<u8>, Vec<u8>) {
        let directory = tempfile::tempdir().unwrap();
        let (raw, out) = (directory.path().join("raw"), directory.path().join("disk.vhdx"));
        let file = File::options().read(true).write(true).create_new(true).open(&raw).unwrap();
        file.set_len(size).unwrap();
        data.iter().for_each(|(at, bytes)| file.write_all_at(bytes, *at).unwrap());
        write(&raw, &Digest::of(b"disk"), &out).unwrap();
        (std::fs::read(raw).unwrap(), std::fs::read(out).unwrap())
    }

    fn long(file: &[u8], at: usize) -> u64 {
        u64::from_le_bytes(file[at..at + 8].try_into().unwrap())
    }

    /// Reads a file back by its own tables.
    fn read(file: &[u8]) -> Vec<u8> {
        let size = long(file, METADATA_AT as usize + 65536 + 8);
        let mut disk = vec![0; size.next_multiple_of(BLOCK) as usize];
        for block in 0..size.div_ceil(BLOCK) {
            let entry = long(file, (TABLE_AT + 8 * block) as usize);
            if entry & 7 == PRESENT {
                let (from, to) = ((entry & !7) as usize, (block * BLOCK) as usize);
                disk[to..to + BLOCK as usize].copy_from_slice(&file[from..from + BLOCK as usize]);
            }
        }
        disk.truncate(size as usize);
        disk
    }

    #[test]
    fn what_goes_in_comes_out() {
        // An end inside a block, data across two blocks, zeros that were written.
        let size = (9 << 20) + 512 * 77;
        let data: [(u64, &[u8]); 4] = [(0, b"begin"), (MIB - 1, b"ab"), (4 * MIB, &[0; 3 << 20]), (size - 3, b"end")];
        let (raw, file) = make(size, &data);
        assert_eq!(file.len() as u64, TABLE_AT + MIB + 3 * BLOCK, "written zeros are no data");
        assert!(read(&file) == raw);
        assert!(make(size, &data).1 == file, "the same twice");
    }

    #[test]
    fn both_headers_and_tables_carry_their_checksums() {
        let (_, file) = make(MIB, &[]);
        assert_eq!(file.len() as u64, TABLE_AT + MIB);
        for (at, length) in [(64, 4), (128, 4), (192, 64), (256, 64)] {
            let structure = &file[at << 10..(at + length) << 10];
            let mut bare = structure.to_vec();
            bare[4..8].fill(0);
            assert!(with_checksum(bare) == structure, "{at}");
        }
        assert_eq!(crc32c(b"123456789"), 0xe306_9283, "the check value of CRC-32C");
    }

    #[test]
    fn the_table_leaves_an_entry_for_a_sector_bitmap_after_each_chunk() {
        let table = table(5 << 30, &[0, CHUNK - 1, CHUNK]);
        let entries: Vec<u64> = table.chunks(8).map(|e| u64::from_le_bytes(e.try_into().unwrap())).collect();
        assert_eq!(entries.len(), 5 * 1024 + 1);
        let used: Vec<_> = (0..).zip(&entries).filter(|(_, e)| **e != 0).collect();
        let at = |n: u64| (TABLE_AT + MIB + n * BLOCK) | PRESENT;
        assert_eq!(used, [(0, &at(0)), (4095, &at(1)), (4097, &at(2))]);
    }

    #[test]
    fn half_a_sector_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let raw = directory.path().join("raw");
        std::fs::write(&raw, [1; 700]).unwrap();
        let error = write(&raw, &Digest::of(b""), &directory.path().join("out")).unwrap_err();
        assert!(error.to_string().contains("700 bytes"), "{error}");
    }
}
