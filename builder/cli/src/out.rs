//! stdout, where answers go. One that cannot be written is an error like any other, not a panic.

use diorite_model::{Error, Exit, Result};
use std::io::{self, ErrorKind, Write as _};

/// Writes an answer.
///
/// # Errors
/// [`Exit::OutputClosed`] when the reader has gone (`diorite show NAME | head`), else [`Exit::Host`].
pub fn print(text: impl AsRef<str>) -> Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_ref().as_bytes()).and_then(|()| stdout.flush()).map_err(failure)
}

/// Writes a line.
pub fn line(text: impl AsRef<str>) -> Result<()> {
    print(format!("{}\n", text.as_ref()))
}

/// What a write to stdout that failed means.
pub fn failure(error: io::Error) -> Error {
    match error.kind() {
        ErrorKind::BrokenPipe => Error::new(Exit::OutputClosed, "the reader of the answer has gone"),
        _ => Error::host("the answer cannot be written")
            .at("standard output")
            .because(error)
            .hint("write it to another file, or free some space there"),
    }
}
