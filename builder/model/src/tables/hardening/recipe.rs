//! How much is closed.

use crate::hardening::Level;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The settings that close what nobody needs, each one explicit: the level's own with the profile's exceptions taken out
/// and its additions put in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hardening {
    /// The level the settings come from.
    pub level: Level,
    /// Values by name, sysctl.d(5).
    pub sysctl: BTreeMap<String, String>,
    /// Words of the kernel's command line.
    pub command_line: Vec<String>,
    /// Kernel modules that do not load.
    pub blocked_modules: Vec<String>,
    /// Keywords of sshd_config(5) and their values.
    pub sshd: BTreeMap<String, String>,
    /// What is not closed, and why.
    pub exceptions: Vec<Exception>,
    /// Programs that keep their setuid or setgid bit, and why.
    pub setuid: Vec<Setuid>,
}

/// A setting that is not made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// The unit it is not made for; absent for a setting of the whole machine.
    pub unit: Option<String>,
    /// A directive of systemd.exec(5) for a unit; else a sysctl, a word of the kernel's command line, or a module.
    pub setting: String,
    /// The reason, for whoever reads the documentation.
    pub why: String,
}

/// A program that keeps its setuid or setgid bit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setuid {
    /// Absolute path.
    pub path: String,
    /// The reason.
    pub why: String,
}
