//! The handle: start the network, wait for guests, ask them.

use crate::{
    config::Config,
    engine::{Engine, EngineCommand},
    jobs::{
        flood::Flood,
        ping::Ping,
        port_watch::{PortWatch, WatchReport},
        reach_probe::{ReachAnswer, ReachProbe},
        scan::{Scan, ScanJob, ScanProbe},
        udp::{UdpJob, UdpVerdict},
    },
    pcapng::Pcapng,
    peers::metrics::Metrics,
    port::CableEnd,
    record::Record,
    secure::TlsClient,
    services::{dhcp::Lease, dhcp6::Lease6},
    shared::{Observations, SharedState},
    ssh,
    stack::{Ending, ReadUntil, Talk, TalkRequest},
    topology::Topology,
};
use diorite_model::{Error, Result, recipe::Protocol, scenario::FloodKind};
use smoltcp::wire::EthernetAddress;
use std::{
    collections::BTreeMap,
    io::Write,
    net::{IpAddr, SocketAddr},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::Path,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Asked several times a second while something is waited for; its error ends the waiting. Give it what knows whether
/// the machine still lives: its console patterns, its watchdog, the user's interrupt.
pub type WaitHook<'a> = &'a mut dyn FnMut() -> Result<()>;

/// An answer over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpReply {
    /// Status code.
    pub status: u16,
    /// Head without the status line, as sent.
    pub head: String,
    /// Body.
    pub body: Vec<u8>,
}

/// A question whose answer has not been taken yet.
#[derive(Debug)]
pub struct Pending<T>(Receiver<T>);

/// Ports that are asked again and again.
#[derive(Debug)]
pub struct PortWatchHandle {
    stop: Arc<AtomicBool>,
    answer: Pending<WatchReport>,
}

/// A running network, seen from one of its segments. Dropping the handle that started it ends the thread and completes
/// the capture.
#[derive(Debug)]
pub struct Lab {
    shared: Arc<SharedState>,
    commands: Sender<(usize, EngineCommand)>,
    wake: UnixStream,
    thread: Option<JoinHandle<()>>,
    /// Identifiers of echo requests and blocks of 64 source ports, so that questions never mix.
    next: Arc<AtomicU16>,
    network: Arc<Topology>,
    pub(crate) segment: usize,
}

impl Lab {
    /// The network around one machine, whose network card ends in `fd` (a connected stream socket).
    pub fn start(fd: OwnedFd) -> Result<Self> {
        Self::start_with(Config::default(), vec![fd])
    }

    /// The network around several machines on one segment; their cables carry every VLAN.
    pub fn start_with(config: Config, cables: Vec<OwnedFd>) -> Result<Self> {
        Self::start_in(Topology::single(config, cables.len()), cables)
    }

    /// The network around several machines; one connected stream socket for each cable. The handle is on segment 0.
    pub fn start_in(network: Topology, cables: Vec<OwnedFd>) -> Result<Self> {
        network.check(cables.len())?;
        let failed = |e: std::io::Error| Error::host("the lab's network cannot be set up").because(e);
        let ports: Vec<CableEnd> = cables
            .into_iter()
            .map(|fd| CableEnd::new(UnixStream::from(fd)))
            .collect::<Result<_, _>>()
            .map_err(failed)?;
        let (wake, ear) = UnixStream::pair().map_err(failed)?;
        wake.set_nonblocking(true).map_err(failed)?;
        let shared = Arc::new(SharedState {
            state: Mutex::default(),
            changed: Condvar::new(),
            frames: AtomicU64::new(0),
            answered: Arc::default(),
            all_closed: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            started: Instant::now(),
        });
        let (commands, orders) = mpsc::channel();
        let engine = Engine::new(network.clone(), ports, orders, ear, shared.clone());
        let over = Over(shared.clone());
        let run = move || {
            let _over = over;
            engine.run();
        };
        let thread = std::thread::Builder::new().name("lab".to_owned()).spawn(run).map_err(failed)?;
        let (next, network) = (Arc::default(), Arc::new(network));
        Ok(Self { shared, commands, wake, thread: Some(thread), next, network, segment: 0 })
    }

