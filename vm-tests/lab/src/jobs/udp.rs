//! One datagram and what comes back: data, an ICMP error, or nothing, with the same proof of silence as the scan.

use super::{GRACE, Job, Next, Wire, echo_reply};
use crate::frame::{self, Body, Packet, quoted};
use std::{
    net::IpAddr,
    sync::mpsc::Sender,
    time::{Duration, Instant},
};

/// What a UDP port answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UdpVerdict {
    /// Data came back.
    Reply(Vec<u8>),
    /// Port unreachable (ICMP type 3 code 3, ICMPv6 type 1 code 4): nothing listens, or a filter rejects that way.
    Closed,
    /// Another unreachable code: a filter that says so.
    Rejected(u8),
    /// Nothing: a filter that drops, or a program that does not answer this.
    Silent,
    /// Nothing, and the guest did not answer an echo request either.
    Unwitnessed,
}

const ROUNDS: u16 = 3;
const BLIND: Duration = Duration::from_millis(2500);

/// A probe in progress.
pub struct UdpJob {
    guest: IpAddr,
    port: u16,
    data: Vec<u8>,
    ident: u16,
    source: u16,
    round: u16,
    until: Option<Instant>,
    heard: bool,
    witnessed: bool,
    verdict: Option<UdpVerdict>,
    reply: Sender<UdpVerdict>,
}

impl UdpJob {
    /// Sends `data` to `port` up to three times.
    pub fn new(guest: IpAddr, port: u16, data: &[u8], ident: u16, source: u16, reply: Sender<UdpVerdict>) -> Self {
        let (round, until, heard, witnessed, verdict) = (0, None, true, true, None);
        Self { guest, port, data: data.to_vec(), ident, source, round, until, heard, witnessed, verdict, reply }
    }

    fn done(&mut self, verdict: UdpVerdict) -> Next {
        let _ = self.reply.send(verdict);
        Next::Done
    }
}

impl Job for UdpJob {
    fn frame(&mut self, packet: &Packet<'_>, now: Instant, _: &mut Wire<'_>) -> bool {
        if let Some(number) = echo_reply(packet, self.guest, self.ident) {
            if number + 1 == self.round {
                self.heard = true;
                self.until = Some(now + GRACE);
            }
            return true;
        }
        match packet.body {
            Body::Udp { from, to, data } if from.ip() == self.guest && to.port() == self.source => {
                self.verdict = Some(UdpVerdict::Reply(data.to_vec()));
                true
            }
            Body::Icmp { to, kind, code, rest, .. } if kind == if to.is_ipv4() { 3 } else { 1 } => match quoted(rest) {
                Some((target, 17, source, port)) if (target, source, port) == (self.guest, self.source, self.port) => {
                    let closed = code == if to.is_ipv4() { 3 } else { 4 };
                    self.verdict.get_or_insert(if closed { UdpVerdict::Closed } else { UdpVerdict::Rejected(code) });
                    true
                }
                _ => false,
            },
            _ => false,
        }
    }

    fn tick(&mut self, now: Instant, wire: &mut Wire<'_>) -> Next {
        if let Some(verdict) = self.verdict.take() {
            return self.done(verdict);
        }
        let Some(guest) = wire.guest(self.guest) else { return self.done(UdpVerdict::Unwitnessed) };
        if let Some(until) = self.until.filter(|until| now < *until) {
            return Next::At(until);
        }
        self.witnessed &= self.heard;
        self.heard = false;
        if self.round == ROUNDS {
            let silent = if self.witnessed { UdpVerdict::Silent } else { UdpVerdict::Unwitnessed };
            return self.done(silent);
        }
        let own = wire.own(self.guest);
        wire.out.push(frame::udp(own, self.source, guest, self.port, &self.data));
        wire.out.push(frame::echo(own, guest, false, self.ident, self.round, b"diorite lab"));
        self.round += 1;
        let until = now + BLIND;
        self.until = Some(until);
        Next::At(until)
    }
}
