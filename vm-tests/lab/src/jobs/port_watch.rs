//! The same few ports asked again and again, of every address the guest is heard with, from before it has any: a filter
//! that comes up later than the network shows as an answer of a port that should never give one.

use super::{Job, Next, Wire, answer::answer, echo_reply, verdict::PortVerdict};
use crate::frame::{self, Host, Packet};
use diorite_model::recipe::Protocol;
use serde::{Deserialize, Serialize};
use smoltcp::wire::{TcpControl, TcpSeqNumber};
use std::{
    collections::BTreeSet,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::Sender,
    },
    time::{Duration, Instant},
};

/// What a watch over ports has seen.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WatchReport {
    /// Addresses that were asked.
    pub addresses: BTreeSet<IpAddr>,
    /// SYNs and datagrams sent.
    pub asked: u64,
    /// Time since the lab's start of the first of them.
    pub first_asked: Option<Duration>,
    /// Echo requests answered meanwhile, and when the first was: from then on the guest could be reached.
    pub echoes: u64,
    /// Time since the lab's start.
    pub first_echo: Option<Duration>,
    /// Ports that answered, the first hundred times.
    pub answers: Vec<UnexpectedAnswer>,
}

/// An answer that should not have come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnexpectedAnswer {
    /// Time since the lab's start.
    pub at: Duration,
    /// Who answered.
    pub address: IpAddr,
    /// By which protocol.
    pub protocol: Protocol,
    /// From which port.
    pub port: u16,
    /// The answer.
    pub verdict: PortVerdict,
}

/// Time between two rounds: little enough to see a gap that a person could use, enough for a guest that boots.
const EVERY: Duration = Duration::from_millis(200);
const MOST_ANSWERS: usize = 100;

/// A watch over ports in progress.
pub struct PortWatch {
    ports: Vec<u16>,
    ident: u16,
    source: u16,
    number: u16,
    started: Instant,
    at: Instant,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    watched: WatchReport,
    reply: Sender<WatchReport>,
}

impl PortWatch {
    /// Asks until `stop` is set. `started` is when the lab's clock began; `answered` counts every answer.
    pub fn new(
        ports: Vec<u16>,
        (ident, source): (u16, u16),
        started: Instant,
        stop: Arc<AtomicBool>,
        answered: Arc<AtomicU64>,
        reply: Sender<WatchReport>,
    ) -> Self {
        let (number, watched) = (0, WatchReport::default());
        Self { ports, ident, source, number, started, at: started, stop, answered, watched, reply }
    }

    fn ask(&mut self, guest: Host, now: Instant, wire: &mut Wire<'_>) {
        let own = wire.own(guest.ip);
        let sequence = TcpSeqNumber(0x0d11_0000);
        for port in &self.ports {
            wire.out.push(frame::tcp(own, self.source, guest, *port, TcpControl::Syn, sequence));
            wire.out.push(frame::udp(own, self.source, guest, *port, b""));
        }
        wire.out.push(frame::echo(own, guest, false, self.ident, self.number, b"diorite lab"));
        self.watched.asked += 2 * self.ports.len() as u64;
        self.watched.addresses.insert(guest.ip);
        self.watched.first_asked.get_or_insert(now - self.started);
    }
}

impl Job for PortWatch {
    fn frame(&mut self, packet: &Packet<'_>, now: Instant, wire: &mut Wire<'_>) -> bool {
        let at = now - self.started;
        for guest in &self.watched.addresses {
            if echo_reply(packet, *guest, self.ident).is_some() {
                self.watched.echoes += 1;
                self.answered.fetch_add(1, Ordering::Relaxed);
                self.watched.first_echo.get_or_insert(at);
                return true;
            }
            for protocol in [Protocol::Tcp, Protocol::Udp] {
                let Some(answer) = answer(packet, protocol, *guest, |port| port == self.source) else { continue };
                wire.out.extend(answer.reset(packet, wire.own(*guest)));
                self.answered.fetch_add(1, Ordering::Relaxed);
                if self.watched.answers.len() < MOST_ANSWERS {
                    let (port, verdict) = (answer.port, answer.verdict);
                    self.watched.answers.push(UnexpectedAnswer { at, address: *guest, protocol, port, verdict });
                }
                return true;
            }
        }
        false
    }

    fn tick(&mut self, now: Instant, wire: &mut Wire<'_>) -> Next {
        if self.stop.load(Ordering::Acquire) {
            // The asker may have given up; that is its own affair.
            let _ = self.reply.send(std::mem::take(&mut self.watched));
            return Next::Done;
        }
        if now >= self.at {
            self.at = now + EVERY;
            self.number = self.number.wrapping_add(1);
            let guests: Vec<Host> = wire.neighbours.iter().map(|(ip, mac)| Host { mac: *mac, ip: *ip }).collect();
            for guest in guests {
                self.ask(guest, now, wire);
            }
        }
        Next::At(self.at)
    }
}
