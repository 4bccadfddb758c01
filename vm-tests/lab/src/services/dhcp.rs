//! DHCPv4 server: RFC 2131, options of RFC 2132. One address per hardware address, handed out in order of asking.

use super::{Behaviour, MessageKind, Misbehaviour};
use crate::{
    config::Config,
    frame::{self, Host},
};
use smoltcp::wire::{DhcpMessageType, DhcpOption, DhcpPacket, DhcpRepr, EthernetAddress};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

/// How the server behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dhcp {
    /// Whether and how it answers.
    pub behaviour: Behaviour,
    /// It refuses every request (DHCPNAK), renewals too.
    pub refuse: bool,
    /// How long a lease lasts, in whole seconds on the wire.
    pub lease_time: Duration,
    /// When a guest is to ask for more; half of the time where there is none.
    pub renew: Option<Duration>,
    /// The way out that leases name; the lab's host where there is none.
    pub gateway: Option<Ipv4Addr>,
}

impl Default for Dhcp {
    fn default() -> Self {
        Self {
            behaviour: Behaviour::Good,
            refuse: false,
            lease_time: Duration::from_secs(3600),
            renew: None,
            gateway: None,
        }
    }
}

/// What a guest was given, and what it told in asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The guest's hardware address.
    pub mac: EthernetAddress,
    /// Its address.
    pub ipv4: Ipv4Addr,
    /// Host name it sent (option 12), if any.
    pub hostname: Option<String>,
    /// Vendor class it sent (option 60), if any.
    pub vendor: Option<String>,
    /// Options it asked for (option 55).
    pub requested: Vec<u8>,
    /// First acknowledged so long after the lab's start.
    pub at: Duration,
    /// Last acknowledged so long after the lab's start.
    pub last: Duration,
    /// How often it was acknowledged: more than once when it was renewed.
    pub count: u64,
}

/// Guests that get an address.
const MOST: usize = 4096;

/// The server's memory.
#[derive(Debug, Default)]
pub struct DhcpLeases {
    reserved: BTreeMap<EthernetAddress, Ipv4Addr>,
    /// Acknowledged leases.
    pub leases: BTreeMap<EthernetAddress, Lease>,
}

