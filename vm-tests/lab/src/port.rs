//! One cable: frames on a stream socket, as QEMU's `-netdev stream` speaks: 4 bytes of length, big-endian, then the
//! Ethernet frame (qemu(1), `-netdev stream`; no vnet header unless asked for).

use std::{
    io::{self, Read, Write},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
};

/// Longest frame that is believed; QEMU's own limit is 68 KiB.
const LONGEST: usize = 69_632;
/// A guest that reads nothing loses frames beyond this, as from a real switch.
const QUEUE: usize = 8 << 20;

/// Reads of at most 64 KiB in one turn.
const TURN: usize = 16;

/// The lab's end of a cable.
#[derive(Debug)]
pub struct CableEnd {
    stream: UnixStream,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    sent: usize,
    closed: bool,
    /// Frames lost because the other end did not read.
    pub lost: u64,
}

impl CableEnd {
    /// Takes the stream and makes it non-blocking.
    pub fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { stream, incoming: Vec::new(), outgoing: Vec::new(), sent: 0, closed: false, lost: 0 })
    }

    /// For poll(2).
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// The other end is gone: the machine has ended.
    pub fn closed(&self) -> bool {
        self.closed
    }

    /// Something waits to be written.
    pub fn wants_write(&self) -> bool {
        !self.closed && self.sent < self.outgoing.len()
    }

    /// Reads what is there, up to a limit, and hands every whole frame to `each`. A guest that floods is read in turns, so
    /// that others are heard between.
    pub fn receive(&mut self, mut each: impl FnMut(&[u8])) {
        let mut buffer = [0; 65536];
        for _ in 0..TURN {
            match self.stream.read(&mut buffer) {
                Ok(0) => self.closed = true,
                Ok(n) => {
                    self.incoming.extend_from_slice(&buffer[..n]);
                    self.deliver(&mut each);
                    continue;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => self.closed = true,
            }
            return;
        }
    }

    fn deliver(&mut self, each: &mut impl FnMut(&[u8])) {
        let mut at = 0;
        while let Some(head) = self.incoming.get(at..at + 4) {
            let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
            if length > LONGEST {
                // Not the protocol we speak; nothing after this can be understood.
                self.closed = true;
                self.incoming.clear();
                return;
            }
            let Some(frame) = self.incoming.get(at + 4..at + 4 + length) else { break };
            each(frame);
            at += 4 + length;
        }
        self.incoming.drain(..at);
    }

    /// Queues a frame; [`CableEnd::flush`] sends.
    pub fn send(&mut self, frame: &[u8]) {
        if self.outgoing.len() - self.sent > QUEUE {
            self.lost += 1;
            return;
        }
        self.outgoing.extend_from_slice(&(frame.len() as u32).to_be_bytes());
        self.outgoing.extend_from_slice(frame);
    }

    /// Writes as much as the socket takes.
    pub fn flush(&mut self) {
        while self.wants_write() {
            match self.stream.write(&self.outgoing[self.sent..]) {
                Ok(n) => self.sent += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => self.closed = true,
            }
        }
        if self.sent == self.outgoing.len() {
            self.outgoing.clear();
            self.sent = 0;
        } else if self.sent > 1 << 20 {
            self.outgoing.drain(..self.sent);
            self.sent = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_arbitrary_cuts_of_the_stream() {
        let (near, mut far) = UnixStream::pair().expect("socket pair");
        let mut port = CableEnd::new(near).expect("port");
        let frames: [&[u8]; 3] = [b"first", b"", &[7; 3000]];
        let mut bytes = Vec::new();
        for f in frames {
            bytes.extend_from_slice(&(f.len() as u32).to_be_bytes());
            bytes.extend_from_slice(f);
        }
        let mut seen = Vec::new();
        for piece in bytes.chunks(3) {
            far.write_all(piece).expect("write");
            port.receive(|f| seen.push(f.to_vec()));
        }
        assert_eq!(seen, frames);
        assert!(!port.closed());
        drop(far);
        port.receive(|_| panic!("no frame"));
        assert!(port.closed());
    }

    #[test]
    fn an_absurd_length_ends_the_conversation() {
        let (near, mut far) = UnixStream::pair().expect("socket pair");
        let mut port = CableEnd::new(near).expect("port");
        far.write_all(&[0xff; 8]).expect("write");
        port.receive(|_| panic!("no frame"));
        assert!(port.closed());
    }

    #[test]
    fn a_deaf_guest_loses_frames_instead_of_memory() {
        let (near, _far) = UnixStream::pair().expect("socket pair");
        let mut port = CableEnd::new(near).expect("port");
        for _ in 0..10_000 {
            port.send(&[0; 1500]);
            port.flush();
        }
        assert!(port.lost > 0 && port.outgoing.len() < QUEUE + (2 << 20), "{} lost", port.lost);
    }
}
