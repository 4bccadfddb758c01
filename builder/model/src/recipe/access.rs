//! Who may log in.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Administrators, by public key only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// By login name.
    pub administrators: BTreeMap<String, Administrator>,
}

/// One person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Administrator {
    /// OpenSSH public keys, one line each.
    pub ssh_keys: Vec<String>,
    /// Number of the account and of its group: the same in every version of an image, as its files outlive it.
    pub uid: u32,
}
