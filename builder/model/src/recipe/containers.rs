//! Containers.

use super::Protocol;
use serde::{Deserialize, Serialize};

/// A container started by a Quadlet unit from the image's own read-only store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Container {
    /// Debian packages its root file system is made from.
    pub packages: Vec<String>,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Published ports.
    pub publish: Vec<Publish>,
    /// Overlays laid over its root, in this order.
    pub overlays: Vec<String>,
    /// User it runs as, a name or number in its own tree.
    pub user: String,
}

/// One published port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publish {
    /// Port of the machine.
    pub host: u16,
    /// Port inside.
    pub container: u16,
    /// Transport protocol.
    pub protocol: Protocol,
    /// Reached from the machine itself only.
    pub local: bool,
}
