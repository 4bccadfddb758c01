//! Units.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

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

impl Timer {
    /// The longest time between two starts, in seconds.
    pub fn longest(&self) -> u64 {
        const DAY: u64 = 86_400;
        let event = match self {
            Self::Every(seconds) => return *seconds,
            Self::Calendar(event) if event.starts_with("*-*-* *:") => return 3600,
            Self::Calendar(event) if event.starts_with("*-*-01 ") => return 31 * DAY,
            Self::Calendar(event) => event,
        };
        let Some((days, _)) = event.split_once(" *-*-*") else { return DAY };
        let number = |day: &str| DAYS.iter().position(|d| *d == day).unwrap_or_default();
        let range = |part: &str| match part.split_once("..") {
            Some((first, last)) => number(first)..=number(last),
            None => number(part)..=number(part),
        };
        let on: BTreeSet<usize> = days.split(',').flat_map(range).collect();
        // From each day to the next one, and from the last one over the end of the week.
        let next = on.iter().skip(1).copied().chain(on.first().map(|first| first + DAYS.len()));
        on.iter().zip(next).map(|(day, next)| (next - day) as u64 * DAY).max().unwrap_or(DAY)
    }
}

/// Days of a week as systemd.time(7) names them.
pub(crate) const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

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
