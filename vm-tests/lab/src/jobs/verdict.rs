//! What a port answers: the four verdicts.

use serde::{Deserialize, Serialize};

/// What a port answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PortVerdict {
    /// SYN and ACK, or a datagram: something listens.
    Open,
    /// RST, or port unreachable: nothing listens, and nothing keeps us from knowing.
    Closed,
    /// Another ICMP error: a filter that says so.
    Rejected,
    /// Nothing at all.
    Silent,
}
