//! Where the root partition lies: as much of the GUID partition table as that needs (UEFI specification §5.3).

use diorite_model::{Error, Result};
use std::{fs::File, os::unix::fs::FileExt, path::Path};

/// Root of x86-64 machines, 4f68bce3-e8cd-4db1-96e7-fbcaf984b709 (Discoverable Partitions Specification), in the byte
/// order of the table.
const ROOT: [u8; 16] = [0xe3, 0xbc, 0x68, 0x4f, 0xcd, 0xe8, 0xb1, 0x4d, 0x96, 0xe7, 0xfb, 0xca, 0xf9, 0x84, 0xb7, 0x09];
/// Hash tree of such a root, 2c7357ed-ebd2-46d9-aec1-23d437ec2bf5, likewise.
const ROOT_VERITY: [u8; 16] =
    [0xed, 0x57, 0x73, 0x2c, 0xd2, 0xeb, 0xd9, 0x46, 0xae, 0xc1, 0x23, 0xd4, 0x37, 0xec, 0x2b, 0xf5];
/// EFI system partition, c12a7328-f81f-11d2-ba4b-00a0c93ec93b, likewise.
const ESP: [u8; 16] = [0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b];
const SECTOR: u64 = 512;

/// A partition that holds something.
struct GptEntry {
    kind: [u8; 16],
    /// Its identifier, in the order in which it is written.
    id: [u8; 16],
    /// Offset and length in bytes.
    place: (u64, u64),
}

/// The first root partition that holds something: offset and length in bytes.
pub fn root(disk: &Path) -> Result<(u64, u64)> {
    Ok(first(disk, ROOT)?.place)
}

/// The EFI system partition: offset and length in bytes.
pub fn esp(disk: &Path) -> Result<(u64, u64)> {
    Ok(first(disk, ESP)?.place)
}

/// The root hash in hexadecimal: the identifiers of the root partition and of its hash tree are its two halves
/// (Discoverable Partitions Specification).
pub fn root_hash(disk: &Path) -> Result<String> {
    let halves = [first(disk, ROOT)?.id, first(disk, ROOT_VERITY)?.id].concat();
    Ok(halves.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The first partition of a type that holds something.
fn first(disk: &Path, kind: [u8; 16]) -> Result<GptEntry> {
    let found = entries(disk)?.into_iter().find(|e| e.kind == kind);
    found.ok_or_else(|| wrong(disk, "no partition is of the root type"))
}

fn wrong(disk: &Path, why: &str) -> Error {
    Error::input("the disk has no root partition").at(disk.display().to_string()).because(why)
}

fn entries(disk: &Path) -> Result<Vec<GptEntry>> {
    let file = File::open(disk).map_err(|e| Error::io("the disk cannot be opened", disk, e))?;
    let wrong = |why: &str| wrong(disk, why);
    let mut header = [0; 92];
    file.read_exact_at(&mut header, SECTOR).map_err(|e| wrong(&e.to_string()))?;
    if !header.starts_with(b"EFI PART") {
        return Err(wrong("there is no GUID partition table"));
    }
    let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let table = u64::from(word(72)) | u64::from(word(76)) << 32;
    let (count, size) = (u64::from(word(80)), u64::from(word(84)));
    if !(128..=4096).contains(&size) || count > 1024 {
        return Err(wrong("the partition table is not as it should be"));
    }
    let mut all = Vec::new();
    for number in 0..count {
        let mut entry = [0; 128];
        file.read_exact_at(&mut entry, table * SECTOR + number * size).map_err(|e| wrong(&e.to_string()))?;
        let sector = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| entry[at + i]));
        let name: Vec<u16> = entry[56..].chunks(2).map(|c| u16::from_le_bytes([c[0], c[1]])).collect();
        let name = String::from_utf16_lossy(&name);
        if name.trim_end_matches('\0') != "_empty" {
            let (first, last) = (sector(32), sector(40));
            let place = (first.saturating_mul(SECTOR), (last + 1).saturating_sub(first).saturating_mul(SECTOR));
            // The first three fields of an identifier are little-endian in the table.
            let id = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15].map(|i: usize| entry[16 + i]);
            all.push(GptEntry { kind: std::array::from_fn(|i| entry[i]), id, place });
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: [u8; 16], first: u64, last: u64, name: &str) -> Vec<u8> {
        let mut bytes = kind.to_vec();
        bytes.extend([7; 16]);
        bytes.extend(first.to_le_bytes());
        bytes.extend(last.to_le_bytes());
        bytes.extend([0; 8]);
        bytes.extend(name.encode_utf16().flat_map(u16::to_le_bytes));
        bytes.resize(128, 0);
        bytes
    }

    #[test]
    fn the_filled_root_slot_is_found() {
        let path = std::env::temp_dir().join(format!("diorite-gpt-{}", std::process::id()));
        let mut disk = vec![0; 512];
        disk.extend(b"EFI PART");
        disk.resize(512 + 72, 0);
        disk.extend(2_u64.to_le_bytes());
        disk.extend(3_u32.to_le_bytes());
        disk.extend(128_u32.to_le_bytes());
        disk.resize(1024, 0);
        let esp = entry([9; 16], 34, 99, "esp");
        disk.extend([esp.clone(), entry(ROOT, 100, 199, "_empty"), entry(ROOT, 200, 299, "server_1")].concat());
        std::fs::write(&path, &disk).expect("write");
        assert_eq!(root(&path).expect("root"), (200 * 512, 100 * 512));
        assert!(root_hash(&path).is_err(), "there is no hash tree");
        let mut verity = entry(ROOT_VERITY, 300, 309, "server_1_verity");
        verity[16..32].copy_from_slice(&std::array::from_fn::<u8, 16, _>(|i| i as u8));
        let whole = [&disk[..1024], &verity, &disk[1024 + 128..]].concat();
        std::fs::write(&path, whole).expect("write");
        let hash = "0707070707070707070707070707070703020100050407060809 0a0b0c0d0e0f".replace(' ', "");
        assert_eq!(root_hash(&path).expect("a hash"), hash);
        std::fs::write(&path, &disk[..1024 + 200]).expect("write");
        assert!(root(&path).is_err(), "a table cut short");
        std::fs::write(&path, vec![0; 4096]).expect("write");
        let none = root(&path).expect_err("no table");
        assert_eq!(none.cause.as_deref(), Some("there is no GUID partition table"));
        std::fs::remove_file(path).expect("remove");
    }
}
