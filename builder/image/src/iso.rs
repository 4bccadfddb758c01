//! A few small files → a disc: ISO 9660 (ECMA-119, 4th edition), level 1, for drives whose content is read as files.
//!
//! ```text
//! sector  0..16  free     16 primary volume descriptor    17 end of descriptors
//!         18 path table, little endian    19 path table, big endian    20 the root directory    21.. files
//! ```

use diorite_model::{Error, Result};

const SECTOR: usize = 2048;
const PATHS_LITTLE: u32 = 18;
const PATHS_BIG: u32 = 19;
const ROOT: u32 = 20;
const FIRST_FILE: u32 = 21;
/// Bytes of the path table: one entry, the root.
const PATHS: u32 = 10;
/// 1980-01-01 00:00:00 UTC in a directory's seven bytes (9.1.5): the same files are the same bytes.
const TIME: [u8; 7] = [80, 1, 1, 0, 0, 0, 0];

/// A disc of this label (letters A to Z, digits, `_`; 32 at most) with these files in its root: names of up to eight such
/// characters, in lower case, and three behind a dot.
pub fn disc(label: &str, files: &[(&str, &[u8])]) -> Result<Vec<u8>> {
    let d = |text: &str, most: usize| {
        (1..=most).contains(&text.len())
            && text.bytes().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_')
    };
    if !d(label, 32) {
        return Err(Error::bug(format!("an ISO image cannot have the label `{label}`")));
    }
    let (mut at, mut directory, mut contents) = (FIRST_FILE, Vec::new(), Vec::new());
    for own in [0_u8, 1] {
        directory.extend(entry(&[own], ROOT, SECTOR, true));
    }
    let mut sorted: Vec<(String, &[u8])> = Vec::new();
    for (name, bytes) in files {
        let name = name.to_uppercase();
        let (stem, ending) = name.split_once('.').unwrap_or((&name, ""));
        if !d(stem, 8) || !(ending.is_empty() || d(ending, 3)) {
            return Err(Error::bug(format!("a file of an ISO image cannot be named `{name}`")));
        }
        sorted.push((format!("{stem}.{ending};1"), bytes));
    }
    sorted.sort();
    for (name, bytes) in sorted {
        directory.extend(entry(name.as_bytes(), at, bytes.len(), false));
        contents.extend_from_slice(bytes);
        contents.resize(contents.len().next_multiple_of(SECTOR), 0);
        at = FIRST_FILE + sectors(contents.len());
    }
    if directory.len() > SECTOR {
        return Err(Error::bug("too many files for a config drive"));
    }
    let mut disc = vec![0; FIRST_FILE as usize * SECTOR];
    let mut put = |sector: u32, bytes: &[u8]| {
        let start = sector as usize * SECTOR;
        disc[start..start + bytes.len()].copy_from_slice(bytes);
    };
    put(16, &volume(label, at));
    put(17, b"\xffCD001\x01");
    // A path table's entry (9.4): length, no extended attributes, where, the parent's number, the name of the root.
    let path = |place: [u8; 4], parent: [u8; 2]| [&[1, 0][..], &place, &parent, &[0, 0]].concat();
    put(PATHS_LITTLE, &path(ROOT.to_le_bytes(), 1_u16.to_le_bytes()));
    put(PATHS_BIG, &path(ROOT.to_be_bytes(), 1_u16.to_be_bytes()));
    put(ROOT, &directory);
    disc.extend(contents);
    Ok(disc)
}

fn sectors(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(SECTOR)).expect("a disc of files in memory")
}

/// A number in both orders (7.3.3).
fn both(n: u32) -> [u8; 8] {
    let mut all = [0; 8];
    all[..4].copy_from_slice(&n.to_le_bytes());
    all[4..].copy_from_slice(&n.to_be_bytes());
    all
}

/// The same for 16 bits (7.2.3).
fn both16(n: u16) -> [u8; 4] {
    let (l, b) = (n.to_le_bytes(), n.to_be_bytes());
    [l[0], l[1], b[0], b[1]]
}

/// A directory's entry (9.1).
fn entry(name: &[u8], at: u32, length: usize, directory: bool) -> Vec<u8> {
    let mut entry = vec![0, 0];
    entry.extend(both(at));
    entry.extend(both(u32::try_from(length).expect("a small file")));
    entry.extend(TIME);
    entry.extend([if directory { 2 } else { 0 }, 0, 0]);
    entry.extend(both16(1));
    entry.push(u8::try_from(name.len()).expect("a short name"));
    entry.extend(name);
    entry.resize(entry.len().next_multiple_of(2), 0);
    entry[0] = u8::try_from(entry.len()).expect("a short entry");
    entry
}

/// The primary volume descriptor (8.4) of a disc of so many sectors.
fn volume(label: &str, sectors: u32) -> Vec<u8> {
    let text = |text: &str, length: usize| format!("{text:<length$}").into_bytes();
    // Never (8.4.26.1).
    let never = [[b'0'; 16].as_slice(), &[0]].concat();
    let mut all = b"\x01CD001\x01\x00".to_vec();
    all.extend(text("", 32));
    all.extend(text(label, 32));
    all.extend([0; 8]);
    all.extend(both(sectors));
    all.extend([0; 32]);
    all.extend(both16(1));
    all.extend(both16(1));
    all.extend(both16(SECTOR as u16));
    all.extend(both(PATHS));
    all.extend(PATHS_LITTLE.to_le_bytes());
    all.extend([0; 4]);
    all.extend(PATHS_BIG.to_be_bytes());
    all.extend([0; 4]);
    all.extend(entry(&[0], ROOT, SECTOR, true));
    // Volume set, publisher, preparer, application; copyright, abstract and bibliography files.
    all.extend(text("", 128 * 4 + 37 * 3));
    (0..4).for_each(|_| all.extend(&never));
    all.extend([1, 0]);
    all
}
