//! The packet filter.

use crate::cidr::Network;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;

/// Packet filter. What comes in and is not allowed is dropped in silence.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Firewall {
    /// Networks under a name.
    pub sets: BTreeMap<String, NetworkSet>,
    /// What may come in, in order: the first entry that a packet matches decides. What other tables admit stands at
    /// its end.
    pub allow: Vec<Allow>,
    /// What may go out.
    pub egress: Egress,
}

/// Networks under a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkSet {
    /// The networks, one at least.
    pub networks: Vec<Network>,
    /// What they are, for the documentation.
    pub why: Option<String>,
}

/// Admitted ports of the machine or of its containers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allow {
    /// Name of the rule; its counter carries it.
    pub name: Option<String>,
    /// What it is for, for the documentation.
    pub why: Option<String>,
    /// First destination port.
    pub port: u16,
    /// Last destination port; the first one again when there is only one.
    pub last_port: u16,
    /// `tcp` or `udp`.
    pub protocol: Protocol,
    /// Who may come; empty: anybody. Only networks of one family: nobody of the other.
    pub from: Vec<Peer>,
    /// How many new connections each source may begin; the rest is dropped.
    pub rate: Option<Rate>,
    /// Who listens, when no table of the profile says so.
    pub listener: Option<String>,
}

/// Who is at the other end: a network, or a set of them by its name. Written as one string.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Peer {
    /// A network.
    Network(Network),
    /// Name of a set.
    Set(String),
}

/// New connections per time, counted for each IPv4 address and each IPv6 /64 by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// So many connections …
    pub connections: u32,
    /// … in this time.
    pub per: Period,
    /// So many may come at once after a silence.
    pub burst: u32,
}

/// A length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// A second.
    Second,
    /// 60 seconds.
    Minute,
    /// 3,600 seconds.
    Hour,
    /// 86,400 seconds.
    Day,
}

/// What may go out, of the machine and of its containers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Egress {
    /// What becomes of a connection no entry names.
    pub policy: Policy,
    /// What may go out although the policy is `drop`.
    pub allow: Vec<AllowOut>,
}

/// What becomes of what nothing else decides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// It passes.
    #[default]
    Accept,
    /// It is gone, in silence.
    Drop,
}

/// A destination of connections that may go out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowOut {
    /// Name of the rule; its counter carries it.
    pub name: Option<String>,
    /// What it is for, for the documentation.
    pub why: Option<String>,
    /// First destination port.
    pub port: u16,
    /// Last destination port.
    pub last_port: u16,
    /// `tcp` or `udp`.
    pub protocol: Protocol,
    /// Where to; empty: anywhere.
    pub to: Vec<Peer>,
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

impl Firewall {
    /// The networks of these peers, those within another left out, sorted. An unknown set has none.
    pub fn networks(&self, peers: &[Peer]) -> Vec<Network> {
        let mut all: Vec<Network> = peers.iter().flat_map(|peer| self.of(peer)).collect();
        all.sort();
        all.dedup();
        let within = |n: &Network| all.iter().any(|other| other != n && other.covers(n));
        all.iter().filter(|n| !within(n)).copied().collect()
    }

    fn of(&self, peer: &Peer) -> Vec<Network> {
        match peer {
            Peer::Network(network) => vec![*network],
            Peer::Set(name) => self.sets.get(name).map(|s| s.networks.clone()).unwrap_or_default(),
        }
    }

    /// Does a list of peers name this address? An empty list names everybody.
    pub fn names(&self, peers: &[Peer], address: IpAddr) -> bool {
        peers.is_empty() || self.networks(peers).iter().any(|n| n.contains(address))
    }
}

impl Allow {
    /// Nothing but a port: anybody may come, as often as they like.
    pub fn port(port: u16, protocol: Protocol) -> Self {
        let (name, why, from, rate, listener) = (None, None, Vec::new(), None, None);
        Self { name, why, port, last_port: port, protocol, from, rate, listener }
    }
    /// Its ports.
    pub fn ports(&self) -> RangeInclusive<u16> {
        self.port..=self.last_port
    }
    /// What its counters are called by: its name, or its protocol and ports, if not all of them.
    pub fn id(&self) -> String {
        id(self.name.as_deref(), self.protocol, self.port, self.last_port)
    }
}

impl AllowOut {
    /// Its ports.
    pub fn ports(&self) -> RangeInclusive<u16> {
        self.port..=self.last_port
    }
    /// What its counter is called by: its name, or its protocol and ports, if not all of them.
    pub fn id(&self) -> String {
        id(self.name.as_deref(), self.protocol, self.port, self.last_port)
    }
}

fn id(name: Option<&str>, protocol: Protocol, first: u16, last: u16) -> String {
    match name {
        Some(name) => name.replace('-', "_"),
        None if (first, last) == (1, u16::MAX) => protocol.name().to_owned(),
        None if first == last => format!("{}_{first}", protocol.name()),
        None => format!("{}_{first}_{last}", protocol.name()),
    }
}

impl Protocol {
    /// `tcp` or `udp`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl Period {
    /// The word nft(8) and the profile have for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }
    /// Its length.
    pub fn seconds(self) -> u64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }
}

impl TryFrom<String> for Peer {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if text.contains('/') { text.parse().map(Self::Network) } else { Ok(Self::Set(text)) }
    }
}

impl From<Peer> for String {
    fn from(peer: Peer) -> Self {
        peer.to_string()
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => network.fmt(f),
            Self::Set(name) => f.write_str(name),
        }
    }
}
