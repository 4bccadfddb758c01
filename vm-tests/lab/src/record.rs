//! What guests said without being asked: everything that opens something. An undeclared entry is a machine that
//! phones home.

use crate::frame::{Body, Packet};
use serde::{Deserialize, Serialize};
use smoltcp::wire::{ArpOperation, ArpRepr, EthernetAddress, TcpControl};
use std::{collections::BTreeMap, net::IpAddr, time::Duration};

/// One kind of utterance; equal ones are counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Utterance {
    /// MachineHardware address of the guest.
    pub guest: String,
    /// The VLAN it was in, where that has a number.
    pub vlan: Option<u16>,
    /// `arp`, `udp`, `tcp-syn`, `icmp-TYPE`, `icmp6-TYPE`, `ip-PROTOCOL`, `ethertype-NUMBER`; `malformed` for a frame that
    /// contradicts itself; `more` for all kinds beyond those that are told apart.
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

/// Kinds that are told apart; a guest that invents addresses fills no memory.
pub const MOST_KINDS: usize = 20_000;

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
    count(record, Utterance { guest: mac(packet.source), vlan: packet.vlan, kind, to, port }, now);
}

/// Adds a frame that contradicts itself.
pub fn note_malformed(record: &mut Record, frame: &[u8], vlan: Option<u16>, now: Duration) {
    let guest = frame.get(6..12).map(|source| mac(EthernetAddress::from_bytes(source))).unwrap_or_default();
    count(record, Utterance { guest, vlan, kind: "malformed".to_owned(), to: String::new(), port: 0 }, now);
}

fn count(record: &mut Record, mut entry: Utterance, now: Duration) {
    if record.len() >= MOST_KINDS && !record.contains_key(&entry) {
        let (guest, to) = (String::new(), String::new());
        entry = Utterance { guest, vlan: None, kind: "more".to_owned(), to, port: 0 };
    }
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
