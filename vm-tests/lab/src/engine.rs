//! The lab's one thread: switch, hosts, router and questions, driven by poll(2).

use crate::{
    frame::{self, Packet},
    host::Host,
    icmp::{self, Problem},
    jobs::{Job, Next, Wire},
    port::CableEnd,
    record,
    router::{self, RateLimit, RouteDecision},
    shared::SharedState,
    stack::TalkRequest,
    switch::{Net, Switch},
    topology::Topology,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{
    os::{fd::AsFd, unix::net::UnixStream},
    sync::{Arc, atomic::Ordering, mpsc::Receiver},
    time::{Duration, Instant},
};

/// What a handle asks of the thread, on its segment.
pub enum EngineCommand {
    /// Ask with raw frames.
    Ask(Box<dyn Job>),
    /// Hold a TCP conversation.
    Talk(Box<TalkRequest>),
    /// Look at something, or change it.
    With(Box<dyn FnOnce(&mut Engine) + Send>),
    /// End.
    Stop,
}

/// Everything the thread owns.
pub struct Engine {
    network: Topology,
    /// The cables.
    pub switch: Switch,
    /// By segment.
    pub hosts: Vec<Host>,
    rate_limit: RateLimit,
    /// Each with the segment it asks from.
    jobs: Vec<(usize, Box<dyn Job>)>,
    commands: Receiver<(usize, EngineCommand)>,
    wake: UnixStream,
    shared: Arc<SharedState>,
    started: Instant,
}

impl Engine {
    /// An engine that has not begun, in a network that has been checked.
    pub fn new(
        network: Topology,
        ports: Vec<CableEnd>,
        commands: Receiver<(usize, EngineCommand)>,
        wake: UnixStream,
        shared: Arc<SharedState>,
    ) -> Self {
        let started = shared.started;
        let switch = Switch::new(&network, ports);
        let hosts = network.segments.iter().map(|config| Host::new(config.clone(), network.seed, &shared)).collect();
        let (rate_limit, jobs) = (RateLimit::default(), Vec::new());
        Self { network, switch, hosts, rate_limit, jobs, commands, wake, shared, started }
    }

    /// Runs until told to stop.
    pub fn run(mut self) {
        loop {
            while let Ok((segment, command)) = self.commands.try_recv() {
                match command {
                    EngineCommand::Ask(job) => self.jobs.push((segment, job)),
                    EngineCommand::Talk(request) => self.hosts[segment].stack.talk(*request, Instant::now()),
                    EngineCommand::With(change) => change(&mut self),
                    EngineCommand::Stop => return self.finish(),
                }
            }
            let next = self.work(Instant::now());
            if !self.wait(next) {
                return self.finish();
            }
            let now = Instant::now();
            self.shared.frames.fetch_add(self.switch.read(now), Ordering::Relaxed);
            while let Some((number, frame)) = self.switch.arrived(now) {
                self.incoming(number, &frame, now);
            }
        }
    }

    fn finish(mut self) {
        if let Some(capture) = &mut self.switch.capture {
            // A capture that could not be written is missed where it is read.
            let _ = capture.finish();
        }
    }

    /// Sleeps until a frame, a command or the given time. `false` when polling itself failed.
    fn wait(&mut self, next: Instant) -> bool {
        let mut watched = vec![PollFd::new(&self.wake, PollFlags::IN)];
        let fds: Vec<_> = self.switch.open().map(|port| (port.fd(), port.wants_write())).collect();
        for (fd, write) in &fds {
            watched.push(PollFd::new(fd, if *write { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN }));
        }
        let forwards: Vec<_> = self.hosts.iter().flat_map(|host| host.stack.forwards.watched()).collect();
        watched.extend(forwards.iter().map(|(fd, wants)| PollFd::new(fd, *wants)));
        let sessions: Vec<_> = self.hosts.iter().flat_map(|host| host.stack.listeners.watched()).collect();
        watched.extend(sessions.iter().map(|fd| PollFd::new(fd, PollFlags::IN)));
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
        let mut next = self.ask(now);
        loop {
            for segment in 0..self.hosts.len() {
                let (mut beyond, mut lost) = (Vec::new(), Vec::new());
                next = next.min(self.hosts[segment].work(now, &mut beyond, &mut lost));
                beyond.iter().for_each(|packet| self.forward(segment, packet, now));
                lost.iter().for_each(|packet| self.refuse(packet, Problem::NoHost, now));
            }
            // What is forwarded may be answered by another host of the lab; every turn costs a packet one hop.
            if !self.drain(now) {
                break;
            }
        }
        next = self.switch.deliver(now).map_or(next, |at| next.min(at));
        if self.switch.open().next().is_none() {
            self.shared.all_closed.store(true, Ordering::Release);
            self.shared.changed.notify_all();
        }
        if let Some(capture) = &mut self.switch.capture
            && capture.flush().is_err()
        {
            self.switch.capture = None;
        }
        next
    }

    /// Lets every job do what is due. When to come back.
    fn ask(&mut self, now: Instant) -> Instant {
        let mut next = now + Duration::from_secs(1);
        let mut jobs = std::mem::take(&mut self.jobs);
        jobs.retain_mut(|(segment, job)| {
            self.with_wire(*segment, now, |wire| match job.tick(now, wire) {
                Next::At(at) => {
                    next = next.min(at);
                    true
                }
                Next::Done => false,
            })
        });
        self.jobs.append(&mut jobs);
        next
    }

    /// Lends what a job on this segment may use, and sends its raw frames.
    fn with_wire<T>(&mut self, segment: usize, now: Instant, f: impl FnOnce(&mut Wire<'_>) -> T) -> T {
        let reach = |n: &usize| *n != segment && self.network.forwards(segment, *n);
        let routed: Vec<_> =
            (0..self.network.segments.len()).filter(reach).map(|n| &self.network.segments[n]).collect();
        let (host, mut raw) = (&mut self.hosts[segment], Vec::new());
        let result = f(&mut Wire {
            config: &host.config,
            routed: &routed,
            neighbours: host.neighbours.known(),
            out: &mut host.out,
            raw: &mut raw,
        });
        for frame in raw {
            let net = self.switch.net(frame::tag(&frame), segment);
            self.switch.forward(net, None, &frame::untagged(&frame), now);
        }
        result
    }

    /// Sends what the hosts have to say. Whether it was anything.
    fn drain(&mut self, now: Instant) -> bool {
        let mut any = false;
        for segment in 0..self.hosts.len() {
            for frame in std::mem::take(&mut self.hosts[segment].out) {
                any = true;
                match frame::ip_packet(&frame) {
                    Some(packet) if frame.starts_with(self.hosts[segment].config.mac.as_bytes()) => {
                        self.forward(segment, packet, now);
                    }
                    _ => self.switch.forward(Net::Segment(segment), None, &frame, now),
                }
            }
        }
        any
    }

    fn incoming(&mut self, number: usize, frame: &[u8], now: Instant) {
        let Some((net, frame)) = self.switch.enter(number, frame) else { return };
        let vlan = self.switch.vlan(net);
        let to_host = matches!(net, Net::Segment(n) if frame.starts_with(self.hosts[n].config.mac.as_bytes()));
        if !to_host {
            self.switch.forward(net, Some(number), &frame, now);
        }
        let since = now - self.started;
        let Some(mut packet) = Packet::within(vlan, &frame) else {
            return record::note_malformed(&mut self.shared.state().record, &frame, vlan, since);
        };
        let ip = frame::ip_packet(&frame).filter(|_| to_host);
        let (mut place, sender) = (net, packet.source);
        if let Net::Segment(segment) = net {
            self.hosts[segment].learn(&packet, &self.shared);
            let own = |ip| self.hosts[segment].config.owns(ip);
            // Through the router to another host of the lab.
            if let Some(RouteDecision::Here(other)) = ip
                .filter(|ip| frame::ends(ip).is_some_and(|(_, to)| !own(to)))
                .map(|ip| router::route(&self.network, segment, ip))
            {
                packet.vlan = self.hosts[other].config.vlan;
                packet.source = self.hosts[other].config.mac;
                place = Net::Segment(other);
            }
        }
        if self.hear(place, &packet, now) {
            return;
        }
        // It was said where the guest is.
        let (own, there) = (std::mem::replace(&mut packet.source, sender), std::mem::replace(&mut packet.vlan, vlan));
        record::note(&mut self.shared.state().record, &packet, since);
        (packet.source, packet.vlan) = (own, there);
        let Net::Segment(segment) = place else { return };
        if !to_host && packet.destination.is_unicast() {
            return; // between guests, or for nobody
        }
        if self.hosts[segment].serve(&packet, since, now, &self.shared) {
            return;
        }
        match ip.and_then(frame::ends) {
            Some((_, to)) if self.hosts[segment].config.owns(to) => {
                self.hosts[segment].stack.receive(ip.unwrap_or_default());
            }
            Some(_) => self.forward(segment, ip.unwrap_or_default(), now),
            None => {}
        }
    }

    /// Offers a packet to the jobs of a segment; to all where it is in none. Whether one has taken it.
    fn hear(&mut self, place: Net, packet: &Packet<'_>, now: Instant) -> bool {
        let mut jobs = std::mem::take(&mut self.jobs);
        let taken = jobs.iter_mut().any(|(segment, job)| {
            let there = place == Net::Segment(*segment) || matches!(place, Net::Other(_));
            there && self.with_wire(*segment, now, |wire| job.frame(packet, now, wire))
        });
        self.jobs.append(&mut jobs);
        taken
    }

    /// The router takes a packet from a host of a segment.
    fn forward(&mut self, from: usize, packet: &[u8], now: Instant) {
        match router::route(&self.network, from, packet) {
            RouteDecision::Dropped => {}
            RouteDecision::Refused(problem) => self.refuse(packet, problem, now),
            RouteDecision::On(to, target, packets) => {
                packets.into_iter().for_each(|packet| self.hosts[to].send(target, packet, now));
            }
            RouteDecision::Here(to) => {
                let mac = self.hosts[to].config.mac;
                let Some(frame) = frame::ethernet(mac, mac, packet) else { return };
                let Some(packet_in) = Packet::within(self.hosts[to].config.vlan, &frame) else { return };
                let since = now - self.started;
                if !self.hear(Net::Segment(to), &packet_in, now)
                    && !self.hosts[to].serve(&packet_in, since, now, &self.shared)
                {
                    self.hosts[to].stack.receive(packet);
                }
            }
        }
    }

    /// Tells the sender of a packet that it goes no further, unless that is the lab itself, which sees it anyway.
    fn refuse(&mut self, about: &[u8], problem: Problem, now: Instant) {
        let Some((sender, _)) = frame::ends(about) else { return };
        let Some(host) = self.hosts.iter_mut().find(|host| host.config.contains(sender)) else { return };
        if let Some(error) = icmp::error(&host.config, about, problem).filter(|_| self.rate_limit.take(now)) {
            host.send(sender, error, now);
        }
    }
}
