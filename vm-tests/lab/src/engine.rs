//! The lab's one thread: cables, switch, servers, questions and capture, driven by poll(2).

use crate::{
    config::Config,
    frame::{self, Body, Packet},
    jobs::{Job, Next, Wire},
    lab::Shared,
    pcapng::{Direction, Pcapng},
    port::Port,
    record,
    services::{dhcp, dns, ntp, router},
    stack::{Stack, Talk, Until},
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use smoltcp::wire::{ArpRepr, EthernetAddress};
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    os::{fd::AsFd, unix::net::UnixStream},
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, Sender},
    },
    time::{Duration, Instant, SystemTime},
};

/// What the handle asks of the thread.
pub enum Command {
    /// Ask with raw frames.
    Ask(Box<dyn Job>),
    /// Hold a TCP conversation.
    Talk(SocketAddr, Vec<u8>, Until, Sender<Talk>),
    /// Keep every frame from now on.
    Capture(Pcapng),
    /// End.
    Stop,
}

/// Everything the thread owns.
pub struct Engine {
    config: Config,
    ports: Vec<Port>,
    commands: Receiver<Command>,
    wake: UnixStream,
    shared: Arc<Shared>,
    started: Instant,
    stack: Stack,
    dhcp: dhcp::Server,
    /// Which cable leads to which hardware address.
    cables: BTreeMap<EthernetAddress, usize>,
    neighbours: BTreeMap<IpAddr, EthernetAddress>,
    jobs: Vec<Box<dyn Job>>,
    capture: Option<Pcapng>,
    advertise: Instant,
    /// Frames for the segment, without its tag.
    out: Vec<Vec<u8>>,
    /// Frames as they are.
    raw: Vec<Vec<u8>>,
}

impl Engine {
    /// An engine that has not begun.
    pub fn new(
        config: Config,
        ports: Vec<Port>,
        commands: Receiver<Command>,
        wake: UnixStream,
        shared: Arc<Shared>,
    ) -> Self {
        let started = shared.started;
        Self {
            stack: Stack::new(&config, started),
            config,
            ports,
            commands,
            wake,
            shared,
            started,
            dhcp: dhcp::Server::default(),
            cables: BTreeMap::new(),
            neighbours: BTreeMap::new(),
            jobs: Vec::new(),
            capture: None,
            advertise: started,
            out: Vec::new(),
            raw: Vec::new(),
        }
    }

    /// Runs until told to stop.
    pub fn run(mut self) {
        loop {
            while let Ok(command) = self.commands.try_recv() {
                match command {
                    Command::Ask(job) => self.jobs.push(job),
                    Command::Talk(to, send, until, reply) => {
                        self.stack.talk(to, send, until, Instant::now(), reply);
                    }
                    Command::Capture(capture) => self.capture = Some(capture),
                    Command::Stop => return self.finish(),
                }
            }
            let next = self.work(Instant::now());
            if !self.wait(next) {
                return self.finish();
            }
            for number in 0..self.ports.len() {
                let mut frames = Vec::new();
                self.ports[number].receive(|frame| frames.push(frame.to_vec()));
                for frame in frames {
                    self.incoming(number, &frame);
                }
            }
        }
    }

    fn finish(mut self) {
        if let Some(capture) = &mut self.capture {
            // A capture that could not be written is missed where it is read.
            let _ = capture.flush();
        }
    }

    /// Sleeps until a frame, a command or the given time. `false` when polling itself failed.
    fn wait(&mut self, next: Instant) -> bool {
        let mut watched = vec![PollFd::new(&self.wake, PollFlags::IN)];
        let open: Vec<&Port> = self.ports.iter().filter(|port| !port.closed()).collect();
        let fds: Vec<_> = open.iter().map(|port| (port.fd(), port.wants_write())).collect();
        for (fd, write) in &fds {
            watched.push(PollFd::new(fd, if *write { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN }));
        }
        let left = next.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        match poll(&mut watched, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
        let mut buffer = [0; 64];
        while let Ok(n) = rustix::net::recv(self.wake.as_fd(), &mut buffer, rustix::net::RecvFlags::DONTWAIT) {
            if n.0 == 0 {
                return false; // the handle is gone
            }
        }
        true
    }

    /// Everything that is due now; when to come back.
    fn work(&mut self, now: Instant) -> Instant {
        let mut next = now + Duration::from_secs(1);
        if now >= self.advertise {
            self.out.push(router::advertisement(&self.config));
            self.advertise = now + self.config.advertise_every;
        }
        let mut jobs = std::mem::take(&mut self.jobs);
        jobs.retain_mut(|job| match job.tick(now, &mut self.wire()) {
            Next::At(at) => {
                next = next.min(at);
                true
            }
            Next::Done => false,
        });
        self.jobs.append(&mut jobs);
        if let Some(at) = self.stack.poll(now, &mut self.out) {
            next = next.min(at);
        }
        let segment = self.config.vlan;
        self.raw.extend(self.out.drain(..).map(|frame| frame::tagged(segment, frame)));
        for frame in std::mem::take(&mut self.raw) {
            self.switch(None, &frame);
        }
        self.ports.iter_mut().for_each(Port::flush);
        if self.ports.iter().all(Port::closed) {
            self.shared.all_closed.store(true, Ordering::Release);
            self.shared.changed.notify_all();
        }
        if let Some(capture) = &mut self.capture
            && capture.flush().is_err()
        {
            self.capture = None;
        }
        next.min(self.advertise)
    }

    fn wire(&mut self) -> Wire<'_> {
        Wire { config: &self.config, neighbours: &self.neighbours, out: &mut self.out, raw: &mut self.raw }
    }

