//! Does a packet get through a guest that is a router? One job sends it from one segment, another waits for it on the
//! other. What address translation leaves alone tells it from every other packet: a SYN's sequence number (RFC 9293), the
//! data of a datagram or an echo request, the number of another protocol.

use super::{Job, Next, Wire};
use crate::frame::{self, Body, Host, Packet};
use smoltcp::wire::{ArpOperation, ArpRepr, EthernetAddress, TcpControl, TcpSeqNumber};
use std::{
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::Sender,
    },
    time::{Duration, Instant},
};

/// A kind of packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parcel {
    /// A SYN to this port.
    Tcp(u16),
    /// A datagram to this port.
    Udp(u16),
    /// A message of ICMP or ICMPv6, whichever the addresses are, of this type.
    Icmp(u8),
    /// Another protocol of IP, by its number.
    Ip(u8),
}

/// What is sent through a guest, and how it must arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passage {
    /// The guest's address on the sender's segment.
    pub via: IpAddr,
    /// The sender's address.
    pub from: IpAddr,
    /// Whom the packet is for.
    pub to: IpAddr,
    /// What it is.
    pub parcel: Parcel,
    /// Where it is to arrive.
    pub at: IpAddr,
    /// As what it is to arrive.
    pub as_what: Parcel,
}

/// What tells one passage from others.
pub(crate) struct Mark(pub u16);

impl Mark {
    fn data(&self) -> Vec<u8> {
        [b"diorite passage ", &self.0.to_be_bytes()[..]].concat()
    }
    fn sequence(&self) -> TcpSeqNumber {
        TcpSeqNumber(0x0d10_0000 | i32::from(self.0))
    }
}

/// Sends the packet every second until it has arrived or the time is over.
pub(crate) struct PassSender {
    pub passage: Passage,
    pub mark: Mark,
    pub until: Instant,
    pub arrived: Arc<AtomicBool>,
    pub last: Option<Instant>,
}

impl PassSender {
    fn send(&self, wire: &mut Wire<'_>) {
        let Passage { via, from, to, parcel, .. } = self.passage;
        let mac = wire.config.mac;
        let Some(guest) = wire.neighbours.get(&via).copied() else {
            wire.out.extend(match (wire.config.facing(via), via) {
                (IpAddr::V4(own), IpAddr::V4(via)) => Some(frame::who_has(mac, own, via)),
                (IpAddr::V6(own), IpAddr::V6(via)) => Some(frame::neighbour_solicitation(mac, own, via)),
                _ => None,
            });
            return;
        };
        let (own, target) = (Host { mac, ip: from }, Host { mac: guest, ip: to });
        let port = 42_000 + self.mark.0 % 1000;
        let data = self.mark.data();
        let message = || [&self.mark.0.to_be_bytes()[..], &[0, 0], &data].concat();
        // For the guest, and not for the lab's own router.
        wire.raw.push(frame::tagged(
            wire.config.vlan,
            match parcel {
                Parcel::Tcp(to) => frame::tcp(own, port, target, to, TcpControl::Syn, self.mark.sequence()),
                Parcel::Udp(to) => frame::udp(own, port, target, to, &data),
                Parcel::Icmp(kind) => frame::icmp(own, target, 64, [kind, 0], &message()),
                Parcel::Ip(number) => frame::other(own, target, number, &data),
            },
        ));
    }
}

impl Job for PassSender {
    fn frame(&mut self, _packet: &Packet<'_>, _now: Instant, _wire: &mut Wire<'_>) -> bool {
        false
    }

    fn tick(&mut self, now: Instant, wire: &mut Wire<'_>) -> Next {
        if now >= self.until || self.arrived.load(Ordering::Acquire) {
            return Next::Done;
        }
        let known = wire.neighbours.contains_key(&self.passage.via);
        let pause = if known { Duration::from_secs(1) } else { Duration::from_millis(200) };
        if self.last.is_none_or(|last| now >= last + pause) {
            self.last = Some(now);
            self.send(wire);
        }
        Next::At(self.until.min(now + Duration::from_millis(200)))
    }
}

