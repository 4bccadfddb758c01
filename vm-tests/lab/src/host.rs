//! The lab's host on one segment: its addresses, its neighbours, its servers and its TCP.

use crate::{
    config::Config,
    frame::{self, Body, Packet},
    listen::{ServiceSession, SessionStep},
    neighbours::{self, Neighbours},
    services::{Behaviour, Identity, MessageKind, Misbehaviour, SegmentServices, dhcp, dhcp6, dns, ntp, router},
    shared::SharedState,
    stack::Stack,
};
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

/// What answers datagrams on a port: by sender and data.
pub type Datagrams = Box<dyn FnMut(SocketAddr, &[u8]) -> Option<Vec<u8>> + Send>;

/// Answers that wait for their time; names and addresses that are remembered. What a guest invents fills no memory.
const MOST_WAITING: usize = 1024;
const MOST_REMEMBERED: usize = 10_000;

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
    /// What answers datagrams, by port.
    pub datagrams: BTreeMap<u16, Datagrams>,
    services: Arc<Mutex<SegmentServices>>,
    misbehaviour: Misbehaviour,
    dhcp: dhcp::DhcpLeases,
    dhcp6: dhcp6::Dhcp6Server,
    /// Answers that are sent later.
    later: BTreeMap<(Instant, u64), Vec<u8>>,
    number: u64,
    advertise: Instant,
}

impl Host {
    /// A host that has said nothing yet.
    pub fn new(config: Config, seed: u64, shared: &Arc<SharedState>) -> Self {
        let services = Arc::new(Mutex::new(SegmentServices::of(&config)));
        let mut host = Self {
            stack: Stack::new(&config, shared.started),
            neighbours: Neighbours::default(),
            out: Vec::new(),
            datagrams: BTreeMap::new(),
            services: services.clone(),
            misbehaviour: Misbehaviour::new(seed),
            dhcp: dhcp::DhcpLeases::default(),
            dhcp6: dhcp6::Dhcp6Server::default(),
            later: BTreeMap::new(),
            number: 0,
            advertise: shared.started,
            config,
        };
        let shared = shared.clone();
        let service = move |_| {
            let (services, shared) = (services.clone(), shared.clone());
            Box::new(DnsStream { services, shared, due: None }) as Box<dyn ServiceSession>
        };
        host.stack.listeners.serve(53, Box::new(service));
        host
    }

    /// Changes how the servers behave. What they advertise is advertised at once.
    pub fn change(&mut self, change: impl FnOnce(&mut SegmentServices), now: Instant) {
        let mut services = lock(&self.services);
        let before = services.router.clone();
        change(&mut services);
        if before != services.router {
            self.advertise = now;
        }
    }

