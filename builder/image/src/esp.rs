//! Files → EFI system partition: a FAT32 file system in memory, made by `fatfs`, its known faults mended by [`mend`].
//!
//! Sources: UEFI specification §13.3 (the ESP is FAT32; the removable-media path is `EFI/BOOT/BOOTX64.EFI`); the boot
//! loader specification of the UAPI group (`EFI/Linux/*.efi`, boot counting in the name); systemd-boot(7), loader.conf(5).

mod mend;

use crate::programs::BootPrograms;
use crate::sparse::Sparse;
use diorite_model::recipe::Signing;
use diorite_model::{Error, Result};
use diorite_rootfs::guest::health::TRIES;
use fatfs::{Dir, FatType, FileSystem, FormatVolumeOptions, FsOptions};
use std::borrow::Cow;
use std::io::{Seek, Write};

/// FAT32 begins where FAT16 ends: at this many clusters (Microsoft FAT specification, "FAT type determination").
const LEAST_CLUSTERS: u64 = 65_525;

/// The directory of keys that systemd-boot(7) takes by itself.
pub const ENROLMENT: &str = "loader/keys/auto";

/// A file of the partition: its path with `/` between the parts, and its bytes.
pub type EspFile<'a> = (String, Cow<'a, [u8]>);

/// The files of a system that boots by systemd-boot: the loader twice (its own path and the removable-media path), its
/// settings, and one unified kernel image whose name starts the boot counter.
pub fn files<'a>(programs: &'a BootPrograms, name: &str, version: &str, signing: Option<&Signing>) -> Vec<EspFile<'a>> {
    let BootPrograms { loader, uki } = programs;
    let enroll = signing.map(|s| format!("secure-boot-enroll {}\n", s.enroll.loader_word())).unwrap_or_default();
    let settings = format!("timeout 0\neditor no\nauto-firmware no\n{enroll}");
    vec![
        ("EFI/BOOT/BOOTX64.EFI".into(), Cow::Borrowed(loader)),
        (format!("EFI/Linux/{name}_{version}+{TRIES}.efi"), Cow::Borrowed(uki)),
        ("EFI/systemd/systemd-bootx64.efi".into(), Cow::Borrowed(loader)),
        // Which kind of entries the directory loader/entries may hold; bootctl(1) writes it too.
        ("loader/entries.srel".into(), Cow::Borrowed(b"type1\n")),
        ("loader/loader.conf".into(), Cow::Owned(settings.into_bytes())),
    ]
}

/// Makes the partition: `size` bytes, a serial number, a label of at most 11 upper-case letters and digits; every time
/// is `epoch` (seconds since 1970, in UTC; FAT counts two-second steps from 1980). Only what is not zero takes memory.
/// Errors when the files do not fit, naming both sizes and the setting.
pub fn write(files: &[EspFile], size: u64, volume_id: u32, label: &str, epoch: u64) -> Result<Sparse> {
    let needed: u64 = files.iter().map(|f| f.1.len() as u64).sum();
    let cluster = cluster_size(size).ok_or_else(|| {
        Error::input(format!("an EFI system partition of {} MiB is too small for FAT32", size >> 20))
            .hint("give it 64 MiB or more: `disk.esp` in the profile")
    })?;
    if needed + needed / 8 + (1 << 20) > size {
        return Err(Error::input(format!(
            "the EFI system partition of {} MiB has no room for {} MiB of boot files",
            size >> 20,
            needed.div_ceil(1 << 20)
        ))
        .hint("enlarge `disk.esp` in the profile; two versions should fit, so that an update has room"));
    }
    let mut disk = Sparse::new(size);
    fill(&mut disk, files, cluster, volume_id, label)
        .map_err(|e| Error::bug("the EFI system partition could not be written").because(e))?;
    mend::mend(&mut disk, epoch).map_err(|e| e.at("the EFI system partition"))?;
    disk.rewind().map_err(|e| Error::bug("a disk in memory cannot be rewound").because(e))?;
    Ok(disk)
}

