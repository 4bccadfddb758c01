//! SHA-256 of files. Holes are not read, but count as the zeros they are.

use super::holes::data_ranges;
use crate::interrupt;
use diorite_model::{Digest, Error, Hasher, Result};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// SHA-256 and size of a file; `what` names it in errors: `the disk`.
///
/// # Errors
/// The file cannot be read; [`diorite_model::Exit::Interrupted`].
pub fn sha256(path: &Path, what: &str) -> Result<(Digest, u64)> {
    sha256_with(path, what, &|_| {})
}

/// The same; `read` is told the bytes of every piece, for a progress bar.
pub fn sha256_with(path: &Path, what: &str, read: &dyn Fn(u64)) -> Result<(Digest, u64)> {
    let sum = || {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        let digest = sha256_of(&file, size, &mut |_, piece| {
            read(piece.len() as u64);
            match interrupt::came() {
                true => Err(io::ErrorKind::Interrupted.into()),
                false => Ok(()),
            }
        })?;
        Ok((digest, size))
    };
    sum().map_err(|e: io::Error| {
        interrupt::check().err().unwrap_or_else(|| Error::io(format!("{what} cannot be read"), path, e))
    })
}

/// SHA-256 of the first `size` bytes of an open file. `pass` gets every piece that is read, with its offset; an error of
/// it ends the reading.
pub fn sha256_of(file: &File, size: u64, pass: &mut dyn FnMut(u64, &[u8]) -> io::Result<()>) -> io::Result<Digest> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0u8; usize::try_from(size.min(1 << 20)).unwrap_or(1 << 20)];
    let mut at = 0;
    for (start, end) in data_ranges(file, size)? {
        update_zeros(&mut hasher, start - at);
        at = start;
        while at < end {
            let count = buffer.len().min(usize::try_from(end - at).unwrap_or(usize::MAX));
            file.read_exact_at(&mut buffer[..count], at)?;
            hasher.update(&buffer[..count]);
            pass(at, &buffer[..count])?;
            at += count as u64;
        }
    }
    update_zeros(&mut hasher, size - at);
    Ok(hasher.finish())
}

fn update_zeros(hasher: &mut Hasher, mut count: u64) {
    const ZEROS: &[u8] = &[0; 1 << 16];
    while count > 0 {
        let now = ZEROS.len().min(usize::try_from(count).unwrap_or(usize::MAX));
        hasher.update(&ZEROS[..now]);
        count -= now as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn holes_count_as_zeros() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        file.set_len(3_000_001).unwrap();
        file.write_all_at(b"middle", 1_500_000).unwrap();
        let mut read = 0;
        let digest = sha256_of(&file, 3_000_001, &mut |_, piece| {
            read += piece.len();
            Ok(())
        });
        let whole = Digest::of(&fs::read(&path).unwrap());
        assert_eq!(digest.unwrap(), whole);
        assert!(read >= 6, "{read}");
        assert_eq!(sha256(&path, "the file").unwrap(), (whole, 3_000_001));
    }

    #[test]
    fn an_empty_file_and_a_missing_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        let error = sha256(&path, "the disk").unwrap_err();
        assert_eq!(error.what, "the disk cannot be read");
        File::create(&path).unwrap();
        assert_eq!(sha256(&path, "the disk").unwrap(), (Digest::of(b""), 0));
    }
}
