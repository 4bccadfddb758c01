//! Recipe: a profile with every default explicit. Everything in it can change bytes of the image, and nothing
//! that cannot (mirrors, threads, paths) is in it. `diorite show` prints it; its digest stands in the lock.

use crate::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What one machine is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Name and version of the image.
    pub image: Image,
    /// Where packages come from, as far as it decides which ones.
    pub archive: Archive,
    /// What is installed.
    pub packages: Packages,
    /// The kernel's command line.
    pub kernel: Kernel,
    /// Sizes of the partitions.
    pub disk: Disk,
    /// Network links by name.
    pub network: BTreeMap<String, Link>,
    /// What may come in.
    pub firewall: Firewall,
    /// Who may log in.
    pub access: Access,
    /// Containers by name.
    pub containers: BTreeMap<String, Container>,
    /// Who is watching.
    pub monitoring: Monitoring,
    /// Units switched on or off.
    pub services: Services,
    /// The writable partition, /var.
    pub state: State,
    /// Overlay folders laid over the tree, in this order.
    pub overlays: Vec<String>,
}

impl Recipe {
    /// The digest that the lock carries.
    pub fn digest(&self) -> Digest {
        Digest::of_json(self)
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
    /// The time every file is clamped to, in seconds since 1970 (SOURCE_DATE_EPOCH).
    pub epoch: u64,
}

/// The Debian archive, without any host name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// Suite, `trixie`. Its `-updates` and `-security` always belong to it.
    pub suite: String,
    /// Components, `main` at least.
    pub components: Vec<String>,
    /// Debian architecture, `amd64`.
    pub architecture: String,
    /// Further repositories, by name.
    pub extra: BTreeMap<String, ExtraRepository>,
    /// Local .deb files, paths relative to the profile.
    pub debs: Vec<String>,
}

/// A repository besides Debian's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtraRepository {
    /// Where it is: the user's words, in the user's profile.
    pub uri: String,
    /// Suite.
    pub suite: String,
    /// Components.
    pub components: Vec<String>,
    /// Path of its OpenPGP keyring, relative to the profile.
    pub keyring: String,
    /// apt_preferences(5) pin priority; 500 is the archive's own.
    pub priority: i32,
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

/// The kernel's command line, beside what the image itself needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    /// Words added to the command line.
    pub command_line: Vec<String>,
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

/// One network link, systemd.network(5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Which card: by hardware address, name or driver; an Ethernet card that no other link names when all are empty.
    pub matching: LinkMatch,
    /// DHCPv4 and DHCPv6.
    pub dhcp: bool,
    /// Accept IPv6 router advertisements.
    pub router_advertisements: bool,
    /// Static addresses with prefix length.
    pub addresses: Vec<String>,
    /// Default gateways.
    pub gateways: Vec<String>,
    /// Name servers.
    pub dns: Vec<String>,
}

/// How a link finds its card.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkMatch {
    /// Hardware address, `52:54:00:12:34:56`.
    pub mac: Option<String>,
    /// Interface name or pattern.
    pub name: Option<String>,
    /// Kernel driver.
    pub driver: Option<String>,
}

/// Packet filter. Everything that is not allowed is dropped in silence.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Firewall {
    /// What may come in.
    pub allow: Vec<Allow>,
}

/// One admitted port, or port range, of the machine or of its containers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allow {
    /// Destination port, 1 to 65535.
    pub port: u16,
    /// `tcp` or `udp`.
    pub protocol: Protocol,
    /// Source networks, CIDR; empty: from anywhere.
    pub from: Vec<String>,
}

/// Transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// RFC 9293.
    Tcp,
    /// RFC 768.
    Udp,
}

/// Administrators, by public key only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// By login name.
    pub administrators: BTreeMap<String, Administrator>,
}

/// One person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Administrator {
    /// OpenSSH public keys, one line each.
    pub ssh_keys: Vec<String>,
    /// Number of the account and of its group: the same in every version of an image, as its files outlive it.
    pub uid: u32,
}

/// A container started by a Quadlet unit from the image's own read-only store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Container {
    /// Debian packages its root file system is made from.
    pub packages: Vec<String>,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Published ports.
    pub publish: Vec<Publish>,
    /// Overlays laid over its root, in this order.
    pub overlays: Vec<String>,
    /// User it runs as, a name or number in its own tree.
    pub user: String,
}

/// One published port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publish {
    /// Port of the machine.
    pub host: u16,
    /// Port inside.
    pub container: u16,
    /// Transport protocol.
    pub protocol: Protocol,
}

/// Monitoring.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Monitoring {
    /// prometheus-node-exporter on port 9100.
    pub node_exporter: bool,
}

/// Units.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Services {
    /// Enabled whatever the packages say.
    pub enable: Vec<String>,
    /// Disabled.
    pub disable: Vec<String>,
    /// Linked to /dev/null.
    pub mask: Vec<String>,
}

/// The writable partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// At least so many bytes; it grows to the end of the disk at first boot.
    pub minimum: u64,
}