/// The largest power of two, at most 32 KiB, that still gives FAT32 its clusters.
fn cluster_size(size: u64) -> Option<u32> {
    // Two tables of four bytes for each cluster and the reserved sectors are taken off generously.
    (9..=15).rev().map(|bits| 1u32 << bits).find(|&c| size / (u64::from(c) + 8) >= LEAST_CLUSTERS + 512)
}

fn fill(disk: &mut Sparse, files: &[EspFile], cluster: u32, volume_id: u32, label: &str) -> std::io::Result<()> {
    let mut padded = [b' '; 11];
    for (to, from) in padded.iter_mut().zip(label.bytes()) {
        *to = from;
    }
    let options = FormatVolumeOptions::new()
        .fat_type(FatType::Fat32)
        .bytes_per_cluster(cluster)
        .volume_id(volume_id)
        .volume_label(padded);
    fatfs::format_volume(&mut *disk, options)?;
    let system = FileSystem::new(disk, FsOptions::new().update_accessed_date(false))?;
    {
        let root = system.root_dir();
        for (path, bytes) in files {
            let mut directory: Dir<_> = root.clone();
            let mut parts: Vec<&str> = path.split('/').collect();
            let name = parts.pop().unwrap_or_default();
            for part in parts {
                directory = directory.create_dir(part)?;
            }
            let mut file = directory.create_file(name)?;
            file.write_all(bytes)?;
            file.flush()?;
        }
    }
    system.unmount()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    const SIZE: u64 = 64 << 20;

    fn sample(epoch: u64) -> Sparse {
        let programs = BootPrograms { loader: vec![b'L'; 100_000], uki: vec![b'U'; 3_000_000] };
        write(&files(&programs, "server", "1", None), SIZE, 0xcafe_babe, "ESP", epoch).unwrap()
    }

    #[test]
    fn what_goes_in_comes_out() {
        let mut disk = sample(1_760_000_000);
        let system = FileSystem::new(&mut disk, FsOptions::new()).unwrap();
        assert_eq!((system.volume_id(), system.fat_type()), (0xcafe_babe, FatType::Fat32));
        let root = system.root_dir();
        let mut read = Vec::new();
        root.open_file("EFI/Linux/server_1+3.efi").unwrap().read_to_end(&mut read).unwrap();
        assert_eq!(read, vec![b'U'; 3_000_000]);
        let entry =
            root.open_dir("loader").unwrap().iter().map(|e| e.unwrap()).find(|e| e.file_name() == "loader.conf");
        let time = entry.unwrap().modified();
        assert_eq!((time.date.year, time.date.month, time.date.day), (2025, 10, 9));
        assert_eq!((time.time.hour, time.time.min, time.time.sec), (8, 53, 20));
    }

    #[test]
    fn same_files_same_bytes_and_little_memory() {
        let (a, b) = (sample(1_760_000_000), sample(1_760_000_000));
        assert!(a.pieces().eq(b.pieces()));
        assert!(a.pieces().count() * crate::sparse::PIECE < 6_000_000);
        assert!(!a.pieces().eq(sample(1_760_000_100).pieces()), "times stand in it");
    }

    #[test]
    fn a_partition_too_small_names_both_sizes_and_the_setting() {
        let programs = BootPrograms { loader: b"l".to_vec(), uki: vec![1; 63 << 20] };
        let error = write(&files(&programs, "server", "1", None), SIZE, 1, "ESP", 0).unwrap_err().to_string();
        assert!(error.contains("64 MiB") && error.contains("disk.esp"), "{error}");
        assert!(write(&[], 8 << 20, 1, "ESP", 0).unwrap_err().to_string().contains("FAT32"));
    }

    #[test]
    fn clusters_are_as_large_as_fat32_allows() {
        for mib in [40, 64, 128, 256, 512, 1024, 4096] {
            let cluster = u64::from(cluster_size(mib << 20).unwrap());
            assert!((mib << 20) / cluster > LEAST_CLUSTERS, "{mib}");
        }
        assert_eq!(cluster_size(256 << 20), Some(2048));
        assert_eq!(cluster_size(20 << 20), None);
    }
}
