//! A host that a test drives by hand: it asks servers of the lab over UDP and TCP, by smoltcp, and sees every frame.
#![allow(dead_code, reason = "each test uses its part")]

use crate::guest::Card;
use smoltcp::{
    iface::{Config, Interface, SocketSet},
    socket::{tcp, udp},
    time::Instant as Tick,
    wire::{EthernetAddress, HardwareAddress, IpCidr},
};
use std::{
    io::{ErrorKind, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::{fd::OwnedFd, unix::net::UnixStream},
    time::{Duration, Instant},
};

pub const MAC: EthernetAddress = EthernetAddress([0x52, 0x54, 0, 0xc1, 0x1e, 0x07]);
pub const V4: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 50);
pub const V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0x50);
pub const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x50);

pub struct Client {
    stream: UnixStream,
    bytes: Vec<u8>,
    card: Card,
    host: Interface,
    started: Instant,
    port: u16,
    /// Every frame that has come.
    pub seen: Vec<Vec<u8>>,
}

impl Client {
    /// The host, and the lab's end of its cable.
    pub fn new() -> (Self, OwnedFd) {
        let (stream, far) = UnixStream::pair().expect("socket pair");
        stream.set_read_timeout(Some(Duration::from_millis(2))).expect("timeout");
        let mut card = Card::default();
        let (host, bytes, seen) = (interface(&mut card), Vec::new(), Vec::new());
        (Self { stream, bytes, card, host, started: Instant::now(), port: 40_000, seen }, far.into())
    }

    /// Forgets its neighbours.
    pub fn forget(&mut self) {
        self.host = interface(&mut self.card);
    }

    /// Has a way out.
    pub fn route(&mut self, gateway: Ipv4Addr) {
        self.host.routes_mut().add_default_ipv4_route(gateway).expect("room");
    }

    /// Sends a frame as it is.
    pub fn send(&mut self, frame: &[u8]) {
        let length = (frame.len() as u32).to_be_bytes();
        self.stream.write_all(&[&length, frame].concat()).expect("the lab reads");
    }

    /// Takes what comes within the time, until `enough` says so.
    pub fn listen(&mut self, limit: Duration, mut enough: impl FnMut(&[Vec<u8>]) -> bool) -> bool {
        let (end, mut none) = (Instant::now() + limit, SocketSet::new(Vec::new()));
        while Instant::now() < end {
            self.poll(&mut none);
            if enough(&self.seen) {
                return true;
            }
        }
        false
    }

    fn poll(&mut self, sockets: &mut SocketSet<'_>) {
        let mut buffer = [0; 65536];
        match self.stream.read(&mut buffer) {
            Ok(n) => self.bytes.extend_from_slice(&buffer[..n]),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
            Err(e) => panic!("the lab is gone: {e}"),
        }
        while let Some(length) = self.bytes.first_chunk::<4>().map(|h| u32::from_be_bytes(*h) as usize) {
            if self.bytes.len() < 4 + length {
                break;
            }
            let frame: Vec<u8> = self.bytes.drain(..4 + length).skip(4).collect();
            self.seen.push(frame.clone());
            self.card.incoming.push_back(frame);
        }
        let now = Tick::from_micros(self.started.elapsed().as_micros() as i64);
        self.host.poll(now, &mut self.card, sockets);
        for frame in std::mem::take(&mut self.card.outgoing) {
            self.send(&frame);
        }
    }

    /// Sends a datagram from a port of ours and gives what comes back to it.
    pub fn ask_from(&mut self, port: u16, to: SocketAddr, data: &[u8], limit: Duration) -> Option<Vec<u8>> {
        let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 8], vec![0; 65_535]);
        let mut socket = udp::Socket::new(buffer(), buffer());
        socket.bind(port).expect("a port");
        socket.send_slice(data, to).expect("room");
        let mut sockets = SocketSet::new(Vec::new());
        let handle = sockets.add(socket);
        let end = Instant::now() + limit;
        while Instant::now() < end {
            self.poll(&mut sockets);
            if let Ok((data, _)) = sockets.get_mut::<udp::Socket<'_>>(handle).recv() {
                return Some(data.to_vec());
            }
        }
        None
    }

    /// The same from a port that was not used before.
    pub fn ask(&mut self, to: SocketAddr, data: &[u8], limit: Duration) -> Option<Vec<u8>> {
        self.port += 1;
        self.ask_from(self.port, to, data, limit)
    }

    /// Connects, sends, and gives what comes until `enough` says so, the other side closes, or ten seconds are over.
    pub fn talk(&mut self, to: SocketAddr, data: &[u8], enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let (mut rest, mut got) = (data.to_vec(), Vec::new());
        self.converse(to, |heard| {
            got.append(heard);
            (std::mem::take(&mut rest), enough(&got))
        });
        got
    }

    /// The same turn by turn: it is told what has come since, and says what is sent then and whether that is enough.
    pub fn converse(&mut self, to: SocketAddr, mut turn: impl FnMut(&mut Vec<u8>) -> (Vec<u8>, bool)) {
        let buffer = |size| tcp::SocketBuffer::new(vec![0; size]);
        let mut socket = tcp::Socket::new(buffer(65_535), buffer(65_535));
        self.port += 1;
        socket.connect(self.host.context(), to, self.port).expect("connect");
        let mut sockets = SocketSet::new(Vec::new());
        let handle = sockets.add(socket);
        let (mut rest, mut got, mut connected) = (Vec::new(), Vec::new(), false);
        let end = Instant::now() + Duration::from_secs(10);
        while Instant::now() < end {
            self.poll(&mut sockets);
            let socket = sockets.get_mut::<tcp::Socket<'_>>(handle);
            while socket.can_recv() {
                got.extend(socket.recv(|bytes| (bytes.len(), bytes.to_vec())).expect("receive"));
            }
            let (said, enough) = turn(&mut got);
            rest.extend(said);
            if socket.can_send() && !rest.is_empty() {
                let sent = socket.send_slice(&rest).expect("send");
                rest.drain(..sent);
            }
            connected |= socket.may_send();
            let closed = socket.state() == tcp::State::Closed || (connected && !socket.may_recv());
            if enough || closed {
                break;
            }
        }
        sockets.get_mut::<tcp::Socket<'_>>(handle).abort();
        self.poll(&mut sockets);
    }
}

fn interface(card: &mut Card) -> Interface {
    let mut settings = Config::new(HardwareAddress::Ethernet(MAC));
    settings.random_seed = 7;
    let mut host = Interface::new(settings, card, Tick::ZERO);
    for (address, prefix) in [(IpAddr::V4(V4), 24), (V6.into(), 64), (LINK_LOCAL.into(), 64)] {
        host.update_ip_addrs(|a| a.push(IpCidr::new(address.into(), prefix)).expect("room"));
    }
    host
}
