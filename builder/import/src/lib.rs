//! Files of other tools → tables of a profile, and what could not be carried over, line by line. Pure: no I/O at all.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod advice;
mod compose;
mod interpolate;
mod ports;
mod service;
mod stack;
#[cfg(test)]
mod tests;
mod toml_text;
mod words;
mod yaml;

pub use compose::compose;

/// What came of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Tables of a profile, in TOML.
    pub profile: String,
    /// What is not in them, or is and means something else, in the order of the lines.
    pub notes: Vec<Note>,
}

/// Something that its reader has to know or do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// Line of the imported file, from 1.
    pub line: usize,
    /// The key: `services.web.build`.
    pub key: String,
    /// What about it.
    pub what: String,
}
