//! Files that are written whole or not at all.

use diorite_model::{Error, Result};
use serde::Serialize;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Writes a file: temporary name, fsync, rename.
pub fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    write_as(file, bytes, 0o666)
}

/// The same, with these permissions at most.
pub fn write_as(file: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let fail = |e| Error::io("a result cannot be written", file, e);
    let mut temporary = file.as_os_str().to_owned();
    temporary.push(".part");
    let _ = fs::remove_file(&temporary);
    let mut f = fs::File::options().write(true).create_new(true).mode(mode).open(&temporary).map_err(fail)?;
    f.write_all(bytes).and_then(|()| f.sync_all()).and_then(|()| fs::rename(&temporary, file)).map_err(|e| {
        let _ = fs::remove_file(&temporary);
        fail(e)
    })
}

/// JSON for people to read, with a newline at its end.
pub fn pretty<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("our own types serialize");
    bytes.push(b'\n');
    bytes
}