    /// Learns who sent a packet.
    pub fn learn(&mut self, packet: &Packet<'_>, shared: &SharedState) {
        if let Some(address) = self.neighbours.learn(&self.config, packet, &mut self.out) {
            let mut state = shared.state();
            if state.addresses.len() >= MOST_REMEMBERED {
                state.addresses.pop_first();
            }
            state.addresses.insert(address, packet.source);
            drop(state);
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
            let router = lock(&self.services).router.clone();
            self.out.extend(router::advertisement(&self.config, &router, &mut self.misbehaviour));
            self.advertise = now + self.config.advertise_every;
        }
        while let Some(first) = self.later.first_entry().filter(|first| first.key().0 <= now) {
            self.out.push(first.remove());
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
        let later = self.later.keys().next().map(|(at, _)| *at);
        [stack, neighbours, later].into_iter().flatten().fold(self.advertise, Instant::min)
    }

    /// The servers; `true` when the packet was for one of them. A packet that came through the router has
    /// `packet.source` set to this host's own hardware address, which is where its answer goes.
    pub fn serve(&mut self, packet: &Packet<'_>, since: Duration, now: Instant, shared: &SharedState) -> bool {
        let identity = lock(&self.services).identity;
        let claimed = if let Identity::Elsewhere(mac) = identity { mac } else { self.config.mac };
        if let Some(reply) = neighbours::answer(&self.config, claimed, packet) {
            self.identify(identity, reply);
            return true;
        }
        let own = |ip: IpAddr| self.config.owns(ip);
        match packet.body {
            Body::Udp { to, data, .. } if to.port() == 67 && to.is_ipv4() => self.lease(data, since, shared),
            Body::Udp { from, to, data } if to.port() == 547 && from.port() == 546 && !to.is_ipv4() => {
                let settings = lock(&self.services).dhcp6.clone();
                let client = frame::Host { mac: packet.source, ip: from.ip() };
                let before = self.dhcp6.informed;
                let reply = self.dhcp6.answer(&self.config, &settings, &mut self.misbehaviour, since, client, data);
                self.out.extend(reply);
                let (mut state, given) = (shared.state(), &self.dhcp6.leases);
                state.leases6.retain(|ip, _| !self.config.on_link6(*ip));
                state.leases6.extend(given.values().map(|lease| (lease.ipv6, lease.clone())));
                state.informed += self.dhcp6.informed - before;
                drop(state);
                shared.changed.notify_all();
            }
            Body::Udp { from, to, data } if own(to.ip()) => {
                let Some((reply, at)) = self.datagram(from, to.port(), data, now, shared) else { return false };
                if let Some(reply) = reply {
                    let server = frame::Host { mac: self.config.mac, ip: to.ip() };
                    let client = frame::Host { mac: packet.source, ip: from.ip() };
                    let frame = frame::udp(server, to.port(), client, from.port(), &reply);
                    if at <= now {
                        self.out.push(frame);
                    } else if self.later.len() < MOST_WAITING {
                        self.number += 1;
                        self.later.insert((at, self.number), frame);
                    }
                }
            }
            Body::Icmp { from, to, kind: 8 | 128, rest: [a, b, c, d, data @ ..], .. } if own(to) => {
                let server = frame::Host { mac: self.config.mac, ip: to };
                let client = frame::Host { mac: packet.source, ip: from };
                let (ident, number) = (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]));
                self.out.push(frame::echo(server, client, true, ident, number, data));
            }
            // A router solicitation (RFC 4861 §4.1) is answered at once.
            Body::Icmp { to: IpAddr::V6(_), kind: 133, .. } => self.advertise = now,
            _ => return false,
        }
        true
    }

    /// What an earlier lab had leased to this guest.
    pub fn remember(&mut self, mac: smoltcp::wire::EthernetAddress, address: std::net::Ipv4Addr) {
        self.dhcp.remember(mac, address);
    }

    fn lease(&mut self, data: &[u8], since: Duration, shared: &SharedState) {
        let settings = lock(&self.services).dhcp.clone();
        let answered = self.dhcp.answer(&self.config, &settings, &mut self.misbehaviour, since, data);
        let mac = answered.as_ref().map(|(_, mac)| *mac);
        self.out.extend(answered.map(|(reply, _)| reply));
        let lease = mac.and_then(|mac| self.dhcp.leases.get(&mac));
        if let Some(lease) = lease {
            self.neighbours.insert(&self.config, lease.ipv4.into(), lease.mac, &mut self.out);
        }
        let mut state = shared.state();
        let given = &self.dhcp.leases;
        state.leases.retain(|mac, lease| given.contains_key(mac) || !self.config.on_link(lease.ipv4));
        if let Some(lease) = lease.filter(|_| state.leases.len() < MOST_REMEMBERED) {
            state.leases.insert(lease.mac, lease.clone());
            state.addresses.insert(lease.ipv4.into(), lease.mac);
        }
        drop(state);
        shared.changed.notify_all();
    }

    /// The answer to a datagram for one of our addresses, and when it is sent; `None` when nobody is there for this port.
    fn datagram(
        &mut self,
        from: SocketAddr,
        port: u16,
        data: &[u8],
        now: Instant,
        shared: &SharedState,
    ) -> Option<(Option<Vec<u8>>, Instant)> {
        let services = lock(&self.services);
        Some(match port {
            53 => {
                asked(shared, data);
                let reply = dns::answer(&services.dns, data, true);
                let reply = reply.and_then(|r| self.misbehaviour.apply(services.dns.behaviour, r, MessageKind::Dns));
                (reply, now + services.dns.delay)
            }
            123 => {
                let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                let reply = ntp::answer(&services.ntp, data, time);
                (reply.and_then(|r| self.misbehaviour.apply(services.ntp.behaviour, r, MessageKind::Plain)), now)
            }
            _ => {
                drop(services);
                (self.datagrams.get_mut(&port)?(from, data), now)
            }
        })
    }

    /// Says who we are, or does not.
    fn identify(&mut self, identity: Identity, good: Vec<u8>) {
        // ARP is spoiled whole, neighbour discovery behind type, code and checksum, which stays right.
        let head = if good[12..14] == [0x08, 0x06] { 14 } else { 58 };
        let frame = match identity {
            Identity::Silent => return,
            Identity::Own | Identity::Elsewhere(_) => good,
            Identity::Malformed => {
                let shape = if head == 14 { MessageKind::Plain } else { MessageKind::Neighbour(20) };
                let Some(bad) = self.misbehaviour.apply(Behaviour::Malformed, good[head..].to_vec(), shape) else {
                    return;
                };
                let target = frame::ends(&good[14..]).map(|(_, to)| to);
                match target.filter(|_| head == 58) {
                    Some(ip) => {
                        let mac = smoltcp::wire::EthernetAddress::from_bytes(&good[..6]);
                        let own = frame::Host { mac: self.config.mac, ip: self.config.facing(ip) };
                        frame::icmp(own, frame::Host { mac, ip }, 255, [136, 0], &bad)
                    }
                    None => [&good[..head], &bad].concat(),
                }
            }
        };
        self.out.push(frame);
    }
}

