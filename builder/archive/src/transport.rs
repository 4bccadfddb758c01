//! How resolution reads a repository. It needs no network of its own: the client of the mirrors implements [`Transport`],
//! and a test answers from memory.

use diorite_model::Result;
use std::fmt;

/// One of the repositories a lock is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Repository<'a> {
    /// Debian's own archive: `dists/trixie`, `dists/trixie-updates`.
    Main,
    /// Debian's security archive: `dists/trixie-security`.
    Security,
    /// A repository the profile names, by the URI written there.
    Extra(&'a str),
}

impl fmt::Display for Repository<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Main => "the Debian archive",
            Self::Security => "the Debian security archive",
            Self::Extra(uri) => uri,
        })
    }
}

/// Reads whole files of a repository.
pub trait Transport: Sync {
    /// The bytes at `path` below the repository's root (`dists/trixie/InRelease`). They are not verified here:
    /// the caller checks signature, size and digest. A path that does not exist is an error like any other.
    fn get(&self, repository: Repository<'_>, path: &str) -> Result<Vec<u8>>;
}
