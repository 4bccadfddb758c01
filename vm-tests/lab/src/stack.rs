//! The TCP connections of one of the lab's hosts, by smoltcp. It sees IP packets alone.

use crate::{config::Config, forward::Forwards, listen::Listeners, secure::TlsClient};
use smoltcp::{
    iface::{self, Interface, SocketHandle, SocketSet},
    phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken},
    socket::tcp,
    time::Instant as Tick,
    wire::{HardwareAddress, IpCidr},
};
use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::mpsc::Sender,
    time::{Duration, Instant},
};

/// When a conversation has said enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadUntil {
    /// The first line has come.
    Line,
    /// The guest has closed, or so many bytes have come.
    Closed {
        /// Limit.
        most: usize,
    },
}

/// How a conversation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// With what was asked for.
    Enough,
    /// The connection was never made: reset, or no answer.
    NotConnected,
    /// The guest reset it.
    Reset,
    /// The guest said nothing more for [`Config::quiet`].
    Quiet,
    /// It is not TLS that the guest speaks, or not one that can be agreed on: why.
    NoTls(String),
}

/// What a conversation brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Talk {
    /// Everything the guest sent.
    pub data: Vec<u8>,
    /// How it ended.
    pub ending: Ending,
    /// The certificate that the guest has shown, in DER, where TLS was spoken.
    pub certificate: Option<Vec<u8>>,
}

/// A conversation that is to be held.
pub struct TalkRequest {
    /// With whom.
    pub guest: SocketAddr,
    /// What is said first; with TLS, it says it itself.
    pub send: Vec<u8>,
    /// When it is enough.
    pub until: ReadUntil,
    /// Spoken through TLS.
    pub tls: Option<TlsClient>,
    /// Where the result goes.
    pub reply: Sender<Talk>,
}

struct Conversation {
    handle: SocketHandle,
    send: Vec<u8>,
    tls: Option<TlsClient>,
    until: ReadUntil,
    data: Vec<u8>,
    connected: bool,
    moved: Instant,
    reply: Sender<Talk>,
}

/// The host and its open conversations.
pub struct Stack {
    interface: Interface,
    device: Queues,
    sockets: SocketSet<'static>,
    talks: Vec<Conversation>,
    /// What listens.
    pub listeners: Listeners,
    /// What leads from the host to guests.
    pub forwards: Forwards,
    started: Instant,
    quiet: Duration,
    next_port: u16,
}

impl Stack {
    /// A host with the lab's addresses.
    pub fn new(config: &Config, started: Instant) -> Self {
        let mtu = usize::from(config.mtu);
        let mut device = Queues { incoming: VecDeque::new(), outgoing: Vec::new(), mtu };
        let mut settings = iface::Config::new(HardwareAddress::Ip);
        settings.random_seed = 0x0d10_417e;
        let mut interface = Interface::new(settings, &mut device, Tick::ZERO);
        interface.update_ip_addrs(|addresses| {
            for (address, prefix) in config.own() {
                addresses.push(IpCidr::new(address.into(), prefix)).expect("smoltcp is built for eight addresses");
            }
        });
        // Whatever is not on the segment is the router's affair; smoltcp must only believe that there is one.
        let routes = interface.routes_mut();
        routes.add_default_ipv4_route(config.ipv4).expect("room for a route");
        routes.add_default_ipv6_route(config.link_local).expect("room for a route");
        let (sockets, talks, listeners) = (SocketSet::new(Vec::new()), Vec::new(), Listeners::default());
        let (forwards, quiet, next_port) = (Forwards::default(), config.quiet, 50_000);
        Self { interface, device, sockets, talks, listeners, forwards, started, quiet, next_port }
    }

    /// Connects, sends, and reads until it is enough.
    pub fn talk(&mut self, request: TalkRequest, now: Instant) {
        let TalkRequest { guest, send, until, tls, reply } = request;
        let buffer = |size| tcp::SocketBuffer::new(vec![0; size]);
        let mut socket = tcp::Socket::new(buffer(65_535), buffer(16_384));
        if socket.connect(self.interface.context(), guest, following(&mut self.next_port)).is_err() {
            let _ = reply.send(Talk { data: Vec::new(), ending: Ending::NotConnected, certificate: None });
            return;
        }
        let handle = self.sockets.add(socket);
        let (data, connected) = (Vec::new(), false);
        self.talks.push(Conversation { handle, send, tls, until, data, connected, moved: now, reply });
    }

    /// Serves a port no more, and breaks its connections off.
    pub fn cut(&mut self, port: u16) {
        self.listeners.cut(port, &mut self.sockets);
    }

    /// An IP packet for this host.
    pub fn receive(&mut self, packet: &[u8]) {
        self.device.incoming.push_back(packet.to_vec());
    }

