//! Text files that people write: profiles and scenarios.

use diorite_model::{Error, Result, profile};
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

/// Reads a text file of the user's; `noun` says what it is. Of one that is too large, enough is read to see that it is.
///
/// # Errors
/// [`diorite_model::Exit::Input`] when it is missing, not a regular file (a FIFO would never end), or not UTF-8.
pub fn read(file: &Path, noun: &str) -> Result<String> {
    read_as(file, noun, "TOML")
}

/// The same of a file in another format.
pub fn read_as(file: &Path, noun: &str, format: &str) -> Result<String> {
    let fail = |e| Error::io(format!("the {noun} cannot be read"), file, e);
    let kind = fs::metadata(file).map_err(fail)?.file_type();
    if !kind.is_file() {
        let what = match kind {
            kind if kind.is_dir() => "a directory",
            kind if kind.is_fifo() => "a FIFO",
            kind if kind.is_socket() => "a socket",
            _ => "a device",
        };
        let error = Error::input(format!("the {noun} is not a regular file")).at(file.display().to_string());
        return Err(error.because(format!("it is {what}")).hint(format!("give the path of a {noun} in {format}")));
    }
    let mut bytes = Vec::new();
    let limit = profile::LARGEST as u64 + 1;
    fs::File::open(file).and_then(|f| f.take(limit).read_to_end(&mut bytes)).map_err(fail)?;
    String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        let line = e.as_bytes()[..at].iter().filter(|b| **b == b'\n').count() + 1;
        Error::input(format!("this {noun} is not text in UTF-8"))
            .at(format!("{}:{line}", file.display()))
            .hint(format!("save it as UTF-8; every {format} file is"))
    })
}
