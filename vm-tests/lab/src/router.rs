//! The lab's router: what becomes of a packet that a host of one segment sends to another network. Addresses stay as they
//! are.

use crate::{frame, icmp::Problem, topology::Topology};
use smoltcp::wire::Ipv4Packet;
use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

/// What becomes of a packet.
#[derive(Debug, PartialEq, Eq)]
pub enum RouteDecision {
    /// It is dropped without a word, as Linux does with what is damaged or meant for the link.
    Dropped,
    /// It is for the lab's host on this segment.
    Here(usize),
    /// It goes to a host of this segment, whole or in fragments.
    On(usize, IpAddr, Vec<Vec<u8>>),
    /// Its sender is told.
    Refused(Problem),
}

/// Decides about an IP packet that came from segment `from`.
pub fn route(network: &Topology, from: usize, packet: &[u8]) -> RouteDecision {
    let (Some((source, target)), Some(packet)) = (frame::ends(packet), whole(packet)) else {
        return RouteDecision::Dropped;
    };
    if [source, target].into_iter().any(|ip| !travels(ip)) {
        return RouteDecision::Dropped;
    }
    let reach = |n: &usize| network.forwards(from, *n) && network.segments[*n].contains(target);
    let Some(to) = (0..network.segments.len()).find(reach) else { return RouteDecision::Refused(Problem::NoRoute) };
    let segment = &network.segments[to];
    if target == IpAddr::V4(segment.broadcast()) {
        return RouteDecision::Dropped;
    }
    let hops = if target.is_ipv4() { 8 } else { 7 };
    if packet[hops] <= 1 {
        return RouteDecision::Refused(Problem::TimeExceeded);
    }
    if segment.owns(target) {
        return RouteDecision::Here(to);
    }
    let mut copy = packet.to_vec();
    copy[hops] -= 1;
    if target.is_ipv4() {
        Ipv4Packet::new_unchecked(&mut copy).fill_checksum();
    }
    if copy.len() <= usize::from(segment.mtu) {
        return RouteDecision::On(to, target, vec![copy]);
    }
    match target {
        IpAddr::V4(_) if !Ipv4Packet::new_unchecked(&copy).dont_frag() => {
            RouteDecision::On(to, target, cut(&copy, segment.mtu))
        }
        _ => RouteDecision::Refused(Problem::TooBig(segment.mtu)),
    }
}

/// The packet without what an Ethernet card added behind it, if it is what its header says.
fn whole(packet: &[u8]) -> Option<&[u8]> {
    let word = |at: usize| Some(usize::from(u16::from_be_bytes([*packet.get(at)?, *packet.get(at + 1)?])));
    match packet.first()? >> 4 {
        4 => {
            let (header, total) = (usize::from(packet[0] & 15) * 4, word(2)?);
            let packet = packet.get(..total).filter(|_| header >= 20 && header <= total)?;
            Ipv4Packet::new_unchecked(packet).verify_checksum().then_some(packet)
        }
        _ => packet.get(..40 + word(4)?),
    }
}

