//! Where packages come from.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The Debian archive, without any host name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// Suite, `trixie`. Its `-updates` and `-security` always belong to it.
    pub suite: String,
    /// Components, `main` at least.
    pub components: Vec<String>,
    /// Debian architecture, `amd64`.
    pub architecture: String,
    /// Further repositories, by name.
    pub extra: BTreeMap<String, ExtraRepository>,
    /// Local .deb files, paths relative to the profile.
    pub debs: Vec<String>,
}

/// A repository besides Debian's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtraRepository {
    /// Where it is: the user's words, in the user's profile.
    pub uri: String,
    /// Suite as sources.list(5) has it; one that ends with a slash is the directory of a flat repository, below its URI.
    pub suite: String,
    /// Components; none of a flat repository.
    pub components: Vec<String>,
    /// Path of its OpenPGP keyring, relative to the profile.
    pub keyring: String,
    /// apt_preferences(5) pin priority; 500 is the archive's own.
    pub priority: i32,
}

/// Whether a suite is that of a flat repository: its release file and its index are in that directory, without components
/// and architectures (sources.list(5), "exact path").
pub fn is_flat(suite: &str) -> bool {
    suite.ends_with('/')
}
