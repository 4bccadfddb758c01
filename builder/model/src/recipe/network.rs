//! Network links.

use serde::{Deserialize, Serialize};

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
