//! EFI system partition, root and hash tree → disk image: a GUID partition table with two slots, the second empty.
//!
//! ```text
//! 1 esp             EFI system partition
//! 2 NAME_VERSION         root, read-only      3 NAME_VERSION_verity     its hash tree, read-only
//! 4 _empty               room for the next    5 _empty                  room for its hash tree
//!   (free)               the state partition, which systemd-repart(8) makes at first boot and grows to the end
//! ```
//! Sources: UEFI specification §5 (GPT); UAPI group, "Discoverable Partitions Specification" (types, the read-only
//! attribute, partition identifiers that halve the root hash); sysupdate.d(5) for the label `_empty`.

mod layout;

use crate::sparse::Sparse;
use diorite_host::file::{self, NewFile};
use diorite_model::{Digest, Error, Recipe, Result, recipe};
use diorite_rootfs::secrets::{DiskScanner, PublicSecrets};
use gpt::disk::LogicalBlockSize;
use gpt::partition::Partition;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

pub(crate) use layout::{ALIGNMENT, EMPTY, ESP, READ_ONLY, ROOT, ROOT_VERITY, derived, disk_size};
pub use layout::{DiskPartition, SECTOR};

/// What a disk is made of.
pub struct DiskParts<'a> {
    /// Image name and version: the labels.
    pub name: &'a str,
    /// See `name`.
    pub version: &'a str,
    /// The root file system, a whole number of 4 KiB blocks.
    pub root: &'a Path,
    /// Its hash tree.
    pub verity: &'a Path,
    /// The hash tree's top.
    pub root_hash: Digest,
    /// The EFI system partition, of the size the recipe says.
    pub esp: &'a Sparse,
    /// Sizes of the partitions in bytes.
    pub sizes: &'a recipe::Disk,
    /// Bytes left free at the end for the state partition.
    pub state: u64,
    /// What looks like a secret in it and is none.
    pub public: &'a PublicSecrets,
}

/// A finished disk image. Only this crate makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiskImage {
    /// SHA-256 of the whole file, zeros included: the image's identity.
    pub sha256: Digest,
    /// Size of the disk in bytes.
    pub bytes: u64,
    /// Its partitions in order.
    pub partitions: Vec<DiskPartition>,
}

/// Writes the disk to `out`, sparse, through a temporary file beside it. The same parts give the same bytes. They are
/// searched for secrets while they are hashed.
/// Errors when a part does not fit its partition (naming the sizes and the setting), a secret is found, or the file cannot be written.
pub fn write(parts: &DiskParts, out: &Path) -> Result<DiskImage> {
    let (root, root_size) = open(parts.root)?;
    let (verity, verity_size) = open(parts.verity)?;
    layout::check_sizes(parts.sizes, parts.esp.size(), root_size, verity_size)?;
    let partitions = layout::place(parts.name, parts.version, &parts.root_hash, parts.sizes)?;
    let bytes = layout::disk_size(&partitions, parts.state);
    let table = table(&partitions, bytes, layout::disk_guid(&parts.root_hash))?;

    let failed = |e: std::io::Error| Error::io("the disk image cannot be written", out, e);
    let new = NewFile::create(out, 0o666).map_err(failed)?;
    let file = new.file();
    file.set_len(bytes).map_err(failed)?;
    for (offset, piece) in table.pieces() {
        let end = piece.len().min(usize::try_from(bytes - offset).unwrap_or(usize::MAX));
        file.write_all_at(&piece[..end], offset).map_err(failed)?;
    }
    let [esp_at, root_at, verity_at] = [0, 1, 2].map(|i: usize| partitions[i].offset());
    for (offset, piece) in parts.esp.pieces() {
        let end = piece.len().min(usize::try_from(parts.esp.size() - offset).unwrap_or(usize::MAX));
        file.write_all_at(&piece[..end], esp_at + offset).map_err(failed)?;
    }
    copy(&root, root_size, file, root_at).map_err(failed)?;
    copy(&verity, verity_size, file, verity_at).map_err(failed)?;
    let mut scanner = DiskScanner::new(parts.public);
    let mut pass = |at, piece: &[u8]| {
        scanner.pass(at, piece);
        Ok(())
    };
    let sha256 = file::sha256_of(file, bytes, &mut pass).map_err(failed)?;
    scanner.finish()?;
    new.publish().map_err(failed)?;
    Ok(DiskImage { sha256, bytes, partitions })
}

/// The partition table, both copies and the protective MBR, on a disk of its own.
pub(crate) fn table(partitions: &[DiskPartition], bytes: u64, guid: uuid::Uuid) -> Result<Sparse> {
    let mut disk = Sparse::new(bytes);
    let sectors = u32::try_from(bytes / SECTOR - 1).unwrap_or(u32::MAX);
    let failed = |e: &dyn std::fmt::Display| Error::bug("the partition table could not be written").because(e);
    gpt::mbr::ProtectiveMBR::with_lb_size(sectors).overwrite_lba0(&mut disk).map_err(|e| failed(&e))?;
    let config = gpt::GptConfig::new().writable(true).logical_block_size(LogicalBlockSize::Lb512);
    let mut gpt = config.create_from_device(disk, Some(guid)).map_err(|e| failed(&e))?;
    // `add_partition` would draw random identifiers; a whole map is written as it is.
    let map: BTreeMap<u32, Partition> = (1..).zip(partitions.iter().map(DiskPartition::entry)).collect();
    gpt.update_partitions(map).map_err(|e| failed(&e))?;
    let header = gpt.header();
    layout::validate(partitions, header.first_usable, header.last_usable)?;
    gpt.write().map_err(|e| failed(&e))
}