    /// The same network, asked from the lab's host on another segment: through the router where the guest is elsewhere.
    /// It ends with the handle it is made from.
    pub fn at(&self, segment: usize) -> Result<Self> {
        if segment >= self.network.segments.len() {
            let hint = format!("segments are numbered from 0, and there are {}", self.network.segments.len());
            return Err(Error::input(format!("there is no segment {segment}")).hint(hint));
        }
        Ok(Self {
            shared: self.shared.clone(),
            commands: self.commands.clone(),
            wake: self.wake.try_clone().map_err(|e| Error::host("no second handle for the lab").because(e))?,
            thread: None,
            next: self.next.clone(),
            network: self.network.clone(),
            segment,
        })
    }

    /// The addresses in use on the handle's segment.
    pub fn config(&self) -> &Config {
        &self.network.segments[self.segment]
    }

    /// All segments, cables and routes.
    pub fn network(&self) -> &Topology {
        &self.network
    }

    /// Time since the network was there: what times in its record count from.
    pub fn uptime(&self) -> Duration {
        self.shared.started.elapsed()
    }

    /// Keeps every frame from now on in this file.
    pub fn capture(&self, path: &Path) -> Result<()> {
        let capture = Pcapng::create(path, self.network.cables.iter().map(|cable| cable.name.as_str()))?;
        self.with(|engine| engine.switch.capture = Some(capture))
    }

