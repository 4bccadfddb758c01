//! Which blocks of a disk hold data.

use diorite_host::file::data_ranges;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Numbers of the blocks of `block` bytes that are not all zero, in order. The rest of the last one counts as zero.
pub(super) fn nonzero(file: &File, size: u64, block: u64) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    let mut buffer = vec![0; usize::try_from(block).unwrap_or(usize::MAX)];
    for (start, end) in data_ranges(file, size)? {
        for number in start / block..end.div_ceil(block) {
            if found.last() == Some(&number) {
                continue;
            }
            let count = usize::try_from(block.min(size - number * block)).unwrap_or(buffer.len());
            file.read_exact_at(&mut buffer[..count], number * block)?;
            if buffer[..count].iter().any(|&b| b != 0) {
                found.push(number);
            }
        }
    }
    Ok(found)
}