fn lock(services: &Mutex<SegmentServices>) -> MutexGuard<'_, SegmentServices> {
    services.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Remembers which name was asked for.
fn asked(shared: &SharedState, query: &[u8]) {
    if let Some(question) = dns::question(query) {
        let names = &mut shared.state().names;
        if names.len() < MOST_REMEMBERED || names.contains_key(&question.name) {
            *names.entry(question.name).or_default() += 1;
        }
    }
}

/// DNS in a stream: every message behind two bytes of length (RFC 1035 §4.2.2).
struct DnsStream {
    services: Arc<Mutex<SegmentServices>>,
    shared: Arc<SharedState>,
    due: Option<Instant>,
}

impl ServiceSession for DnsStream {
    fn step(&mut self, input: &mut Vec<u8>, ended: bool, output: &mut Vec<u8>, now: Instant) -> SessionStep {
        let services = lock(&self.services);
        while let Some(length) = input.first_chunk::<2>().map(|l| usize::from(u16::from_be_bytes(*l))) {
            if input.len() < 2 + length {
                break;
            }
            let due = *self.due.get_or_insert(now + services.dns.delay);
            if now < due {
                return SessionStep::Until(due);
            }
            self.due = None;
            let query: Vec<u8> = input.drain(..2 + length).skip(2).collect();
            asked(&self.shared, &query);
            match services.dns.behaviour {
                Behaviour::Good => {
                    if let Some(reply) = dns::answer(&services.dns, &query, false) {
                        output.extend_from_slice(&(reply.len() as u16).to_be_bytes());
                        output.extend_from_slice(&reply);
                    }
                }
                Behaviour::Silent => {}
                // A length that promises more than comes.
                Behaviour::Malformed => {
                    output.extend_from_slice(&[0xff, 0xff, 0]);
                    return SessionStep::Close;
                }
            }
        }
        if ended { SessionStep::Close } else { SessionStep::Wait }
    }
}
