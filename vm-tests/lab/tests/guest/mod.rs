//! A guest without a machine: a smoltcp host on the other end of the socket pair, with a packet filter of our choice.
#![allow(dead_code, reason = "each test uses its part")]

use diorite_lab::frame::{Body, Host, Packet};
use smoltcp::{
    iface::{Config, Interface, SocketSet},
    phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken},
    socket::{dhcpv4, tcp},
    time::Instant as Tick,
    wire::{EthernetAddress, HardwareAddress, Icmpv6Repr, IpAddress, IpCidr, NdiscRepr, TcpControl},
};
use std::{
    collections::VecDeque,
    io::{ErrorKind, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::{fd::OwnedFd, unix::net::UnixStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

pub const MAC: EthernetAddress = EthernetAddress([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
pub const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0x5054, 0xff, 0xfe12, 0x3456);
pub const GLOBAL: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0x5054, 0xff, 0xfe12, 0x3456);

/// Addresses of a guest in a virtual network.
pub const TAGGED: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(10, 9, 0, 5)), IpAddr::V6(Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, 5))];

/// MachineHardware address of the guest with this number; number 0 has [`MAC`].
pub fn mac(number: u8) -> EthernetAddress {
    let [a, b, c, d, e, f] = MAC.0;
    EthernetAddress([a, b, c, d, e, f + number])
}

/// Its address in a prefix of 64 bits (RFC 4291 appendix A).
pub fn inside(prefix: Ipv6Addr, number: u8) -> Ipv6Addr {
    let [network, host] = [prefix.to_bits() >> 64 << 64, LINK_LOCAL.to_bits() & u128::from(u64::MAX)];
    Ipv6Addr::from_bits(network | (host + u128::from(number)))
}

/// What the filter does with a packet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Accept,
    Drop,
    Reject,
}

/// What a guest does.
#[derive(Clone)]
pub struct Behaviour {
    /// Which guest of several it is.
    pub number: u8,
    /// By TCP destination port of a SYN.
    pub tcp: fn(u16) -> Action,
    /// By UDP destination port.
    pub udp: fn(u16) -> Action,
    /// SYNs that pass whatever `tcp` says, by source and destination port.
    pub filter: Option<fn(u16, u16) -> bool>,
    /// Answers echo requests.
    pub pings: bool,
    /// Asks for an address.
    pub dhcp: bool,
    /// It is in this virtual network alone, with the addresses of [`TAGGED`].
    pub vlan: Option<u16>,
    /// Ports served, with what is said first and what is said to a request.
    pub serves: &'static [(u16, &'static str, &'static str)],
}

/// A guest that takes what it is given and has nothing to hide.
pub const PLAIN: Behaviour = Behaviour {
    number: 0,
    tcp: |_| Action::Accept,
    udp: |_| Action::Accept,
    filter: None,
    pings: true,
    dhcp: true,
    vlan: None,
    serves: &[],
};

/// The guest ends when this is dropped.
pub struct Guest {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Guest {
    pub fn start(behaviour: Behaviour) -> (Self, OwnedFd) {
        let (near, far) = UnixStream::pair().expect("socket pair");
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let thread = std::thread::spawn(move || run(near, &behaviour, &told));
        (Self { stop, thread: Some(thread) }, far.into())
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the guest's thread");
        }
    }
}

/// A network card for smoltcp: two queues.
#[derive(Default)]
pub struct Card {
    pub incoming: VecDeque<Vec<u8>>,
    pub outgoing: Vec<Vec<u8>>,
}
pub struct Taken(Vec<u8>);
pub struct Given<'a>(&'a mut Vec<Vec<u8>>);
impl Device for Card {
    type RxToken<'a> = Taken;
    type TxToken<'a> = Given<'a>;
    fn receive(&mut self, _: Tick) -> Option<(Taken, Given<'_>)> {
        Some((Taken(self.incoming.pop_front()?), Given(&mut self.outgoing)))
    }
    fn transmit(&mut self, _: Tick) -> Option<Given<'_>> {
        Some(Given(&mut self.outgoing))
    }
    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}
