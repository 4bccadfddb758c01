//! IPv6 router advertisements (RFC 4861 §4.2) with prefixes for stateless addresses (RFC 4862), name servers and search
//! domains (RFC 8106). smoltcp reads them but sends none, so they are sent as raw frames.

use super::{Behaviour, MessageKind, Misbehaviour, dns};
use crate::{
    config::Config,
    frame::{self, Host},
};
use smoltcp::wire::EthernetAddress;
use std::{net::Ipv6Addr, time::Duration};

/// What the router says of itself and the link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertised {
    /// Whether and how it advertises.
    pub behaviour: Behaviour,
    /// M: addresses are to be had by DHCPv6.
    pub managed: bool,
    /// O: other things are to be had by DHCPv6.
    pub other: bool,
    /// A: guests make their own addresses from the prefixes.
    pub autonomous: bool,
    /// How long it is a way out; zero: it is none.
    pub lifetime: Duration,
    /// How long addresses from the prefixes are valid; half of it they are preferred.
    pub valid: Duration,
    /// Name servers.
    pub rdnss: Vec<Ipv6Addr>,
    /// Search domains.
    pub dnssl: Vec<String>,
}

impl Default for Advertised {
    fn default() -> Self {
        Self {
            behaviour: Behaviour::Good,
            managed: false,
            other: false,
            autonomous: true,
            lifetime: Duration::from_secs(1800),
            valid: Duration::from_secs(86_400),
            rdnss: Vec::new(),
            dnssl: Vec::new(),
        }
    }
}

/// All nodes on the link, and their Ethernet group (RFC 2464 §7).
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: EthernetAddress = EthernetAddress([0x33, 0x33, 0, 0, 0, 1]);

/// One advertisement for everybody.
pub fn advertisement(config: &Config, says: &Advertised, misbehaviour: &mut Misbehaviour) -> Option<Vec<u8>> {
    let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
    let flags = u8::from(says.managed) << 7 | u8::from(says.other) << 6;
    let mut rest = vec![64, flags];
    rest.extend_from_slice(&u16::try_from(says.lifetime.as_secs()).unwrap_or(u16::MAX).to_be_bytes());
    rest.extend_from_slice(&[0; 8]); // reachable and retransmission times: as the guest likes
    rest.extend_from_slice(&[1, 1]);
    rest.extend_from_slice(config.mac.as_bytes());
    rest.extend_from_slice(&[5, 1, 0, 0]);
    rest.extend_from_slice(&u32::from(config.mtu).to_be_bytes());
    for prefix in [config.ula, Some(config.ipv6_prefix)].into_iter().flatten() {
        // On this link; of 64 bits.
        rest.extend_from_slice(&[3, 4, 64, 0x80 | u8::from(says.autonomous) << 6]);
        rest.extend_from_slice(&seconds(says.valid).to_be_bytes());
        rest.extend_from_slice(&seconds(says.valid / 2).to_be_bytes());
        rest.extend_from_slice(&[0; 4]);
        rest.extend_from_slice(&prefix.octets());
    }
    if !says.rdnss.is_empty() {
        rest.extend_from_slice(&[25, 1 + 2 * says.rdnss.len() as u8, 0, 0]);
        rest.extend_from_slice(&seconds(says.lifetime).to_be_bytes());
        rest.extend(says.rdnss.iter().flat_map(Ipv6Addr::octets));
    }
    if !says.dnssl.is_empty() {
        let mut names: Vec<u8> = says.dnssl.iter().flat_map(|name| dns::labels(name)).collect();
        names.resize(names.len().next_multiple_of(8), 0);
        rest.extend_from_slice(&[31, 1 + (names.len() / 8) as u8, 0, 0]);
        rest.extend_from_slice(&seconds(says.lifetime).to_be_bytes());
        rest.extend_from_slice(&names);
    }
    let rest = misbehaviour.apply(says.behaviour, rest, MessageKind::Neighbour(12))?;
    let (from, to) = (config.link_local.into(), ALL_NODES.into());
    Some(frame::icmp(Host { mac: config.mac, ip: from }, Host { mac: ALL_NODES_MAC, ip: to }, 255, [134, 0], &rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use smoltcp::wire::{Icmpv6Packet, Icmpv6Repr, NdiscPrefixInfoFlags, NdiscRepr, NdiscRouterFlags};

    /// Read by smoltcp as far as it goes, and by hand where it stops.
    #[test]
    fn an_advertisement_says_what_is_chosen() {
        let config = Config { mtu: 1400, ..Config::numbered(3) };
        let rdnss: Vec<Ipv6Addr> =
            vec!["fd77::53".parse().expect("an address"), "fd77::54".parse().expect("an address")];
        let dnssl = vec!["lab.test".to_owned(), "a.b".to_owned()];
        let lifetime = Duration::from_secs(60);
        let says = Advertised { managed: true, rdnss: rdnss.clone(), dnssl, lifetime, ..Advertised::default() };
        let read = |says: &Advertised| {
            let frame = advertisement(&config, says, &mut Misbehaviour::new(1)).expect("an advertisement");
            let packet = Icmpv6Packet::new_checked(frame[54..].to_vec()).expect("well-formed");
            assert!(packet.verify_checksum(&config.link_local, &ALL_NODES) && frame[21] == 255);
            frame
        };
        let frame = read(&says);
        let packet = Icmpv6Packet::new_unchecked(&frame[54..]);
        let caps = smoltcp::phy::ChecksumCapabilities::default();
        let Ok(Icmpv6Repr::Ndisc(NdiscRepr::RouterAdvert { flags, router_lifetime, mtu, prefix_info, .. })) =
            Icmpv6Repr::parse(&config.link_local, &ALL_NODES, &packet, &caps)
        else {
            panic!("an advertisement")
        };
        assert_eq!((flags, router_lifetime.secs(), mtu), (NdiscRouterFlags::MANAGED, 60, Some(1400)));
        let prefix = prefix_info.expect("a prefix");
        assert_eq!((prefix.prefix, prefix.prefix_len), (config.ipv6_prefix, 64));
        assert!(prefix.flags.contains(NdiscPrefixInfoFlags::ADDRCONF | NdiscPrefixInfoFlags::ON_LINK));
        let find = |kind: u8, frame: &[u8]| {
            let mut at = 54 + 16;
            while at < frame.len() && frame[at] != kind {
                at += usize::from(frame[at + 1]) * 8;
            }
            frame.get(at..).map(|rest| rest[..usize::from(rest[1]) * 8].to_vec())
        };
        let servers = find(25, &frame).expect("name servers");
        assert_eq!(servers[8..], rdnss.iter().flat_map(Ipv6Addr::octets).collect::<Vec<_>>());
        assert_eq!(find(31, &frame).expect("domains")[8..23], *b"\x03lab\x04test\0\x01a\x01b\0");
        let plain = read(&Advertised { autonomous: false, ..Advertised::default() });
        assert_eq!((plain[59], plain.windows(16).filter(|w| *w == config.ipv6_prefix.octets()).count()), (0, 1));
        assert_eq!(find(3, &plain).expect("a prefix")[3], 0x80, "no addresses of the guest's own");
        let silent = Advertised { behaviour: Behaviour::Silent, ..Advertised::default() };
        assert_eq!(advertisement(&config, &silent, &mut Misbehaviour::new(1)), None);
    }
}
