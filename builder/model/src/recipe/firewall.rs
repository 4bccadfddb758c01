//! The packet filter.

use serde::{Deserialize, Serialize};

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