/// The table that an image of this recipe and root hash has on a disk of this size.
pub(crate) fn table_of(recipe: &Recipe, root_hash: &Digest, bytes: u64) -> Result<Sparse> {
    let partitions = layout::place(&recipe.image.name, &recipe.image.version, root_hash, &recipe.disk)?;
    table(&partitions, bytes, layout::disk_guid(root_hash))
}

fn open(path: &Path) -> Result<(File, u64)> {
    let file = File::open(path).map_err(|e| Error::io("a part of the disk cannot be read", path, e))?;
    let size = file.metadata().map_err(|e| Error::io("a part of the disk cannot be read", path, e))?.len();
    Ok((file, size))
}

/// Copies a file's data to an offset of another, holes left out.
fn copy(from: &File, size: u64, to: &File, offset: u64) -> std::io::Result<()> {
    let mut ranges = file::data_ranges(from, size)?.into_iter();
    ranges.try_for_each(|(start, end)| file::copy_range(from, start, end, to, offset + start))
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::io::Read;

    const MIB: u64 = 1 << 20;

    pub(super) fn sizes() -> recipe::Disk {
        recipe::Disk { esp: 64 * MIB, root: 8 * MIB, verity: MIB }
    }

    fn build(directory: &Path, root: &[u8]) -> Result<(DiskImage, Vec<u8>)> {
        let (root_path, verity_path, out) =
            (directory.join("root"), directory.join("verity"), directory.join("disk.raw"));
        std::fs::write(&root_path, root).unwrap();
        std::fs::write(&verity_path, [9; 8192]).unwrap();
        let esp = crate::esp::write(&[("EFI/x".into(), b"y"[..].into())], 64 * MIB, 1, "ESP", 1_760_000_000).unwrap();
        let parts = DiskParts {
            name: "server",
            version: "7",
            root: &root_path,
            verity: &verity_path,
            root_hash: Digest::of(b"root"),
            esp: &esp,
            sizes: &sizes(),
            state: 64 * MIB,
            public: &PublicSecrets::default(),
        };
        let image = write(&parts, &out)?;
        let mut bytes = Vec::new();
        File::open(&out).unwrap().read_to_end(&mut bytes).unwrap();
        Ok((image, bytes))
    }

    #[test]
    fn parts_stand_where_the_table_says() {
        let directory = tempfile::tempdir().unwrap();
        let root = [&[1u8; 5000][..], &[0; 200_000], &[2; 4808]].concat();
        let (image, bytes) = build(directory.path(), &root).unwrap();
        assert_eq!(bytes.len() as u64, image.bytes);
        assert_eq!(Digest::of(&bytes), image.sha256);
        let disk = gpt::GptConfig::new().only_valid_headers(true);
        let disk = disk.open_from_device(std::io::Cursor::new(bytes.clone())).unwrap();
        let read: Vec<_> = disk.partitions().values().map(|p| p.name.clone()).collect();
        assert_eq!(read, ["esp", "server_7", "server_7_verity", "_empty", "_empty"]);
        let hash = Digest::of(b"root").to_string();
        let simple = |i: u32| disk.partitions()[&i].part_guid.simple().to_string();
        assert_eq!((simple(2), simple(3)), (hash[..32].to_owned(), hash[32..].to_owned()));
        assert_eq!(disk.partitions()[&2].flags, 1 << 60);
        assert_eq!(disk.partitions()[&4].flags, 0);
        let at = image.partitions[1].offset() as usize;
        assert!(bytes[at..at + root.len()] == root);
        let esp_at = image.partitions[0].offset() as usize;
        assert_eq!(bytes[esp_at + 510..esp_at + 512], [0x55, 0xaa]);
        assert_eq!(bytes[510..512], [0x55, 0xaa]);
    }

    #[test]
    fn the_same_twice_and_nothing_left_behind() {
        let directory = tempfile::tempdir().unwrap();
        let first = build(directory.path(), &[1; 4096]).unwrap().0;
        assert_eq!(build(directory.path(), &[1; 4096]).unwrap().0, first);
        assert_ne!(build(directory.path(), &[3; 4096]).unwrap().0.sha256, first.sha256);
        let names: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names.len(), 3, "{names:?}");
    }

    #[test]
    fn a_root_too_large_names_the_setting_and_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let error = build(directory.path(), &vec![1; 9 << 20]).unwrap_err().to_string();
        assert!(error.contains("disk.root") && error.contains("9 MiB") && error.contains("8 MiB"), "{error}");
        assert!(!directory.path().join("disk.raw").exists());
    }
}
