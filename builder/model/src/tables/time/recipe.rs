//! Clock and time zone.

use serde::{Deserialize, Serialize};

/// Clock and time zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Time {
    /// Who sets the clock.
    #[serde(default, skip_serializing_if = "TimeDaemon::is_timesyncd")]
    pub daemon: TimeDaemon,
    /// Name in the time zone database: `UTC`, `Europe/Vienna`.
    pub timezone: String,
    /// Time servers, asked when no link has any of its own.
    pub ntp: Vec<String>,
    /// Time servers when nobody named any; `None`: those that Debian's systemd-timesyncd is built with.
    pub fallback_ntp: Option<Vec<String>>,
}

/// Who sets the clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimeDaemon {
    /// systemd-timesyncd.
    #[default]
    Timesyncd,
    /// chrony.
    Chrony,
    /// Nobody, or a package with a configuration of its own.
    None,
}

impl TimeDaemon {
    /// The default.
    pub fn is_timesyncd(&self) -> bool {
        *self == Self::Timesyncd
    }
}
