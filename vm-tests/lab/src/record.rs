//! What guests said without being asked: everything that opens something. An undeclared entry is a machine that
//! phones home.

use crate::frame::{Body, Packet};
use serde::{Deserialize, Serialize};
use smoltcp::wire::{ArpOperation, ArpRepr, EthernetAddress, TcpControl};
use std::{collections::BTreeMap, net::IpAddr, time::Duration};

/// One kind of utterance; equal ones are counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Utterance {
    /// Hardware address of the guest.
    pub guest: String,
    /// `arp`, `udp`, `tcp-syn`, `icmp-TYPE`, `icmp6-TYPE`, `ip-PROTOCOL`, `ethertype-NUMBER`.
    pub kind: String,
    /// Whom it addressed.
    pub to: String,
    /// Destination port, 0 where there is none.
    pub port: u16,
}

/// When it was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// How often.
    pub count: u64,
    /// First, since the lab's start.
    pub first: Duration,
    /// Last, since the lab's start.
    pub last: Duration,
}

/// Everything said so far.
pub type Record = BTreeMap<Utterance, Times>;

/// Adds a guest's packet, unless it answers something.
pub fn note(record: &mut Record, packet: &Packet<'_>, now: Duration) {
    let (kind, to, port) = match &packet.body {
        Body::Arp(ArpRepr::EthernetIpv4 { operation: ArpOperation::Request, target_protocol_addr, .. }) => {
            ("arp".to_owned(), target_protocol_addr.to_string(), 0)
        }
        Body::Udp { to, .. } => ("udp".to_owned(), to.ip().to_string(), to.port()),
        Body::Tcp { to, control: TcpControl::Syn, acknowledged: None, .. } => {
            ("tcp-syn".to_owned(), to.ip().to_string(), to.port())
        }
        Body::Icmp { to, kind, .. } if !answers(*to, *kind) => {
            let family = if to.is_ipv4() { "icmp" } else { "icmp6" };
            (format!("{family}-{kind}"), to.to_string(), 0)
        }
        Body::Ip { to, protocol, .. } => (format!("ip-{protocol}"), to.to_string(), 0),
        Body::Other(number) => (format!("ethertype-{number:04x}"), packet.destination.to_string(), 0),
        _ => return,
    };
    let entry = Utterance { guest: mac(packet.source), kind, to, port };
    let times = record.entry(entry).or_insert(Times { count: 0, first: now, last: now });
    times.count += 1;
    times.last = now;
}

/// Echo replies, errors and neighbour advertisements answer something.
fn answers(to: IpAddr, kind: u8) -> bool {
    match to {
        IpAddr::V4(_) => matches!(kind, 0 | 3 | 11 | 12),
        IpAddr::V6(_) => kind < 128 || matches!(kind, 129 | 136),
    }
}

/// A hardware address as people write it.
pub fn mac(address: EthernetAddress) -> String {
    address.to_string().replace('-', ":")
}
