//! Mends a FAT32 file system that `fatfs` 0.3.6 wrote: the `.` and `..` entries of every directory stand where they must,
//! and every entry has one given time.
//!
//! `fatfs` puts long-name entries before `.` and `..`; the Microsoft FAT specification wants the two short ones in the
//! first two places and no long names for them, and 0 as the cluster of a `..` that means the root. It also stamps 1980
//! on everything when it has no clock, and leaves the count of free clusters unknown.

use crate::sparse::Sparse;
use diorite_model::{Error, Result};
use std::collections::BTreeSet;

/// Bytes of one directory entry.
const ENTRY: usize = 32;
/// Attribute bits: a directory; all four bits of a long-name entry.
const DIRECTORY: u8 = 0x10;
const LONG_NAME: u8 = 0x0f;
/// First byte of an entry that is deleted, and of the one behind the last.
const DELETED: u8 = 0xe5;
const END: u8 = 0;
/// Cluster numbers from here on end a chain.
const END_OF_CHAIN: u32 = 0x0fff_fff8;

struct Geometry {
    cluster_bytes: u64,
    table: u64,
    data: u64,
}

/// Mends every directory, starting at the root. Errors when the file system cannot be followed.
pub(super) fn mend(disk: &mut Sparse, epoch: u64) -> Result<()> {
    let mut boot = [0u8; 512];
    disk.read_at(0, &mut boot);
    let u16_at = |at: usize| u64::from(u16::from_le_bytes([boot[at], boot[at + 1]]));
    let u32_at = |at: usize| u32::from_le_bytes([boot[at], boot[at + 1], boot[at + 2], boot[at + 3]]);
    let sector = u16_at(11);
    let table = u16_at(14) * sector;
    let geometry = Geometry {
        cluster_bytes: sector * u64::from(boot[13]),
        table,
        data: table + u64::from(boot[16]) * u64::from(u32_at(36)) * sector,
    };
    let stamp = stamp(epoch)?;
    let root = u32_at(44);
    let mut todo = vec![(root, false)];
    let mut seen = BTreeSet::new();
    while let Some((cluster, parent_is_root)) = todo.pop() {
        if !seen.insert(cluster) {
            return Err(Error::bug("two directories share a cluster"));
        }
        let chain = chain(disk, &geometry, cluster)?;
        let mut entries = vec![0u8; chain.len() * geometry.cluster_bytes as usize];
        for (&c, piece) in chain.iter().zip(entries.chunks_mut(geometry.cluster_bytes as usize)) {
            disk.read_at(offset(&geometry, c), piece);
        }
        if cluster != root {
            place_dots(&mut entries)?;
            if parent_is_root {
                entries[ENTRY + 20..ENTRY + 22].fill(0);
                entries[ENTRY + 26..ENTRY + 28].fill(0);
            }
        }
        for entry in entries.chunks_mut(ENTRY).take_while(|e| e[0] != END) {
            if entry[0] == DELETED || entry[11] & LONG_NAME == LONG_NAME {
                continue;
            }
            set_time(entry, stamp);
            if entry[11] & DIRECTORY != 0 && entry[0] != b'.' {
                let (high, low) =
                    (u16::from_le_bytes([entry[20], entry[21]]), u16::from_le_bytes([entry[26], entry[27]]));
                todo.push((u32::from(high) << 16 | u32::from(low), cluster == root));
            }
        }
        for (&c, piece) in chain.iter().zip(entries.chunks(geometry.cluster_bytes as usize)) {
            disk.write_at(offset(&geometry, c), piece);
        }
    }
    let clusters = (u64::from(u32_at(32)) * sector - geometry.data) / geometry.cluster_bytes;
    count_free(disk, &geometry, u16_at(48) * sector, clusters);
    Ok(())
}

/// Writes the number of free clusters and the first of them into the information sector at `place`.
fn count_free(disk: &mut Sparse, geometry: &Geometry, place: u64, clusters: u64) {
    let mut entries = vec![0u8; 4 * clusters as usize];
    disk.read_at(geometry.table + 8, &mut entries);
    let is_free = |e: &[u8]| u32::from_le_bytes([e[0], e[1], e[2], e[3]]) & 0x0fff_ffff == 0;
    let free = entries.chunks_exact(4).filter(|e| is_free(e)).count() as u32;
    let first = entries.chunks_exact(4).position(is_free).map_or(u32::MAX, |i| i as u32 + 2);
    disk.write_at(place + 488, &free.to_le_bytes());
    disk.write_at(place + 492, &first.to_le_bytes());
}

fn offset(geometry: &Geometry, cluster: u32) -> u64 {
    geometry.data + u64::from(cluster - 2) * geometry.cluster_bytes
}

