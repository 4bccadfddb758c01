//! `schema`, `completions`, `man`: what is generated from the declarations of the profile language and of the command line.

use crate::{out, reference};
use clap_complete::Shell;
use diorite_model::{Exit, Result, profile};
use std::path::Path;

/// Prints the profile language.
pub fn schema(markdown: bool, scenario: bool) -> Result<Exit> {
    match (markdown, scenario) {
        (_, true) => out::print(profile::scenario::reference())?,
        (true, _) => out::print(profile::reference())?,
        (false, _) => out::line(format!("{:#}", profile::json_schema()))?,
    }
    Ok(Exit::Done)
}

/// Prints a completion script.
pub fn completions(shell: Shell) -> Result<Exit> {
    out::print(reference::completions(shell))?;
    Ok(Exit::Done)
}

/// Writes the man pages into a directory; without one, prints docs/reference/cli.md.
pub fn man(directory: Option<&Path>) -> Result<Exit> {
    match directory {
        Some(directory) => reference::man(directory)?,
        None => out::print(reference::markdown())?,
    }
    Ok(Exit::Done)
}
