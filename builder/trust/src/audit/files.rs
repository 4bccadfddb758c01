//! What is handed in, which part of it is wanted, and the errors of what cannot be used.

use diorite_model::Error;
use std::collections::BTreeSet;

/// The largest file that is read, in bytes: the tracker's has 75 MB in November 2026.
pub const LARGEST: usize = 1 << 30;

/// A file with data, or one that was in an archive.
pub struct AdvisoryFile {
    /// Its name, for errors.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Which part of the data is wanted.
pub struct AdvisoryScope<'a> {
    /// Codename of the Debian release, `trixie`.
    pub suite: &'a str,
    /// Source packages; others are passed over.
    pub sources: &'a BTreeSet<&'a str>,
}

/// The error of data that cannot be used.
pub(super) fn refused(place: &str, cause: impl std::fmt::Display) -> Error {
    Error::input("the data about vulnerabilities cannot be used")
        .at(place.to_owned())
        .because(cause)
        .hint("fetch it again, whole: the Debian security tracker's JSON, or OSV's records of Debian as files or as their zip")
}

/// The error of JSON that cannot be read.
pub(super) fn no_json(place: &str, error: &serde_json::Error) -> Error {
    let where_it_is = format!("{place}:{}:{}", error.line(), error.column());
    let cause = match error.is_eof() {
        true => "it is cut: it ends in the middle of a value".to_owned(),
        // serde_json repeats the place at the end.
        false => error.to_string().split(" at line ").next().unwrap_or_default().replace("a map", "an object"),
    };
    refused(&where_it_is, cause)
}
