//! The writable partition.

use serde::{Deserialize, Serialize};

/// The writable partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The disk it is on.
    pub disk: StateDisk,
    /// At least so many bytes; it grows to the end of the disk at first boot.
    pub minimum: u64,
    /// Folders below /var that are memory: empty at every boot.
    pub volatile: Vec<String>,
}

/// The disk that /var is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StateDisk {
    /// The one that the image is on.
    Same,
    /// One of its own.
    Own,
}
