//! The writable partition.

use serde::{Deserialize, Serialize};

/// The writable partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The disk it is on.
    pub disk: StateDisk,
    /// Whether it is readable without this machine.
    pub encryption: Encryption,
    /// What the partition is made with.
    pub filesystem: FileSystem,
    /// At least so many bytes; it grows to the end of the disk at first boot.
    pub minimum: u64,
    /// Directories below /var that are memory: empty at every boot.
    pub volatile: Vec<String>,
}

impl State {
    /// Per cent of an ext4 file system that root alone may fill: containers and people cannot take what the system needs.
    pub const RESERVED_PERCENT: u64 = 4;
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

/// How /var is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encryption {
    /// Not at all.
    None,
    /// LUKS2; a TPM 2.0 keeps the key, which it gives out in the same Secure Boot state only (PCR 7).
    Tpm2,
}

/// A file system for /var.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileSystem {
    /// ext4.
    Ext4,
    /// XFS.
    Xfs,
    /// Btrfs.
    Btrfs,
}

impl FileSystem {
    /// Its name in fstab(5), in repart.d(5) and behind `mkfs.`; also of its kernel module.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
        }
    }

    /// Bytes of the smallest partition it can be made on, encryption included: mkfs.xfs(8) wants 300 MiB, mkfs.btrfs(8) 109
    /// MiB, systemd-repart 256 MiB for Btrfs, and LUKS2 takes 16 MiB.
    pub fn least(self) -> u64 {
        match self {
            Self::Ext4 => 64 << 20,
            Self::Xfs => 320 << 20,
            Self::Btrfs => 288 << 20,
        }
    }
}
