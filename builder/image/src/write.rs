//! Disk image → a disk of this host, without ever leaving something on it that could start half.

use diorite_host::device::BlockDevice;
use diorite_host::{file, interrupt};
use diorite_model::{Digest, Error, Result};
use gpt::disk::LogicalBlockSize;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// Where everything that makes a disk look used begins or ends: partition tables, and the headers of file systems.
const EDGE: u64 = 1 << 20;

/// What is on a disk, a line for each thing; empty where its first and last MiB are zero.
pub fn contents(disk: &BlockDevice) -> Result<Vec<String>> {
    found(disk.file(), disk.size()).map_err(|e| Error::io("the disk cannot be read", disk.path(), e))
}

fn found(disk: &File, size: u64) -> io::Result<Vec<String>> {
    let edge = EDGE.min(size);
    let mut start = vec![0; usize::try_from(edge).unwrap_or_default()];
    let mut end = start.clone();
    disk.read_exact_at(&mut start, 0)?;
    disk.read_exact_at(&mut end, size - edge)?;
    if start.iter().chain(&end).all(|byte| *byte == 0) {
        return Ok(Vec::new());
    }
    let config = gpt::GptConfig::new().writable(false).logical_block_size(LogicalBlockSize::Lb512);
    if let Ok(table) = config.open_from_device(disk.try_clone()?) {
        let line = |partition: &gpt::partition::Partition| {
            let bytes = (partition.last_lba + 1).saturating_sub(partition.first_lba) * 512;
            format!("partition `{}`, {}", partition.name.escape_debug(), diorite_host::progress::bytes(bytes))
        };
        let lines: Vec<String> = table.partitions().values().filter(|p| p.is_used()).map(line).collect();
        return Ok(if lines.is_empty() { vec!["an empty partition table".into()] } else { lines });
    }
    Ok(vec![signature(&start).unwrap_or("data of an unknown kind").to_owned()])
}

/// What the first MiB of a disk without a GUID partition table belongs to (libblkid's "superblocks" has the places).
fn signature(start: &[u8]) -> Option<&'static str> {
    const SIGNATURES: [(usize, &[u8], &str); 12] = [
        (0, b"LUKS\xba\xbe", "an encrypted volume (LUKS)"),
        (0, b"XFSB", "a file system (XFS)"),
        (1080, b"\x53\xef", "a file system (ext)"),
        (0x1_0040, b"_BHRfS_M", "a file system (Btrfs)"),
        (1024, b"\xe2\xe1\xf5\xe0", "a file system (EROFS)"),
        (512, b"LABELONE", "a volume of LVM"),
        (4096, b"\xfc\x4e\x2b\xa9", "part of a RAID (md)"),
        (4086, b"SWAPSPACE2", "swap space"),
        (0x8001, b"CD001", "an image of a disc (ISO 9660)"),
        (3, b"NTFS", "a file system (NTFS)"),
        (82, b"FAT32", "a file system (FAT)"),
        (510, b"\x55\xaa", "a partition table (MBR)"),
    ];
    let here = |(at, magic, _): &&(usize, &[u8], &str)| start.get(*at..*at + magic.len()) == Some(magic);
    SIGNATURES.iter().find(here).map(|(_, _, what)| *what)
}

/// Writes an image with this SHA-256 to a disk, and reads it back to compare.
/// `moved` is told bytes, up to twice the size of the image: those written, then those read.
///
/// The first MiB, without which nothing on the disk is found, is cleared first and written last. An old partition table at the
/// end of a larger disk is cleared.
///
/// # Errors
/// The disk is smaller than the image; reading or writing fails; what is read is not what was written;
/// [`diorite_model::Exit::Interrupted`], with a disk that nothing can start from.
pub fn write(image: &Path, sha256: Digest, disk: &BlockDevice, moved: &dyn Fn(u64)) -> Result<()> {
    let unreadable = |e: io::Error| Error::io("the image cannot be read", image, e);
    let from = File::open(image).map_err(unreadable)?;
    let bytes = from.metadata().map_err(unreadable)?.len();
    overwrite(bytes, sha256, disk, moved, &mut |part, step| disk.copy(&from, part.start, part.end, step))
}

