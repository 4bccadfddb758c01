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
    /// Suite.
    pub suite: String,
    /// Components.
    pub components: Vec<String>,
    /// Path of its OpenPGP keyring, relative to the profile.
    pub keyring: String,
    /// apt_preferences(5) pin priority; 500 is the archive's own.
    pub priority: i32,
}
