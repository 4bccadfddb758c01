//! Units.

use serde::{Deserialize, Serialize};

/// Units.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Services {
    /// Enabled whatever the packages say.
    pub enable: Vec<String>,
    /// Disabled.
    pub disable: Vec<String>,
    /// Linked to /dev/null.
    pub mask: Vec<String>,
}
