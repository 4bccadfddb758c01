//! What a guest offers to its neighbours: an address by DHCPv4 (RFC 2131), and itself as a router (RFC 4861).

use super::{Job, Next, Wire, pass::CLIENT};
use crate::frame::{self, Body, Host, Packet};
use smoltcp::wire::EthernetAddress;
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::mpsc::Sender,
    time::{Duration, Instant},
};

/// An offer of DHCPv4.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DhcpOffer {
    /// The address.
    pub address: Option<Ipv4Addr>,
    /// Gateways (option 3).
    pub routers: Vec<Ipv4Addr>,
    /// Name servers (option 6).
    pub dns: Vec<Ipv4Addr>,
}

/// A router advertisement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RouterOffer {
    /// Seconds for which it is a gateway; zero: it is none.
    pub lifetime: u16,
    /// Networks with their lengths.
    pub prefixes: Vec<(Ipv6Addr, u8)>,
    /// Name servers (RFC 8106).
    pub dns: Vec<Ipv6Addr>,
}

/// What is asked for.
pub(crate) enum Offers {
    /// An address.
    Dhcp(Sender<Option<DhcpOffer>>),
    /// Routers.
    Routers(Sender<Option<RouterOffer>>),
}

/// Asks every second until there is an offer or the time is over.
pub(crate) struct OfferProbe {
    pub offers: Offers,
    pub number: u16,
    pub until: Instant,
    pub last: Option<Instant>,
    pub answered: bool,
}

const COOKIE: [u8; 4] = [99, 130, 83, 99];

impl OfferProbe {
    fn id(&self) -> [u8; 4] {
        let [a, b] = self.number.to_be_bytes();
        [0xd1, 0x0c, a, b]
    }

    fn discover(&self) -> Vec<u8> {
        let mut message = vec![1, 1, 6, 0];
        message.extend(self.id());
        // Answers are to be for everybody: this client takes none by its hardware address.
        message.extend([0, 0, 0x80, 0]);
        message.extend([0; 16]);
        message.extend(CLIENT.as_bytes());
        message.resize(236, 0);
        message.extend(COOKIE);
        message.extend([53, 1, 1, 55, 4, 1, 3, 6, 51, 255]);
        message.resize(300, 0);
        message
    }

    fn question(&self, wire: &Wire<'_>) -> Vec<u8> {
        match self.offers {
            Offers::Dhcp(_) => {
                let own = Host { mac: CLIENT, ip: Ipv4Addr::UNSPECIFIED.into() };
                let all = Host { mac: EthernetAddress::BROADCAST, ip: Ipv4Addr::BROADCAST.into() };
                frame::udp(own, 68, all, 67, &self.discover())
            }
            Offers::Routers(_) => {
                let own = Host { mac: wire.config.mac, ip: wire.config.link_local.into() };
                let all: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
                let all = Host { mac: EthernetAddress([0x33, 0x33, 0, 0, 0, 2]), ip: all.into() };
                frame::icmp(own, all, 255, [133, 0], &[0; 4])
            }
        }
    }

    fn offered(&self, data: &[u8]) -> Option<DhcpOffer> {
        let mine =
            data.first() == Some(&2) && data.get(4..8) == Some(&self.id()) && data.get(236..240) == Some(&COOKIE);
        let four = |at: &[u8]| <[u8; 4]>::try_from(at).ok().map(Ipv4Addr::from);
        let list = |value: &[u8]| value.chunks_exact(4).filter_map(four).collect();
        let mut offer = DhcpOffer { address: four(data.get(16..20)?), ..DhcpOffer::default() };
        let (mut at, mut kind) = (240, 0);
        while let Some(&[code, length]) = data.get(at..at + 2).filter(|option| option[0] != 255) {
            let value = data.get(at + 2..at + 2 + usize::from(length))?;
            match code {
                3 => offer.routers = list(value),
                6 => offer.dns = list(value),
                53 => kind = *value.first()?,
                _ => {}
            }
            at += 2 + usize::from(length);
        }
        (mine && kind == 2).then_some(offer)
    }
}

