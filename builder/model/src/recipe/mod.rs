//! Recipe: a profile with every default explicit. Everything in it can change bytes of the image, and nothing
//! that cannot (mirrors, threads, paths) is in it. `diorite show` prints it; its digest stands in the lock.

mod access;
mod archive;
mod cidr;
mod config_drive;
mod containers;
mod firewall;
mod hardening;
mod locale;
mod monitoring;
mod network;
mod services;
mod state;
mod time;

pub use access::*;
pub use archive::*;
pub use cidr::*;
pub use config_drive::*;
pub use containers::*;
pub use firewall::*;
pub use hardening::*;
pub use locale::*;
pub use monitoring::*;
pub use network::*;
pub use services::*;
pub use state::*;
pub use time::*;

use crate::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What one machine is. One that is read from a file passes the checks of a profile ([`crate::profile`]); what is derived here
/// are functions of this name, and the traits call them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, remote = "Self")]
pub struct Recipe {
    /// Name and version of the image.
    pub image: Image,
    /// Where packages come from, as far as it decides which ones.
    pub archive: Archive,
    /// What is installed.
    pub packages: Packages,
    /// The kernel, its command line and modules.
    pub kernel: Kernel,
    /// Sizes of the partitions.
    pub disk: Disk,
    /// Network links by name.
    pub network: BTreeMap<String, Link>,
    /// Clock and time zone.
    pub time: Time,
    /// Language of programs.
    pub locale: Locale,
    /// What may come in.
    pub firewall: Firewall,
    /// Who may log in.
    pub access: Access,
    /// How much is closed.
    pub hardening: Hardening,
    /// Containers by name.
    pub containers: BTreeMap<String, Container>,
    /// Networks between containers, by name.
    pub container_networks: BTreeMap<String, ContainerNetwork>,
    /// Who is watching.
    pub monitoring: Monitoring,
    /// Units switched on or off.
    pub services: Services,
    /// The writable partition, /var.
    pub state: State,
    /// Values of its own, where a machine may be given any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_drive: Option<ConfigDrive>,
    /// Overlay directories laid over the tree, in this order.
    pub overlays: Vec<String>,
}

/// Directory of the keys that people have from a cloud-init drive: in memory, so that they last as long as the drive says.
pub const GIVEN_KEYS: &str = "/run/diorite-keys";

impl Recipe {
    /// The digest that the lock carries.
    pub fn digest(&self) -> Digest {
        Digest::of_json(self)
    }

    /// Whether an unsigned cloud-init drive may say what the machine is called, which addresses it has and who may log in.
    pub fn nocloud(&self) -> bool {
        self.config_drive.as_ref().is_some_and(|drive| drive.nocloud)
    }

    /// Where sshd looks for the keys of people, sshd_config(5) `AuthorizedKeysFile`.
    pub fn keys_files(&self) -> String {
        let given = if self.nocloud() { format!(" {GIVEN_KEYS}/%u") } else { String::new() };
        format!("/etc/ssh/authorized_keys.d/%u{given}")
    }
}

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

/// What is installed in the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Packages {
    /// Package names asked for, in apt's words (`name`, `name=version`).
    pub include: Vec<String>,
    /// Install Recommends as well.
    pub recommends: bool,
}

/// The kernel: which, and beside what the image itself needs, its command line and modules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    /// Which of Debian's kernels.
    pub flavour: Flavour,
    /// Words added to the command line.
    pub command_line: Vec<String>,
    /// Modules that are loaded at boot.
    pub modules: Vec<String>,
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
