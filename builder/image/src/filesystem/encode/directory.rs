//! Directories: blocks of `struct erofs_dirent` (12 bytes each) followed by the names, sorted bytewise over all blocks.

use super::{BLOCK, FileType};

/// `struct erofs_dirent`: nid, offset of the name, type, reserved.
const DIRENT: usize = 12;

/// One name in a directory. `.` and `..` are names like others, in their place in the order.
#[derive(Debug, Clone, Copy)]
pub(in crate::filesystem) struct Dirent<'a> {
    pub name: &'a [u8],
    pub nid: u64,
    pub file_type: FileType,
}

/// How the sorted names fall into blocks: how many are full, and how many bytes the last one uses (1 to 4096).
/// The size of the directory is `full * 4096 + tail`.
pub(in crate::filesystem) fn tail<'a>(names: impl Iterator<Item = &'a [u8]>) -> (usize, usize) {
    let (mut full, mut used) = (0, 0);
    for name in names {
        if used + DIRENT + name.len() > BLOCK {
            full += 1;
            used = 0;
        }
        used += DIRENT + name.len();
    }
    (full, used)
}

/// The content: every block but the last filled up with zeros.
pub(in crate::filesystem) fn blocks(entries: &[Dirent]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut left = entries;
    while !left.is_empty() {
        out.resize(out.len().next_multiple_of(BLOCK), 0);
        let mut used = 0;
        let fits = left.iter().take_while(|entry| {
            used += DIRENT + entry.name.len();
            used <= BLOCK
        });
        let (here, rest) = left.split_at(fits.count());
        let mut nameoff = here.len() * DIRENT;
        for entry in here {
            out.extend(entry.nid.to_le_bytes());
            out.extend((nameoff as u16).to_le_bytes());
            out.extend([entry.file_type as u8, 0]);
            nameoff += entry.name.len();
        }
        here.iter().for_each(|entry| out.extend(entry.name));
        left = rest;
    }
    out
}
