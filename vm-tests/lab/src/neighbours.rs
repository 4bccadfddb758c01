//! Who is where on a segment: learned from what guests send, asked for (ARP, RFC 826; neighbour discovery, RFC 4861)
//! when a packet needs it, and told about the lab's own host.

use crate::{
    config::Config,
    frame::{self, Body, Host, Packet},
};
use smoltcp::wire::{ArpOperation, ArpRepr, EthernetAddress};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    time::{Duration, Instant},
};

/// Addresses remembered; a guest that invents them by the thousand fills no memory.
const MOST_KNOWN: usize = 4096;
/// Addresses asked for at the same time, and packets that wait for one of them.
const MOST_ASKED: usize = 256;
const MOST_WAITING: usize = 256;
/// Requests before an address counts as unreachable, and the time between them: what Linux does (arp(7), mcast_solicit,
/// retrans_time).
const REQUESTS: u32 = 3;
const BETWEEN: Duration = Duration::from_secs(1);

struct Waiting {
    packets: Vec<Vec<u8>>,
    asked: u32,
    again: Instant,
}

/// The neighbours of the lab's host on one segment.
#[derive(Default)]
pub struct Neighbours {
    known: BTreeMap<IpAddr, EthernetAddress>,
    waiting: BTreeMap<IpAddr, Waiting>,
}

impl Neighbours {
    /// MachineHardware addresses by network address.
    pub fn known(&self) -> &BTreeMap<IpAddr, EthernetAddress> {
        &self.known
    }

    /// Sends an IP packet to a neighbour, as soon as it is known where that is.
    pub fn send(&mut self, config: &Config, to: IpAddr, packet: Vec<u8>, now: Instant, out: &mut Vec<Vec<u8>>) {
        if let Some(mac) = self.known.get(&to) {
            out.extend(frame::ethernet(config.mac, *mac, &packet));
            return;
        }
        if self.waiting.len() >= MOST_ASKED && !self.waiting.contains_key(&to) {
            return;
        }
        let waiting = self.waiting.entry(to).or_insert(Waiting { packets: Vec::new(), asked: 0, again: now });
        if waiting.packets.len() < MOST_WAITING {
            waiting.packets.push(packet);
        }
    }

    /// Asks again for those that are waited for. Packets whose receiver does not answer go to `lost`. When to come back.
    pub fn tick(
        &mut self,
        config: &Config,
        now: Instant,
        out: &mut Vec<Vec<u8>>,
        lost: &mut Vec<Vec<u8>>,
    ) -> Option<Instant> {
        self.waiting.retain(|to, waiting| {
            if now < waiting.again {
                return true;
            }
            if waiting.asked == REQUESTS {
                lost.append(&mut waiting.packets);
                return false;
            }
            waiting.asked += 1;
            waiting.again = now + BETWEEN;
            out.push(match (*to, config.facing(*to)) {
                (IpAddr::V4(to), _) => frame::who_has(config.mac, config.ipv4, to),
                (IpAddr::V6(to), IpAddr::V6(own)) => frame::neighbour_solicitation(config.mac, own, to),
                (IpAddr::V6(to), _) => frame::neighbour_solicitation(config.mac, config.link_local, to),
            });
            true
        });
        self.waiting.values().map(|waiting| waiting.again).min()
    }

    /// Which addresses belong to whom: from ARP, from duplicate address detection, from every packet on the link. The
    /// address that is new.
    pub fn learn(&mut self, config: &Config, packet: &Packet<'_>, out: &mut Vec<Vec<u8>>) -> Option<IpAddr> {
        let address = match &packet.body {
            Body::Arp(ArpRepr::EthernetIpv4 { source_protocol_addr, .. }) => IpAddr::V4(*source_protocol_addr),
            // RFC 4862 §5.4: who asks for an address from nowhere is about to use it.
            Body::Icmp { from, kind: 135, rest, .. } if from.is_unspecified() => target(rest)?.into(),
            Body::Udp { from, .. } | Body::Tcp { from, .. } => from.ip(),
            Body::Icmp { from, .. } | Body::Ip { from, .. } => *from,
            _ => return None,
        };
        let on_link = match address {
            IpAddr::V4(v4) => config.on_link(v4) && v4 != config.broadcast(),
            IpAddr::V6(v6) => config.on_link6(v6),
        };
        (on_link && !config.owns(address) && self.insert(config, address, packet.source, out)).then_some(address)
    }

