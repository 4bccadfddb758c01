//! The gateway's leg in the segment behind it: packets of tunnels onto a cable of the switch, and back. It answers for the
//! addresses that it has given to machines (RFC 1027), and is a host there itself.

use crate::{
    config::Config,
    frame::{self, Body, Host, Packet},
    neighbours::Neighbours,
    port::CableEnd,
};
use smoltcp::wire::{ArpOperation, ArpRepr, EthernetAddress};
use std::{
    collections::{BTreeMap, VecDeque},
    io,
    net::{IpAddr, Ipv4Addr},
    os::unix::net::UnixStream,
    time::Instant,
};

/// Packets that wait for a machine; more are lost, as on a slow line.
const MOST_WAITING: usize = 512;

/// One leg.
pub struct GatewayLeg {
    cable: CableEnd,
    /// The gateway's own address here.
    config: Config,
    /// The lab's host on the segment, to which packets for other networks go.
    router: Ipv4Addr,
    neighbours: Neighbours,
    /// What waits, by the address of the machine it is for.
    waiting: BTreeMap<Ipv4Addr, VecDeque<Vec<u8>>>,
}

impl GatewayLeg {
    /// A leg in this segment, on the far end of its cable.
    pub fn new(segment: &Config, far: UnixStream) -> io::Result<Self> {
        let mut mac = segment.mac;
        mac.0[5] = mac.0[5].wrapping_add(1);
        let config = Config { mac, ipv4: below(segment, segment.broadcast()), ula: None, ..segment.clone() };
        let (neighbours, waiting) = (Neighbours::default(), BTreeMap::new());
        Ok(Self { cable: CableEnd::new(far)?, config, router: segment.ipv4, neighbours, waiting })
    }

    /// Gives an address that nobody has: counted down from the gateway's own, so that leases are not met. `None`: all are given.
    pub fn free(&self, given: impl Fn(Ipv4Addr) -> bool) -> Option<Ipv4Addr> {
        let mut last = self.config.ipv4;
        loop {
            let next = Ipv4Addr::from_bits(last.to_bits().checked_sub(1)?);
            if !self.config.on_link(next) || next.to_bits() & !self.config.mask().to_bits() == 0 {
                return None;
            }
            if next != self.router && !given(next) {
                return Some(next);
            }
            last = next;
        }
    }

    /// The network's address and its mask, as a gateway tells them.
    pub fn network(&self) -> (Ipv4Addr, Ipv4Addr) {
        let mask = self.config.mask();
        (Ipv4Addr::from_bits(self.config.ipv4.to_bits() & mask.to_bits()), mask)
    }

    /// The lab's host here, which is the name server too.
    pub fn router(&self) -> Ipv4Addr {
        self.router
    }

    /// From now on the machine with this address is reached.
    pub fn open(&mut self, address: Ipv4Addr) {
        self.waiting.insert(address, VecDeque::new());
    }

    /// And no more.
    pub fn close(&mut self, address: Ipv4Addr) {
        self.waiting.remove(&address);
    }

    /// Takes a packet that a machine has sent to somebody here or beyond.
    pub fn send(&mut self, to: Ipv4Addr, packet: Vec<u8>, now: Instant) {
        if let Some(waiting) = self.waiting.get_mut(&to) {
            push(waiting, packet);
            return;
        }
        let next = if self.config.on_link(to) { to } else { self.router };
        let mut out = Vec::new();
        self.neighbours.send(&self.config, next.into(), packet, now, &mut out);
        self.say(&out);
    }

    /// The next packet for a machine.
    pub fn take(&mut self, address: Ipv4Addr) -> Option<Vec<u8>> {
        self.waiting.get_mut(&address)?.pop_front()
    }

    /// Reads what has come and sends what is due. When to come back.
    pub fn work(&mut self, now: Instant) -> Option<Instant> {
        let (mut frames, mut out) = (Vec::new(), Vec::new());
        self.cable.receive(|frame| frames.push(frame.to_vec()));
        frames.iter().for_each(|frame| self.hear(frame, &mut out));
        // Whoever is not there: the sender is not told, as behind many a gateway.
        let next = self.neighbours.tick(&self.config, now, &mut out, &mut Vec::new());
        self.say(&out);
        next
    }

    fn hear(&mut self, frame: &[u8], out: &mut Vec<Vec<u8>>) {
        let (Some(target), own) = (frame.get(..6).map(EthernetAddress::from_bytes), self.config.mac) else { return };
        let Some(packet) = Packet::within(None, frame).filter(|_| target == own || !target.is_unicast()) else {
            return;
        };
        self.neighbours.learn(&self.config, &packet, out);
        if let Body::Arp(ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Request,
            source_protocol_addr: asker,
            target_protocol_addr: asked,
            ..
        }) = packet.body
            && (asked == self.config.ipv4 || self.waiting.contains_key(&asked))
        {
            let asker = Host { mac: packet.source, ip: asker.into() };
            out.push(frame::is_at(Host { mac: own, ip: asked.into() }, asker));
        }
        let Some(inner) = frame::ip_packet(frame).filter(|_| target == own) else { return };
        if let Some((_, IpAddr::V4(to))) = frame::ends(inner)
            && let Some(waiting) = self.waiting.get_mut(&to)
        {
            push(waiting, whole(inner).to_vec());
        }
    }

    fn say(&mut self, frames: &[Vec<u8>]) {
        frames.iter().for_each(|frame| self.cable.send(frame));
        self.cable.flush();
    }
}

fn push(waiting: &mut VecDeque<Vec<u8>>, packet: Vec<u8>) {
    if waiting.len() < MOST_WAITING {
        waiting.push_back(packet);
    }
}

/// The next address below this one that is not the lab's host.
fn below(segment: &Config, end: Ipv4Addr) -> Ipv4Addr {
    let next = |ip: Ipv4Addr| Ipv4Addr::from_bits(ip.to_bits().saturating_sub(1));
    if next(end) == segment.ipv4 { next(next(end)) } else { next(end) }
}

/// An IPv4 packet without what an Ethernet card has added to a short frame.
fn whole(packet: &[u8]) -> &[u8] {
    let length = packet.get(2..4).map_or(0, |l| usize::from(u16::from_be_bytes([l[0], l[1]])));
    packet.get(..length).filter(|whole| whole.len() >= 20).unwrap_or(packet)
}
