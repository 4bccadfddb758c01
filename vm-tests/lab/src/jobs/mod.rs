//! Questions the lab asks with raw frames. Each is a small machine driven by frames and time.

mod answer;
pub mod flood;
pub mod offers;
pub mod pass;
pub mod ping;
pub mod port_watch;
pub mod reach_probe;
pub mod scan;
pub mod udp;
pub mod verdict;

use crate::{
    config::Config,
    frame::{Host, Packet},
};
use smoltcp::wire::EthernetAddress;
use std::{
    collections::BTreeMap,
    net::IpAddr,
    time::{Duration, Instant},
};

/// What a job may use on the segment it asks from: addresses, the neighbours seen so far, and the way out.
pub struct Wire<'a> {
    /// The lab's addresses.
    pub config: &'a Config,
    /// The segments that the lab's router forwards to.
    pub routed: &'a [&'a Config],
    /// MachineHardware addresses by network address, learned from what guests send.
    pub neighbours: &'a BTreeMap<IpAddr, EthernetAddress>,
    /// Frames to send on the lab's segment, without its tag. One for the hardware address of the lab's own host is for
    /// its router.
    pub out: &'a mut Vec<Vec<u8>>,
    /// Frames to send as they are.
    pub raw: &'a mut Vec<Vec<u8>>,
}

impl Wire<'_> {
    /// The lab's host in the family and scope of `other`.
    pub fn own(&self, other: IpAddr) -> Host {
        Host { mac: self.config.mac, ip: self.config.facing(other) }
    }
    /// A guest by its address: once it has been heard, or by way of the router.
    pub fn guest(&self, ip: IpAddr) -> Option<Host> {
        let beside = self.neighbours.get(&ip).copied();
        let beyond = || self.routed.iter().any(|segment| segment.contains(ip)).then_some(self.config.mac);
        beside.or_else(beyond).map(|mac| Host { mac, ip })
    }
}

/// What a job wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// To be called at this time, or earlier.
    At(Instant),
    /// Nothing: it has answered.
    Done,
}

/// A question in progress.
pub trait Job: Send {
    /// A frame from a guest; `true` when it belongs to this job and nobody else should see it.
    fn frame(&mut self, packet: &Packet<'_>, now: Instant, wire: &mut Wire<'_>) -> bool;
    /// Time has passed.
    fn tick(&mut self, now: Instant, wire: &mut Wire<'_>) -> Next;
}

/// An ICMP echo reply from `guest` with this identifier: its sequence number.
pub(crate) fn echo_reply(packet: &Packet<'_>, guest: IpAddr, ident: u16) -> Option<u16> {
    match packet.body {
        crate::frame::Body::Icmp { from, kind: 0 | 129, rest: [a, b, c, d, ..], .. }
            if from == guest && u16::from_be_bytes([*a, *b]) == ident =>
        {
            Some(u16::from_be_bytes([*c, *d]))
        }
        _ => None,
    }
}

/// How long a frame may take back and forth when nothing was measured yet.
pub(crate) const GRACE: Duration = Duration::from_millis(250);
