//! Tunnels. Each is a link of its own kind, so that routes, rules of the firewall and checks treat it as any other.

use crate::cidr::Network;
use crate::tables::firewall::rule::Protocol;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A WireGuard interface, systemd.netdev(5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wireguard {
    /// UDP port it listens on, and who may reach it; `None`: the kernel chooses one, and the firewall admits nobody.
    pub listen: Option<Listen>,
    /// The machines at the other end, by name.
    pub peers: BTreeMap<String, TunnelPeer>,
}

/// Where a tunnel is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// UDP port.
    pub port: u16,
    /// Who may come; empty: anybody.
    pub from: Vec<crate::tables::firewall::rule::Peer>,
}

/// A machine at the other end of a tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TunnelPeer {
    /// Its public key, Curve25519 in Base64.
    pub public_key: String,
    /// Networks that are reached through it, and that it may send from.
    pub allowed: Vec<Network>,
    /// Where it is; `None`: it comes to this machine.
    pub endpoint: Option<Endpoint>,
    /// Seconds between two empty packets, for a NAT on the way; `None`: none is sent.
    pub keepalive: Option<u16>,
    /// The two share a further key, which is a credential.
    pub preshared_key: bool,
}

/// Where a peer is reached. Written as one string.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Endpoint {
    /// Name or address.
    pub host: String,
    /// UDP port.
    pub port: u16,
}

impl Endpoint {
    /// Its address, where it is none that a name server must be asked for.
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl TryFrom<String> for Endpoint {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let (host, port) = text.rsplit_once(':').ok_or("the port is missing")?;
        let port = port.parse::<u16>().ok().filter(|n| *n > 0 && port == n.to_string());
        let port = port.ok_or("its port is not a number from 1 to 65535")?;
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        match (bare, host.contains(':')) {
            (Some(bare), _) if bare.parse::<std::net::Ipv6Addr>().is_ok() => Ok(Self { host: bare.to_owned(), port }),
            (Some(_), _) => Err("no IPv6 address is in its brackets".into()),
            (None, true) => Err("an IPv6 address stands in brackets: `[2001:db8::1]:51820`".into()),
            (None, false) => Ok(Self { host: host.to_owned(), port }),
        }
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> Self {
        endpoint.to_string()
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// An IPsec tunnel by IKEv2, RFC 7296: strongSwan's charon speaks, and the kernel's xfrm interface is the link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ipsec {
    /// Number by which the kernel tells which security associations belong to the interface, from 1.
    pub interface: u32,
    /// Name or address of the other end; `None`: it comes to this machine.
    pub gateway: Option<String>,
    /// Who may come, without a gateway; empty: anybody.
    pub from: Vec<crate::tables::firewall::rule::Peer>,
    /// How the two prove who they are.
    pub auth: IpsecAuth,
    /// What this machine calls itself; `None`: its address, the subject of its certificate, or its user.
    pub id: Option<String>,
    /// What the other end calls itself.
    pub peer_id: String,
    /// Networks at this end, the traffic selectors; empty: the address that the gateway gives.
    pub local: Vec<Network>,
    /// Networks at the other end.
    pub remote: Vec<Network>,
    /// Algorithms for the negotiation, in strongSwan's words.
    pub proposals: Vec<String>,
    /// Algorithms for the packets.
    pub esp_proposals: Vec<String>,
}

/// How the ends of an IPsec tunnel prove who they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum IpsecAuth {
    /// By a key that both have.
    Psk,
    /// By certificates; the other end's is of this authority, DER in Base64.
    Certificate {
        /// The authority.
        ca: String,
    },
    /// This machine by user and password (EAP-MSCHAPv2).
    Eap {
        /// Name of the account.
        user: String,
        /// The other end by a certificate of this authority; `None`: by a key that both have.
        ca: Option<String>,
    },
}

/// A tunnel over TLS to a FortiGate: openfortivpn speaks, and pppd makes the interface while it is up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FortinetSsl {
    /// Name or address of the gateway.
    pub gateway: String,
    /// Its TCP port.
    pub port: u16,
    /// SHA-256 of certificates that are trusted whoever has signed them, in hexadecimal digits.
    pub trusted_certificates: Vec<String>,
    /// The authority of its certificate, DER in Base64; `None`: any that the machine trusts.
    pub ca: Option<String>,
    /// Name of the account.
    pub user: String,
    /// Its realm on the gateway.
    pub realm: Option<String>,
    /// Networks at the other end.
    pub remote: Vec<Network>,
}