fn advertised(rest: &[u8]) -> Option<RouterOffer> {
    let mut offer =
        RouterOffer { lifetime: u16::from_be_bytes([*rest.get(2)?, *rest.get(3)?]), ..RouterOffer::default() };
    let sixteen = |at: &[u8]| <[u8; 16]>::try_from(at).ok().map(Ipv6Addr::from);
    let mut options = rest.get(12..)?;
    while let [kind, units, ..] = options
        && *units > 0
    {
        let (option, more) = options.split_at_checked(usize::from(*units) * 8)?;
        match kind {
            3 => offer.prefixes.push((sixteen(option.get(16..32)?)?, option[2])),
            25 => offer.dns.extend(option.get(8..)?.chunks_exact(16).filter_map(sixteen)),
            _ => {}
        }
        options = more;
    }
    Some(offer)
}

impl Job for OfferProbe {
    fn frame(&mut self, packet: &Packet<'_>, _now: Instant, _wire: &mut Wire<'_>) -> bool {
        // The asker may have given up; that is its own affair.
        match (&self.offers, &packet.body) {
            (Offers::Dhcp(reply), Body::Udp { from, to, data }) if (from.port(), to.port()) == (67, 68) => {
                let Some(offer) = self.offered(data) else { return false };
                if !std::mem::replace(&mut self.answered, true) {
                    let _ = reply.send(Some(offer));
                }
                true
            }
            (Offers::Routers(reply), Body::Icmp { from: IpAddr::V6(_), kind: 134, rest, .. }) => {
                let Some(offer) = advertised(rest) else { return false };
                if !std::mem::replace(&mut self.answered, true) {
                    let _ = reply.send(Some(offer));
                }
                true
            }
            _ => false,
        }
    }

    fn tick(&mut self, now: Instant, wire: &mut Wire<'_>) -> Next {
        if self.answered {
            return Next::Done;
        }
        if now >= self.until {
            // As above.
            match &self.offers {
                Offers::Dhcp(reply) => drop(reply.send(None)),
                Offers::Routers(reply) => drop(reply.send(None)),
            }
            return Next::Done;
        }
        if self.last.is_none_or(|last| now >= last + Duration::from_secs(1)) {
            self.last = Some(now);
            let question = self.question(wire);
            wire.raw.push(frame::tagged(wire.config.vlan, question));
        }
        Next::At(self.until.min(now + Duration::from_millis(200)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_are_read_and_others_are_not() {
        let (reply, _answer) = std::sync::mpsc::channel();
        let now = Instant::now();
        let probe = OfferProbe { offers: Offers::Dhcp(reply), number: 7, until: now, last: None, answered: false };
        let mut message = probe.discover();
        message[0] = 2;
        message[16..20].copy_from_slice(&[10, 1, 0, 100]);
        message.truncate(240);
        message.extend([53, 1, 2, 3, 4, 10, 1, 0, 1, 6, 8, 10, 1, 0, 1, 10, 1, 0, 2, 255]);
        let offer = probe.offered(&message).expect("an offer");
        assert_eq!(offer.address, Some(Ipv4Addr::new(10, 1, 0, 100)));
        assert_eq!((offer.routers.len(), offer.dns.len()), (1, 2));
        let changed = |at: usize, to: u8| {
            let mut other = message.clone();
            other[at] = to;
            probe.offered(&other)
        };
        assert_eq!(changed(7, 8), None, "for somebody else");
        assert_eq!(changed(242, 5), None, "no offer but an acknowledgement");
        assert_eq!(probe.offered(&message[..230]), None);
        assert_eq!(probe.offered(&message[..252]), None, "cut short");
    }

    #[test]
    fn advertisements_are_read() {
        let mut rest = vec![64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0];
        rest.extend([3, 4, 64, 0xc0]);
        rest.extend([0; 12]);
        let prefix: Ipv6Addr = "fd00:1::".parse().expect("an address");
        rest.extend(prefix.octets());
        let offer = advertised(&rest).expect("an advertisement");
        assert_eq!((offer.lifetime, offer.prefixes), (0x0708, vec![(prefix, 64)]));
        assert_eq!(advertised(&rest[..20]), None, "cut short");
        assert_eq!(advertised(&[]), None);
    }
}