    /// Remembers an address; `true` when that is news.
    pub fn insert(&mut self, config: &Config, address: IpAddr, mac: EthernetAddress, out: &mut Vec<Vec<u8>>) -> bool {
        if !mac.is_unicast() {
            return false;
        }
        // Whoever is pushed out by a flood is learned again with its next packet.
        if self.known.len() >= MOST_KNOWN && !self.known.contains_key(&address) {
            self.known.pop_first();
        }
        let news = self.known.insert(address, mac) != Some(mac);
        for packet in self.waiting.remove(&address).map(|waiting| waiting.packets).into_iter().flatten() {
            out.extend(frame::ethernet(config.mac, mac, &packet));
        }
        news
    }
}

/// The answer to whoever asks for an address of the lab's host: it is at `mac`.
pub fn answer(config: &Config, mac: EthernetAddress, packet: &Packet<'_>) -> Option<Vec<u8>> {
    match &packet.body {
        Body::Arp(ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Request,
            source_protocol_addr,
            target_protocol_addr,
            ..
        }) if *target_protocol_addr == config.ipv4 => {
            let own = Host { mac, ip: config.ipv4.into() };
            Some(frame::is_at(own, Host { mac: packet.source, ip: (*source_protocol_addr).into() }))
        }
        Body::Icmp { from: IpAddr::V6(asker), kind: 135, rest, .. } => {
            let own = target(rest).filter(|ip| config.owns(IpAddr::V6(*ip)))?;
            Some(match asker.is_unspecified() {
                // RFC 4861 §7.2.4: to everybody, because the asker has no address yet; and it must take another one.
                true => {
                    let (all, group) =
                        (Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1), EthernetAddress([0x33, 0x33, 0, 0, 0, 1]));
                    frame::neighbour_advertisement(mac, own, group, all, false)
                }
                false => frame::neighbour_advertisement(mac, own, packet.source, *asker, true),
            })
        }
        _ => None,
    }
}

/// The address that a neighbour solicitation is about.
fn target(rest: &[u8]) -> Option<Ipv6Addr> {
    Some(<[u8; 16]>::try_from(rest.get(4..20)?).ok()?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_waits_for_its_neighbour_and_is_lost_without_one() {
        let (config, mut known, now) = (Config::default(), Neighbours::default(), Instant::now());
        let to: IpAddr = "10.77.0.9".parse().expect("an address");
        let packet = frame::udp(
            Host { mac: config.mac, ip: config.ipv4.into() },
            9,
            Host { mac: config.mac, ip: to },
            9,
            b"to whom it may concern",
        )
        .split_off(14);
        let (mut out, mut lost) = (Vec::new(), Vec::new());
        for _ in 0..MOST_WAITING + 10 {
            known.send(&config, to, packet.clone(), now, &mut out);
        }
        for second in 0..REQUESTS {
            known.tick(&config, now + BETWEEN * second, &mut out, &mut lost).expect("it asks again");
        }
        assert!(out.iter().all(|f| f.starts_with(&[0xff; 6])) && out.len() == 3 && lost.is_empty());
        assert_eq!(known.tick(&config, now + BETWEEN * REQUESTS, &mut out, &mut lost), None);
        assert_eq!((out.len(), lost.len()), (3, MOST_WAITING));

        known.send(&config, to, packet.clone(), now, &mut out);
        let mac = EthernetAddress([2, 0, 0, 0, 0, 9]);
        assert!(known.insert(&config, to, mac, &mut out) && !known.insert(&config, to, mac, &mut out));
        known.send(&config, to, packet.clone(), now, &mut out);
        let expected = [mac.as_bytes(), config.mac.as_bytes(), &[8, 0], &packet].concat();
        assert_eq!(out[3..], [expected.clone(), expected]);
        for n in 0..10_000u32 {
            known.insert(&config, IpAddr::V4(n.into()), mac, &mut out);
        }
        assert_eq!(known.known().len(), MOST_KNOWN);
    }
}
