//! A gateway that machines dial into through TLS, as far as openfortivpn(1) and pppd(8) see of a FortiGate's SSL VPN: an account
//! logs in over HTTP and gets a cookie, with it an address, and then the connection carries PPP. Inside, the gateway has a leg
//! in a segment of the lab, so that everything there reaches the machine, and the other way round.
//!
//! ```text
//! TLS ── dialogue   requests: who logs in, what it is told
//!     └─ ppp        frames: the two ends agree on an address, then packets
//!          └─ inside   packets on the cable of the segment behind the gateway
//! ```
//!
//! What it does follows FortiOS as openfortivpn's sources and the logs of its users show it, and no FortiGate was asked.

mod dialogue;
mod inside;
mod ppp;

use crate::{
    config::Config,
    frame,
    listen::{Service, ServiceSession, SessionStep},
};
use dialogue::{Dialogue, DialogueStep};
use diorite_model::{Error, Result};
use inside::GatewayLeg;
use ppp::Ppp;
use std::{
    collections::{BTreeMap, VecDeque},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// Who may come in.
#[derive(Clone)]
pub struct Account {
    /// Its name.
    pub user: String,
    /// Its password, which nothing here shows.
    pub password: String,
}

/// A tunnel that is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tunnel {
    /// Where the machine is outside.
    pub outside: SocketAddr,
    /// Its address inside.
    pub inside: Ipv4Addr,
}

/// What has happened so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GatewayCounts {
    /// Connections through which TLS was spoken.
    pub connections: u64,
    /// Logins with the right password.
    pub logins: u64,
    /// Logins that were refused.
    pub refused: u64,
    /// Tunnels through which packets could go.
    pub tunnels: u64,
    /// Echo requests of machines (RFC 792).
    pub echo_requests: u64,
    /// Bytes of packets from machines, and to them.
    pub bytes: [u64; 2],
}

/// Lines that are kept, and logins at the same time, of which the oldest is forgotten first.
const MOST_LINES: usize = 10_000;
const MOST_LOGINS: usize = 64;
/// Packets that a connection is given in one turn, so that others come to theirs.
const TURN: usize = 64;

/// A login: its cookie, and the address that goes with it.
struct GatewayLogin {
    cookie: String,
    user: String,
    address: Ipv4Addr,
}

struct GatewayState {
    inside: GatewayLeg,
    logins: VecDeque<GatewayLogin>,
    /// The tunnel of each address, and its number: a later one takes the place of an earlier.
    tunnels: BTreeMap<Ipv4Addr, (u64, Option<SocketAddr>)>,
    number: u64,
    lines: Vec<(SocketAddr, String)>,
    counts: GatewayCounts,
}

struct Gateway {
    account: Account,
    /// The cable's far end once more, for poll(2).
    wake: UnixStream,
    state: Mutex<GatewayState>,
}

/// A gateway. Copies of the handle are the same gateway.
#[derive(Clone)]
pub struct Fortinet(Arc<Gateway>);

impl std::fmt::Debug for Fortinet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Fortinet").field(&self.counts()).finish()
    }
}

impl Fortinet {
    /// A gateway with one account, before `segment`, on the far end of a cable that is plugged in there.
    pub fn new(account: Account, segment: &Config, far: OwnedFd) -> Result<Self> {
        let failed = |e: std::io::Error| Error::host("the cable of a gateway cannot be used").because(e);
        let far = UnixStream::from(far);
        let wake = far.try_clone().map_err(failed)?;
        let inside = GatewayLeg::new(segment, far).map_err(failed)?;
        let (logins, tunnels, lines) = (VecDeque::new(), BTreeMap::new(), Vec::new());
        let state = GatewayState { inside, logins, tunnels, number: 0, lines, counts: GatewayCounts::default() };
        Ok(Self(Arc::new(Gateway { account, wake, state: Mutex::new(state) })))
    }