    /// Looks at the thread's own things, or changes them. What `f` did is done when this returns.
    pub(crate) fn with<T: Send + 'static>(&self, f: impl FnOnce(&mut Engine) -> T + Send + 'static) -> Result<T> {
        let (reply, answer) = mpsc::channel();
        let run = move |engine: &mut Engine| {
            // The asker waits for it.
            let _ = reply.send(f(engine));
        };
        self.tell(EngineCommand::With(Box::new(run)))?;
        self.answer(&answer)
    }

    /// Says in the capture, at the next frame, what begins now.
    pub fn phase(&self, what: &str) -> Result<()> {
        let what = what.to_owned();
        self.with(move |engine| engine.switch.capture.iter_mut().for_each(|capture| capture.comment(&what)))
    }

    /// How many frames guests have sent: it moves as long as a guest says something. What a watch keeps asking is always
    /// answered, also by a guest that gets nowhere, and does not count.
    pub fn frames(&self) -> u64 {
        let answered = self.shared.answered.load(Ordering::Relaxed);
        self.shared.frames.load(Ordering::Relaxed).saturating_sub(answered)
    }

    /// Every machine has let go of its cable.
    pub fn deserted(&self) -> bool {
        self.shared.all_closed.load(Ordering::Acquire)
    }

    /// What guests said without being asked, so far.
    pub fn record(&self) -> Record {
        self.shared.state().record.clone()
    }

    /// Names guests asked the DNS server for, and how often.
    pub fn names_asked(&self) -> BTreeMap<String, u64> {
        self.shared.state().names.clone()
    }

    /// Everything that was leased by DHCPv4, by hardware address.
    pub fn leases(&self) -> BTreeMap<EthernetAddress, Lease> {
        self.shared.state().leases.clone()
    }

    /// Everything that was leased by DHCPv6, and how often somebody asked it for information alone.
    pub fn leases6(&self) -> (Vec<Lease6>, u64) {
        let state = self.shared.state();
        (state.leases6.values().cloned().collect(), state.informed)
    }

    /// Addresses guests have been heard with, link-local ones too.
    pub fn addresses(&self) -> BTreeMap<IpAddr, EthernetAddress> {
        self.shared.state().addresses.clone()
    }

    /// Waits until a guest has taken an address by DHCP.
    pub fn wait_for_lease(&self, patience: WaitHook<'_>) -> Result<Lease> {
        self.wait(patience, |state| state.leases.values().next().cloned())
    }

    /// Waits until the guest with this hardware address uses a global IPv6 address (in the announced prefix).
    pub fn wait_for_ipv6(&self, mac: EthernetAddress, patience: WaitHook<'_>) -> Result<IpAddr> {
        self.wait(patience, |state| {
            let global = |ip: &IpAddr| matches!(ip, IpAddr::V6(v6) if !v6.is_unicast_link_local());
            state.addresses.iter().find(|(ip, owner)| **owner == mac && global(ip)).map(|(ip, _)| *ip)
        })
    }

    fn wait<T>(&self, patience: WaitHook<'_>, found: impl Fn(&Observations) -> Option<T>) -> Result<T> {
        loop {
            if let Some(value) = found(&self.shared.state()) {
                return Ok(value);
            }
            patience()?;
            let state = self.shared.state();
            if let Some(value) = found(&state) {
                return Ok(value);
            }
            let waited = self.shared.changed.wait_timeout(state, Duration::from_millis(200));
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Asks for an echo for at most `limit`. The round-trip time, or nothing.
    pub fn ping(&self, guest: IpAddr, limit: Duration) -> Result<Option<Duration>> {
        let (reply, answer) = mpsc::channel();
        let job = Ping::new(guest, self.number(), Instant::now() + limit, reply);
        self.tell(EngineCommand::Ask(Box::new(job)))?;
        self.answer(&answer)
    }

    /// Looks for an address that may never have been heard, and asks it for an echo, for at most `limit`: from the address
    /// `from`, inside a virtual network or outside of all.
    pub fn reach(
        &self,
        vlan: Option<u16>,
        from: IpAddr,
        guest: IpAddr,
        limit: Duration,
    ) -> Result<Option<ReachAnswer>> {
        let (reply, answer) = mpsc::channel();
        let job = ReachProbe::new(vlan, from, guest, self.number(), Instant::now() + limit, reply);
        let segment = self.network.segments.iter().position(|segment| segment.vlan == vlan);
        let segment = segment.filter(|_| self.config().vlan != vlan).unwrap_or(self.segment);
        self.tell_on(segment, EngineCommand::Ask(Box::new(job)))?;
        self.answer(&answer)
    }

    /// Asks each of these TCP ports with a SYN.
    pub fn scan(&self, guest: IpAddr, ports: &[u16]) -> Result<Scan> {
        let begun = self.begin(ScanProbe::new(guest, Protocol::Tcp, ports.iter().copied()))?;
        self.wait_for(&begun)
    }

    /// Begins a scan and comes back at once: [`Lab::wait_for`] gives its result.
    pub fn begin(&self, probe: ScanProbe) -> Result<Pending<Scan>> {
        let (reply, answer) = mpsc::channel();
        let number = self.number();
        let source = 10_000 + number % 512 * 64;
        self.tell(EngineCommand::Ask(Box::new(ScanJob::new(probe, number, source, Instant::now(), reply))))?;
        Ok(Pending(answer))
    }

    /// Begins to flood a guest with so many frames, so many of them in a second; the result is how many were sent. None when
    /// the guest has not been heard.
    pub fn flood(&self, guest: IpAddr, port: u16, kind: FloodKind, frames: u32, rate: u32) -> Result<Pending<u32>> {
        let (reply, answer) = mpsc::channel();
        let seed = self.network.seed;
        let job = Flood::new(guest, port, kind, (frames, rate), seed, Instant::now(), reply);
        self.tell(EngineCommand::Ask(Box::new(job)))?;
        Ok(Pending(answer))
    }

    /// Asks these ports of everybody, by both protocols, again and again from now on, until [`Lab::end_watch`]. They should
    /// be ports that never answer.
    pub fn keep_watch(&self, ports: Vec<u16>) -> Result<PortWatchHandle> {
        let (reply, answer) = mpsc::channel();
        let (number, stop) = (self.number(), Arc::new(AtomicBool::new(false)));
        let names = (number, 47_200 + number % 2048);
        let job = PortWatch::new(ports, names, self.shared.started, stop.clone(), self.shared.answered.clone(), reply);
        self.tell(EngineCommand::Ask(Box::new(job)))?;
        Ok(PortWatchHandle { stop, answer: Pending(answer) })
    }

    /// What the watch has seen.
    pub fn end_watch(&self, watch: PortWatchHandle) -> Result<WatchReport> {
        watch.stop.store(true, Ordering::Release);
        self.wait_for(&watch.answer)
    }

    /// The result of what was begun. It comes by its own clock, whatever the guest does.
    pub fn wait_for<T>(&self, pending: &Pending<T>) -> Result<T> {
        self.answer(&pending.0)
    }

    /// The result of what was begun, if it is there.
    pub fn finished<T>(&self, pending: &Pending<T>) -> Result<Option<T>> {
        match pending.0.try_recv() {
            Ok(value) => Ok(Some(value)),
            Err(TryRecvError::Empty) if !self.shared.ended.load(Ordering::Acquire) => Ok(None),
            Err(_) => Err(gone()),
        }
    }

    /// Sends a datagram and says what comes back.
    pub fn udp_probe(&self, guest: IpAddr, port: u16, data: &[u8]) -> Result<UdpVerdict> {
        let (reply, answer) = mpsc::channel();
        let number = self.number();
        let job = UdpJob::new(guest, port, data, number, 43_000 + number % 4096, reply);
        self.tell(EngineCommand::Ask(Box::new(job)))?;
        self.answer(&answer)
    }

    /// Connects, sends `data`, and reads until it is enough.
    pub fn talk(&self, guest: SocketAddr, data: &[u8], until: ReadUntil) -> Result<Talk> {
        self.talk_with(guest, data.to_vec(), until, None)
    }

    fn talk_with(&self, guest: SocketAddr, send: Vec<u8>, until: ReadUntil, tls: Option<TlsClient>) -> Result<Talk> {
        let (reply, answer) = mpsc::channel();
        self.tell(EngineCommand::Talk(Box::new(TalkRequest { guest, send, until, tls, reply })))?;
        self.answer(&answer)
    }

    /// The first line a server says by itself, without its line ending. An error in words when there is none.
    pub fn banner(&self, guest: IpAddr, port: u16) -> Result<Result<String, String>> {
        let talk = self.talk(SocketAddr::new(guest, port), b"", ReadUntil::Line)?;
        let line = talk.data.split(|b| *b == b'\n').next().unwrap_or_default();
        Ok(match talk.ending {
            Ending::Enough if talk.data.contains(&b'\n') => Ok(String::from_utf8_lossy(line).trim_end().to_owned()),
            ending => Err(in_words(&ending, &talk.data)),
        })
    }

    /// The public host key of a secure shell (RFC 4253 §6.6), as it stands in known_hosts before base64. An error in
    /// words when none is shown.
    pub fn host_key(&self, guest: IpAddr, port: u16) -> Result<Result<Vec<u8>, String>> {
        let talk = self.talk(SocketAddr::new(guest, port), &ssh::hello(), ReadUntil::Closed { most: 1 << 16 })?;
        Ok(ssh::host_key(&talk.data).map(<[u8]>::to_vec).ok_or_else(|| in_words(&talk.ending, &talk.data)))
    }

    /// GET over HTTP/1.0 (RFC 1945). An error in words when no well-formed answer comes.
    pub fn http_get(&self, guest: IpAddr, port: u16, path: &str) -> Result<Result<HttpReply, String>> {
        let host = SocketAddr::new(guest, port);
        let talk = self.talk(host, get(host, path).as_bytes(), PAGE)?;
        Ok(parse_http(&talk.data).ok_or_else(|| in_words(&talk.ending, &talk.data)))
    }

    /// The same over TLS, whatever certificate the server shows (in DER beside the answer). `name` is the one that the server is told.
    pub fn https_get(&self, guest: IpAddr, port: u16, name: Option<&str>, path: &str) -> Result<HttpsAnswer> {
        let host = SocketAddr::new(guest, port);
        let tls = TlsClient::new(name, guest, get(host, path).as_bytes())?;
        let talk = self.talk_with(host, Vec::new(), PAGE, Some(tls))?;
        let page = parse_http(&talk.data).ok_or_else(|| in_words(&talk.ending, &talk.data));
        Ok(page.map(|page| (page, talk.certificate.unwrap_or_default())))
    }

    /// Asks for metrics as Prometheus does, and reads them strictly. An error in words when that fails.
    pub fn scrape(&self, guest: IpAddr, port: u16, path: &str) -> Result<Result<Metrics, String>> {
        Ok(self.http_get(guest, port, path)?.and_then(|page| {
            if page.status != 200 {
                return Err(format!("status {}", page.status));
            }
            let text = String::from_utf8(page.body).map_err(|_| "not UTF-8".to_owned())?;
            Metrics::parse(&text)
        }))
    }

    pub(crate) fn number(&self) -> u16 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn tell(&self, command: EngineCommand) -> Result<()> {
        self.tell_on(self.segment, command)
    }

    fn tell_on(&self, segment: usize, command: EngineCommand) -> Result<()> {
        self.commands.send((segment, command)).map_err(|_| gone())?;
        // A full pipe wakes as well as one more byte.
        let _ = (&self.wake).write(&[1]);
        Ok(())
    }

    pub(crate) fn answer<T>(&self, answer: &Receiver<T>) -> Result<T> {
        // Every job ends by its own clock, so this wait is bounded by the thread's life.
        loop {
            match answer.recv_timeout(Duration::from_secs(1)) {
                Ok(value) => return Ok(value),
                Err(RecvTimeoutError::Timeout) if !self.shared.ended.load(Ordering::Acquire) => {}
                Err(_) => return Err(gone()),
            }
        }
    }
}

/// Says that the thread has ended, also where it ended by a panic.
struct Over(Arc<SharedState>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Release);
    }
}

