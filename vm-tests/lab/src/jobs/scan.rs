//! Port scan with raw frames: what every port answers to a SYN (RFC 9293) or a datagram, told apart in four ways. No
//! connection is completed, so no program in the guest notices.
//!
//! Silence must be proven: behind every batch of probes an echo request follows on the same wire. A guest takes frames
//! in order, so when it has answered the echo, it has decided about every probe before it. The echoes pace the scan
//! too: a guest that works slowly is asked slowly, and none of its queues overflows. A port is silent when that was so
//! in two rounds in which no echo was lost.

use super::{GRACE, Job, Next, Wire, answer::answer, echo_reply, verdict::PortVerdict};
use crate::frame::{self, Host, Packet};
use diorite_model::recipe::Protocol;
use serde::{Deserialize, Serialize};
use smoltcp::wire::{TcpControl, TcpSeqNumber};
use std::{
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
    sync::mpsc::Sender,
    time::{Duration, Instant},
};

/// A finished scan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scan {
    /// By port.
    pub verdicts: BTreeMap<u16, PortVerdict>,
    /// Silence is proven: the guest answered an echo request behind the probes of every round, and what it said by ICMP
    /// errors, which are rationed, came to an end. Without it silence proves nothing.
    pub witnessed: bool,
    /// Rounds in which ports without an answer were asked again.
    pub rounds: u32,
    /// Time from the first probe.
    pub took: Duration,
}

/// What is asked, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanProbe {
    /// Who is asked.
    pub guest: IpAddr,
    /// By which protocol: a SYN to each port, or an empty datagram. A program that does not answer a datagram is as silent
    /// as a filter.
    pub protocol: Protocol,
    /// Which ports.
    pub ports: Vec<u16>,
    /// The address it comes from; the lab's own when there is none. The guest must send its answers to one outside its
    /// networks by way of the lab's router.
    pub from: Option<IpAddr>,
    /// The port it comes from, in every round; one that nobody else uses when there is none.
    pub source_port: Option<u16>,
    /// In two IP fragments, the first of which has 8 bytes of the transport's header.
    pub fragments: bool,
}

impl ScanProbe {
    /// These ports of `guest`, from the lab's own address.
    pub fn new(guest: IpAddr, protocol: Protocol, ports: impl IntoIterator<Item = u16>) -> Self {
        let ports = ports.into_iter().collect();
        Self { guest, protocol, ports, from: None, source_port: None, fragments: false }
    }
    /// Every port of `guest`.
    pub fn all(guest: IpAddr, protocol: Protocol) -> Self {
        Self::new(guest, protocol, 1..=u16::MAX)
    }
}

/// Rounds without a lost echo in which a silent port was asked.
const CLEAN_ROUNDS: u32 = 2;
/// Rounds at most, on a wire that loses frames.
const MOST_ROUNDS: u32 = 8;
/// Linux sends one ICMP error a second to a host after a burst of six (icmp_ratelimit); when some were seen, silent
/// ports are asked again at this pace as long as that brings something new, but not for ever.
const PACE_OF_ERRORS: Duration = Duration::from_millis(1100);
const MOST_ROUNDS_OF_ERRORS: u32 = 12;
/// Probes before an echo request. An emulated guest's receive queue has 256 places.
const BATCH: usize = 120;
/// Batches on their way at once: the guest works on one while the next arrives.
const ON_THE_WAY: usize = 2;
/// An echo that is not answered for so long is lost.
const BLIND: Duration = Duration::from_millis(2500);
/// Echo requests before the first probe. A guest that answers none of them is asked without.
const GREETINGS: u32 = 3;
/// Time between batches to a guest that answers no echo.
const BLIND_PACE: Duration = Duration::from_millis(20);

