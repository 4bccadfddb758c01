//! The lab's host on one segment: its addresses, its neighbours, its servers and its TCP.

use crate::{
    config::Config,
    frame::{self, Body, Packet},
    lab::Shared,
    neighbours::{self, Neighbours},
    services::{dhcp, dns, ntp, router},
    stack::Stack,
};
use std::{
    net::IpAddr,
    time::{Duration, Instant, SystemTime},
};

/// One host of the lab.
pub struct Host {
    /// What guests see of it.
    pub config: Config,
    /// Its TCP connections.
    pub stack: Stack,
    /// The hosts beside it.
    pub neighbours: Neighbours,
    /// Frames for its segment, without a tag. One for its own hardware address is for the router.
    pub out: Vec<Vec<u8>>,
    dhcp: dhcp::Server,
    advertise: Instant,
}

impl Host {
    /// A host that has said nothing yet.
    pub fn new(config: Config, started: Instant) -> Self {
        Self {
            stack: Stack::new(&config, started),
            config,
            neighbours: Neighbours::default(),
            out: Vec::new(),
            dhcp: dhcp::Server::default(),
            advertise: started,
        }
    }

    /// Learns who sent a packet.
    pub fn learn(&mut self, packet: &Packet<'_>, shared: &Shared) {
        if let Some(address) = self.neighbours.learn(&self.config, packet, &mut self.out) {
            shared.state().addresses.insert(address, packet.source);
            shared.changed.notify_all();
        }
    }

    /// Sends an IP packet to a host of this segment.
    pub fn send(&mut self, to: IpAddr, packet: Vec<u8>, now: Instant) {
        self.neighbours.send(&self.config, to, packet, now, &mut self.out);
    }

    /// Does what is due. Packets that somebody else must forward go to `beyond`, those without a receiver to `lost`.
    /// When to come back.
    pub fn work(&mut self, now: Instant, beyond: &mut Vec<Vec<u8>>, lost: &mut Vec<Vec<u8>>) -> Instant {
        if now >= self.advertise {
            self.out.push(router::advertisement(&self.config));
            self.advertise = now + self.config.advertise_every;
        }
        let mut packets = Vec::new();
        let stack = self.stack.poll(now, &mut packets);
        for packet in packets {
            match frame::ends(&packet) {
                Some((_, IpAddr::V6(to))) if self.config.on_link6(to) => self.send(to.into(), packet, now),
                Some((_, to)) if self.config.contains(to) => self.send(to, packet, now),
                _ => beyond.push(packet),
            }
        }
        let neighbours = self.neighbours.tick(&self.config, now, &mut self.out, lost);
        [stack, neighbours].into_iter().flatten().fold(self.advertise, Instant::min)
    }

    /// The servers; `true` when the packet was for one of them. A packet that came through the router has
    /// `packet.source` set to this host's own hardware address, which is where its answer goes.
    pub fn serve(&mut self, packet: &Packet<'_>, since: Duration, shared: &Shared) -> bool {
        if let Some(reply) = neighbours::answer(&self.config, packet) {
            self.out.push(reply);
            return true;
        }
        let own = |ip: IpAddr| self.config.owns(ip);
        match packet.body {
            Body::Udp { to, data, .. } if to.port() == 67 && to.is_ipv4() => {
                if let Some(reply) = self.dhcp.answer(&self.config, since, data) {
                    self.out.push(reply);
                }
                let leases: Vec<_> = self.dhcp.leases.values().map(|lease| (lease.ipv4, lease.mac)).collect();
                for (ip, mac) in &leases {
                    self.neighbours.insert(&self.config, (*ip).into(), *mac, &mut self.out);
                }
                let mut state = shared.state();
                state.leases.extend(self.dhcp.leases.iter().map(|(mac, lease)| (*mac, lease.clone())));
                state.addresses.extend(leases.into_iter().map(|(ip, mac)| (IpAddr::V4(ip), mac)));
                drop(state);
                shared.changed.notify_all();
                true
            }
            Body::Udp { from, to, data } if own(to.ip()) && matches!(to.port(), 53 | 123) => {
                let c = &self.config;
                let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                let reply = match to.port() {
                    53 => dns::answer(data, &format!("router.{}", c.domain), c.ipv4, c.ipv6),
                    _ => ntp::answer(data, time, c.clock_offset),
                };
                if to.port() == 53
                    && let Some(question) = dns::question(data)
                {
                    *shared.state().names.entry(question.name).or_default() += 1;
                }
                if let Some(reply) = reply {
                    let server = frame::Host { mac: c.mac, ip: to.ip() };
                    let client = frame::Host { mac: packet.source, ip: from.ip() };
                    self.out.push(frame::udp(server, to.port(), client, from.port(), &reply));
                }
                true
            }
            Body::Icmp { from, to, kind: 8 | 128, rest: [a, b, c, d, data @ ..], .. } if own(to) => {
                let server = frame::Host { mac: self.config.mac, ip: to };
                let client = frame::Host { mac: packet.source, ip: from };
                let (ident, number) = (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]));
                self.out.push(frame::echo(server, client, true, ident, number, data));
                true
            }
            // A router solicitation (RFC 4861 §4.1) is answered at once.
            Body::Icmp { to: IpAddr::V6(_), kind: 133, .. } => {
                self.advertise = Instant::now();
                true
            }
            _ => false,
        }
    }
}
