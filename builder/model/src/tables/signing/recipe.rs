//! What firmware is to start, and nothing else.

use serde::{Deserialize, Serialize};

/// The image is for Secure Boot: its boot programs are signed when it is built, and it starts no kernel with another command
/// line. Whose key signs is said at the build, and never here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signing {
    /// How the firmware of a new machine gets the keys.
    pub enroll: Enroll,
}

/// How the firmware of a new machine gets the keys: `secure-boot-enroll` of loader.conf(5).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Enroll {
    /// By the boot loader, in a virtual machine whose firmware has no keys yet.
    #[default]
    Auto,
    /// Also on a physical machine.
    Force,
    /// By a person.
    Manual,
}

impl Enroll {
    /// The word of loader.conf(5).
    pub fn loader_word(self) -> &'static str {
        match self {
            Self::Auto => "if-safe",
            Self::Force => "force",
            Self::Manual => "manual",
        }
    }
}

impl Signing {
    /// In the initrd: the command line that is signed, which is compared with the one that the kernel has been given.
    pub const COMMAND_LINE: &str = "usr/lib/diorite/command-line";
}
