//! Files that are written whole or not at all.

use diorite_model::{Error, Result};
use serde::Serialize;
use std::path::Path;

/// Writes a file: temporary name, fsync, rename.
pub fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    write_as(file, bytes, 0o666)
}

/// The same, with these permissions at most.
pub fn write_as(file: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    diorite_host::file::write_whole(file, bytes, mode).map_err(|e| Error::io("a result cannot be written", file, e))
}

/// JSON for people to read, with a newline at its end.
pub fn pretty<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("our own types serialize");
    bytes.push(b'\n');
    bytes
}
