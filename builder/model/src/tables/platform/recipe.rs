//! What a machine is made of: a virtual machine, or one of metal.

use serde::{Deserialize, Serialize};

/// What the image is to start on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Platform {
    /// Which kind of machine.
    pub kind: PlatformKind,
    /// Packages with firmware of its devices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub firmware: Vec<String>,
    /// Whether the initrd brings microcode for processors of Intel and AMD.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub microcode: bool,
    /// Which disk an installer takes; without it, a person is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installer: Option<InstallerRule>,
}

/// What an installer does without asking anybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstallerRule {
    /// The disk.
    pub disk: InstallerDisk,
    /// Whether what is on it is overwritten.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub overwrite: bool,
}

/// Which disk an installer takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InstallerDisk {
    /// The only one besides its own.
    Only,
    /// The one with this serial number.
    Serial(String),
}

/// Which kind of machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlatformKind {
    /// A virtual machine.
    #[default]
    Vm,
    /// A physical machine.
    Metal,
}

impl Platform {
    /// Debian's packages with microcode, in its component [`Platform::COMPONENT`].
    pub const MICROCODE: [&str; 2] = ["amd64-microcode", "intel-microcode"];
    /// The component of Debian that most firmware is in.
    pub const COMPONENT: &str = "non-free-firmware";

    /// What a profile without the table has.
    pub fn is_vm(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it is a physical machine.
    pub fn is_metal(&self) -> bool {
        self.kind == PlatformKind::Metal
    }
}
