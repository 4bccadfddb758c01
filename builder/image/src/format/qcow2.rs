//! Raw disk → qcow2, the format hypervisors take: only clusters that are not all zero.
//!
//! Source: QEMU, docs/interop/qcow2.txt, version 3, clusters of 64 KiB, 16-bit reference counts. The file is laid out in
//! one pass: header, reference counts, first-level table, second-level tables, data in the order of the disk. So the
//! same disk gives the same bytes.

use super::{Format, blocks};
use diorite_host::file::{self, NewFile};
use diorite_model::{Error, Result};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The format's value.
pub const FORMAT: Format =
    Format { name: "qcow2", file: "disk.qcow2", write: |source, out| write(source.raw, out).map(|_| ()) };

const CLUSTER_BITS: u32 = 16;
const CLUSTER: u64 = 1 << CLUSTER_BITS;
/// Entries of eight bytes in one cluster: of the tables, and of the reference count table.
const ENTRIES: u64 = CLUSTER / 8;
/// Reference counts of 16 bits in one cluster.
const COUNTS: u64 = CLUSTER / 2;
/// "Exactly one reference": the cluster may be written in place.
const COPIED: u64 = 1 << 63;

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Qcow2 {
    /// Bytes of the file.
    pub bytes: u64,
    /// Clusters that hold data.
    pub data_clusters: u64,
}

impl Qcow2 {
    /// Bytes of the disk that are written where it is taken in: what is all zero is not.
    pub fn used(&self) -> u64 {
        self.data_clusters * CLUSTER
    }
}

/// Where everything stands, in clusters.
struct ClusterLayout {
    size: u64,
    /// Disk clusters that hold data, in order.
    data: Vec<u64>,
    count_table: u64,
    count_blocks: u64,
    first_level: u64,
    /// Disk regions (of `ENTRIES` clusters) that have a second-level table, in order.
    regions: Vec<u64>,
}

impl ClusterLayout {
    fn new(size: u64, data: Vec<u64>) -> Self {
        let mut regions: Vec<u64> = data.iter().map(|c| c / ENTRIES).collect();
        regions.dedup();
        let first_level = size.div_ceil(CLUSTER).div_ceil(ENTRIES).div_ceil(ENTRIES).max(1);
        let mut layout = Self { size, data, count_table: 1, count_blocks: 1, first_level, regions };
        // Reference counts count their own clusters too: enlarge until they suffice.
        loop {
            let blocks = layout.clusters().div_ceil(COUNTS);
            let table = blocks.div_ceil(ENTRIES);
            if (blocks, table) == (layout.count_blocks, layout.count_table) {
                return layout;
            }
            (layout.count_blocks, layout.count_table) = (blocks, table);
        }
    }
    fn blocks_at(&self) -> u64 {
        1 + self.count_table
    }
    fn first_level_at(&self) -> u64 {
        self.blocks_at() + self.count_blocks
    }
    fn second_level_at(&self) -> u64 {
        self.first_level_at() + self.first_level
    }
    fn data_at(&self) -> u64 {
        self.second_level_at() + self.regions.len() as u64
    }
    fn clusters(&self) -> u64 {
        self.data_at() + self.data.len() as u64
    }

    /// Everything before the data.
    fn tables(&self) -> Vec<u8> {
        let mut out = self.header();
        // Reference count table, then blocks: one for every cluster of the file, nothing behind it.
        out.resize(CLUSTER as usize, 0);
        put(&mut out, (0..self.count_blocks).map(|i| (self.blocks_at() + i) * CLUSTER), self.blocks_at());
        out.extend((0..self.clusters()).flat_map(|_| 1u16.to_be_bytes()));
        out.resize((self.first_level_at() * CLUSTER) as usize, 0);
        let mut first = vec![0u64; self.size.div_ceil(CLUSTER).div_ceil(ENTRIES) as usize];
        for (i, &region) in (0..).zip(&self.regions) {
            first[region as usize] = ((self.second_level_at() + i) * CLUSTER) | COPIED;
        }
        put(&mut out, first.into_iter(), self.second_level_at());
        let mut second = vec![0u64; self.regions.len() * ENTRIES as usize];
        let mut table = 0;
        for (i, &cluster) in (0..).zip(&self.data) {
            while self.regions[table as usize] != cluster / ENTRIES {
                table += 1;
            }
            second[(table * ENTRIES + cluster % ENTRIES) as usize] = ((self.data_at() + i) * CLUSTER) | COPIED;
        }
        put(&mut out, second.into_iter(), self.data_at());
        out
    }

    fn header(&self) -> Vec<u8> {
        let mut out = b"QFI\xfb".to_vec();
        let long = |out: &mut Vec<u8>, value: u64| out.extend(value.to_be_bytes());
        let word = |out: &mut Vec<u8>, value: u32| out.extend(value.to_be_bytes());
        word(&mut out, 3); // version
        long(&mut out, 0); // no backing file
        word(&mut out, 0);
        word(&mut out, CLUSTER_BITS);
        long(&mut out, self.size);
        word(&mut out, 0); // no encryption
        word(&mut out, self.size.div_ceil(CLUSTER).div_ceil(ENTRIES) as u32);
        long(&mut out, self.first_level_at() * CLUSTER);
        long(&mut out, CLUSTER); // the reference count table follows the header
        word(&mut out, self.count_table as u32);
        word(&mut out, 0); // no snapshots
        long(&mut out, 0);
        for _ in 0..3 {
            long(&mut out, 0); // no incompatible, compatible or automatically cleared features
        }
        word(&mut out, 4); // reference counts of 1 << 4 bits
        word(&mut out, 104); // length of this header
        out.extend([0; 8]); // no header extensions
        out
    }
}

