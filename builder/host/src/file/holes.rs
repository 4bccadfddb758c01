//! Holes of files: stretches that were never written, take no space and read as zeros (lseek(2)).

use rustix::fs::SeekFrom;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// The ranges of a file's first `size` bytes that hold data, as (start, end); everything between is zero (SEEK_DATA). Where
/// the file system knows no holes, the whole file is one range.
pub fn data_ranges(file: &File, size: u64) -> io::Result<Vec<(u64, u64)>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < size {
        let start = match rustix::fs::seek(file, SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(rustix::io::Errno::NXIO) => break,
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::OPNOTSUPP) => at,
            Err(e) => return Err(e.into()),
        };
        let end = match rustix::fs::seek(file, SeekFrom::Hole(start)) {
            Ok(end) => end.min(size),
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::OPNOTSUPP) => size,
            Err(e) => return Err(e.into()),
        };
        if start >= size {
            break;
        }
        found.push((start, end));
        at = end;
    }
    Ok(found)
}

/// Copies bytes `start..end` to offset `target` of another file, inside the kernel where it can (copy_file_range(2): blocks
/// are shared on file systems that can share them).
pub fn copy_range(from: &File, mut start: u64, end: u64, to: &File, mut target: u64) -> io::Result<()> {
    while start < end {
        let (mut read_at, mut write_at) = (start, target);
        let count = usize::try_from((end - start).min(1 << 30)).unwrap_or(1 << 30);
        let done = match rustix::fs::copy_file_range(from, Some(&mut read_at), to, Some(&mut write_at), count) {
            Ok(0) | Err(_) => copy_buffer(from, start, to, target, count)?,
            Ok(done) => done,
        } as u64;
        (start, target) = (start + done, target + done);
    }
    Ok(())
}

fn copy_buffer(from: &File, at: u64, to: &File, target: u64, count: usize) -> io::Result<usize> {
    let mut buffer = vec![0; count.min(1 << 20)];
    from.read_exact_at(&mut buffer, at)?;
    to.write_all_at(&buffer, target)?;
    Ok(buffer.len())
}