    /// Forwards a frame: to the cable its receiver is on, or to all others. `None`: from the lab's own host.
    fn switch(&mut self, from: Option<usize>, frame: &[u8]) {
        let Some(target) = frame.get(..6).map(EthernetAddress::from_bytes) else { return };
        let known = if target.is_unicast() { self.cables.get(&target).copied() } else { None };
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        for (number, port) in self.ports.iter_mut().enumerate() {
            if Some(number) == from || known.is_some_and(|known| known != number) {
                continue;
            }
            port.send(frame);
            if let Some(capture) = &mut self.capture {
                let _ = capture.frame(number, time, Direction::ToGuest, frame);
            }
        }
    }

    fn incoming(&mut self, number: usize, frame: &[u8]) {
        let now = Instant::now();
        self.shared.frames.fetch_add(1, Ordering::Relaxed);
        if let Some(capture) = &mut self.capture {
            let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let _ = capture.frame(number, time, Direction::FromGuest, frame);
        }
        let Some(packet) = Packet::parse(frame) else { return };
        if packet.source.is_unicast() {
            self.cables.insert(packet.source, number);
        }
        // The lab's own host and its servers are on one segment and hear no other.
        let here = packet.vlan == self.config.vlan;
        if here {
            self.learn(&packet);
        }
        if packet.destination != self.config.mac {
            self.switch(Some(number), frame);
        }
        let mut jobs = std::mem::take(&mut self.jobs);
        let taken = jobs.iter_mut().any(|job| job.frame(&packet, now, &mut self.wire()));
        self.jobs.append(&mut jobs);
        if taken || !here {
            return;
        }
        let since = now - self.started;
        record::note(&mut self.shared.state().record, &packet, since);
        if !self.serve(&packet, since) {
            self.stack.receive(&frame::untagged(frame));
        }
    }

    /// Which addresses belong to whom: from ARP, from duplicate address detection, from every packet on the link.
    fn learn(&mut self, packet: &Packet<'_>) {
        let address = match &packet.body {
            Body::Arp(ArpRepr::EthernetIpv4 { source_protocol_addr, .. }) => IpAddr::V4(*source_protocol_addr),
            // RFC 4862 §5.4: who asks for an address from nowhere is about to use it.
            Body::Icmp { from, kind: 135, rest, .. } if from.is_unspecified() => {
                let Some(target) = rest.get(4..20).and_then(|t| <[u8; 16]>::try_from(t).ok()) else { return };
                IpAddr::from(target)
            }
            Body::Udp { from, .. } | Body::Tcp { from, .. } => from.ip(),
            Body::Icmp { from, .. } | Body::Ip { from, .. } => *from,
            _ => return,
        };
        let ours = match address {
            IpAddr::V4(v4) => v4 == self.config.ipv4 || !self.config.on_link(v4),
            IpAddr::V6(v6) => v6 == self.config.ipv6 || v6 == self.config.link_local || !self.config.on_link6(v6),
        };
        if !ours && self.neighbours.insert(address, packet.source) != Some(packet.source) {
            self.shared.state().addresses.insert(address, packet.source);
            self.shared.changed.notify_all();
        }
    }

    /// The servers; `true` when the packet was for one of them.
    fn serve(&mut self, packet: &Packet<'_>, since: Duration) -> bool {
        let own = |ip: IpAddr| {
            let c = &self.config;
            [IpAddr::V4(c.ipv4), IpAddr::V6(c.ipv6), IpAddr::V6(c.link_local)].contains(&ip)
        };
        match packet.body {
            Body::Udp { to, data, .. } if to.port() == 67 && to.is_ipv4() => {
                if let Some(reply) = self.dhcp.answer(&self.config, since, data) {
                    self.out.push(reply);
                }
                let mut state = self.shared.state();
                state.leases.clone_from(&self.dhcp.leases);
                for lease in self.dhcp.leases.values() {
                    self.neighbours.insert(lease.ipv4.into(), lease.mac);
                    state.addresses.insert(lease.ipv4.into(), lease.mac);
                }
                drop(state);
                self.shared.changed.notify_all();
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
                    *self.shared.state().names.entry(question.name).or_default() += 1;
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
