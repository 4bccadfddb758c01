//! The servers of the lab's host on a segment, and how each of them behaves. Each takes a packet and gives what answers it.

pub mod dhcp;
pub mod dhcp6;
pub mod dns;
mod malformed;
pub mod ntp;
pub mod router;

use crate::{config::Config, random::Random};
use smoltcp::wire::EthernetAddress;

/// How a server behaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// As its specification says.
    #[default]
    Good,
    /// It never answers.
    Silent,
    /// Its answers are damaged: cut short, with lengths that lie, full of noise, one way after the other.
    Malformed,
}

/// Who answers for the addresses of the lab's host (ARP, neighbour discovery).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Identity {
    /// The host itself.
    #[default]
    Own,
    /// Nobody: it cannot be found.
    Silent,
    /// The host, with messages that are damaged.
    Malformed,
    /// The host, but it names this hardware address.
    Elsewhere(EthernetAddress),
}

/// Everything that can be switched on a segment while the lab runs.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentServices {
    /// DHCPv4.
    pub dhcp: dhcp::Dhcp,
    /// DHCPv6; silent at first.
    pub dhcp6: dhcp6::Dhcp6,
    /// Router advertisements.
    pub router: router::Advertised,
    /// DNS, over UDP and TCP.
    pub dns: dns::NameServer,
    /// NTP.
    pub ntp: ntp::Ntp,
    /// ARP and neighbour discovery.
    pub identity: Identity,
}

impl SegmentServices {
    /// What the host does at first.
    pub fn of(config: &Config) -> Self {
        Self {
            dhcp: dhcp::Dhcp { lease_time: config.lease_time, ..dhcp::Dhcp::default() },
            dhcp6: dhcp6::Dhcp6 { behaviour: Behaviour::Silent, ..dhcp6::Dhcp6::default() },
            router: router::Advertised::default(),
            dns: dns::NameServer::of(config),
            ntp: ntp::Ntp { offset: config.clock_offset, ..ntp::Ntp::default() },
            identity: Identity::Own,
        }
    }
}

/// Passes a good answer on, or spoils it, or keeps it back. `lengths` finds the bytes in it that say how long something is.
pub struct Misbehaviour {
    random: Random,
    turn: u64,
}

impl Misbehaviour {
    /// Its damage follows from the seed.
    pub fn new(seed: u64) -> Self {
        Self { random: Random::new(seed, u64::MAX), turn: 0 }
    }

    /// The answer as this behaviour has it.
    pub fn apply(&mut self, behaviour: Behaviour, good: Vec<u8>, shape: MessageKind) -> Option<Vec<u8>> {
        match behaviour {
            Behaviour::Good => Some(good),
            Behaviour::Silent => None,
            Behaviour::Malformed => {
                self.turn += 1;
                Some(malformed::spoil(&good, shape, self.turn, &mut self.random))
            }
        }
    }
}

pub use malformed::MessageKind;
