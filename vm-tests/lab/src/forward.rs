//! Ports of the host that lead to ports of a guest: each connection to one is bridged to a connection of the lab's own,
//! byte for byte in both directions, each with its own end.

use rustix::{event::PollFlags, net::sockopt};
use smoltcp::{
    iface::{Interface, SocketHandle, SocketSet},
    socket::tcp,
    time::Duration as Ticks,
};
use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

/// Connections at the same time; further ones wait in the host's own queue.
const MOST: usize = 128;
/// Bytes on the way in each direction, as long as nobody takes them.
const HELD: usize = 256 << 10;
/// A guest that acknowledges nothing for so long is gone.
const TIMEOUT: Ticks = Ticks::from_secs(120);

/// Everything that is forwarded into one segment.
#[derive(Default)]
pub struct Forwards {
    listeners: Vec<(TcpListener, SocketAddr)>,
    bridges: Vec<ForwardedConnection>,
}

impl Forwards {
    /// Leads what connects to `listener` to `guest`, also what has waited in its queue before.
    pub fn add(&mut self, listener: TcpListener, guest: SocketAddr) -> std::io::Result<()> {
        listener.set_nonblocking(true)?;
        self.listeners.push((listener, guest));
        Ok(())
    }

    /// Whether a bridge stands on this socket.
    pub fn holds(&self, handle: SocketHandle) -> bool {
        self.bridges.iter().any(|bridge| bridge.handle == handle)
    }

    /// What the host must be watched for.
    pub fn watched(&self) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        let room = self.bridges.len() < MOST;
        let listeners = self.listeners.iter().filter(move |_| room).map(|(l, _)| (l.as_fd(), PollFlags::IN));
        // One that wants nothing is not watched at all: its end would be told again and again.
        let bridges = self.bridges.iter().filter(|b| !b.wants.is_empty()).map(|b| (b.host.as_fd(), b.wants));
        listeners.chain(bridges)
    }

    /// Takes new connections and moves all on. `port` gives a free port of ours.
    pub fn work(&mut self, interface: &mut Interface, sockets: &mut SocketSet<'static>, mut port: impl FnMut() -> u16) {
        for (listener, guest) in &self.listeners {
            while self.bridges.len() < MOST {
                let Ok((host, _)) = listener.accept() else { break };
                let buffer = || tcp::SocketBuffer::new(vec![0; HELD]);
                let mut socket = tcp::Socket::new(buffer(), buffer());
                socket.set_timeout(Some(TIMEOUT));
                socket.set_keep_alive(Some(TIMEOUT / 4));
                // Whoever types sees every letter at once.
                socket.set_nagle_enabled(false);
                let begun = socket.connect(interface.context(), *guest, port()).is_ok();
                let ready = host.set_nonblocking(true).and_then(|()| host.set_nodelay(true)).is_ok();
                if !begun || !ready {
                    reset(&host);
                    continue;
                }
                let (host_ended, guest_ended, wants) = (false, false, PollFlags::empty());
                self.bridges.push(ForwardedConnection {
                    host,
                    handle: sockets.add(socket),
                    host_ended,
                    guest_ended,
                    wants,
                });
            }
        }
        self.bridges.retain_mut(|bridge| bridge.step(sockets.get_mut(bridge.handle)));
    }
}

/// A connection of the host and one of the lab.
struct ForwardedConnection {
    host: TcpStream,
    handle: SocketHandle,
    /// The host says nothing more, and the guest has been told.
    host_ended: bool,
    /// The guest says nothing more, and the host has been told.
    guest_ended: bool,
    wants: PollFlags,
}

impl ForwardedConnection {
    /// Moves what can be moved. Whether it stands on.
    fn step(&mut self, socket: &mut tcp::Socket<'_>) -> bool {
        match self.carry(socket) {
            Ok(stands) => stands,
            Err(Broken) => {
                socket.abort();
                reset(&self.host);
                false
            }
        }
    }

    fn carry(&mut self, socket: &mut tcp::Socket<'_>) -> Result<bool, Broken> {
        self.wants = PollFlags::empty();
        if matches!(socket.state(), tcp::State::SynSent) {
            return Ok(true);
        }
        while socket.can_recv() {
            match socket.recv(|bytes| attempt(bytes, |bytes| self.host.write(bytes))).unwrap_or(Moved::Later) {
                Moved::Some => {}
                Moved::Later => {
                    self.wants |= PollFlags::OUT;
                    break;
                }
                Moved::None | Moved::Broken => return Err(Broken),
            }
        }
        while socket.can_send() && !self.host_ended {
            match socket.send(|room| attempt(room, |room| self.host.read(room))).unwrap_or(Moved::Broken) {
                Moved::Some => {}
                Moved::Later => {
                    self.wants |= PollFlags::IN;
                    break;
                }
                Moved::None => {
                    socket.close();
                    self.host_ended = true;
                }
                Moved::Broken => return Err(Broken),
            }
        }
        let (state, drained) = (socket.state(), !socket.can_recv());
        use tcp::State::{CloseWait, Closed, Closing, LastAck, TimeWait};
        if !self.guest_ended && drained && matches!(state, CloseWait | LastAck | Closing | TimeWait) {
            self.guest_ended = true;
            // It may be gone already, which the next step sees.
            let _ = self.host.shutdown(Shutdown::Write);
        }
        match state {
            Closed | TimeWait if self.host_ended && self.guest_ended => Ok(false),
            // Refused, reset, or without an answer for too long.
            Closed if drained => Err(Broken),
            _ => Ok(true),
        }
    }
}

/// The connection is over, and not in order.
struct Broken;

/// What became of one attempt to move bytes.
enum Moved {
    Some,
    /// Nothing, because there is no more: its end.
    None,
    /// Nothing for now.
    Later,
    Broken,
}

/// Hands a buffer of smoltcp to a socket of the host: how many bytes it took, and what that means.
fn attempt<B>(bytes: B, io: impl FnOnce(B) -> std::io::Result<usize>) -> (usize, Moved) {
    match io(bytes) {
        Ok(0) => (0, Moved::None),
        Ok(n) => (n, Moved::Some),
        Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => (0, Moved::Later),
        Err(_) => (0, Moved::Broken),
    }
}

/// Lets the host's end see a reset: it is closed without waiting for what was sent.
fn reset(host: &TcpStream) {
    // Without it the other side sees an ordinary end.
    let _ = sockopt::set_socket_linger(host, Some(Duration::ZERO));
}