/// Whether a router may forward what has this sender or receiver.
fn travels(ip: IpAddr) -> bool {
    let link = match ip {
        IpAddr::V4(v4) => v4.is_broadcast() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    !(link || ip.is_unspecified() || ip.is_loopback() || ip.is_multicast())
}

/// An IPv4 packet in fragments of at most `mtu` bytes (RFC 791 §3.2).
fn cut(packet: &[u8], mtu: u16) -> Vec<Vec<u8>> {
    let (head, data) = packet.split_at(usize::from(packet[0] & 15) * 4);
    let size = (usize::from(mtu) - head.len()) & !7;
    let (before, more) = (u16::from_be_bytes([head[6], head[7]]) & 0x1fff, head[6] & 0x20 != 0);
    let count = data.len().div_ceil(size);
    let piece = |(n, data): (usize, &[u8])| {
        let mut piece = [head, data].concat();
        let length = piece.len() as u16;
        let flag = if more || n + 1 < count { 0x2000 } else { 0 };
        piece[2..4].copy_from_slice(&length.to_be_bytes());
        piece[6..8].copy_from_slice(&(flag | (before + (n * size / 8) as u16)).to_be_bytes());
        Ipv4Packet::new_unchecked(&mut piece).fill_checksum();
        piece
    };
    data.chunks(size).enumerate().map(piece).collect()
}

/// How many errors the router still sends: Linux allows 1000 a second, 50 at once (icmp_msgs_per_sec, icmp_msgs_burst).
#[derive(Debug, Default)]
pub struct RateLimit {
    left: u32,
    filled: Option<Instant>,
}

impl RateLimit {
    const MOST: u32 = 50;
    const EACH: Duration = Duration::from_millis(1);

    /// Whether one more may be sent now.
    pub fn take(&mut self, now: Instant) -> bool {
        let new = match self.filled {
            None => Self::MOST,
            Some(then) => u32::try_from((now - then).as_nanos() / Self::EACH.as_nanos()).unwrap_or(u32::MAX),
        };
        if new > 0 {
            self.left = self.left.saturating_add(new).min(Self::MOST);
            self.filled = Some(now);
        }
        let some = self.left > 0;
        self.left -= u32::from(some);
        some
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Config, frame::Host, icmp};

    fn packet(from: &str, to: &str, data: usize) -> Vec<u8> {
        let host = |ip: &str| Host { mac: Config::default().mac, ip: ip.parse().expect("an address") };
        frame::udp(host(from), 1, host(to), 2, &vec![7; data]).split_off(14)
    }

    fn network() -> Topology {
        let mut network = Topology::routed([1, 2, 3].map(Config::numbered));
        network.routed.retain(|pair| *pair == [0, 1]);
        network.segments[1].mtu = 1280;
        network
    }

    #[test]
    fn packets_go_where_a_route_leads_and_nowhere_else() {
        let network = network();
        let decide = |from: &str, to: &str| route(&network, 0, &packet(from, to, 10));
        for (from, to) in [("10.77.1.5", "10.77.2.5"), ("fd77:0:0:1::5", "2001:db8:77:2::5")] {
            let RouteDecision::On(1, target, packets) = decide(from, to) else { panic!("{to} is routed") };
            assert_eq!((target.to_string(), packets.len()), (to.to_owned(), 1));
            let hops = if target.is_ipv4() { 8 } else { 7 };
            assert_eq!(packets[0][hops], 63);
            assert!(whole(&packets[0]).is_some(), "its checksum is right");
        }
        assert_eq!(decide("10.77.1.5", "10.77.2.1"), RouteDecision::Here(1));
        assert_eq!(decide("fd77:0:0:1::5", "fd77:0:0:2::1"), RouteDecision::Here(1));
        for (from, to) in [("10.77.1.5", "10.77.3.5"), ("10.77.1.5", "192.0.2.1"), ("fd77:0:0:1::5", "fd77:0:0:3::1")] {
            assert_eq!(decide(from, to), RouteDecision::Refused(Problem::NoRoute), "{to}");
        }
        for (from, to) in [("10.77.1.5", "10.77.2.255"), ("fe80::5", "fd77:0:0:2::5"), ("10.77.1.5", "224.0.0.5")] {
            assert_eq!(decide(from, to), RouteDecision::Dropped, "{to}");
        }
        let mut damaged = packet("10.77.1.5", "10.77.2.5", 10);
        damaged[8] = 5;
        assert_eq!(route(&network, 0, &damaged), RouteDecision::Dropped, "its checksum is wrong");
        Ipv4Packet::new_unchecked(&mut damaged[..]).set_hop_limit(1);
        Ipv4Packet::new_unchecked(&mut damaged[..]).fill_checksum();
        assert_eq!(route(&network, 0, &damaged), RouteDecision::Refused(Problem::TimeExceeded));
    }

    #[test]
    fn what_is_too_long_is_cut_or_refused() {
        let network = network();
        let mut long = packet("10.77.1.5", "10.77.2.5", 1400);
        assert_eq!(route(&network, 0, &long), RouteDecision::Refused(Problem::TooBig(1280)), "it must not be cut");
        long[6] = 0;
        Ipv4Packet::new_unchecked(&mut long[..]).fill_checksum();
        let RouteDecision::On(1, _, pieces) = route(&network, 0, &long) else { panic!("cut") };
        assert!(pieces.len() == 2 && pieces.iter().all(|p| p.len() <= 1280 && whole(p).is_some()));
        assert_eq!((pieces[0][6] & 0x20, pieces[1][6] & 0x20), (0x20, 0));
        let at = usize::from(u16::from_be_bytes([pieces[1][6], pieces[1][7]])) * 8;
        assert_eq!(at, pieces[0].len() - 20);
        assert_eq!([&pieces[0][20..], &pieces[1][20..]].concat(), long[20..]);
        let six = packet("fd77:0:0:1::5", "fd77:0:0:2::5", 1400);
        assert_eq!(route(&network, 0, &six), RouteDecision::Refused(Problem::TooBig(1280)));
    }

    #[test]
    fn errors_quote_what_they_are_about_and_never_each_other() {
        let network = network();
        for (from, to, kind) in [("10.77.1.5", "192.0.2.1", 3), ("fd77:0:0:1::5", "2001:db8::1", 1)] {
            let about = packet(from, to, 2000);
            let error = icmp::error(&network.segments[0], &about, Problem::NoRoute).expect("an error");
            assert!(whole(&error).is_some() && error.len() <= if kind == 3 { 576 } else { 1280 });
            let frame = frame::ethernet(Config::default().mac, Config::default().mac, &error).expect("a frame");
            let parsed = frame::Packet::within(None, &frame).expect("well-formed");
            let frame::Body::Icmp { from: router, to: asker, kind: seen, code: 0, rest } = parsed.body else {
                panic!("{parsed:?}")
            };
            assert_eq!((asker.to_string(), seen), (from.to_owned(), kind));
            assert!(network.segments[0].owns(router));
            assert_eq!(frame::quoted(rest).map(|(target, ..)| target.to_string()).as_deref(), Some(to));
            assert_eq!(icmp::error(&network.segments[0], &error, Problem::NoRoute), None, "about an error");
        }
        assert_eq!(icmp::error(&network.segments[0], &packet("0.0.0.0", "192.0.2.1", 1), Problem::NoRoute), None);
        let mut rate_limit = RateLimit::default();
        let now = Instant::now();
        assert_eq!((0..1000).filter(|_| rate_limit.take(now)).count(), 50);
        assert_eq!((0..1000).filter(|_| rate_limit.take(now + Duration::from_millis(7))).count(), 7);
    }
}
