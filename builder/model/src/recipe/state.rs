//! The writable partition.

use serde::{Deserialize, Serialize};

/// The writable partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// At least so many bytes; it grows to the end of the disk at first boot.
    pub minimum: u64,
    /// Folders below /var that are memory: empty at every boot.
    pub volatile: Vec<String>,
}
