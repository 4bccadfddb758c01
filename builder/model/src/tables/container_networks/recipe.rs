//! Networks between containers.

use serde::{Deserialize, Serialize};

/// A network between containers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContainerNetwork {
    /// It has no way out.
    pub internal: bool,
    /// Its IPv4 addresses, in CIDR form.
    pub subnet: String,
}
