//! Network links.

use crate::cidr::Network;
use crate::tables::vpn::recipe::{FortinetSsl, Ipsec, Wireguard};
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

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
    /// The gateways are on the link although no address of it is in a network with them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gateway_on_link: bool,
    /// Routing table of the default routes, and of routes that name no other; `None`: the main one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<u32>,
    /// Which packets are routed by which table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RoutingRule>,
    /// Addresses that it leases to others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dhcp_server: Option<DhcpServer>,
    /// Router advertisements that it sends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advertise: Option<Advertise>,
    /// Networks that packets leave for by this link or not at all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only_through: Vec<Network>,
    /// Number of its interface group; rules of the firewall that name the link name this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<u32>,
}

/// Which packets are routed by which table, ip-rule(8). Without `from` and `to`: none is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoutingRule {
    /// Source network, CIDR.
    pub from: Option<String>,
    /// Destination network, CIDR.
    pub to: Option<String>,
    /// The routing table.
    pub table: u32,
    /// The lowest is asked first.
    pub priority: u32,
}

/// A DHCPv4 server, RFC 2131; systemd.network(5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DhcpServer {
    /// First address that is leased.
    pub first: Ipv4Addr,
    /// Last address that is leased.
    pub last: Ipv4Addr,
    /// Name servers that clients are told; empty: those the machine asks itself.
    pub dns: Vec<String>,
    /// Time servers that clients are told; empty: none.
    pub ntp: Vec<String>,
    /// Seconds of a lease.
    pub lease: u32,
    /// Whether clients are told that the machine is their gateway; always there once the profile has been read.
    pub router: Option<bool>,
    /// Addresses that belong to one card each.
    pub reservations: Vec<Reservation>,
}

/// An address of one card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reservation {
    /// Hardware address of the card.
    pub mac: String,
    /// Its address.
    pub address: Ipv4Addr,
}

/// Router advertisements, RFC 4861.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Advertise {
    /// Networks of 64 bits in which neighbours give themselves addresses (RFC 4862).
    pub prefixes: Vec<String>,
    /// Name servers that neighbours are told, RFC 8106.
    pub dns: Vec<String>,
    /// Search domains that neighbours are told.
    pub search: Vec<String>,
    /// Whether neighbours are told that the machine is a gateway; always there once the profile has been read.
    pub router: Option<bool>,
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
    /// A routing table of its own for some links.
    Vrf(Vrf),
    /// A tunnel, of `[vpn.NAME]`.
    Wireguard(Wireguard),
    /// Another one.
    Ipsec(Ipsec),
    /// Another one.
    #[serde(rename = "fortinet_ssl")]
    FortinetSsl(FortinetSsl),
}

/// Virtual routing and forwarding: links that are routed by a table of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vrf {
    /// Names of its links, which keep their addresses.
    pub members: Vec<String>,
    /// Number of its routing table.
    pub table: u32,
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
    /// The gateway is on the link although no address of it is in a network with it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub on_link: bool,
    /// Routing table; `None`: the link's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<u32>,
}

impl Route {
    /// A network that is on the link itself.
    pub fn to(network: &str) -> Self {
        Self { to: network.to_owned(), via: None, metric: None, on_link: false, table: None }
    }
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
            LinkKind::Vlan(vlan) => vec![&vlan.parent],
            LinkKind::Bond(bond) => bond.members.iter().map(String::as_str).collect(),
            LinkKind::Bridge(bridge) => bridge.members.iter().map(String::as_str).collect(),
            _ => Vec::new(),
        }
    }
    /// Links that are part of this one and have no life of their own.
    pub fn members(&self) -> &[String] {
        match &self.kind {
            LinkKind::Bond(bond) => &bond.members,
            LinkKind::Bridge(bridge) => &bridge.members,
            _ => &[],
        }
    }
    /// Links that are routed by this one's table, and keep their addresses.
    pub fn routed(&self) -> &[String] {
        if let LinkKind::Vrf(vrf) = &self.kind { &vrf.members } else { &[] }
    }
}