/// Waits for the packet on the other segment, and tells whose address it bears as its sender's.
pub(crate) struct PassCatcher {
    pub passage: Passage,
    pub mark: Mark,
    pub until: Instant,
    pub arrived: Arc<AtomicBool>,
    /// Until when packets that were sent before the first one had arrived are taken off the wire.
    pub lingers: Option<Instant>,
    pub reply: Sender<Option<IpAddr>>,
}

impl PassCatcher {
    /// The sender of the packet that is waited for.
    fn sender(&self, packet: &Packet<'_>) -> Option<IpAddr> {
        let there = |to: IpAddr| to == self.passage.at;
        match (self.passage.as_what, &packet.body) {
            (Parcel::Tcp(port), Body::Tcp { from, to, sequence, .. }) => {
                (there(to.ip()) && to.port() == port && *sequence == self.mark.sequence()).then_some(from.ip())
            }
            (Parcel::Udp(port), Body::Udp { from, to, data }) => {
                (there(to.ip()) && to.port() == port && **data == *self.mark.data()).then_some(from.ip())
            }
            (Parcel::Icmp(kind), Body::Icmp { from, to, kind: seen, rest, .. }) => {
                (there(*to) && kind == *seen && rest.ends_with(&self.mark.data())).then_some(*from)
            }
            (Parcel::Ip(number), Body::Ip { from, to, protocol }) => {
                (there(*to) && number == *protocol).then_some(*from)
            }
            _ => None,
        }
    }

    /// The guest looks for whom the packet is for, who is nobody but this job.
    fn found(&self, packet: &Packet<'_>, wire: &mut Wire<'_>) -> bool {
        let mac = wire.config.mac;
        if wire.config.owns(self.passage.at) {
            return false;
        }
        let reply = match (&packet.body, self.passage.at) {
            (
                Body::Arp(ArpRepr::EthernetIpv4 {
                    operation: ArpOperation::Request,
                    source_protocol_addr,
                    target_protocol_addr,
                    ..
                }),
                IpAddr::V4(at),
            ) if *target_protocol_addr == at => {
                let asker = Host { mac: packet.source, ip: (*source_protocol_addr).into() };
                frame::is_at(Host { mac, ip: at.into() }, asker)
            }
            (Body::Icmp { from: IpAddr::V6(asker), kind: 135, rest, .. }, IpAddr::V6(at))
                if target(rest) == Some(at) =>
            {
                frame::neighbour_advertisement(mac, at, packet.source, *asker, true)
            }
            _ => return false,
        };
        wire.raw.push(frame::tagged(wire.config.vlan, reply));
        true
    }
}

impl Job for PassCatcher {
    fn frame(&mut self, packet: &Packet<'_>, now: Instant, wire: &mut Wire<'_>) -> bool {
        if self.found(packet, wire) {
            return true;
        }
        let Some(sender) = self.sender(packet) else { return false };
        if self.lingers.is_none() {
            self.arrived.store(true, Ordering::Release);
            self.lingers = Some(now + Duration::from_secs(10));
            // The asker may have given up; that is its own affair.
            let _ = self.reply.send(Some(sender));
        }
        true
    }

    fn tick(&mut self, now: Instant, _wire: &mut Wire<'_>) -> Next {
        match self.lingers {
            Some(end) if now >= end => Next::Done,
            Some(end) => Next::At(end),
            None if now >= self.until => {
                // As above.
                let _ = self.reply.send(None);
                Next::Done
            }
            None => Next::At(self.until),
        }
    }
}

fn target(rest: &[u8]) -> Option<Ipv6Addr> {
    Some(<[u8; 16]>::try_from(rest.get(4..20)?).ok()?.into())
}

/// The hardware address of a client that is nobody else's; locally administered.
pub(crate) const CLIENT: EthernetAddress = EthernetAddress([0x52, 0x44, 0x49, 0x4f, 0xff, 0x77]);