impl Ipsec {
    /// Ports of IKE, and of IKE and ESP where addresses are translated, RFC 7296 2.23. Packets always go in UDP.
    pub const PORTS: [u16; 2] = [500, 4500];
    /// The service that makes of a tunnel's credentials what strongSwan reads.
    pub fn unit(tunnel: &str) -> String {
        format!("diorite-ipsec-{tunnel}.service")
    }
    /// Whether the gateway gives this machine its address.
    pub fn learns_address(&self) -> bool {
        self.local.is_empty()
    }
    /// Whether the two share a key.
    pub fn has_psk(&self) -> bool {
        matches!(self.auth, IpsecAuth::Psk | IpsecAuth::Eap { ca: None, .. })
    }
    /// The authority of the other end's certificate.
    pub fn ca(&self) -> Option<&str> {
        match &self.auth {
            IpsecAuth::Psk => None,
            IpsecAuth::Certificate { ca } => Some(ca),
            IpsecAuth::Eap { ca, .. } => ca.as_deref(),
        }
    }
    /// The secrets it needs.
    pub fn secrets(&self) -> Vec<VpnSecret> {
        let own = match self.auth {
            IpsecAuth::Psk => vec![],
            IpsecAuth::Certificate { .. } => vec![VpnSecret::Certificate, VpnSecret::Key],
            IpsecAuth::Eap { .. } => vec![VpnSecret::Password],
        };
        self.has_psk().then_some(VpnSecret::Psk).into_iter().chain(own).collect()
    }
}

impl FortinetSsl {
    /// The service that keeps a tunnel up.
    pub fn unit(tunnel: &str) -> String {
        format!("diorite-fortinet-ssl-{tunnel}.service")
    }
}

/// What a tunnel is given as a credential of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum VpnSecret {
    /// The key that both ends have.
    Psk,
    /// The machine's certificate, PEM.
    Certificate,
    /// Its private key, PEM.
    Key,
    /// The password of its account.
    Password,
}

impl VpnSecret {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Psk => "psk",
            Self::Certificate => "certificate",
            Self::Key => "key",
            Self::Password => "password",
        }
    }
    /// The credential that holds it for this tunnel.
    pub fn credential(self, tunnel: &str) -> String {
        format!("vpn.{}.{tunnel}", self.word())
    }
}

/// The credential with the private key of this tunnel. networkd takes what begins so, systemd.netdev(5).
pub fn private_key(tunnel: &str) -> String {
    format!("network.wireguard.private.{tunnel}")
}

/// The credential with the key that this tunnel shares with a peer.
pub fn preshared_key(tunnel: &str, peer: &str) -> String {
    format!("network.wireguard.psk.{tunnel}.{peer}")
}

/// One port at which a tunnel calls its other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TunnelCall<'a> {
    /// Name of the tunnel.
    pub tunnel: &'a str,
    /// Whom: a name or an address.
    pub host: &'a str,
    /// Transport protocol.
    pub protocol: Protocol,
    /// Where.
    pub port: u16,
}

impl TunnelCall<'_> {
    /// Where it goes, as far as a profile with these `[hosts]` says.
    pub fn addresses(&self, hosts: &BTreeMap<String, Vec<IpAddr>>) -> Vec<IpAddr> {
        let own = self.host.parse::<IpAddr>().map(|a| vec![a]);
        own.unwrap_or_else(|_| hosts.get(self.host).cloned().unwrap_or_default())
    }
}
