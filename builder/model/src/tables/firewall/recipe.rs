//! The packet filter.

use super::rule::{Peer, Protocol, id};
use super::traffic::Traffic;
use crate::cidr::Network;
use crate::tables::forwarding::recipe::{Forward, Nat};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
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
    /// What may pass through the machine from one link to another, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forward: Vec<Forward>,
    /// Whose addresses are translated on the way.
    #[serde(default, skip_serializing_if = "Nat::is_empty")]
    pub nat: Nat,
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

/// Admitted traffic: ports of the machine or of its containers, or another protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allow {
    /// Name of the rule; its counter carries it.
    pub name: Option<String>,
    /// What it is for, for the documentation.
    pub why: Option<String>,
    /// What may come.
    pub what: Traffic,
    /// Names of the links by which it may come; empty: every link.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<String>,
    /// Who may come; empty: anybody. Only networks of one family: nobody of the other.
    pub from: Vec<Peer>,
    /// How many new connections each source may begin; the rest is dropped.
    pub rate: Option<Rate>,
    /// Who listens, when no table of the profile says so.
    pub listener: Option<String>,
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
    /// What may go out.
    pub what: Traffic,
    /// Where to; empty: anywhere.
    pub to: Vec<Peer>,
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
        Self::of(Traffic::port(port, protocol))
    }
    /// Nothing but what it is about.
    pub fn of(what: Traffic) -> Self {
        let (name, why, links, from, rate, listener) = (None, None, Vec::new(), Vec::new(), None, None);
        Self { name, why, what, links, from, rate, listener }
    }
    /// The ports of this protocol that it admits to; `None`: it is about something else.
    pub fn ports(&self, protocol: Protocol) -> Option<RangeInclusive<u16>> {
        self.what.ports(protocol)
    }
    /// What its counters are called by: its name, or what it is about.
    pub fn id(&self) -> String {
        id(self.name.as_deref(), || self.what.id())
    }
}

impl AllowOut {
    /// What its counter is called by: its name, or what it is about.
    pub fn id(&self) -> String {
        id(self.name.as_deref(), || self.what.id())
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
