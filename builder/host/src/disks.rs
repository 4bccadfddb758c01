//! The disks of this machine, as Linux lists them below /sys/class/block.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A whole disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskInfo {
    /// The kernel's name: `sda`, `nvme0n1`.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// What its maker calls it; empty where it does not say.
    pub model: String,
    /// Its serial number; empty where it does not say.
    pub serial: String,
}

impl DiskInfo {
    /// Its device file.
    pub fn path(&self) -> PathBuf {
        Path::new("/dev").join(&self.name)
    }
}

/// A partition and the disk it is on, by their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionInfo {
    /// `sda2`.
    pub name: String,
    /// `sda`.
    pub disk: String,
}

/// Kinds of block devices that are no disks: made by the kernel from files, memory and other devices; discs and floppies.
const OTHERS: [&str; 8] = ["dm-", "fd", "loop", "md", "nbd", "ram", "sr", "zram"];

/// Disks that hold something, in the order of their names. `sys` is /sys.
pub fn all(sys: &Path) -> io::Result<Vec<DiskInfo>> {
    let mut all = Vec::new();
    for (name, directory) in block_devices(sys)? {
        let other =
            OTHERS.iter().any(|o| name.strip_prefix(o).is_some_and(|n| n.starts_with(|c: char| c.is_ascii_digit())));
        // In sectors of 512 bytes, whatever the device's are. A card reader without a card has none.
        let bytes = text(&directory.join("size")).parse::<u64>().unwrap_or_default() * 512;
        if other || bytes == 0 || directory.join("partition").exists() {
            continue;
        }
        let model = text(&directory.join("device/model"));
        let mut serial = text(&directory.join("device/serial"));
        if serial.is_empty() {
            // virtio-blk.
            serial = text(&directory.join("serial"));
        }
        if serial.is_empty() {
            // SCSI and SATA: page 0x80 of the vital product data, behind a head of four bytes (SPC-4, 7.8.15).
            let page = fs::read(directory.join("device/vpd_pg80")).unwrap_or_default();
            serial = printable(page.get(4..).unwrap_or_default());
        }
        all.push(DiskInfo { name, bytes, model, serial });
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

/// The partition of this label in a GUID partition table.
pub fn partition(sys: &Path, label: &str) -> io::Result<Option<PartitionInfo>> {
    for (name, directory) in block_devices(sys)? {
        let about = text(&directory.join("uevent"));
        if about.lines().any(|line| line.strip_prefix("PARTNAME=") == Some(label)) {
            let whole = fs::canonicalize(&directory)?;
            let disk = whole.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
            return Ok(Some(PartitionInfo { name, disk }));
        }
    }
    Ok(None)
}

fn block_devices(sys: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let entries = fs::read_dir(sys.join("class/block"))?;
    entries.map(|e| e.map(|e| (e.file_name().to_string_lossy().into_owned(), e.path()))).collect()
}

fn text(file: &Path) -> String {
    printable(&fs::read(file).unwrap_or_default())
}

/// What a device says goes to a terminal: nothing but printable ASCII and line ends.
fn printable(bytes: &[u8]) -> String {
    let kept = bytes.iter().filter(|b| (b' '..=b'~').contains(*b) || **b == b'\n');
    kept.map(|b| char::from(*b)).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A /sys with these files.
    fn sys(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let sys = tempfile::tempdir().unwrap();
        for (path, bytes) in files {
            let path = sys.path().join("class/block").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        sys
    }

    #[test]
    fn disks_are_told_from_what_only_looks_like_one() {
        let sys = sys(&[
            ("sdb/size", b"2000\n"),
            ("sdb/device/model", b"Stick\x1b[31m   \n"),
            ("sdb/device/vpd_pg80", b"\0\x80\0\x04ABC1"),
            ("nvme0n1/size", b"4096\n"),
            ("nvme0n1/device/serial", b"S5 \n"),
            ("vda/size", b"8\n"),
            ("vda/serial", b"data-1\n"),
            ("sdc/size", b"0\n"),
            ("sdb1/size", b"100\n"),
            ("sdb1/partition", b"1\n"),
            ("loop0/size", b"100\n"),
            ("dm-0/size", b"100\n"),
            ("sr0/size", b"100\n"),
            ("zram0/size", b"100\n"),
        ]);
        let all = all(sys.path()).unwrap();
        let shown: Vec<_> = all.iter().map(|d| format!("{} {} {} {}", d.name, d.bytes, d.model, d.serial)).collect();
        assert_eq!(shown, ["nvme0n1 2097152  S5", "sdb 1024000 Stick[31m ABC1", "vda 4096  data-1"]);
    }

    #[test]
    fn a_partition_is_found_by_its_label() {
        let sys = sys(&[("sda/sda2/uevent", b"DEVNAME=sda2\nPARTNAME=payload\n"), ("sda/size", b"9\n")]);
        std::os::unix::fs::symlink("sda/sda2", sys.path().join("class/block/sda2")).unwrap();
        let found = partition(sys.path(), "payload").unwrap();
        assert_eq!(found, Some(PartitionInfo { name: "sda2".into(), disk: "sda".into() }));
        assert_eq!(partition(sys.path(), "pay").unwrap(), None);
    }
}