fn chain(disk: &Sparse, geometry: &Geometry, first: u32) -> Result<Vec<u32>> {
    let mut chain = Vec::new();
    let mut cluster = first;
    while cluster < END_OF_CHAIN {
        if cluster < 2 || chain.len() > 1 << 16 {
            return Err(Error::bug("a directory's cluster chain is damaged"));
        }
        chain.push(cluster);
        let mut next = [0u8; 4];
        disk.read_at(geometry.table + 4 * u64::from(cluster), &mut next);
        cluster = u32::from_le_bytes(next) & 0x0fff_ffff;
    }
    Ok(chain)
}

/// Moves the short `.` and `..` to places 0 and 1 and deletes the places they came from.
fn place_dots(entries: &mut [u8]) -> Result<()> {
    for (place, name) in [b".          ", b"..         "].into_iter().enumerate() {
        let found = entries.chunks(ENTRY).take(4).position(|e| &e[..11] == name);
        let found = found.ok_or_else(|| Error::bug("a directory has no `.` or `..`"))?;
        if found != place {
            entries.copy_within(found * ENTRY..(found + 1) * ENTRY, place * ENTRY);
            entries[found * ENTRY] = DELETED;
        }
    }
    for entry in entries.chunks_mut(ENTRY).skip(2).take(2) {
        // What is left of the long names of the two.
        if entry[11] == LONG_NAME && entry[0] & 0x1f == 1 && matches!(&entry[1..5], b".\0\0\0" | b".\0.\0") {
            entry[0] = DELETED;
        }
    }
    Ok(())
}

/// FAT's date and time words (Microsoft FAT specification, "Date and time formats").
fn stamp(epoch: u64) -> Result<(u16, u16)> {
    let days = i64::try_from(epoch / 86_400).unwrap_or(i64::MAX);
    let (year, month, day) = civil(days);
    if !(1980..=2107).contains(&year) {
        return Err(Error::input(format!("the image's epoch lies in the year {year}"))
            .because("a FAT file system holds the years 1980 to 2107"));
    }
    let seconds = (epoch % 86_400) as u32;
    let date = ((year - 1980) as u16) << 9 | (month as u16) << 5 | day as u16;
    let time = ((seconds / 3600) as u16) << 11 | ((seconds / 60 % 60) as u16) << 5 | (seconds % 60 / 2) as u16;
    Ok((date, time))
}

/// Days since 1970 → year, month, day in the Gregorian calendar.
fn civil(days: i64) -> (i64, i64, i64) {
    let is_leap = |y: i64| y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
    let (mut year, mut left) = (1970, days.min(200_000));
    while left >= 365 + i64::from(is_leap(year)) {
        left -= 365 + i64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + i64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    (year, month, left + 1)
}

fn set_time(entry: &mut [u8], (date, time): (u16, u16)) {
    entry[13] = 0; // hundredths of the creation time
    for (at, word) in [(14, time), (16, date), (18, date), (22, time), (24, date)] {
        entry[at..at + 2].copy_from_slice(&word.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(20_370), (2025, 10, 9));
        assert_eq!(civil(20_453), (2025, 12, 31));
        assert!(stamp(0).is_err(), "1970 does not exist in FAT");
        assert_eq!(stamp(1_760_000_000).unwrap(), (45 << 9 | 10 << 5 | 9, 8 << 11 | 53 << 5 | 10));
    }

    #[test]
    fn dots_come_first() {
        let short = |name: &[u8; 11], attributes: u8| {
            let mut e = [0u8; ENTRY];
            e[..11].copy_from_slice(name);
            e[11] = attributes;
            e
        };
        let long = |name: &[u8; 4]| {
            let mut e = [0xffu8; ENTRY];
            e[0] = 0x41;
            e[1..5].copy_from_slice(name);
            e[11] = LONG_NAME;
            e
        };
        let (dot, dots, file) =
            (short(b".          ", DIRECTORY), short(b"..         ", DIRECTORY), short(b"A       TXT", 0x20));
        let mut entries = [long(b".\0\0\0"), dot, long(b".\0.\0"), dots, file, [0; ENTRY]].concat();
        place_dots(&mut entries).unwrap();
        let firsts: Vec<u8> = entries.chunks(ENTRY).map(|e| e[0]).collect();
        assert_eq!(firsts, [b'.', b'.', DELETED, DELETED, b'A', END]);
        assert_eq!(&entries[..12], &dot[..12]);
        assert_eq!(&entries[ENTRY..ENTRY + 12], &dots[..12]);
        // A directory that is right stays as it is.
        let mut right = [dot, dots, file, [0; ENTRY]].concat();
        let before = right.clone();
        place_dots(&mut right).unwrap();
        assert_eq!(right, before);
        assert!(place_dots(&mut [0; 128]).is_err());
    }
}