    /// What has happened so far.
    pub fn counts(&self) -> GatewayCounts {
        self.state().counts
    }

    /// The same in words, a line for each event, with whom it is about.
    pub fn lines(&self) -> Vec<(SocketAddr, String)> {
        self.state().lines.clone()
    }

    /// The tunnels that are up.
    pub fn tunnels(&self) -> Vec<Tunnel> {
        let state = self.state();
        let up = |(inside, (_, outside)): (&Ipv4Addr, &(u64, Option<SocketAddr>))| {
            outside.map(|outside| Tunnel { outside, inside: *inside })
        };
        state.tunnels.iter().filter_map(up).collect()
    }

    fn state(&self) -> MutexGuard<'_, GatewayState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What listens; `own` is the address at which machines reach it.
    pub(crate) fn service(&self, own: Ipv4Addr) -> Service {
        let gateway = self.clone();
        Box::new(move |from| {
            let (gateway, phase) = (gateway.clone(), ConnectionPhase::New);
            Box::new(FortinetSession { gateway, own, from, phase })
        })
    }
}

impl GatewayState {
    fn note(&mut self, from: SocketAddr, line: String) {
        if self.lines.len() < MOST_LINES {
            self.lines.push((from, line));
        }
    }

    /// The cookie of a new login, or nothing where all addresses are given.
    fn log_in(&mut self, user: &str) -> Option<String> {
        if self.logins.len() >= MOST_LOGINS {
            self.logins.pop_front();
        }
        let given = |ip| self.logins.iter().any(|l| l.address == ip) || self.tunnels.contains_key(&ip);
        let address = self.inside.free(given)?;
        self.number += 1;
        let cookie = format!("lab-{:x}", self.number);
        self.logins.push_back(GatewayLogin { cookie: cookie.clone(), user: user.to_owned(), address });
        Some(cookie)
    }

    /// The user and the address of a login.
    fn login(&self, cookie: &str) -> Option<(String, Ipv4Addr)> {
        let login = self.logins.iter().find(|l| l.cookie == cookie)?;
        Some((login.user.clone(), login.address))
    }

    fn log_out(&mut self, cookie: &str) {
        self.logins.retain(|l| l.cookie != cookie);
    }
}

/// What a connection is about.
enum ConnectionPhase {
    /// Nothing was said through it.
    New,
    Http(Box<Dialogue>),
    Tunnel(Box<OpenTunnel>),
    Over,
}

struct FortinetSession {
    gateway: Fortinet,
    own: Ipv4Addr,
    from: SocketAddr,
    phase: ConnectionPhase,
}

/// One tunnel.
struct OpenTunnel {
    gateway: Fortinet,
    from: SocketAddr,
    user: String,
    address: Ipv4Addr,
    number: u64,
    ppp: Ppp,
    up: bool,
}

impl ServiceSession for FortinetSession {
    fn step(&mut self, input: &mut Vec<u8>, ended: bool, output: &mut Vec<u8>, now: Instant) -> SessionStep {
        if let ConnectionPhase::New = self.phase {
            let mut state = self.gateway.state();
            state.counts.connections += 1;
            state.note(self.from, "connection".to_owned());
            self.phase = ConnectionPhase::Http(Box::new(Dialogue::new(self.from)));
        }
        if let ConnectionPhase::Http(dialogue) = &mut self.phase {
            match dialogue.step(&self.gateway, input, output) {
                DialogueStep::Answer if ended => return SessionStep::Close,
                DialogueStep::Answer => return SessionStep::Wait,
                DialogueStep::Close => return SessionStep::Close,
                DialogueStep::Tunnel { user, address } => {
                    let tunnel = OpenTunnel::open(&self.gateway, self.from, user, address, self.own, now, output);
                    self.phase = ConnectionPhase::Tunnel(Box::new(tunnel));
                }
            }
        }
        let ConnectionPhase::Tunnel(tunnel) = &mut self.phase else { return SessionStep::Close };
        let step = match tunnel.step(input, output, now) {
            Ok(step) if !ended => step,
            Ok(_) => SessionStep::Close,
            Err(why) => {
                self.gateway.state().note(self.from, why.to_owned());
                SessionStep::Reset
            }
        };
        if matches!(step, SessionStep::Close | SessionStep::Reset) {
            self.phase = ConnectionPhase::Over;
        }
        step
    }

