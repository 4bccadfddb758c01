//! Raw disk → VMDK, stream-optimised: what VMware's `ovftool` and import dialogs, VirtualBox and several clouds take.
//!
//! Source: VMware, "Virtual Disk Format 5.0". A file that can be written from front to back, in sectors of 512 bytes:
//!
//! ```text
//! 0      header, which says that the directory is at the end
//! 1      descriptor, a text
//! 128    for every 32 MiB of the disk that hold data: its grains of 64 KiB that are not all zero, each compressed with zlib
//!        behind a marker, then their table
//!        directory: where each table is
//!        footer: the header once more, which knows the directory's place; end of the stream
//! ```

use super::{Format, blocks};
use diorite_host::file::NewFile;
use diorite_model::{Digest, Error, Result};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use rayon::prelude::*;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The format's value.
pub const FORMAT: Format =
    Format { name: "vmdk", file: "disk.vmdk", write: |source, out| write(source.raw, &source.sha256, out) };

const SECTOR: u64 = 512;
/// Sectors of a grain: what is compressed by itself. Stream-optimised files have no other size.
const GRAIN: u64 = 128;
const GRAIN_BYTES: u64 = GRAIN * SECTOR;
/// Grains of a table.
const TABLE: u64 = 512;
/// Sectors of the descriptor, zeros behind the text.
const DESCRIPTOR: u64 = 20;
/// Where the first grain is, in sectors.
const FIRST: u64 = 128;
/// Grains that are read and compressed side by side: 16 MiB.
const BATCH: usize = 256;
/// The place of the directory in a header that comes before it.
const AT_END: u64 = u64::MAX;
/// Largest disk whose sectors a table can name.
const LARGEST: u64 = 1 << 40;

/// Kinds of markers.
const END_OF_STREAM: u32 = 0;
const GRAIN_TABLE: u32 = 1;
const GRAIN_DIRECTORY: u32 = 2;
const FOOTER: u32 = 3;

/// Writes the disk at `raw`, whose SHA-256 is given, to `out`. A size that is no whole number of sectors is refused.
pub fn write(raw: &Path, sha256: &Digest, out: &Path) -> Result<()> {
    let unreadable = |e| Error::io("the disk image cannot be read", raw, e);
    let from = File::open(raw).map_err(unreadable)?;
    let size = from.metadata().map_err(unreadable)?.len();
    if size == 0 || size % SECTOR != 0 || size > LARGEST {
        return Err(Error::input(format!("a disk of {size} bytes cannot be a VMDK"))
            .at(raw.display().to_string())
            .hint("a whole number of 512-byte sectors, at most 1 TiB"));
    }
    let grains = blocks::nonzero(&from, size, GRAIN_BYTES).map_err(unreadable)?;
    let written = || {
        let new = NewFile::create(out, 0o666)?;
        let mut stream = Stream { out: BufWriter::with_capacity(1 << 20, new.file()), sectors: 0 };
        stream.whole(&start(size, sha256))?;
        let directory = stream.grains(&from, size, &grains)?;
        stream.end(size, &directory)?;
        stream.out.flush()?;
        drop(stream);
        new.publish()
    };
    written().map_err(|e: io::Error| Error::io("the VMDK image cannot be written", out, e))
}

/// A file under way, always at the start of a sector.
struct Stream<W: Write> {
    out: W,
    sectors: u64,
}

impl<W: Write> Stream<W> {
    /// Writes bytes and zeros up to the next sector.
    fn whole(&mut self, bytes: &[u8]) -> io::Result<()> {
        let length = (bytes.len() as u64).next_multiple_of(SECTOR);
        self.out.write_all(bytes)?;
        self.out.write_all(&[0; SECTOR as usize][..(length - bytes.len() as u64) as usize])?;
        self.sectors += length / SECTOR;
        Ok(())
    }

    /// A marker of metadata, behind which so many sectors of it follow.
    fn marker(&mut self, kind: u32, sectors: u64) -> io::Result<()> {
        self.whole(&[&sectors.to_le_bytes()[..], &0u32.to_le_bytes(), &kind.to_le_bytes()].concat())
    }

    /// Writes these grains and their tables, and returns where the table of each part of the disk is; 0 where all is zero.
    fn grains(&mut self, from: &File, size: u64, grains: &[u64]) -> io::Result<Vec<u32>> {
        let mut directory = vec![0; size.div_ceil(GRAIN_BYTES).div_ceil(TABLE) as usize];
        for part in grains.chunk_by(|a, b| a / TABLE == b / TABLE) {
            let mut table = [0u32; TABLE as usize];
            for batch in part.chunks(BATCH) {
                let compressed: Vec<_> = batch.par_iter().map(|grain| compressed(from, size, *grain)).collect();
                for (grain, bytes) in batch.iter().zip(compressed) {
                    table[(grain % TABLE) as usize] = self.place()?;
                    self.whole(&bytes?)?;
                }
            }
            self.marker(GRAIN_TABLE, TABLE * 4 / SECTOR)?;
            directory[(part[0] / TABLE) as usize] = self.place()?;
            self.whole(&table.map(u32::to_le_bytes).concat())?;
        }
        Ok(directory)
    }

    fn end(&mut self, size: u64, directory: &[u32]) -> io::Result<()> {
        let bytes: Vec<u8> = directory.iter().flat_map(|at| at.to_le_bytes()).collect();
        self.marker(GRAIN_DIRECTORY, (bytes.len() as u64).div_ceil(SECTOR))?;
        let at = self.sectors;
        self.whole(&bytes)?;
        self.marker(FOOTER, 1)?;
        self.whole(&header(size, at))?;
        self.marker(END_OF_STREAM, 0)
    }