impl DhcpLeases {
    /// Answers one datagram sent to port 67; says whose lease that changed.
    pub fn answer(
        &mut self,
        config: &Config,
        dhcp: &Dhcp,
        misbehaviour: &mut Misbehaviour,
        now: Duration,
        data: &[u8],
    ) -> Option<(Vec<u8>, EthernetAddress)> {
        if dhcp.behaviour == Behaviour::Silent {
            return None;
        }
        let packet = DhcpPacket::new_checked(data).ok()?;
        let ask = DhcpRepr::parse(&packet).ok()?;
        let mac = ask.client_hardware_address;
        let text = |code| {
            let option = packet.options().find(|o: &DhcpOption<'_>| o.kind == code)?;
            Some(String::from_utf8_lossy(option.data).into_owned())
        };
        let address = self.address(config, mac)?;
        if ask.server_identifier.is_some_and(|server| server != config.ipv4) {
            return None;
        }
        let kind = match ask.message_type {
            DhcpMessageType::Discover => DhcpMessageType::Offer,
            DhcpMessageType::Request => {
                let wanted = ask.requested_ip.unwrap_or(ask.client_ip);
                if wanted == address && !dhcp.refuse { DhcpMessageType::Ack } else { DhcpMessageType::Nak }
            }
            DhcpMessageType::Inform => DhcpMessageType::Ack,
            DhcpMessageType::Release => {
                self.leases.remove(&mac);
                return None;
            }
            _ => return None,
        };
        if kind == DhcpMessageType::Ack && dhcp.behaviour == Behaviour::Good {
            let requested = ask.parameter_request_list.unwrap_or_default().to_vec();
            let (hostname, vendor) = (text(12), text(60));
            let (at, count) = self.leases.get(&mac).map_or((now, 0), |lease| (lease.at, lease.count));
            let (last, count) = (now, count + 1);
            self.leases.insert(mac, Lease { mac, ipv4: address, hostname, vendor, requested, at, last, count });
        }
        let refused = kind == DhcpMessageType::Nak;
        let given = !refused && ask.message_type != DhcpMessageType::Inform;
        let whole = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        let seconds = whole(dhcp.lease_time);
        let renew = dhcp.renew.map_or(seconds / 2, whole);
        let rebind = (renew + seconds.saturating_sub(renew) / 4 * 3).to_be_bytes();
        let (ntp, renew) = (config.ipv4.octets(), renew.to_be_bytes());
        let mut options = Vec::new();
        if !refused {
            options.push(DhcpOption { kind: 15, data: config.domain.as_bytes() });
            options.push(DhcpOption { kind: 42, data: &ntp });
        }
        // smoltcp reads these two and writes neither.
        if given {
            options.push(DhcpOption { kind: 58, data: &renew });
            options.push(DhcpOption { kind: 59, data: &rebind });
        }
        let reply = DhcpRepr {
            message_type: kind,
            transaction_id: ask.transaction_id,
            secs: 0,
            client_hardware_address: mac,
            client_ip: if refused { Ipv4Addr::UNSPECIFIED } else { ask.client_ip },
            your_ip: if given { address } else { Ipv4Addr::UNSPECIFIED },
            server_ip: Ipv4Addr::UNSPECIFIED,
            router: (!refused).then(|| dhcp.gateway.unwrap_or(config.ipv4)),
            subnet_mask: (!refused).then(|| config.mask()),
            relay_agent_ip: Ipv4Addr::UNSPECIFIED,
            broadcast: ask.broadcast,
            requested_ip: None,
            client_identifier: None,
            server_identifier: Some(config.ipv4),
            parameter_request_list: None,
            dns_servers: (!refused).then(|| [config.ipv4].into_iter().collect()),
            max_size: None,
            lease_duration: given.then_some(seconds),
            renew_duration: None,
            rebind_duration: None,
            additional_options: &options,
        };
        let mut bytes = vec![0; reply.buffer_len()];
        reply.emit(&mut DhcpPacket::new_unchecked(&mut bytes)).ok()?;
        let bytes = misbehaviour.apply(dhcp.behaviour, bytes, MessageKind::Dhcp)?;
        let server = Host { mac: config.mac, ip: config.ipv4.into() };
        // RFC 2131 §4.1: to the client's own address once it has one, else to its hardware address or to everybody.
        let client = match (ask.client_ip, refused || ask.broadcast) {
            (_, true) => Host { mac: EthernetAddress::BROADCAST, ip: Ipv4Addr::BROADCAST.into() },
            (Ipv4Addr::UNSPECIFIED, false) => Host { mac, ip: IpAddr::V4(address) },
            (known, false) => Host { mac, ip: known.into() },
        };
        Some((frame::udp(server, 67, client, 68, &bytes), mac))
    }

    /// This address is this guest's, as if it had asked: a lease of an earlier life, which it will want to renew.
    pub fn remember(&mut self, mac: EthernetAddress, address: Ipv4Addr) {
        self.reserved.insert(mac, address);
    }

    fn address(&mut self, config: &Config, mac: EthernetAddress) -> Option<Ipv4Addr> {
        if let Some(known) = self.reserved.get(&mac) {
            return Some(*known);
        }
        let free = |n: &u32| !self.reserved.values().any(|taken| taken.to_bits() == config.first_lease.to_bits() + n);
        // One that is remembered may be out of order.
        let after = (self.reserved.len() as u32..=MOST as u32).find(|n| free(n))?;
        let next = Ipv4Addr::from_bits(config.first_lease.to_bits().checked_add(after)?);
        let broadcast = config.broadcast().to_bits();
        // A segment that is full gives nothing, as a real server would.
        (config.on_link(next) && next.to_bits() != broadcast && self.reserved.len() < MOST)
            .then(|| *self.reserved.entry(mac).or_insert(next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn discover(mac: EthernetAddress, kind: DhcpMessageType, wanted: Option<Ipv4Addr>) -> Vec<u8> {
        let ask = DhcpRepr {
            message_type: kind,
            transaction_id: 9,
            secs: 0,
            client_hardware_address: mac,
            client_ip: Ipv4Addr::UNSPECIFIED,
            your_ip: Ipv4Addr::UNSPECIFIED,
            server_ip: Ipv4Addr::UNSPECIFIED,
            router: None,
            subnet_mask: None,
            relay_agent_ip: Ipv4Addr::UNSPECIFIED,
            broadcast: false,
            requested_ip: wanted,
            client_identifier: Some(mac),
            server_identifier: None,
            parameter_request_list: Some(&[1, 3, 6, 42]),
            dns_servers: None,
            max_size: Some(1432),
            lease_duration: None,
            renew_duration: None,
            rebind_duration: None,
            additional_options: &[DhcpOption { kind: 12, data: b"guest" }],
        };
        let mut bytes = vec![0; ask.buffer_len()];
        ask.emit(&mut DhcpPacket::new_unchecked(&mut bytes)).expect("emit");
        bytes
    }

    fn ask(server: &mut DhcpLeases, dhcp: &Dhcp, at: u64, data: &[u8]) -> Option<Vec<u8>> {
        let answer =
            server.answer(&Config::default(), dhcp, &mut Misbehaviour::new(1), Duration::from_secs(at), data)?;
        Some(answer.0)
    }

    #[test]
    fn two_guests_get_two_addresses_and_a_stolen_one_is_refused() {
        let (config, dhcp, mut server) = (Config::default(), Dhcp::default(), DhcpLeases::default());
        let (one, two) = (EthernetAddress([2, 0, 0, 0, 0, 1]), EthernetAddress([2, 0, 0, 0, 0, 2]));
        for mac in [one, two] {
            ask(&mut server, &dhcp, 0, &discover(mac, DhcpMessageType::Discover, None)).expect("offer");
        }
        assert!(server.leases.is_empty(), "an offer is no lease");
        let first = config.first_lease;
        let request = discover(two, DhcpMessageType::Request, Some(first));
        let nak = ask(&mut server, &dhcp, 0, &request).expect("answer");
        assert!(nak.starts_with(&[0xff; 6]) && server.leases.is_empty());
        let request = discover(one, DhcpMessageType::Request, Some(first));
        ask(&mut server, &dhcp, 3, &request).expect("ack");
        assert_eq!(server.leases[&one].ipv4, first);
        assert_eq!(server.leases[&one].hostname.as_deref(), Some("guest"));
        ask(&mut server, &dhcp, 5, &request).expect("ack");
        let lease = &server.leases[&one];
        assert_eq!((lease.count, lease.at.as_secs(), lease.last.as_secs()), (2, 3, 5), "it is renewed");
        assert_eq!(ask(&mut server, &Dhcp { behaviour: Behaviour::Silent, ..dhcp.clone() }, 6, &request), None);
        let nak = ask(&mut server, &Dhcp { refuse: true, ..dhcp }, 7, &request).expect("a refusal");
        let packet = DhcpPacket::new_checked(&nak[42..]).expect("well-formed");
        assert_eq!(DhcpRepr::parse(&packet).expect("well-formed").message_type, DhcpMessageType::Nak);
        assert_eq!(server.leases[&one].count, 2);
    }

    #[test]
    fn a_lease_of_an_earlier_life_is_renewed_and_nobody_else_gets_it() {
        let (config, dhcp, mut server) = (Config::default(), Dhcp::default(), DhcpLeases::default());
        let (old, new) = (EthernetAddress([2, 0, 0, 0, 0, 1]), EthernetAddress([2, 0, 0, 0, 0, 2]));
        let third = Ipv4Addr::from_bits(config.first_lease.to_bits() + 1);
        server.remember(old, third);
        ask(&mut server, &dhcp, 0, &discover(new, DhcpMessageType::Discover, None)).expect("offer");
        ask(&mut server, &dhcp, 1, &discover(old, DhcpMessageType::Request, Some(third))).expect("ack");
        assert_eq!(server.leases[&old].ipv4, third);
        assert_ne!(server.reserved[&new], third);
    }

    #[test]
    fn times_are_those_that_are_chosen() {
        let request = discover(EthernetAddress([2, 0, 0, 0, 0, 1]), DhcpMessageType::Discover, None);
        let (lease_time, renew) = (Duration::from_secs(100), Some(Duration::from_secs(20)));
        for (renew, times) in [(renew, [100, 20, 80]), (None, [100, 50, 86])] {
            let dhcp = Dhcp { lease_time, renew, ..Dhcp::default() };
            let offer = ask(&mut DhcpLeases::default(), &dhcp, 0, &request).expect("an offer");
            let packet = DhcpPacket::new_checked(&offer[42..]).expect("well-formed");
            let said = DhcpRepr::parse(&packet).expect("well-formed");
            let option = |kind| packet.options().find(|o| o.kind == kind).map(|o| o.data.to_vec());
            let number = |kind| option(kind).and_then(|d| Some(u32::from_be_bytes(d.try_into().ok()?)));
            let seen = [said.lease_duration, number(58), number(59)];
            assert_eq!(seen, times.map(Some));
        }
    }

    #[test]
    fn noise_is_not_answered() {
        let mut server = DhcpLeases::default();
        let good = discover(EthernetAddress([2, 0, 0, 0, 0, 1]), DhcpMessageType::Discover, None);
        for cut in 0..good.len().min(243) {
            assert!(ask(&mut server, &Dhcp::default(), 0, &good[..cut]).is_none(), "cut at {cut}");
        }
    }
}