/// Appends numbers and fills up to the given cluster.
fn put(out: &mut Vec<u8>, values: impl Iterator<Item = u64>, up_to: u64) {
    out.extend(values.flat_map(u64::to_be_bytes));
    out.resize((up_to * CLUSTER) as usize, 0);
}

/// Writes the disk at `raw` to `out`, through a temporary file beside it. A size that is no whole number of sectors is
/// refused; the rest of the last cluster counts as zero.
pub fn write(raw: &Path, out: &Path) -> Result<Qcow2> {
    let unreadable = |e| Error::io("the disk image cannot be read", raw, e);
    let from = File::open(raw).map_err(unreadable)?;
    let size = from.metadata().map_err(unreadable)?.len();
    if size == 0 || size % 512 != 0 {
        return Err(Error::input(format!("a disk of {size} bytes has no whole number of sectors"))
            .at(raw.display().to_string()));
    }
    let layout = ClusterLayout::new(size, blocks::nonzero(&from, size, CLUSTER).map_err(unreadable)?);

    let unwritable = |e| Error::io("the qcow2 image cannot be written", out, e);
    let new = NewFile::create(out, 0o666).map_err(unwritable)?;
    let file = new.file();
    file.write_all_at(&layout.tables(), 0).map_err(unwritable)?;
    file.set_len(layout.clusters() * CLUSTER).map_err(unwritable)?;
    let mut target = layout.data_at() * CLUSTER;
    for run in layout.data.chunk_by(|a, b| a + 1 == *b) {
        let start = run[0] * CLUSTER;
        let end = (start + run.len() as u64 * CLUSTER).min(size);
        file::copy_range(&from, start, end, file, target).map_err(unwritable)?;
        target += run.len() as u64 * CLUSTER;
    }
    new.publish().map_err(unwritable)?;
    Ok(Qcow2 { bytes: layout.clusters() * CLUSTER, data_clusters: layout.data.len() as u64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader of its own, straight from the specification.
    fn read(file: &[u8]) -> Vec<u8> {
        let long = |at: usize| u64::from_be_bytes(file[at..at + 8].try_into().unwrap());
        let word = |at: usize| u32::from_be_bytes(file[at..at + 4].try_into().unwrap());
        assert_eq!((word(0), word(4), word(20)), (0x5146_49fb, 3, 16));
        let size = long(24) as usize;
        let mut disk = vec![0; size.next_multiple_of(CLUSTER as usize)];
        for i in 0..word(36) as usize {
            let second = (long(long(40) as usize + 8 * i) & !COPIED) as usize;
            for k in 0..if second == 0 { 0 } else { ENTRIES as usize } {
                let data = (long(second + 8 * k) & !COPIED) as usize;
                if data != 0 {
                    let at = (i * ENTRIES as usize + k) * CLUSTER as usize;
                    disk[at..at + CLUSTER as usize].copy_from_slice(&file[data..data + CLUSTER as usize]);
                }
            }
        }
        disk.truncate(size);
        disk
    }

    #[test]
    fn what_goes_in_comes_out() {
        let directory = tempfile::tempdir().unwrap();
        let (raw, out) = (directory.path().join("raw"), directory.path().join("out.qcow2"));
        // More than one region of a second-level table (512 MiB each), an end inside a cluster.
        let size = (530 << 20) + 512 * 77;
        let file = File::options().read(true).write(true).create_new(true).open(&raw).unwrap();
        file.set_len(size).unwrap();
        for at in [0, 65_530, 5 << 20, 1 << 29, size - 7] {
            file.write_all_at(b"datadat", at).unwrap();
        }
        file.write_all_at(&[0; 70_000], 9 << 20).unwrap();
        let written = write(&raw, &out).unwrap();
        assert_eq!(written.data_clusters, 5, "written zeros are no data");
        let bytes = std::fs::read(&out).unwrap();
        assert_eq!(bytes.len() as u64, written.bytes);
        assert!(read(&bytes) == std::fs::read(&raw).unwrap());
        write(&raw, &out).unwrap();
        assert!(std::fs::read(&out).unwrap() == bytes);
    }

    #[test]
    fn every_cluster_is_counted_once() {
        for data in [0, 1, COUNTS - 6, COUNTS - 5, COUNTS - 4, COUNTS - 3, 3 * COUNTS] {
            let layout = ClusterLayout::new(1 << 40, (0..data).collect());
            assert!(layout.count_blocks * COUNTS >= layout.clusters(), "{data}");
            assert!((layout.count_blocks - 1) * COUNTS < layout.clusters(), "{data}");
            let tables = layout.tables();
            assert_eq!(tables.len() as u64, layout.data_at() * CLUSTER);
            let counts = &tables[(layout.blocks_at() * CLUSTER) as usize..(layout.first_level_at() * CLUSTER) as usize];
            assert_eq!(counts.chunks(2).filter(|c| c == &[0, 1]).count() as u64, layout.clusters());
        }
    }

    #[test]
    fn half_a_sector_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let raw = directory.path().join("raw");
        std::fs::write(&raw, [1; 700]).unwrap();
        assert!(write(&raw, &directory.path().join("out")).unwrap_err().to_string().contains("700 bytes"));
    }
}
