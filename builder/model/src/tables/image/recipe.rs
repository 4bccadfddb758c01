//! Identity of the image, its kernel, and the sizes of its partitions.

use serde::{Deserialize, Serialize};

/// Identity of the image, as in os-release(5) IMAGE_ID and IMAGE_VERSION.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// IMAGE_ID: lower-case letters, digits, `-`; at most 24 characters (partition labels hold 36).
    pub name: String,
    /// IMAGE_VERSION: digits, letters, `.`; at most 8 characters.
    pub version: String,
    /// The machine's name until DHCP or whoever starts it gives it another one, hostname(5).
    pub hostname: String,
    /// The time every file is clamped to, in seconds since 1970 (SOURCE_DATE_EPOCH).
    pub epoch: u64,
}

/// The kernel: which, and beside what the image itself needs, its command line and modules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    /// Which of Debian's kernels.
    pub flavour: Flavour,
    /// Another kernel's package, with its version if only that one will do, in place of Debian's two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// Words added to the command line.
    pub command_line: Vec<String>,
    /// Modules that are loaded at boot.
    pub modules: Vec<String>,
}

impl Kernel {
    /// The package that brings it.
    pub fn package(&self) -> &str {
        match (&self.package, self.flavour) {
            (Some(package), _) => package,
            (None, Flavour::Cloud) => "linux-image-cloud-amd64",
            (None, Flavour::Generic) => "linux-image-amd64",
        }
    }
}

/// Which of Debian's kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flavour {
    /// For virtual machines: `linux-image-cloud-amd64`.
    Cloud,
    /// With every driver: `linux-image-amd64`.
    Generic,
}

/// Sizes in bytes, whole MiB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    /// EFI system partition.
    pub esp: u64,
    /// Each root slot.
    pub root: u64,
    /// Each verity slot.
    pub verity: u64,
}
