//! DHCPv4 server: RFC 2131, options of RFC 2132. One address per hardware address, handed out in order of asking.

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
    /// Time since the lab's start.
    pub at: Duration,
}

/// The server's memory.
#[derive(Debug, Default)]
pub struct Server {
    reserved: BTreeMap<EthernetAddress, Ipv4Addr>,
    /// Acknowledged leases.
    pub leases: BTreeMap<EthernetAddress, Lease>,
}

impl Server {
    /// Answers one datagram sent to port 67.
    pub fn answer(&mut self, config: &Config, now: Duration, data: &[u8]) -> Option<Vec<u8>> {
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
                if wanted == address { DhcpMessageType::Ack } else { DhcpMessageType::Nak }
            }
            DhcpMessageType::Inform => DhcpMessageType::Ack,
            DhcpMessageType::Release => {
                self.leases.remove(&mac);
                return None;
            }
            _ => return None,
        };
        if kind == DhcpMessageType::Ack {
            let requested = ask.parameter_request_list.unwrap_or_default().to_vec();
            let (hostname, vendor) = (text(12), text(60));
            self.leases.insert(mac, Lease { mac, ipv4: address, hostname, vendor, requested, at: now });
        }
        let refused = kind == DhcpMessageType::Nak;
        let given = !refused && ask.message_type != DhcpMessageType::Inform;
        let ntp = config.ipv4.octets();
        let mut options = Vec::new();
        if !refused {
            options.push(DhcpOption { kind: 15, data: config.domain.as_bytes() });
            options.push(DhcpOption { kind: 42, data: &ntp });
        }
        let seconds = u32::try_from(config.lease_time.as_secs()).unwrap_or(u32::MAX);
        let reply = DhcpRepr {
            message_type: kind,
            transaction_id: ask.transaction_id,
            secs: 0,
            client_hardware_address: mac,
            client_ip: if refused { Ipv4Addr::UNSPECIFIED } else { ask.client_ip },
            your_ip: if given { address } else { Ipv4Addr::UNSPECIFIED },
            server_ip: Ipv4Addr::UNSPECIFIED,
            router: (!refused).then_some(config.ipv4),
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
            renew_duration: given.then_some(seconds / 2),
            rebind_duration: given.then_some(seconds / 8 * 7),
            additional_options: &options,
        };
        let mut bytes = vec![0; reply.buffer_len()];
        reply.emit(&mut DhcpPacket::new_unchecked(&mut bytes)).ok()?;
        let server = Host { mac: config.mac, ip: config.ipv4.into() };
        // RFC 2131 §4.1: to the client's own address once it has one, else to its hardware address or to everybody.
        let client = match (ask.client_ip, refused || ask.broadcast) {
            (_, true) => Host { mac: EthernetAddress::BROADCAST, ip: Ipv4Addr::BROADCAST.into() },
            (Ipv4Addr::UNSPECIFIED, false) => Host { mac, ip: IpAddr::V4(address) },
            (known, false) => Host { mac, ip: known.into() },
        };
        Some(frame::udp(server, 67, client, 68, &bytes))
    }

    fn address(&mut self, config: &Config, mac: EthernetAddress) -> Option<Ipv4Addr> {
        if let Some(known) = self.reserved.get(&mac) {
            return Some(*known);
        }
        let next = Ipv4Addr::from_bits(config.first_lease.to_bits().checked_add(self.reserved.len() as u32)?);
        let broadcast = config.ipv4.to_bits() | !config.mask().to_bits();
        // A segment that is full gives nothing, as a real server would.
        (config.on_link(next) && next.to_bits() != broadcast).then(|| *self.reserved.entry(mac).or_insert(next))
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

    #[test]
    fn two_guests_get_two_addresses_and_a_stolen_one_is_refused() {
        let (config, mut server) = (Config::default(), Server::default());
        let (one, two) = (EthernetAddress([2, 0, 0, 0, 0, 1]), EthernetAddress([2, 0, 0, 0, 0, 2]));
        for mac in [one, two] {
            server.answer(&config, Duration::ZERO, &discover(mac, DhcpMessageType::Discover, None)).expect("offer");
        }
        assert!(server.leases.is_empty(), "an offer is no lease");
        let first = config.first_lease;
        let request = discover(two, DhcpMessageType::Request, Some(first));
        let nak = server.answer(&config, Duration::ZERO, &request).expect("answer");
        assert!(nak.starts_with(&[0xff; 6]) && server.leases.is_empty());
        server.answer(&config, Duration::ZERO, &discover(one, DhcpMessageType::Request, Some(first))).expect("ack");
        assert_eq!(server.leases[&one].ipv4, first);
        assert_eq!(server.leases[&one].hostname.as_deref(), Some("guest"));
    }

    #[test]
    fn noise_is_not_answered() {
        let (config, mut server) = (Config::default(), Server::default());
        let good = discover(EthernetAddress([2, 0, 0, 0, 0, 1]), DhcpMessageType::Discover, None);
        for cut in 0..good.len().min(243) {
            assert!(server.answer(&config, Duration::ZERO, &good[..cut]).is_none(), "cut at {cut}");
        }
    }
}
