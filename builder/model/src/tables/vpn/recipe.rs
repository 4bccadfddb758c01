//! Tunnels. Each is a link of its own kind, so that routes, rules of the firewall and checks treat it as any other.

use crate::cidr::Network;
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

/// The credential with the private key of this tunnel. networkd takes what begins so, systemd.netdev(5).
pub fn private_key(tunnel: &str) -> String {
    format!("network.wireguard.private.{tunnel}")
}

/// The credential with the key that this tunnel shares with a peer.
pub fn preshared_key(tunnel: &str, peer: &str) -> String {
    format!("network.wireguard.psk.{tunnel}.{peer}")
}