/// The same for an image of this many bytes that can be read but once.
pub fn write_stream(
    image: &mut dyn Read,
    bytes: u64,
    sha256: Digest,
    disk: &BlockDevice,
    moved: &dyn Fn(u64),
) -> Result<()> {
    let mut first = Vec::new();
    overwrite(bytes, sha256, disk, moved, &mut |part, step| {
        if part.start == 0 {
            return disk.put(&first, 0, step);
        }
        image.take(part.start).read_to_end(&mut first)?;
        let (mut at, mut buffer) = (part.start, vec![0; 4 << 20]);
        while at < part.end {
            let count = buffer.len().min(usize::try_from(part.end - at).unwrap_or(usize::MAX));
            image.read_exact(&mut buffer[..count])?;
            disk.put(&buffer[..count], at, step)?;
            at += count as u64;
        }
        Ok(())
    })
}

/// Is told the bytes of each piece; an error of it ends the writing.
type Step<'a> = dyn FnMut(u64) -> io::Result<()> + 'a;

/// Clears the disk's start, has `copy` write all behind the first MiB and then that MiB, and compares.
fn overwrite(
    bytes: u64,
    sha256: Digest,
    disk: &BlockDevice,
    moved: &dyn Fn(u64),
    copy: &mut dyn FnMut(Range<u64>, &mut Step<'_>) -> io::Result<()>,
) -> Result<()> {
    fits(bytes, disk)?;
    let step = &mut |count: u64| {
        moved(count);
        if interrupt::came() { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
    };
    let edge = EDGE.min(bytes);
    let mut all = || {
        disk.zero(0, edge, &mut |_| Ok(()))?;
        disk.zero(bytes.max(disk.size().saturating_sub(EDGE)), disk.size(), &mut |_| Ok(()))?;
        disk.flush()?;
        copy(edge..bytes, step)?;
        disk.flush()?;
        copy(0..edge, step)?;
        disk.flush()
    };
    let stopped = |what: &str, e: io::Error| {
        let error = interrupt::check().err().unwrap_or_else(|| Error::io(what, disk.path(), e));
        error.detail("nothing on the disk can be started; write it again")
    };
    all().map_err(|e| stopped("the disk cannot be written", e))?;
    let read = file::sha256_of(disk.file(), bytes, &mut |_, piece| step(piece.len() as u64));
    if read.map_err(|e| stopped("the disk cannot be read back", e))? != sha256 {
        disk.zero(0, edge, &mut |_| Ok(())).and_then(|()| disk.flush()).ok();
        return Err(Error::host("the disk does not hold what was written to it")
            .at(disk.path().display().to_string())
            .because("reading it back gave other bytes")
            .hint("the disk, its cable or the memory of this machine is faulty; its first MiB was cleared again"));
    }
    Ok(())
}

fn fits(bytes: u64, disk: &BlockDevice) -> Result<()> {
    if disk.size() >= bytes {
        return Ok(());
    }
    let size = diorite_host::progress::bytes;
    Err(Error::input("the disk is too small for the image")
        .at(disk.path().display().to_string())
        .because(format!("it has {}, and the image {}", size(disk.size()), size(bytes)))
        .hint("take a larger disk, or make `disk.root`, `disk.verity` or `state.minimum` of the profile smaller"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_disk_was_used_for_is_recognized() {
        let mut start = vec![0; 1 << 20];
        assert_eq!(signature(&start), None);
        start[510..512].copy_from_slice(b"\x55\xaa");
        assert_eq!(signature(&start), Some("a partition table (MBR)"));
        start[1080..1082].copy_from_slice(b"\x53\xef");
        assert_eq!(signature(&start), Some("a file system (ext)"), "the better known one");
    }

    #[test]
    fn partitions_are_named() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(64 << 20).unwrap();
        assert_eq!(found(&file, 64 << 20).unwrap(), Vec::<String>::new());
        let config = gpt::GptConfig::new().writable(true).logical_block_size(LogicalBlockSize::Lb512);
        let mut table = config.create_from_device(file.try_clone().unwrap(), None).unwrap();
        table.add_partition("Windows", 8 << 20, gpt::partition_types::BASIC, 0, None).unwrap();
        table.write().unwrap();
        assert_eq!(found(&file, 64 << 20).unwrap(), ["partition `Windows`, 8.4 MB"]);
        // Where only the copy at the end is left, something is there all the same.
        file.write_all_at(&[0; 1 << 20], 0).unwrap();
        assert_eq!(found(&file, 64 << 20).unwrap().len(), 1);
    }
}
