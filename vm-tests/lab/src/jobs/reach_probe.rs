//! Who has this address, and does it answer? Neighbour discovery (ARP, RFC 826; RFC 4861 §4.3) and an echo request,
//! plain or inside a virtual network (IEEE 802.1Q). It needs no word from the guest before, unlike a ping.

use super::{Job, Next, Wire, echo_reply};
use crate::frame::{self, Body, Host, Packet};
use smoltcp::wire::{ArpRepr, EthernetAddress};
use std::{
    net::{IpAddr, Ipv6Addr},
    sync::mpsc::Sender,
    time::{Duration, Instant},
};

/// An address that answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReachAnswer {
    /// Its hardware address.
    pub mac: EthernetAddress,
    /// From the echo request to its reply.
    pub time: Duration,
}

/// Asks every second until an echo comes back or the time is over.
pub struct ReachProbe {
    vlan: Option<u16>,
    from: IpAddr,
    guest: IpAddr,
    ident: u16,
    found: Option<EthernetAddress>,
    last: Option<Instant>,
    sent: Vec<Instant>,
    until: Instant,
    answered: Option<ReachAnswer>,
    reply: Sender<Option<ReachAnswer>>,
}

impl ReachProbe {
    /// Asks `guest` from the address `from`, in a virtual network or outside of all. The answer goes to `reply`.
    pub fn new(
        vlan: Option<u16>,
        from: IpAddr,
        guest: IpAddr,
        ident: u16,
        until: Instant,
        reply: Sender<Option<ReachAnswer>>,
    ) -> Self {
        let (found, last, sent, answered) = (None, None, Vec::new(), None);
        Self { vlan, from, guest, ident, found, last, sent, until, answered, reply }
    }

    /// Whether nobody but this job answers for the address it asks from.
    fn alone(&self, wire: &Wire<'_>) -> bool {
        let c = wire.config;
        self.vlan != c.vlan || ![IpAddr::V4(c.ipv4), IpAddr::V6(c.ipv6), IpAddr::V6(c.link_local)].contains(&self.from)
    }

    fn ask(&mut self, now: Instant, wire: &mut Wire<'_>) {
        let own = Host { mac: wire.config.mac, ip: self.from };
        let frame = match (self.found, self.guest, self.from) {
            (Some(mac), ..) => {
                let number = self.sent.len() as u16;
                self.sent.push(now);
                frame::echo(own, Host { mac, ip: self.guest }, false, self.ident, number, b"diorite lab")
            }
            (None, IpAddr::V4(guest), IpAddr::V4(from)) => frame::who_has(own.mac, from, guest),
            (None, IpAddr::V6(guest), IpAddr::V6(from)) => frame::neighbour_solicitation(own.mac, from, guest),
            _ => return,
        };
        wire.raw.push(frame::tagged(self.vlan, frame));
    }
}

impl Job for ReachProbe {
    fn frame(&mut self, packet: &Packet<'_>, now: Instant, wire: &mut Wire<'_>) -> bool {
        if packet.vlan != self.vlan {
            return false;
        }
        let own = Host { mac: wire.config.mac, ip: self.from };
        let found = match &packet.body {
            Body::Arp(ArpRepr::EthernetIpv4 { source_protocol_addr, target_protocol_addr, .. })
                if IpAddr::V4(*source_protocol_addr) == self.guest =>
            {
                // The guest asks in turn whom it is to answer.
                if self.alone(wire) && IpAddr::V4(*target_protocol_addr) == self.from {
                    let guest = Host { mac: packet.source, ip: self.guest };
                    wire.raw.push(frame::tagged(self.vlan, frame::is_at(own, guest)));
                }
                true
            }
            // Neighbour advertisement: the address it is about follows four bytes of flags.
            Body::Icmp { kind: 136, rest, .. } => rest.get(4..20).is_some_and(|t| target(t) == Some(self.guest)),
            Body::Icmp { from: IpAddr::V6(asker), kind: 135, rest, .. } if self.alone(wire) => {
                if rest.get(4..20).is_some_and(|t| target(t) == Some(self.from))
                    && let IpAddr::V6(ours) = self.from
                {
                    let frame = frame::neighbour_advertisement(own.mac, ours, packet.source, *asker, true);
                    wire.raw.push(frame::tagged(self.vlan, frame));
                    return true;
                }
                false
            }
            _ => false,
        };
        if found {
            if self.found.is_none() {
                self.found = Some(packet.source);
                self.last = None;
            }
            // Others learn from it as well.
            return self.vlan != wire.config.vlan;
        }
        let Some(number) = echo_reply(packet, self.guest, self.ident) else { return false };
        if let Some(sent) = self.sent.get(usize::from(number)) {
            self.answered.get_or_insert(ReachAnswer { mac: packet.source, time: now - *sent });
        }
        true
    }

    fn tick(&mut self, now: Instant, wire: &mut Wire<'_>) -> Next {
        if self.answered.is_some() || now >= self.until {
            // The asker may have given up; that is its own affair.
            let _ = self.reply.send(self.answered);
            return Next::Done;
        }
        if self.last.is_none_or(|last| now >= last + Duration::from_secs(1)) {
            self.last = Some(now);
            self.ask(now, wire);
        }
        Next::At(self.until.min(now + Duration::from_millis(200)))
    }
}

fn target(bytes: &[u8]) -> Option<IpAddr> {
    Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into())
}
