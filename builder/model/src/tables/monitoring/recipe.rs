//! Monitoring.

use crate::tables::firewall::rule::Peer;
use serde::{Deserialize, Serialize};

/// Monitoring.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Monitoring {
    /// Prometheus' exporter of the machine's figures, with what the image says of itself.
    pub node_exporter: Option<NodeExporter>,
}

/// prometheus-node-exporter on [`NodeExporter::PORT`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeExporter {
    /// Who may ask; empty: nobody but the machine itself. The firewall admits them.
    pub from: Vec<Peer>,
}

impl NodeExporter {
    /// Where it listens, TCP.
    pub const PORT: u16 = 9100;
}
