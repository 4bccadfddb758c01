//! Connections of the host that end in a guest: a server on smoltcp's own stack, clients of the standard library.

mod guest;

use diorite_lab::{Config, Lab};
use guest::{Card, MAC};
use smoltcp::{
    iface::{self, Interface, SocketHandle, SocketSet},
    socket::tcp,
    time::Instant as Tick,
    wire::{HardwareAddress, IpCidr},
};
use std::{
    io::{ErrorKind, Read, Write},
    net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    os::{fd::OwnedFd, unix::net::UnixStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

const V4: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 50);
/// Takes everything until the other side has ended, and only then says it all again.
const AFTERWARDS: u16 = 7;
/// Says [`MUCH`] and ends, and takes what comes after that.
const SOURCE: u16 = 8;
/// Breaks off after the first byte.
const RESETS: u16 = 9;
/// Nobody is there.
const NOBODY: u16 = 10;
const MUCH: usize = 3_000_000;

fn pattern() -> Vec<u8> {
    (0..MUCH as u32).map(|n| (n % 251) as u8).collect()
}

/// One connection of the server.
struct Served {
    port: u16,
    handle: SocketHandle,
    got: Vec<u8>,
    said: usize,
}

struct Server {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// What came to [`SOURCE`] after it had ended its own side.
    late: Receiver<Vec<u8>>,
}

impl Server {
    fn start() -> (Self, OwnedFd) {
        let (near, far) = UnixStream::pair().expect("socket pair");
        let (stop, (tell, late)) = (Arc::new(AtomicBool::new(false)), mpsc::channel());
        let told = stop.clone();
        let thread = Some(std::thread::spawn(move || serve(near, &told, &tell)));
        (Self { stop, thread, late }, far.into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the server's thread");
        }
    }
}

fn serve(mut wire: UnixStream, stop: &AtomicBool, late: &Sender<Vec<u8>>) {
    wire.set_read_timeout(Some(Duration::from_millis(1))).expect("timeout");
    let (mut card, started, mut stream) = (Card::default(), Instant::now(), Vec::new());
    let mut settings = iface::Config::new(HardwareAddress::Ethernet(MAC));
    settings.random_seed = 3;
    let mut host = Interface::new(settings, &mut card, Tick::ZERO);
    host.update_ip_addrs(|a| a.push(IpCidr::new(IpAddr::V4(V4).into(), 24)).expect("room"));
    let (mut sockets, mut served): (_, Vec<Served>) = (SocketSet::new(Vec::new()), Vec::new());
    let pattern = pattern();
    while !stop.load(Ordering::Relaxed) {
        let mut buffer = [0; 65536];
        match wire.read(&mut buffer) {
            Ok(0) => return,
            Ok(n) => stream.extend_from_slice(&buffer[..n]),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
            Err(_) => return,
        }
        while let Some(length) = stream.first_chunk::<4>().map(|h| u32::from_be_bytes(*h) as usize) {
            if stream.len() < 4 + length {
                break;
            }
            card.incoming.push_back(stream.drain(..4 + length).skip(4).collect());
        }
        host.poll(Tick::from_micros(started.elapsed().as_micros() as i64), &mut card, &mut sockets);
        for port in [AFTERWARDS, SOURCE, RESETS] {
            let free = |s: &&Served| s.port == port && sockets.get::<tcp::Socket<'_>>(s.handle).is_listening();
            for _ in served.iter().filter(free).count()..8 {
                let buffer = || tcp::SocketBuffer::new(vec![0; 65_535]);
                let mut socket = tcp::Socket::new(buffer(), buffer());
                socket.listen(port).expect("listen");
                served.push(Served { port, handle: sockets.add(socket), got: Vec::new(), said: 0 });
            }
        }
        for one in &mut served {
            let socket = sockets.get_mut::<tcp::Socket<'_>>(one.handle);
            if socket.is_listening() {
                continue;
            }
            while socket.can_recv() {
                one.got.extend(socket.recv(|bytes| (bytes.len(), bytes.to_vec())).expect("receive"));
            }
            let ended = socket.state() == tcp::State::CloseWait;
            match one.port {
                AFTERWARDS if ended => {
                    one.said += socket.send_slice(&one.got[one.said..]).unwrap_or(0);
                    if one.said == one.got.len() {
                        socket.close();
                    }
                }
                SOURCE if socket.may_send() => {
                    one.said += socket.send_slice(&pattern[one.said..]).unwrap_or(0);
                    if one.said == pattern.len() {
                        socket.close();
                    }
                }
                SOURCE if socket.state() == tcp::State::TimeWait && !one.got.is_empty() => {
                    // The test may be over.
                    let _ = late.send(std::mem::take(&mut one.got));
                }
                RESETS if !one.got.is_empty() => socket.abort(),
                _ => {}
            }
        }
        host.poll(Tick::from_micros(started.elapsed().as_micros() as i64), &mut card, &mut sockets);
        for frame in card.outgoing.drain(..) {
            let length = (frame.len() as u32).to_be_bytes();
            if wire.write_all(&[&length, &frame[..]].concat()).is_err() {
                return;
            }
        }
    }
}

/// The server in a lab, and addresses of the host that lead to these ports of it.
fn forwarded(ports: &[u16]) -> (Server, Lab, Vec<SocketAddr>) {
    let (server, fd) = Server::start();
    let lab = Lab::start_with(Config::default(), vec![fd]).expect("lab");
    let addresses = ports.iter().map(|port| {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("its address");
        lab.forward(listener, SocketAddr::new(V4.into(), *port)).expect("it is forwarded");
        address
    });
    let addresses = addresses.collect();
    (server, lab, addresses)
}

fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).expect("the host accepts");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("timeout");
    stream
}

