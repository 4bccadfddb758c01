//! Network links.

use serde::{Deserialize, Serialize};

/// One network link, systemd.network(5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// A card, or what is made of other links.
    pub kind: LinkKind,
    /// DHCPv4.
    pub dhcp_ipv4: bool,
    /// DHCPv6, when a router announces it; by itself where router advertisements are not accepted.
    pub dhcp_ipv6: bool,
    /// Accept IPv6 router advertisements.
    pub router_advertisements: bool,
    /// Static addresses with prefix length.
    pub addresses: Vec<String>,
    /// Default gateways.
    pub gateways: Vec<String>,
    /// Further routes.
    pub routes: Vec<Route>,
    /// Metric of the default routes of this link, whoever names them; `None`: networkd's, 0 for a static IPv4 gateway and
    /// 1024 for all others.
    pub metric: Option<u32>,
    /// Bytes of the largest packet; `None`: the device's.
    pub mtu: Option<u16>,
    /// Name servers, `ADDRESS` or `ADDRESS#NAME`.
    pub dns: Vec<String>,
    /// Whether name servers are spoken to over TLS.
    pub dns_over_tls: DnsOverTls,
    /// Use the name servers that DHCP and routers announce as well.
    pub learn_dns: bool,
    /// Domains that names without dots are tried in.
    pub search: Vec<String>,
    /// Domains whose names are asked of this link's servers; `.`: all.
    pub route_domains: Vec<String>,
    /// Time servers.
    pub ntp: Vec<String>,
    /// The machine is not online before this link is.
    pub required: bool,
}

/// What a link is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum LinkKind {
    /// A card of the machine.
    Card(LinkMatch),
    /// IEEE 802.1Q.
    Vlan(Vlan),
    /// Several cards as one.
    Bond(Bond),
    /// A switch inside the machine.
    Bridge(Bridge),
}

/// How a link finds its card: an Ethernet card that no other link names when all are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkMatch {
    /// Hardware address, `52:54:00:12:34:56`.
    pub mac: Option<String>,
    /// Interface name or pattern.
    pub name: Option<String>,
    /// Kernel driver.
    pub driver: Option<String>,
    /// The how-manieth Ethernet card by PCI address, from 1.
    pub order: Option<u8>,
}

/// A virtual network over another link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vlan {
    /// VLAN identifier, 1 to 4094.
    pub id: u16,
    /// Name of the link that carries it.
    pub parent: String,
}

/// Several cards as one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bond {
    /// Names of its links.
    pub members: Vec<String>,
    /// How they share the work.
    pub mode: BondMode,
    /// Milliseconds between two looks at the members.
    pub interval: u32,
    /// IPv4 addresses that must answer ARP for a member to be good; empty: its carrier is enough.
    pub arp_targets: Vec<String>,
}

/// Modes of a bond, Documentation/networking/bonding.rst of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BondMode {
    /// One works, the others wait.
    #[serde(rename = "active-backup")]
    ActiveBackup,
    /// LACP, IEEE 802.3ad.
    #[serde(rename = "802.3ad")]
    Lacp,
    /// In turn.
    #[serde(rename = "balance-rr")]
    RoundRobin,
    /// By a hash of the addresses.
    #[serde(rename = "balance-xor")]
    Xor,
}

impl BondMode {
    /// The kernel's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::ActiveBackup => "active-backup",
            Self::Lacp => "802.3ad",
            Self::RoundRobin => "balance-rr",
            Self::Xor => "balance-xor",
        }
    }
}

/// A switch inside the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bridge {
    /// Names of its links.
    pub members: Vec<String>,
    /// Spanning tree protocol, IEEE 802.1D.
    pub stp: bool,
}

/// One route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Network it leads to, CIDR.
    pub to: String,
    /// Gateway; `None`: the network is on the link itself.
    pub via: Option<String>,
    /// Metric; `None`: networkd's.
    pub metric: Option<u32>,
}

/// DNS over TLS, RFC 7858, as in resolved.conf(5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DnsOverTls {
    /// Never.
    No,
    /// Where the server can; whoever is on the way can prevent it.
    Opportunistic,
    /// Always: the server's name, or its address where it has none, must be in its certificate.
    Yes,
}

impl DnsOverTls {
    /// systemd's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Opportunistic => "opportunistic",
            Self::Yes => "yes",
        }
    }
}

impl Link {
    /// Links this one is made of.
    pub fn below(&self) -> Vec<&str> {
        match &self.kind {
            LinkKind::Card(_) => Vec::new(),
            LinkKind::Vlan(vlan) => vec![&vlan.parent],
            LinkKind::Bond(bond) => bond.members.iter().map(String::as_str).collect(),
            LinkKind::Bridge(bridge) => bridge.members.iter().map(String::as_str).collect(),
        }
    }
    /// Links that are part of this one and have no life of their own.
    pub fn members(&self) -> &[String] {
        match &self.kind {
            LinkKind::Bond(bond) => &bond.members,
            LinkKind::Bridge(bridge) => &bridge.members,
            LinkKind::Card(_) | LinkKind::Vlan(_) => &[],
        }
    }
}
