//! What rules of every direction have: a transport protocol, who is at the other end, and what its counters are called by.

use crate::cidr::Network;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// RFC 9293.
    Tcp,
    /// RFC 768.
    Udp,
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

impl Protocol {
    /// `tcp` or `udp`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// What the counters of a rule are called by.
pub(crate) fn id(name: Option<&str>, otherwise: impl FnOnce() -> String) -> String {
    name.map_or_else(otherwise, |name| name.to_owned()).replace('-', "_")
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
