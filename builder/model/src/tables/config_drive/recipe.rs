//! Values that a machine is given on a drive.

use serde::{Deserialize, Serialize};

/// Who may give a machine values of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigDrive {
    /// Public keys (OpenSSH); a drive that none of them has signed ends the boot. Empty: signed drives are not looked for.
    pub signers: Vec<String>,
    /// Take a name, addresses and keys from an unsigned cloud-init drive as Proxmox VE makes it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub nocloud: bool,
}