/// Everything until the end of the other side.
fn all(stream: &mut TcpStream) -> Vec<u8> {
    let mut got = Vec::new();
    stream.read_to_end(&mut got).expect("an end in order");
    got
}

/// The answer begins only when the question's end has come through, and the question is longer than every buffer on the
/// way. Several at once, each its own.
#[test]
fn an_end_of_one_direction_is_passed_on_and_connections_do_not_mix() {
    let (_server, _lab, to) = forwarded(&[AFTERWARDS]);
    let clients: Vec<_> = (0..6u8)
        .map(|number| {
            let to = to[0];
            std::thread::spawn(move || {
                let question: Vec<u8> =
                    (0..1_200_000u32).map(|n| (n % 239) as u8 ^ number).chain([number; 7]).collect();
                let mut stream = connect(to);
                stream.write_all(&question).expect("it takes everything");
                stream.shutdown(Shutdown::Write).expect("shutdown");
                assert!(all(&mut stream) == question, "connection {number}");
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().expect("as it was sent"));
}

#[test]
fn what_a_guest_sends_arrives_whole_and_it_still_hears_after_its_end() {
    let (server, _lab, to) = forwarded(&[SOURCE]);
    let mut stream = connect(to[0]);
    assert!(all(&mut stream) == pattern());
    // The guest has ended its side; ours is open.
    stream.write_all(b"heard after the end").expect("it is open");
    drop(stream);
    let late = server.late.recv_timeout(Duration::from_secs(30)).expect("it comes");
    assert_eq!(late, b"heard after the end");
}

/// A client that reads nothing holds up its own connection alone.
#[test]
fn a_client_that_does_not_read_stops_nobody_else() {
    let (_server, lab, to) = forwarded(&[SOURCE, AFTERWARDS]);
    let mut lazy = connect(to[0]);
    let mut other = connect(to[1]);
    other.write_all(b"now").expect("it is open");
    other.shutdown(Shutdown::Write).expect("shutdown");
    assert_eq!(all(&mut other), b"now");
    assert!(!lab.deserted());
    assert!(all(&mut lazy) == pattern(), "it can still be read");
}

#[test]
fn a_reset_and_a_refusal_reset_the_hosts_connection() {
    let (_server, _lab, to) = forwarded(&[RESETS, NOBODY]);
    for (to, word) in [(to[0], &b"x"[..]), (to[1], b"")] {
        let mut stream = connect(to);
        stream.write_all(word).expect("it is open");
        let error = stream.read(&mut [0; 1]).expect_err("no end in order");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
    }
}

/// What connects before anybody is told where to waits, as it does before a machine has an address.
#[test]
fn connections_wait_until_it_is_known_where_to() {
    let (_server, fd) = Server::start();
    let lab = Lab::start_with(Config::default(), vec![fd]).expect("lab");
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let mut early = connect(listener.local_addr().expect("its address"));
    early.write_all(b"early").expect("the host takes it");
    early.shutdown(Shutdown::Write).expect("shutdown");
    lab.forward(listener, SocketAddr::new(V4.into(), AFTERWARDS)).expect("it is forwarded");
    assert_eq!(all(&mut early), b"early");
}