/// A scan in progress.
pub struct ScanJob {
    probe: ScanProbe,
    ident: u16,
    /// The source port of round n is this plus n modulo 64, where the probe does not say one.
    source: u16,
    open: Vec<u16>,
    verdicts: BTreeMap<u16, PortVerdict>,
    /// Place in `open` of the next port of this round.
    next: usize,
    /// Echo requests on their way: number and time.
    echoes: VecDeque<(u16, Instant)>,
    number: u16,
    /// Not before this.
    at: Instant,
    /// The slowest echo of the round.
    slowest: Duration,
    /// What ports lead into takes a longer way inside than the echo did.
    grace: Option<Instant>,
    round: u32,
    clean_rounds: u32,
    rounds_of_errors: u32,
    /// Echoes lost in this round, and answered.
    lost: u32,
    heard: u32,
    /// Echoes that nobody answered before any was.
    unheard: u32,
    greeted: bool,
    rejected_before: usize,
    witnessed: bool,
    started: Instant,
    reply: Sender<Scan>,
}

impl ScanJob {
    /// Asks. `source` is the first of 64 source ports that nobody else uses.
    pub fn new(probe: ScanProbe, ident: u16, source: u16, now: Instant, reply: Sender<Scan>) -> Self {
        let mut open = probe.ports.clone();
        open.sort_unstable();
        open.dedup();
        Self {
            probe,
            ident,
            source,
            open,
            verdicts: BTreeMap::new(),
            next: 0,
            echoes: VecDeque::new(),
            number: 0,
            at: now,
            slowest: Duration::ZERO,
            grace: None,
            round: 0,
            clean_rounds: 0,
            rounds_of_errors: 0,
            lost: 0,
            heard: 0,
            unheard: 0,
            greeted: false,
            rejected_before: 0,
            witnessed: true,
            started: now,
            reply,
        }
    }

    /// Whether an answer to this port is one to us.
    fn own(&self, port: u16) -> bool {
        match self.probe.source_port {
            Some(own) => port == own,
            None => (self.source..self.source + 64).contains(&port),
        }
    }

    fn own_host(&self, wire: &Wire<'_>) -> Host {
        let usual = wire.own(self.probe.guest);
        Host { ip: self.probe.from.unwrap_or(usual.ip), ..usual }
    }

    /// One batch and the echo behind it.
    fn send(&mut self, guest: Host, now: Instant, wire: &mut Wire<'_>) {
        let own = self.own_host(wire);
        let source = self.probe.source_port.unwrap_or(self.source + (self.round % 64) as u16);
        let sequence = TcpSeqNumber(0x0d10_0000 + self.round as i32);
        let mut sent = 0;
        while sent < BATCH && self.next < self.open.len() {
            let port = self.open[self.next];
            self.next += 1;
            if self.verdicts.contains_key(&port) {
                continue;
            }
            sent += 1;
            let whole = match self.probe.protocol {
                Protocol::Tcp => frame::tcp(own, source, guest, port, TcpControl::Syn, sequence),
                Protocol::Udp => frame::udp(own, source, guest, port, b""),
            };
            match self.probe.fragments {
                false => wire.out.push(whole),
                true => wire.out.extend(frame::fragments(&whole, u32::from(port) << 8 | self.round)),
            }
        }
        self.echo(guest, now, wire);
    }

    fn echo(&mut self, guest: Host, now: Instant, wire: &mut Wire<'_>) {
        self.number = self.number.wrapping_add(1);
        // From the lab's own address, whatever the probes come from: it is the wire that is asked.
        let own = wire.own(self.probe.guest);
        wire.out.push(frame::echo(own, guest, false, self.ident, self.number, b"diorite lab"));
        self.echoes.push_back((self.number, now));
    }

