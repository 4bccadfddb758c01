//! What a verification saw of the machine besides its answers: when things happened, ports, what it said unasked.

use super::Evidence;
use serde::{Deserialize, Serialize};

/// The boot as it was seen. Everything may be empty: a machine that never started has said nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Boot {
    /// The course of the boot, by time.
    pub moments: Vec<Moment>,
    /// Every port that was declared, and every other that was not silent.
    pub ports: Vec<Port>,
    /// What the machine said without being asked, in the order in which it began to.
    pub said: Vec<Said>,
    /// Names it asked the DNS server for.
    pub names: Vec<String>,
    /// systemd's own account, `systemd-analyze time`.
    pub analyze: String,
    /// The last lines of its console.
    pub console: Vec<String>,
    /// The last lines of its journal that are warnings or worse.
    pub journal: Vec<String>,
}

/// Something that happened at a time, or for a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    /// What it belongs to.
    pub lane: Lane,
    /// What it is.
    pub what: String,
    /// Who saw it: the console, systemd inside, or the wire.
    pub evidence: Evidence,
    /// Seconds after power-on.
    pub at: f64,
    /// Seconds after power-on when it was over.
    pub until: Option<f64>,
}

/// What a moment belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// The machine's firmware and the boot loader.
    Firmware,
    /// The kernel alone.
    Kernel,
    /// The initrd.
    Initrd,
    /// systemd in the real root.
    Userspace,
    /// Targets and units that were reached.
    Targets,
    /// First packets of a kind.
    Packets,
}

/// A port's answer beside what was declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// `ipv4` or `ipv6`.
    pub family: String,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// Its number.
    pub port: u16,
    /// What it must be.
    pub declared: Declared,
    /// What it was.
    pub seen: Seen,
}

/// What a port must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Declared {
    /// Something listens.
    Open,
    /// The packet filter lets it through; who listens is not declared.
    Admitted,
    /// Nothing answers.
    Silent,
}

/// What a port was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Seen {
    /// It answered.
    Open,
    /// The machine said that nobody listens.
    Closed,
    /// The packet filter said so.
    Rejected,
    /// Nothing came.
    Silent,
}

/// What a machine said without being asked; equal things are counted together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// `arp`, `udp`, `tcp-syn`, `icmp6-133` and so on.
    pub kind: String,
    /// Whom it addressed.
    pub to: String,
    /// Destination port, 0 where there is none.
    pub port: u16,
    /// How often.
    pub count: u64,
    /// Seconds after power-on, the first time.
    pub first: f64,
    /// The last time.
    pub last: f64,
}

impl Port {
    /// As it was declared.
    pub fn fits(&self) -> bool {
        match self.declared {
            Declared::Open => self.seen == Seen::Open,
            Declared::Admitted => matches!(self.seen, Seen::Open | Seen::Closed),
            Declared::Silent => self.seen == Seen::Silent,
        }
    }
}
