//! Many ports asked together, from somewhere.

use super::Family;
use diorite_lab::Probe;
use diorite_model::recipe::Protocol;
use std::{collections::BTreeSet, net::IpAddr};

/// Where the question comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vantage {
    /// The lab's own address. Every port is asked.
    Here,
    /// An address outside the machine's networks.
    From(IpAddr),
    /// This port of the lab's own address: filters have trusted 53 and 20, name servers' and FTP's.
    SourcePort(u16),
    /// The lab's own address, in IP fragments.
    Fragments,
}

/// Many ports of one family and protocol, and what they must answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sweep {
    /// By which version of the Internet protocol.
    pub family: Family,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// From where.
    pub vantage: Vantage,
    /// First and last port of what the filter lets through from there.
    pub admitted: Vec<(u16, u16)>,
    /// The same of what it lets through from anywhere: whoever is not meant is asked there above all.
    pub declared: Vec<(u16, u16)>,
    /// Ports of which nothing is declared, or that are asked otherwise.
    pub unsaid: BTreeSet<u16>,
}

/// A step through the ports that has no common divisor with what people like to number by.
const STEP: usize = 97;

impl Sweep {
    /// Whether a port must be let through; `None`: nothing is said of it.
    pub fn must(&self, port: u16) -> Option<bool> {
        let admitted = self.admitted.iter().any(|(first, last)| (*first..=*last).contains(&port));
        (!self.unsaid.contains(&port)).then_some(admitted)
    }

    /// The ports that are asked: all of them from here; from elsewhere those with a name, what is declared with its
    /// neighbours, and every 97th.
    pub fn ports(&self) -> BTreeSet<u16> {
        let mut ports: BTreeSet<u16> = match self.vantage {
            Vantage::Here => (1..=u16::MAX).collect(),
            _ => (1..=1024).chain((1025..=u16::MAX).step_by(STEP)).collect(),
        };
        for (first, last) in self.admitted.iter().chain(&self.declared) {
            ports.extend([first.saturating_sub(1), *first, *last, last.saturating_add(1)]);
        }
        ports.retain(|port| *port > 0 && !self.unsaid.contains(port));
        ports
    }

    /// How the lab asks it of the machine with this address.
    pub fn probe(&self, guest: IpAddr) -> Probe {
        let protocol = match self.protocol {
            Protocol::Tcp => diorite_lab::Protocol::Tcp,
            Protocol::Udp => diorite_lab::Protocol::Udp,
        };
        let mut probe = Probe::new(guest, protocol, self.ports());
        match self.vantage {
            Vantage::Here => {}
            Vantage::From(address) => probe.from = Some(address),
            Vantage::SourcePort(port) => probe.source_port = Some(port),
            Vantage::Fragments => probe.fragments = true,
        }
        probe
    }
}