    fn end_of_round(&mut self, now: Instant) -> Next {
        self.open.retain(|port| !self.verdicts.contains_key(port));
        self.round += 1;
        self.clean_rounds += u32::from(self.lost == 0);
        self.witnessed &= self.heard > 0;
        let rejected = self.verdicts.values().filter(|v| **v != PortVerdict::Open).count();
        let rationed =
            self.probe.protocol == Protocol::Udp || self.verdicts.values().any(|v| *v == PortVerdict::Rejected);
        let more_errors = rationed && rejected > self.rejected_before;
        self.rejected_before = rejected;
        self.rounds_of_errors += u32::from(more_errors);
        let proven = self.clean_rounds >= CLEAN_ROUNDS || self.round >= MOST_ROUNDS || !self.witnessed;
        let enough = self.rounds_of_errors >= MOST_ROUNDS_OF_ERRORS;
        if self.open.is_empty() || enough || (proven && !more_errors) {
            self.witnessed &= self.open.is_empty() || !more_errors;
            return self.finish(now);
        }
        (self.next, self.lost, self.heard, self.slowest) = (0, 0, 0, Duration::ZERO);
        self.at = if more_errors { now + PACE_OF_ERRORS } else { now };
        Next::At(self.at)
    }

    fn finish(&mut self, now: Instant) -> Next {
        self.verdicts.extend(self.open.drain(..).map(|port| (port, PortVerdict::Silent)));
        let verdicts = std::mem::take(&mut self.verdicts);
        let took = now - self.started;
        // The asker may have given up; that is its own affair.
        let _ = self.reply.send(Scan { verdicts, witnessed: self.witnessed, rounds: self.round, took });
        Next::Done
    }
}

impl Job for ScanJob {
    fn frame(&mut self, packet: &Packet<'_>, now: Instant, wire: &mut Wire<'_>) -> bool {
        if let Some(number) = echo_reply(packet, self.probe.guest, self.ident) {
            // An earlier one that is still missing was overtaken, which the guest does not do: it is lost.
            while let Some((first, sent)) = self.echoes.front().copied()
                && number.wrapping_sub(first) < u16::MAX / 2
            {
                self.echoes.pop_front();
                if first == number {
                    self.heard += 1;
                    self.greeted = true;
                    self.slowest = self.slowest.max(now - sent);
                } else {
                    self.lost += 1;
                }
            }
            return true;
        }
        let Some(answer) = answer(packet, self.probe.protocol, self.probe.guest, |port| self.own(port)) else {
            return false;
        };
        if let Some(reset) = answer.reset(packet, self.own_host(wire)) {
            wire.out.push(reset);
        }
        // The port's own word is worth more than an error about it.
        let known = self.verdicts.entry(answer.port).or_insert(answer.verdict);
        *known = (*known).min(answer.verdict);
        true
    }

    fn tick(&mut self, now: Instant, wire: &mut Wire<'_>) -> Next {
        if now < self.at {
            return Next::At(self.at);
        }
        let Some(guest) = wire.guest(self.probe.guest) else {
            // Never heard: nothing can be asked, and no silence is proven.
            self.witnessed = false;
            return self.finish(now);
        };
        while self.echoes.front().is_some_and(|(_, sent)| now >= *sent + BLIND) {
            self.echoes.pop_front();
            self.lost += 1;
            self.unheard += 1;
        }
        let blind = !self.greeted && self.unheard >= GREETINGS;
        if !self.greeted && !blind {
            // A guest that has just taken its address may not use it yet.
            if self.echoes.is_empty() {
                self.echo(guest, now, wire);
            }
        } else if self.next < self.open.len() {
            self.grace = None;
            while self.next < self.open.len() && (blind || self.echoes.len() < ON_THE_WAY) {
                self.send(guest, now, wire);
                if blind {
                    self.at = now + BLIND_PACE;
                    return Next::At(self.at);
                }
            }
        } else if self.echoes.is_empty() {
            let until = *self.grace.get_or_insert(now + GRACE.max(self.slowest * 3));
            if now >= until {
                self.grace = None;
                return self.end_of_round(now);
            }
            return Next::At(until);
        }
        Next::At(self.echoes.front().map_or(now, |(_, sent)| *sent + BLIND))
    }
}
