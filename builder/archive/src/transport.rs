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

impl Repository<'_> {
    /// Whether it is one that the profile names, besides Debian's.
    pub fn is_extra(&self) -> bool {
        matches!(self, Self::Extra(_))
    }
}

/// Reads whole files of a repository.
pub trait Transport: Sync {
    /// The bytes at `path` below the repository's root (`dists/trixie/InRelease`), or `None` where the repository has no such
    /// file. They are not verified here: the caller checks signature, size and digest.
    fn find(&self, repository: Repository<'_>, path: &str) -> Result<Option<Vec<u8>>>;
}
