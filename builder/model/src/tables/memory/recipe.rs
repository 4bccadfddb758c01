//! Memory beyond the machine's own.

use serde::{Deserialize, Serialize};

/// Swap space.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Bytes of a swap file on state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swap: Option<u64>,
    /// Bytes of a compressed swap device in memory, counted before compression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zram: Option<u64>,
}

impl Memory {
    /// The swap file.
    pub const SWAP_FILE: &str = "/var/lib/diorite/swap";

    /// Neither.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}