    /// Does what is due, appends the IP packets that must be sent, and says when to come back.
    pub fn poll(&mut self, now: Instant, out: &mut Vec<Vec<u8>>) -> Option<Instant> {
        let tick = Tick::from_micros(i64::try_from((now - self.started).as_micros()).unwrap_or(i64::MAX));
        self.interface.poll(tick, &mut self.device, &mut self.sockets);
        let (sockets, quiet) = (&mut self.sockets, self.quiet);
        self.talks.retain_mut(|talk| {
            let socket = sockets.get_mut::<tcp::Socket<'_>>(talk.handle);
            match talk.step(socket, now, quiet) {
                None => true,
                Some(ending) => {
                    socket.abort();
                    let data = std::mem::take(&mut talk.data);
                    let certificate = talk.tls.as_ref().and_then(TlsClient::certificate);
                    let _ = talk.reply.send(Talk { data, ending, certificate });
                    false
                }
            }
        });
        let listeners = self.listeners.work(&mut self.sockets, now);
        self.forwards.work(&mut self.interface, &mut self.sockets, || following(&mut self.next_port));
        // Once more for what the conversations have just queued, then forget the sockets that are over.
        self.interface.poll(tick, &mut self.device, &mut self.sockets);
        let talks = |h| self.talks.iter().any(|talk| talk.handle == h);
        let live = |h: &SocketHandle| talks(*h) || self.listeners.holds(*h) || self.forwards.holds(*h);
        let over: Vec<SocketHandle> = self.sockets.iter().map(|(h, _)| h).filter(|h| !live(h)).collect();
        for handle in over {
            self.sockets.remove(handle);
        }
        out.append(&mut self.device.outgoing);
        let next =
            self.interface.poll_delay(tick, &self.sockets).map(|d| now + Duration::from_micros(d.total_micros()));
        let quiet = self.talks.iter().map(|talk| talk.moved + self.quiet).min();
        [next, quiet, listeners].into_iter().flatten().min()
    }
}

/// The port after this one, of those that are ours to connect from.
fn following(port: &mut u16) -> u16 {
    *port = if *port == 65_535 { 50_000 } else { *port + 1 };
    *port
}

impl Conversation {
    fn step(&mut self, socket: &mut tcp::Socket<'_>, now: Instant, quiet: Duration) -> Option<Ending> {
        if socket.may_send() && !self.connected {
            self.connected = true;
            self.moved = now;
        }
        let mut heard = Vec::new();
        while socket.can_recv() {
            heard.extend(socket.recv(|bytes| (bytes.len(), bytes.to_vec())).unwrap_or_default());
            self.moved = now;
        }
        match &mut self.tls {
            None => self.data.append(&mut heard),
            Some(tls) => {
                if let Err(why) = tls.hear(&heard, &mut self.data) {
                    return Some(Ending::NoTls(why));
                }
                self.send.append(&mut tls.wire);
            }
        }
        if self.connected && !self.send.is_empty() && socket.can_send() {
            let sent = socket.send_slice(&self.send).unwrap_or(0);
            self.send.drain(..sent);
        }
        let enough = match self.until {
            ReadUntil::Line => self.data.contains(&b'\n') || self.data.len() > 4096,
            ReadUntil::Closed { most } => self.data.len() >= most,
        };
        if enough {
            return Some(Ending::Enough);
        }
        match socket.state() {
            // smoltcp takes a reset straight to Closed.
            tcp::State::Closed if self.connected => return Some(Ending::Reset),
            tcp::State::Closed => return Some(Ending::NotConnected),
            _ if self.connected && !socket.may_recv() => return Some(Ending::Enough),
            _ => {}
        }
        let over = now >= self.moved + quiet;
        over.then_some(if self.connected { Ending::Quiet } else { Ending::NotConnected })
    }
}

/// smoltcp's view of the wire: two queues.
struct Queues {
    incoming: VecDeque<Vec<u8>>,
    outgoing: Vec<Vec<u8>>,
    mtu: usize,
}

struct ReceiveToken(Vec<u8>);
struct Given<'a>(&'a mut Vec<Vec<u8>>);

impl Device for Queues {
    type RxToken<'a> = ReceiveToken;
    type TxToken<'a> = Given<'a>;
    fn receive(&mut self, _: Tick) -> Option<(ReceiveToken, Given<'_>)> {
        let frame = self.incoming.pop_front()?;
        Some((ReceiveToken(frame), Given(&mut self.outgoing)))
    }
    fn transmit(&mut self, _: Tick) -> Option<Given<'_>> {
        Some(Given(&mut self.outgoing))
    }
    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        // A guest may leave checksums to a card that is none; ours are always written.
        capabilities.checksum.ipv4 = smoltcp::phy::Checksum::Tx;
        capabilities.checksum.tcp = smoltcp::phy::Checksum::Tx;
        capabilities.checksum.udp = smoltcp::phy::Checksum::Tx;
        capabilities.checksum.icmpv4 = smoltcp::phy::Checksum::Tx;
        capabilities.checksum.icmpv6 = smoltcp::phy::Checksum::Tx;
        capabilities
    }
}

impl RxToken for ReceiveToken {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}
impl TxToken for Given<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let mut frame = vec![0; length];
        let result = f(&mut frame);
        self.0.push(frame);
        result
    }
}