impl RxToken for Taken {
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

fn run(mut wire: UnixStream, behaviour: &Behaviour, stop: &AtomicBool) {
    wire.set_read_timeout(Some(Duration::from_millis(2))).expect("timeout");
    let (mut card, started) = (Card::default(), Instant::now());
    let mut settings = Config::new(HardwareAddress::Ethernet(mac(behaviour.number)));
    settings.slaac = true;
    settings.random_seed = 1;
    let mut host = Interface::new(settings, &mut card, Tick::ZERO);
    host.update_ip_addrs(|a| a.push(IpCidr::new(inside(LINK_LOCAL, behaviour.number).into(), 64)).expect("room"));
    if behaviour.vlan.is_some() {
        host.routes_mut().add_default_ipv4_route(Ipv4Addr::new(10, 9, 0, 1)).expect("room");
        for (address, prefix) in TAGGED.into_iter().zip([24, 64]) {
            host.update_ip_addrs(|a| a.push(IpCidr::new(address.into(), prefix)).expect("room"));
        }
    }
    let mut sockets = SocketSet::new(Vec::new());
    let dhcp = behaviour.dhcp.then(|| sockets.add(dhcpv4::Socket::new()));
    let mut servers = Vec::new();
    for (port, first, answer) in behaviour.serves {
        let buffer = || tcp::SocketBuffer::new(vec![0; 4096]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.listen(*port).expect("listen");
        servers.push((sockets.add(socket), *port, *first, *answer, false));
    }
    let mut stream = Vec::new();
    let mut announced = false;
    while !stop.load(Ordering::Relaxed) {
        let mut buffer = [0; 65536];
        match wire.read(&mut buffer) {
            Ok(0) => return,
            Ok(n) => stream.extend_from_slice(&buffer[..n]),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
            Err(_) => return,
        }
        let mut at = 0;
        while let Some(length) = stream[at..].first_chunk::<4>().map(|h| u32::from_be_bytes(*h) as usize) {
            let Some(frame) = stream.get(at + 4..at + 4 + length) else { break };
            at += 4 + length;
            // By hand, so that the lab's own code is not its own judge.
            match behaviour.vlan {
                Some(id) if frame[12..16] == [0x81, 0, (id >> 8) as u8, id as u8] => {
                    filter(behaviour, &[&frame[..12], &frame[16..]].concat(), &mut card);
                }
                Some(_) => {}
                None => filter(behaviour, frame, &mut card),
            }
        }
        stream.drain(..at);
        let now = Tick::from_micros(started.elapsed().as_micros() as i64);
        host.poll(now, &mut card, &mut sockets);
        let global = host.ip_addrs().iter().find_map(|a| match a.address() {
            IpAddress::Ipv6(ip) if !ip.is_unicast_link_local() && behaviour.vlan.is_none() => Some(ip),
            _ => None,
        });
        if let Some(global) = global.filter(|_| !std::mem::replace(&mut announced, global.is_some())) {
            card.outgoing.push(detect_duplicates(mac(behaviour.number), global));
        }
        if let Some(dhcp) = dhcp
            && let Some(dhcpv4::Event::Configured(lease)) = sockets.get_mut::<dhcpv4::Socket<'_>>(dhcp).poll()
        {
            host.update_ip_addrs(|a| a.push(IpCidr::Ipv4(lease.address)).expect("room"));
            host.routes_mut().add_default_ipv4_route(lease.router.expect("a router")).expect("room");
        }
        for (handle, port, first, answer, greeted) in &mut servers {
            let socket = sockets.get_mut::<tcp::Socket<'_>>(*handle);
            if !socket.is_open() {
                socket.listen(*port).expect("listen");
                *greeted = false;
            }
            if socket.can_send() && !*greeted {
                socket.send_slice(first.as_bytes()).expect("send");
                *greeted = true;
            }
            if socket.can_recv() && !answer.is_empty() {
                let asked = socket.recv(|bytes| (bytes.len(), bytes.ends_with(b"\r\n\r\n"))).expect("receive");
                if asked {
                    socket.send_slice(answer.as_bytes()).expect("send");
                    socket.close();
                }
            }
        }
        host.poll(now, &mut card, &mut sockets);
        for mut frame in card.outgoing.drain(..) {
            if let Some(id) = behaviour.vlan {
                frame.splice(12..12, [0x81, 0, (id >> 8) as u8, id as u8]);
            }
            let length = (frame.len() as u32).to_be_bytes();
            if wire.write_all(&[&length, &frame[..]].concat()).is_err() {
                return;
            }
        }
    }
}

/// What every system says before it uses an address (RFC 4862 §5.4) and smoltcp does not.
fn detect_duplicates(own: EthernetAddress, address: Ipv6Addr) -> Vec<u8> {
    let ask = Icmpv6Repr::Ndisc(NdiscRepr::NeighborSolicit { target_addr: address, lladdr: None });
    let [.., a, b, c] = address.octets();
    let group = Ipv6Addr::from_bits(0xff02_0000_0000_0000_0000_0001_ff00_0000 | (address.to_bits() & 0xff_ffff));
    let mac = EthernetAddress([0x33, 0x33, 0xff, a, b, c]);
    diorite_lab::frame::icmp6(own, Ipv6Addr::UNSPECIFIED, mac, group, 255, &ask)
}

fn filter(behaviour: &Behaviour, frame: &[u8], card: &mut Card) {
    let Some(packet) = Packet::parse(frame) else { return };
    let action = match packet.body {
        Body::Tcp { from, to, control: TcpControl::Syn, .. } => match behaviour.filter {
            Some(passes) if passes(from.port(), to.port()) => Action::Accept,
            _ => (behaviour.tcp)(to.port()),
        },
        Body::Udp { to, .. } if to.port() != 68 => (behaviour.udp)(to.port()),
        Body::Icmp { kind: 8 | 128, .. } if !behaviour.pings => Action::Drop,
        _ => Action::Accept,
    };
    match action {
        Action::Accept => card.incoming.push_back(frame.to_vec()),
        Action::Drop => {}
        Action::Reject => {
            let (from, to) = match packet.body {
                Body::Tcp { from, to, .. } | Body::Udp { from, to, .. } => (from.ip(), to.ip()),
                _ => return,
            };
            card.outgoing.push(unreachable(behaviour.number, packet.source, from, to, &frame[14..]));
        }
    }
}

/// "Administratively prohibited", as a filter says it: ICMP 3/13, ICMPv6 1/1. Built by hand, so that the lab's own
/// code is not its own judge. The checksum of the ICMP message stays zero: the lab does not read it.
fn unreachable(number: u8, lab: EthernetAddress, lab_ip: IpAddr, own: IpAddr, quote: &[u8]) -> Vec<u8> {
    let (from, to) = (Host { mac: mac(number), ip: own }, Host { mac: lab, ip: lab_ip });
    let mut frame = [to.mac.as_bytes(), from.mac.as_bytes()].concat();
    let length = (quote.len() + 8) as u16;
    match (own, lab_ip) {
        (IpAddr::V4(own), IpAddr::V4(lab)) => {
            frame.extend([8, 0, 0x45, 0]);
            frame.extend((length + 20).to_be_bytes());
            frame.extend([0, 0, 0, 0, 64, 1, 0, 0]);
            frame.extend(own.octets().into_iter().chain(lab.octets()));
            let sum: u32 = frame[14..34].chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(w[1])).sum();
            let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
            frame[24..26].copy_from_slice(&sum.to_be_bytes());
            frame.extend([3, 13, 0, 0, 0, 0, 0, 0]);
        }
        (IpAddr::V6(own), IpAddr::V6(lab)) => {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend(length.to_be_bytes());
            frame.extend([58, 64]);
            frame.extend(own.octets().into_iter().chain(lab.octets()));
            frame.extend([1, 1, 0, 0, 0, 0, 0, 0]);
        }
        _ => unreachable!("one family"),
    }
    frame.extend_from_slice(quote);
    frame
}
