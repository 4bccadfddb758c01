//! TCP servers inside the lab: what listens on a port, and a small machine for each connection.

use smoltcp::{
    iface::{SocketHandle, SocketSet},
    socket::tcp,
    time::Duration as Ticks,
};
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    os::fd::BorrowedFd,
    time::Instant,
};

/// What a connection's machine wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionStep {
    /// More from the other side, or room for more to it.
    Wait,
    /// To be asked again at this time, or earlier.
    Until(Instant),
    /// To send what there is and close.
    Close,
    /// To break off.
    Reset,
}

/// One connection.
pub trait ServiceSession: Send {
    /// Takes what it understands from `input`, appends to `output`. `ended`: the other side says nothing more.
    fn step(&mut self, input: &mut Vec<u8>, ended: bool, output: &mut Vec<u8>, now: Instant) -> SessionStep;

    /// What it has to be asked again for when there is something to read.
    fn watched(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// Makes the machine for a connection from this address.
pub type Service = Box<dyn FnMut(SocketAddr) -> Box<dyn ServiceSession> + Send>;

/// Sockets that wait for a connection on each port, and connections at the same time in all; further ones are reset.
const BACKLOG: usize = 4;
const MOST: usize = 128;
/// Bytes of input or output that a connection holds at most before the other side has to wait.
const HELD: usize = 256 << 10;
/// A connection whose other side acknowledges nothing for so long is over.
const TIMEOUT: Ticks = Ticks::from_secs(60);

struct PortListener {
    service: Service,
    waiting: Vec<SocketHandle>,
}

struct ServedConnection {
    handle: SocketHandle,
    session: Box<dyn ServiceSession>,
    input: Vec<u8>,
    output: Vec<u8>,
    closing: bool,
}

/// Everything that listens on one host.
#[derive(Default)]
pub struct Listeners {
    ports: BTreeMap<u16, PortListener>,
    open: Vec<ServedConnection>,
}

impl Listeners {
    /// Serves a port from now on; another service on it is replaced, its connections go on.
    pub fn serve(&mut self, port: u16, service: Service) {
        let waiting = self.ports.remove(&port).map(|old| old.waiting).unwrap_or_default();
        self.ports.insert(port, PortListener { service, waiting });
    }

    /// Serves a port no more; its connections go on.
    pub fn stop(&mut self, port: u16) {
        self.ports.remove(&port);
    }

    /// The same, and breaks its connections off.
    pub fn cut(&mut self, port: u16, sockets: &mut SocketSet<'static>) {
        self.stop(port);
        self.open.retain(|connection| {
            let socket = sockets.get_mut::<tcp::Socket<'_>>(connection.handle);
            let goes = socket.local_endpoint().is_some_and(|end| end.port == port);
            if goes {
                socket.abort();
            }
            !goes
        });
    }

    /// For poll(2): what connections that have room wait for.
    pub fn watched(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let ready = |c: &&ServedConnection| !c.closing && c.output.len() < HELD;
        self.open.iter().filter(ready).filter_map(|connection| connection.session.watched())
    }

    /// Whether the socket belongs to a listener or to an open connection.
    pub fn holds(&self, handle: SocketHandle) -> bool {
        let waits = self.ports.values().any(|listener| listener.waiting.contains(&handle));
        waits || self.open.iter().any(|connection| connection.handle == handle)
    }

    /// Takes new connections and moves all on. When to come back.
    pub fn work(&mut self, sockets: &mut SocketSet<'static>, now: Instant) -> Option<Instant> {
        for (port, listener) in &mut self.ports {
            let (open, service) = (&mut self.open, &mut listener.service);
            listener.waiting.retain(|handle| {
                let socket = sockets.get_mut::<tcp::Socket<'_>>(*handle);
                if socket.state() == tcp::State::Listen {
                    return true;
                }
                if let Some(peer) = socket.remote_endpoint() {
                    let session = service(SocketAddr::new(IpAddr::from(peer.addr), peer.port));
                    let (input, output, closing) = (Vec::new(), Vec::new(), false);
                    open.push(ServedConnection { handle: *handle, session, input, output, closing });
                }
                false
            });
            if self.open.len() + listener.waiting.len() >= MOST {
                // A flood of SYNs pushes out its own half-open connections first.
                let half =
                    |c: &ServedConnection| sockets.get::<tcp::Socket<'_>>(c.handle).state() == tcp::State::SynReceived;
                if let Some(place) = self.open.iter().position(half) {
                    let gone = self.open.remove(place);
                    sockets.get_mut::<tcp::Socket<'_>>(gone.handle).abort();
                }
            }
            while listener.waiting.len() < BACKLOG && self.open.len() + listener.waiting.len() < MOST {
                let buffer = |size| tcp::SocketBuffer::new(vec![0; size]);
                let mut socket = tcp::Socket::new(buffer(65_535), buffer(65_535));
                socket.set_timeout(Some(TIMEOUT));
                socket.set_keep_alive(Some(TIMEOUT / 2));
                if *port == 0 || socket.listen(*port).is_err() {
                    break;
                }
                listener.waiting.push(sockets.add(socket));
            }
        }
        let mut next: Option<Instant> = None;
        self.open.retain_mut(|connection| {
            let socket = sockets.get_mut::<tcp::Socket<'_>>(connection.handle);
            let (stays, at) = connection.step(socket, now);
            next = [next, at].into_iter().flatten().min();
            stays
        });
        next
    }
}

impl ServedConnection {
    /// Whether it goes on, and when to come back.
    fn step(&mut self, socket: &mut tcp::Socket<'_>, now: Instant) -> (bool, Option<Instant>) {
        while socket.can_recv() && self.input.len() < HELD {
            let taken = socket.recv(|bytes| (bytes.len(), bytes.to_vec())).unwrap_or_default();
            self.input.extend_from_slice(&taken);
        }
        let mut next = None;
        let before = self.input.len();
        let over = matches!(socket.state(), tcp::State::Closed | tcp::State::TimeWait);
        let early = matches!(socket.state(), tcp::State::SynReceived);
        if !self.closing && !early && self.output.len() < HELD {
            let ended = !socket.may_recv() && !socket.can_recv();
            match self.session.step(&mut self.input, ended, &mut self.output, now) {
                SessionStep::Wait => {}
                SessionStep::Until(at) => next = Some(at),
                SessionStep::Close => self.closing = true,
                SessionStep::Reset => {
                    socket.abort();
                    return (false, None);
                }
            }
        }
        if socket.can_send() && !self.output.is_empty() {
            let sent = socket.send_slice(&self.output).unwrap_or(0);
            self.output.drain(..sent);
        }
        if self.closing && self.output.is_empty() {
            socket.close();
        }
        // A machine that leaves a full input lying would never be fed again.
        if before >= HELD && self.input.len() == before {
            socket.abort();
            return (false, None);
        }
        (!over, next)
    }
}
