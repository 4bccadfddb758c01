//! Values that a machine is given on a disc.

use serde::{Deserialize, Serialize};

/// Who may give a machine values of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigDrive {
    /// Public keys (OpenSSH); a drive that none of them has signed ends the boot.
    pub signers: Vec<String>,
}
