//! Monitoring.

use serde::{Deserialize, Serialize};

/// Monitoring.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Monitoring {
    /// prometheus-node-exporter on port 9100.
    pub node_exporter: bool,
}
