//! Half-open TCP scan: what every port answers to a SYN (RFC 9293), told apart in four ways. No connection is
//! completed, so no program in the guest notices.
//!
//! Silence must be proven: after the SYNs of a round an echo request follows on the same wire. A guest takes frames in
//! order, so when it has answered the echo, it has decided about every SYN before it. A port is silent when that was
//! so in every round.

use super::{GRACE, Job, Next, Wire, echo_reply};
use crate::frame::{self, Body, Packet, quoted};
use serde::{Deserialize, Serialize};
use smoltcp::wire::{TcpControl, TcpSeqNumber};
use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::mpsc::Sender,
    time::{Duration, Instant},
};

/// What a port answers to a SYN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PortVerdict {
    /// SYN and ACK: something listens.
    Open,
    /// RST: nothing listens, and nothing keeps us from knowing.
    Closed,
    /// An ICMP error: a filter that says so.
    Rejected,
    /// Nothing at all.
    Silent,
}

/// A finished scan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scan {
    /// By port.
    pub verdicts: BTreeMap<u16, PortVerdict>,
    /// The guest answered an echo request behind the SYNs of every round. Without it silence proves nothing.
    pub witnessed: bool,
    /// Rounds in which ports without an answer were asked again.
    pub rounds: u32,
    /// Time from the first SYN.
    pub took: Duration,
}

/// Rounds that a silent port is asked at least.
const ROUNDS: u32 = 3;
/// Linux sends one ICMP error a second to a host after a burst of six (icmp_ratelimit); when some were seen, silent
/// ports are asked again at this pace as long as that brings something new.
const PACE_OF_ERRORS: Duration = Duration::from_millis(1100);
/// SYNs at once, so that an emulated guest's receive queue (256 by default) never overflows.
const BATCH: usize = 64;
const BETWEEN_BATCHES: Duration = Duration::from_millis(10);
/// Without an answered echo a round lasts so long.
const BLIND: Duration = Duration::from_millis(2500);

enum Phase {
    Sending { next: usize, at: Instant },
    Witness { sent: Instant },
    Grace { until: Instant },
}

/// A scan in progress.
pub struct ScanJob {
    guest: IpAddr,
    ident: u16,
    /// The source port of round n is this plus n modulo 64.
    source: u16,
    open: Vec<u16>,
    verdicts: BTreeMap<u16, PortVerdict>,
    phase: Phase,
    round: u32,
    rejected_before: usize,
    witnessed: bool,
    started: Instant,
    reply: Sender<Scan>,
}

impl ScanJob {
    /// Asks these ports of `guest`. `source` is the first of 64 source ports that nobody else uses.
    pub fn new(guest: IpAddr, ports: &[u16], ident: u16, source: u16, now: Instant, reply: Sender<Scan>) -> Self {
        let mut open = ports.to_vec();
        open.sort_unstable();
        open.dedup();
        let (verdicts, phase) = (BTreeMap::new(), Phase::Sending { next: 0, at: now });
        let (round, rejected_before, witnessed) = (0, 0, true);
        Self { guest, ident, source, open, verdicts, phase, round, rejected_before, witnessed, started: now, reply }
    }

    fn own(&self, port: u16) -> bool {
        (self.source..self.source + 64).contains(&port)
    }

    fn sequence(&self) -> i32 {
        0x0d10_0000 + self.round as i32
    }

    fn end_of_round(&mut self, now: Instant) -> Next {
        self.open.retain(|port| !self.verdicts.contains_key(port));
        self.round += 1;
        let rejected = self.verdicts.values().filter(|v| **v == PortVerdict::Rejected).count();
        let more_errors = rejected > self.rejected_before;
        self.rejected_before = rejected;
        if self.open.is_empty() || (self.round >= ROUNDS && !more_errors) {
            self.verdicts.extend(self.open.drain(..).map(|port| (port, PortVerdict::Silent)));
            let verdicts = std::mem::take(&mut self.verdicts);
            let took = now - self.started;
            // The asker may have given up; that is its own affair.
            let _ = self.reply.send(Scan { verdicts, witnessed: self.witnessed, rounds: self.round, took });
            return Next::Done;
        }
        let at = if rejected > 0 { now + PACE_OF_ERRORS } else { now };
        self.phase = Phase::Sending { next: 0, at };
        Next::At(at)
    }
}

impl Job for ScanJob {
    fn frame(&mut self, packet: &Packet<'_>, now: Instant, wire: &mut Wire<'_>) -> bool {
        if let Some(number) = echo_reply(packet, self.guest, self.ident) {
            if let Phase::Witness { sent } = self.phase
                && u32::from(number) == self.round
            {
                // Ports that lead into a container take a longer way inside than the echo did.
                self.phase = Phase::Grace { until: now + GRACE.max((now - sent) * 3) };
            }
            return true;
        }
        match packet.body {
            Body::Tcp { from, to, control, acknowledged, .. } if from.ip() == self.guest && self.own(to.port()) => {
                let verdict = match (control, acknowledged) {
                    (TcpControl::Syn, Some(sequence)) => {
                        // Half-open is enough: take it back at once.
                        if let Some(guest) = wire.guest(self.guest) {
                            let own = wire.own(self.guest);
                            let reset = frame::tcp(own, to.port(), guest, from.port(), TcpControl::Rst, sequence);
                            wire.out.push(reset);
                        }
                        PortVerdict::Open
                    }
                    (TcpControl::Rst, _) => PortVerdict::Closed,
                    _ => return true,
                };
                self.verdicts.insert(from.port(), verdict);
                true
            }
            // Destination unreachable: type 3 in IPv4, 1 in IPv6.
            Body::Icmp { to, kind, rest, .. } if kind == if to.is_ipv4() { 3 } else { 1 } => match quoted(rest) {
                Some((target, 6, source, port)) if target == self.guest && self.own(source) => {
                    self.verdicts.entry(port).or_insert(PortVerdict::Rejected);
                    true
                }
                _ => false,
            },
            _ => false,
        }
    }

    fn tick(&mut self, now: Instant, wire: &mut Wire<'_>) -> Next {
        match self.phase {
            Phase::Sending { at, .. } if now < at => Next::At(at),
            Phase::Sending { next, .. } => {
                let Some(guest) = wire.guest(self.guest) else {
                    // Never heard: nothing can be asked, and no silence is proven.
                    self.witnessed = false;
                    self.round = ROUNDS;
                    return self.end_of_round(now);
                };
                let own = wire.own(self.guest);
                let source = self.source + (self.round % 64) as u16;
                let end = (next + BATCH).min(self.open.len());
                for port in &self.open[next..end] {
                    if !self.verdicts.contains_key(port) {
                        let sequence = TcpSeqNumber(self.sequence());
                        wire.out.push(frame::tcp(own, source, guest, *port, TcpControl::Syn, sequence));
                    }
                }
                if end < self.open.len() {
                    let at = now + BETWEEN_BATCHES;
                    self.phase = Phase::Sending { next: end, at };
                    return Next::At(at);
                }
                wire.out.push(frame::echo(own, guest, false, self.ident, self.round as u16, b"diorite lab"));
                self.phase = Phase::Witness { sent: now };
                Next::At(now + BLIND)
            }
            Phase::Witness { sent } if now >= sent + BLIND => {
                self.witnessed = false;
                self.end_of_round(now)
            }
            Phase::Witness { sent } => Next::At(sent + BLIND),
            Phase::Grace { until } if now >= until => self.end_of_round(now),
            Phase::Grace { until } => Next::At(until),
        }
    }
}
