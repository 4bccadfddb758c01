//! Clock and time zone.

use serde::{Deserialize, Serialize};

/// Clock and time zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Time {
    /// Name in the time zone database: `UTC`, `Europe/Vienna`.
    pub timezone: String,
    /// Time servers, asked when no link has any of its own.
    pub ntp: Vec<String>,
    /// Time servers when nobody named any; `None`: those that Debian's systemd-timesyncd is built with.
    pub fallback_ntp: Option<Vec<String>>,
}
