//! Units.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
    /// The profile's own, by the name of their service without its ending.
    pub units: BTreeMap<String, Unit>,
}

/// A service of the profile's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unit {
    /// One line for people.
    pub description: String,
    /// The program, an absolute path, and its arguments.
    pub exec: Vec<String>,
    /// Whom it runs as; `dynamic`: an account that exists while it runs.
    pub user: String,
    /// Units that start before it.
    pub after: Vec<String>,
    /// Units without which it does not start, and which start before it.
    pub requires: Vec<String>,
    /// When it is started; at boot without one.
    pub timer: Option<Timer>,
    /// When it is started again.
    pub restart: Restart,
    /// Variables.
    pub environment: BTreeMap<String, String>,
    /// Credentials of the machine that it may read.
    pub credentials: Vec<String>,
    /// Has /var/lib/NAME.
    pub state: bool,
    /// May use the network.
    pub network: bool,
}

/// When a service starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Timer {
    /// So many seconds after it last started, and after boot.
    Every(u64),
    /// At these times: a calendar event of systemd.time(7), in its normal form.
    Calendar(String),
}

/// When a service starts again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// Never.
    No,
    /// When it failed.
    OnFailure,
    /// Whenever it ended.
    Always,
}
