//! What a verification is asked for, and the digest by which its disk is known.

use crate::select::Choice;
use diorite_host::{progress::Progress, tools::ToolsTree};
use diorite_model::{Digest, Recipe, Result, verify::OwnCheck};
use std::path::Path;

/// What a verification needs.
#[derive(Debug, Clone, Copy)]
pub struct VerifyInput<'a> {
    /// The raw disk. It is never written.
    pub disk: &'a Path,
    /// Its SHA-256, as the build said.
    pub disk_sha256: Digest,
    /// What it was made from.
    pub recipe: &'a Recipe,
    /// What the profile wants asked besides.
    pub own: &'a [OwnCheck],
    /// Which checks are asked.
    pub choice: &'a Choice,
    /// Switch the machine on even where a kept moment would do, and keep a new one.
    pub boot: bool,
    /// How many times all of it is done, 1 at least.
    pub runs: u32,
    /// QEMU and firmware.
    pub tools: &'a ToolsTree,
    /// Where the report, wire.pcapng and console.log go; an `evidence` directory on failure; a directory for each of several
    /// runs.
    pub out: &'a Path,
    /// Who is told how it goes.
    pub progress: &'a Progress,
}

/// SHA-256 of a whole file.
pub fn digest(path: &Path) -> Result<Digest> {
    Ok(diorite_host::file::sha256(path, "the disk")?.0)
}
