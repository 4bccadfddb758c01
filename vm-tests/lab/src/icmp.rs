//! What the lab's router says about a packet that it cannot deliver: ICMP errors (RFC 792, 1812 §4.3; RFC 4443 §2.4, 3).

use crate::{config::Config, frame};
use smoltcp::wire::{Icmpv4Packet, Icmpv6Packet, IpProtocol, IpRepr};
use std::net::IpAddr;

/// Why a packet goes no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// No segment has its receiver, or none that may be reached from where it came.
    NoRoute,
    /// Nobody answers for its receiver.
    NoHost,
    /// It has passed too many routers.
    TimeExceeded,
    /// It is longer than this and must not be cut.
    TooBig(u16),
}

/// Bytes of the packet that are quoted at most: the error is to be at most 576 and 1280 bytes long.
const QUOTE: [usize; 2] = [576 - 28, 1280 - 48];

/// The error as an IP packet from the host of `config`, the sender's segment. `None` where none may be sent: about
/// errors, about what went to many, to those who cannot be answered.
pub fn error(config: &Config, about: &[u8], problem: Problem) -> Option<Vec<u8>> {
    let (sender, target) = frame::ends(about)?;
    if sender.is_unspecified() || sender.is_multicast() || sender.is_loopback() || target.is_multicast() {
        return None;
    }
    if config.owns(sender) || quiet(about)? {
        return None;
    }
    let four = sender.is_ipv4();
    let (kind, code, word) = match (four, problem) {
        (true, Problem::NoRoute) => (3, 0, 0),
        (true, Problem::NoHost) => (3, 1, 0),
        (true, Problem::TimeExceeded) => (11, 0, 0),
        (true, Problem::TooBig(mtu)) => (3, 4, u32::from(mtu)),
        (false, Problem::NoRoute) => (1, 0, 0),
        (false, Problem::NoHost) => (1, 3, 0),
        (false, Problem::TimeExceeded) => (3, 0, 0),
        (false, Problem::TooBig(mtu)) => (2, 0, u32::from(mtu)),
    };
    let quote = &about[..about.len().min(QUOTE[usize::from(!four)])];
    let own = config.facing(sender);
    let protocol = if four { IpProtocol::Icmp } else { IpProtocol::Icmpv6 };
    let ip = IpRepr::new(own.into(), sender.into(), protocol, 8 + quote.len(), 64);
    let mut packet = vec![0; ip.header_len()];
    ip.emit(&mut packet, &smoltcp::phy::ChecksumCapabilities::default());
    let start = packet.len();
    packet.extend_from_slice(&[kind, code, 0, 0]);
    packet.extend_from_slice(&word.to_be_bytes());
    packet.extend_from_slice(quote);
    match (own, sender) {
        (IpAddr::V6(own), IpAddr::V6(sender)) => {
            Icmpv6Packet::new_unchecked(&mut packet[start..]).fill_checksum(&own, &sender);
        }
        _ => Icmpv4Packet::new_unchecked(&mut packet[start..]).fill_checksum(),
    }
    Some(packet)
}

/// Whether a packet is an ICMP error or a later fragment; `None` when it is cut short.
fn quiet(packet: &[u8]) -> Option<bool> {
    if packet[0] >> 4 == 4 {
        let later = u16::from_be_bytes([*packet.get(6)?, *packet.get(7)?]) & 0x1fff != 0;
        let kind = packet.get(usize::from(packet[0] & 15) * 4)?;
        return Some(later || (packet[9] == 1 && matches!(kind, 3..=5 | 11 | 12)));
    }
    let (mut next, mut at) = (*packet.get(6)?, 40);
    loop {
        match next {
            58 => return Some(packet.get(at).is_none_or(|kind| *kind < 128)),
            44 if u16::from_be_bytes([*packet.get(at + 2)?, *packet.get(at + 3)?]) >> 3 != 0 => return Some(true),
            44 => (next, at) = (*packet.get(at)?, at + 8),
            0 | 43 | 60 => (next, at) = (*packet.get(at)?, at + (usize::from(*packet.get(at + 1)?) + 1) * 8),
            _ => return Some(false),
        }
    }
}
