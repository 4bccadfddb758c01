//! Raw disk → VHD with a fixed size, the one format that Azure takes: the disk as it is, and a footer of 512 bytes.
//!
//! Source: Microsoft, "Virtual Hard Disk Image Format Specification", 1.0. Azure also asks for a whole number of MiB, which
//! every disk of ours is. The identifier follows from the disk's SHA-256, so the same disk gives the same bytes.

use super::{Format, copy_data};
use diorite_host::file::NewFile;
use diorite_model::{Digest, Error, Hasher, Result};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The format's value.
pub const FORMAT: Format =
    Format { name: "vhd", file: "disk.vhd", write: |source, out| write(source.raw, &source.sha256, out) };

const SECTOR: u64 = 512;
/// The largest disk of the format.
const LARGEST: u64 = 2040 << 30;
/// Where the checksum of the footer is in it.
const CHECKSUM: usize = 64;

/// Writes the disk at `raw`, whose SHA-256 is given, to `out`. A size that is no whole number of sectors is refused.
pub fn write(raw: &Path, sha256: &Digest, out: &Path) -> Result<()> {
    let unreadable = |e| Error::io("the disk image cannot be read", raw, e);
    let from = File::open(raw).map_err(unreadable)?;
    let size = from.metadata().map_err(unreadable)?.len();
    if size == 0 || size % SECTOR != 0 || size > LARGEST {
        return Err(Error::input(format!("a disk of {size} bytes cannot be a VHD"))
            .at(raw.display().to_string())
            .hint("a whole number of 512-byte sectors, at most 2040 GiB"));
    }
    let written = || {
        let new = NewFile::create(out, 0o666)?;
        copy_data(&from, size, new.file(), size + SECTOR)?;
        new.file().write_all_at(&footer(size, sha256), size)?;
        new.publish()
    };
    written().map_err(|e: io::Error| Error::io("the VHD image cannot be written", out, e))
}

/// The hard disk footer; numbers are big-endian.
fn footer(size: u64, sha256: &Digest) -> Vec<u8> {
    let mut hasher = Hasher::new();
    hasher.field(b"diorite vhd");
    hasher.field(&sha256.0);
    let (cylinders, heads, sectors) = geometry(size / SECTOR);
    let mut out = b"conectix".to_vec();
    out.extend(2u32.to_be_bytes()); // features: the reserved bit, always set
    out.extend(0x0001_0000u32.to_be_bytes()); // version of the format
    out.extend(u64::MAX.to_be_bytes()); // no further header
    out.extend(0u32.to_be_bytes()); // seconds since 2000-01-01
    // Readers take the geometry for the size of disks by writers they do not know; this one, Windows, is known.
    out.extend(b"win ");
    out.extend(0x000a_0000u32.to_be_bytes());
    out.extend(b"Wi2k");
    out.extend(size.to_be_bytes());
    out.extend(size.to_be_bytes());
    out.extend(cylinders.to_be_bytes());
    out.extend([heads, sectors]);
    out.extend(2u32.to_be_bytes()); // a fixed disk
    out.extend([0; 4]); // the checksum
    out.extend(diorite_model::uuid::derived(&hasher.finish()).0);
    out.resize(SECTOR as usize, 0);
    let checksum = !out.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    out[CHECKSUM..CHECKSUM + 4].copy_from_slice(&checksum.to_be_bytes());
    out
}

/// Cylinders, heads and sectors of a track for a disk of so many sectors: "CHS calculation" of the specification.
fn geometry(total: u64) -> (u16, u8, u8) {
    let total = total.min(65535 * 16 * 255);
    let (per_track, heads);
    if total >= 65535 * 16 * 63 {
        (per_track, heads) = (255, 16);
    } else {
        let (mut sectors, mut cylinders_times_heads) = (17, total / 17);
        let mut wanted = cylinders_times_heads.div_ceil(1024).max(4);
        if cylinders_times_heads >= wanted * 1024 || wanted > 16 {
            (sectors, wanted) = (31, 16);
            cylinders_times_heads = total / sectors;
        }
        if cylinders_times_heads >= wanted * 1024 {
            (sectors, wanted) = (63, 16);
        }
        (per_track, heads) = (sectors, wanted);
    }
    ((total / per_track / heads) as u16, heads as u8, per_track as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_stays_as_it_is_and_its_footer_adds_up() {
        let directory = tempfile::tempdir().unwrap();
        let (raw, out) = (directory.path().join("raw"), directory.path().join("disk.vhd"));
        let mut bytes = vec![0; 5 << 20];
        bytes[3 << 20..][..3].copy_from_slice(b"abc");
        std::fs::write(&raw, &bytes).unwrap();
        write(&raw, &Digest::of(b"disk"), &out).unwrap();
        let file = std::fs::read(&out).unwrap();
        let (disk, footer) = file.split_at(bytes.len());
        assert!(disk == bytes);
        let stored = u32::from_be_bytes(footer[CHECKSUM..CHECKSUM + 4].try_into().unwrap());
        let sum: u32 = footer.iter().map(|b| u32::from(*b)).sum();
        let own: u32 = footer[CHECKSUM..CHECKSUM + 4].iter().map(|b| u32::from(*b)).sum();
        assert_eq!(stored, !(sum - own));
    }

    /// Fewer than 1024 cylinders as long as there are sectors for it, as the specification counts.
    #[test]
    fn the_geometry_grows_with_the_disk() {
        assert_eq!(geometry(1023 * 4 * 17), (1023, 4, 17));
        assert_eq!(geometry(1024 * 4 * 17), (140, 16, 31));
        assert_eq!(geometry(1 << 21), (2080, 16, 63));
        assert_eq!(geometry(u64::MAX), (65535, 16, 255));
    }
}
