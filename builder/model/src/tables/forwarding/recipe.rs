//! What passes through the machine, and whose addresses are translated.

use crate::tables::firewall::rule::{Peer, Protocol, id};
use crate::tables::firewall::traffic::Traffic;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Connections that may be begun through the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forward {
    /// Name of the rule; its counter carries it.
    pub name: Option<String>,
    /// What it is for, for the documentation.
    pub why: Option<String>,
    /// Names of the links it comes from, one at least.
    pub input: Vec<String>,
    /// Names of the links it goes to, one at least.
    pub output: Vec<String>,
    /// What may pass.
    pub what: Traffic,
    /// Who may begin it; empty: anybody.
    pub from: Vec<Peer>,
    /// Where it may lead; empty: anywhere.
    pub to: Vec<Peer>,
}

/// Address translation, RFC 3022.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nat {
    /// Whose source addresses are replaced.
    pub masquerade: Vec<Masquerade>,
    /// Ports of the machine that lead to others.
    pub ports: Vec<PortForward>,
}

/// What goes out by these links with the machine's address as its source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Masquerade {
    /// Names of the links, one at least.
    pub output: Vec<String>,
    /// Sources that are translated; empty: every IPv4 address.
    pub from: Vec<Peer>,
    /// The address they get; `None`: that of the link.
    pub address: Option<IpAddr>,
}

/// Ports of the machine that lead to another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortForward {
    /// Name of the rule; its counters carry it.
    pub name: Option<String>,
    /// What it is for, for the documentation.
    pub why: Option<String>,
    /// Names of the links it comes from, one at least.
    pub input: Vec<String>,
    /// `tcp` or `udp`.
    pub protocol: Protocol,
    /// First port of the machine.
    pub port: u16,
    /// Last port of the machine; the first one again when there is only one.
    pub last_port: u16,
    /// Who may come; empty: anybody.
    pub from: Vec<Peer>,
    /// The other machine.
    pub to: IpAddr,
    /// Its port, where that is another one than the machine's; with one port only.
    pub to_port: Option<u16>,
}

impl Forward {
    /// What its counter is called by: its name, or its links and what it is about.
    pub fn id(&self) -> String {
        id(self.name.as_deref(), || {
            let about = match self.what {
                Traffic::Any => String::new(),
                _ => format!("_{}", self.what.id()),
            };
            format!("{}_{}{about}", self.input.join("_"), self.output.join("_"))
        })
    }
}

impl Masquerade {
    /// What its counter is called by.
    pub fn id(&self) -> String {
        id(None, || self.output.join("_"))
    }
}

impl PortForward {
    /// What it is about, before translation.
    pub fn what(&self) -> Traffic {
        Traffic::Ports { protocol: self.protocol, first: self.port, last: self.last_port }
    }
    /// What it is about, after translation.
    pub fn translated(&self) -> Traffic {
        match self.to_port {
            Some(port) => Traffic::port(port, self.protocol),
            None => self.what(),
        }
    }
    /// What its counters are called by: its name, or what it is about.
    pub fn id(&self) -> String {
        id(self.name.as_deref(), || self.what().id())
    }
}

impl Nat {
    /// Whether nothing is translated.
    pub fn is_empty(&self) -> bool {
        self.masquerade.is_empty() && self.ports.is_empty()
    }
}