/// A page, and the certificate that the server has shown; or in words why there is none.
pub type HttpsAnswer = Result<(HttpReply, Vec<u8>), String>;

/// The end of a page.
const PAGE: ReadUntil = ReadUntil::Closed { most: 8 << 20 };

fn get(host: SocketAddr, path: &str) -> String {
    format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: diorite\r\nConnection: close\r\n\r\n")
}

fn gone() -> Error {
    Error::bug("the lab's thread has ended early")
}

fn in_words(ending: &Ending, data: &[u8]) -> String {
    let start = String::from_utf8_lossy(&data[..data.len().min(80)]).escape_debug().to_string();
    match ending {
        Ending::NotConnected => "no connection".to_owned(),
        Ending::Reset => format!("connection reset after {} bytes", data.len()),
        Ending::Quiet if data.is_empty() => "connected, but nothing was said".to_owned(),
        Ending::Quiet => format!("fell silent after {} bytes: {start}", data.len()),
        Ending::NoTls(why) => format!("connected, but TLS fails: {why}"),
        Ending::Enough if data.is_empty() => "connected, but it was closed without a word".to_owned(),
        Ending::Enough => format!("not what was asked for: {start}"),
    }
}

fn parse_http(data: &[u8]) -> Option<HttpReply> {
    let end = data.windows(4).position(|w| w == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&data[..end]);
    let (status, rest) = head.split_once("\r\n").unwrap_or((&head, ""));
    let mut words = status.split(' ');
    if !words.next()?.starts_with("HTTP/1.") {
        return None;
    }
    Some(HttpReply { status: words.next()?.parse().ok()?, head: rest.to_owned(), body: data[end + 4..].to_vec() })
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            // If the thread is gone already there is nobody to tell.
            let _ = self.tell(EngineCommand::Stop);
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_is_parsed_or_refused() {
        let good = parse_http(b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\nhello").expect("answer");
        assert_eq!((good.status, good.head.as_str(), &good.body[..]), (200, "Server: x", &b"hello"[..]));
        for bad in ["", "HTTP/1.1 200 OK\r\n", "SSH-2.0-x\r\n\r\n", "HTTP/1.1\r\n\r\n", "HTTP/1.1 abc\r\n\r\n"] {
            assert_eq!(parse_http(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