    /// What comes from the segment behind the gateway.
    fn watched(&self) -> Option<BorrowedFd<'_>> {
        matches!(self.phase, ConnectionPhase::Tunnel(_)).then(|| self.gateway.0.wake.as_fd())
    }
}

impl OpenTunnel {
    fn open(
        gateway: &Fortinet,
        from: SocketAddr,
        user: String,
        address: Ipv4Addr,
        own: Ipv4Addr,
        now: Instant,
        output: &mut Vec<u8>,
    ) -> Self {
        let mut state = gateway.state();
        state.number += 1;
        let number = state.number;
        state.tunnels.insert(address, (number, None));
        state.inside.open(address);
        drop(state);
        let mut ppp = Ppp::new(own, address, 0x0d10_0000 | number as u32);
        ppp.begin(now, output);
        Self { gateway: gateway.clone(), from, user, address, number, ppp, up: false }
    }

    /// Takes what has come from the machine, and gives it what has come for it.
    fn step(&mut self, input: &mut Vec<u8>, output: &mut Vec<u8>, now: Instant) -> Result<SessionStep, &'static str> {
        let mut state = self.gateway.state();
        if state.tunnels.get(&self.address).is_none_or(|(number, _)| *number != self.number) {
            return Ok(SessionStep::Close);
        }
        while let Some(frame) = ppp::next(input)? {
            let Some(packet) = self.ppp.take(&frame, now, output) else { continue };
            // Whoever claims to be somebody else is not heard.
            let Some((source, IpAddr::V4(to))) = frame::ends(packet).filter(|_| packet.len() >= 20) else { continue };
            if source == IpAddr::V4(self.address) {
                state.counts.bytes[0] += packet.len() as u64;
                state.counts.echo_requests += u64::from(echo_request(packet));
                state.inside.send(to, packet.to_vec(), now);
            }
        }
        let timer = self.ppp.tick(now, output);
        let arrives = state.inside.work(now);
        if self.ppp.up() != self.up {
            self.up = self.ppp.up();
            state.tunnels.insert(self.address, (self.number, self.up.then_some(self.from)));
            state.counts.tunnels += u64::from(self.up);
            let what = if self.up { "is up" } else { "is down" };
            state.note(self.from, format!("tunnel of {} {what}: {}", self.user, self.address));
        }
        if self.ppp.over() {
            return Ok(SessionStep::Close);
        }
        for _ in 0..TURN {
            let Some(packet) = state.inside.take(self.address) else {
                let next = [timer, arrives].into_iter().flatten().min();
                return Ok(next.map_or(SessionStep::Wait, SessionStep::Until));
            };
            if self.ppp.send(&packet, output) {
                state.counts.bytes[1] += packet.len() as u64;
            }
        }
        Ok(SessionStep::Until(now))
    }
}

impl Drop for OpenTunnel {
    /// However the connection has ended.
    fn drop(&mut self) {
        let mut state = self.gateway.state();
        if state.tunnels.get(&self.address).is_some_and(|(number, _)| *number == self.number) {
            state.tunnels.remove(&self.address);
            state.inside.close(self.address);
        }
        if self.up {
            state.note(self.from, format!("tunnel of {} is down: {}", self.user, self.address));
        }
    }
}

/// Whether an IPv4 packet is an echo request (RFC 792).
fn echo_request(packet: &[u8]) -> bool {
    let kind = packet.get(usize::from(packet[0] & 15) * 4);
    packet[9] == 1 && kind == Some(&8)
}

#[cfg(test)]
mod tests;
