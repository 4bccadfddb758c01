//! Recipe: a profile with every default explicit. Everything in it can change bytes of the image, and nothing
//! that cannot (mirrors, threads, paths) is in it. `diorite show` prints it; its digest stands in the lock.

pub use crate::cidr::Network;
pub use crate::tables::access::recipe::*;
pub use crate::tables::archive::recipe::*;
pub use crate::tables::backup::recipe::*;
pub use crate::tables::certificates::recipe::*;
pub use crate::tables::config_drive::recipe::*;
pub use crate::tables::container_networks::recipe::*;
pub use crate::tables::containers::recipe::*;
pub use crate::tables::firewall::recipe::*;
pub use crate::tables::firewall::rule::{Peer, Protocol};
pub use crate::tables::firewall::traffic::Traffic;
pub use crate::tables::forwarding::recipe::*;
pub use crate::tables::hardening::recipe::*;
pub use crate::tables::image::recipe::*;
pub use crate::tables::locale::recipe::*;
pub use crate::tables::memory::recipe::*;
pub use crate::tables::monitoring::asked::Outgoing;
pub use crate::tables::monitoring::recipe::*;
pub use crate::tables::mounts::recipe::*;
pub use crate::tables::network::recipe::*;
pub use crate::tables::packages::recipe::*;
pub use crate::tables::platform::recipe::*;
pub use crate::tables::services::recipe::*;
pub use crate::tables::signing::recipe::*;
pub use crate::tables::state::recipe::*;
pub use crate::tables::time::recipe::*;
pub use crate::tables::vpn::recipe::*;

use crate::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

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
    /// What kind of machine it starts on.
    #[serde(default, skip_serializing_if = "Platform::is_vm")]
    pub platform: Platform,
    /// The kernel, its command line and modules.
    pub kernel: Kernel,
    /// Sizes of the partitions.
    pub disk: Disk,
    /// Whether it is for Secure Boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing: Option<Signing>,
    /// Network links by name.
    pub network: BTreeMap<String, Link>,
    /// Addresses of hosts by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hosts: BTreeMap<String, Vec<IpAddr>>,
    /// Certificates of authorities besides Debian's by name: DER in base64, [`crate::certificate::pem`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub trust: BTreeMap<String, String>,
    /// Certificates of servers in containers, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub certificates: BTreeMap<String, ServerCertificate>,
    /// Clock and time zone.
    pub time: Time,
    /// Language of programs.
    pub locale: Locale,
    /// What may come in.
    pub firewall: Firewall,
    /// Who may log in.
    pub access: Access,
    /// Hardening level and exceptions.
    pub hardening: Hardening,
    /// Containers by name.
    pub containers: BTreeMap<String, Container>,
    /// Networks between containers, by name.
    pub container_networks: BTreeMap<String, ContainerNetwork>,
    /// Monitoring.
    pub monitoring: Monitoring,
    /// Units switched on or off.
    pub services: Services,
    /// The writable partition, /var.
    pub state: State,
    /// What of it is saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<Backup>,
    /// Swap space.
    #[serde(default, skip_serializing_if = "Memory::is_none")]
    pub memory: Memory,
    /// File systems besides the root and state, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub mounts: BTreeMap<String, Mount>,
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