    /// The sector that is written next, as tables name it.
    fn place(&self) -> io::Result<u32> {
        u32::try_from(self.sectors).map_err(|_| io::Error::other("a VMDK ends at 2 TiB"))
    }
}

/// A grain behind its marker: the disk's sector it stands for, and the length of what follows.
fn compressed(from: &File, size: u64, grain: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; GRAIN_BYTES as usize];
    let at = grain * GRAIN_BYTES;
    from.read_exact_at(&mut bytes[..GRAIN_BYTES.min(size - at) as usize], at)?;
    let mut encoder = ZlibEncoder::new(vec![0; 12], Compression::default());
    encoder.write_all(&bytes)?;
    let mut out = encoder.finish()?;
    let length = (out.len() - 12) as u32;
    out[..8].copy_from_slice(&(grain * GRAIN).to_le_bytes());
    out[8..12].copy_from_slice(&length.to_le_bytes());
    Ok(out)
}

/// What comes before the first grain.
fn start(size: u64, sha256: &Digest) -> Vec<u8> {
    let mut out = header(size, AT_END);
    out.extend(descriptor(size, sha256).bytes());
    out.resize((FIRST * SECTOR) as usize, 0);
    out
}

/// `SparseExtentHeader`.
fn header(size: u64, directory: u64) -> Vec<u8> {
    let mut out = b"KDMV".to_vec();
    out.extend(3u32.to_le_bytes()); // version
    out.extend((1u32 | 1 << 16 | 1 << 17).to_le_bytes()); // ends of lines can be tested; grains compressed; markers
    let redundant_directory = 0;
    for number in [size / SECTOR, GRAIN, 1, DESCRIPTOR] {
        out.extend(number.to_le_bytes());
    }
    out.extend((TABLE as u32).to_le_bytes());
    for number in [redundant_directory, directory, FIRST] {
        out.extend(number.to_le_bytes());
    }
    out.push(0); // closed in order
    out.extend(b"\n \r\n"); // told by whoever transfers it as text
    out.extend(1u16.to_le_bytes()); // deflate
    out.resize(SECTOR as usize, 0);
    out
}

/// What the disk is, in the format's own text. Its content ID follows from the disk's SHA-256; two values of it are taken.
fn descriptor(size: u64, sha256: &Digest) -> String {
    let id = u32::from_be_bytes([sha256.0[0], sha256.0[1], sha256.0[2], sha256.0[3]]) & 0x7fff_ffff;
    let (heads, sectors) = (255, 63);
    let cylinders = (size / SECTOR).div_ceil(heads * sectors).min(65535);
    format!(
        "# Disk DescriptorFile
version=1
CID={id:08x}
parentCID=ffffffff
createType=\"streamOptimized\"

# Extent description
RW {} SPARSE \"{}\"

# The Disk Data Base
#DDB

ddb.adapterType = \"lsilogic\"
ddb.geometry.cylinders = \"{cylinders}\"
ddb.geometry.heads = \"{heads}\"
ddb.geometry.sectors = \"{sectors}\"
ddb.virtualHWVersion = \"13\"
",
        size / SECTOR,
        FORMAT.file,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn make(size: u64, data: &[(u64, &[u8])]) -> (Vec<u8>, Vec<u8>) {
        let directory = tempfile::tempdir().unwrap();
        let (raw, out) = (directory.path().join("raw"), directory.path().join("disk.vmdk"));
        let file = File::options().read(true).write(true).create_new(true).open(&raw).unwrap();
        file.set_len(size).unwrap();
        data.iter().for_each(|(at, bytes)| file.write_all_at(bytes, *at).unwrap());
        write(&raw, &Digest::of(b"disk"), &out).unwrap();
        (std::fs::read(raw).unwrap(), std::fs::read(out).unwrap())
    }

    fn number(file: &[u8], at: usize) -> usize {
        u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize
    }

    /// Reads a file back by its own directory, which its footer names.
    fn read(file: &[u8], size: usize) -> Vec<u8> {
        let sector = SECTOR as usize;
        let footer = file.len() - 2 * sector;
        assert_eq!(&file[footer..footer + 4], b"KDMV");
        let directory = number(file, footer + 56) * sector;
        let mut disk = vec![0; size];
        for grain in 0..size.div_ceil(GRAIN_BYTES as usize) {
            let table = number(file, directory + grain / TABLE as usize * 4) * sector;
            let at = if table == 0 { 0 } else { number(file, table + grain % TABLE as usize * 4) * sector };
            if at != 0 {
                assert_eq!(number(file, at), grain * GRAIN as usize, "the marker names the sector");
                let mut bytes = Vec::new();
                let compressed = &file[at + 12..at + 12 + number(file, at + 8)];
                flate2::read::ZlibDecoder::new(compressed).read_to_end(&mut bytes).unwrap();
                let to = grain * GRAIN_BYTES as usize;
                let end = size.min(to + bytes.len());
                disk[to..end].copy_from_slice(&bytes[..end - to]);
            }
        }
        disk
    }

    #[test]
    fn what_goes_in_comes_out() {
        // An end inside a grain, data across two grains and in two tables, zeros that were written.
        let size = (80 << 20) + 512 * 77;
        let data: [(u64, &[u8]); 4] =
            [(0, b"begin"), ((33 << 20) - 1, b"ab"), (70 << 20, &[0; 3 << 20]), (size - 3, b"end")];
        let (raw, file) = make(size, &data);
        assert!(read(&file, size as usize) == raw);
        assert_eq!(make(size, &data).1, file, "the same twice");
        // Markers of four grains, of three tables with their four sectors, of the directory, the footer and the end.
        assert_eq!(file.len() as u64 / SECTOR, FIRST + 4 + 3 * 5 + 2 + 2 + 1, "written zeros are no data");
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
