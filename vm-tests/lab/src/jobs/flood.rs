//! More than a guest can use: SYNs from addresses that nobody has, datagrams, or frames that contradict themselves, at a
//! steady rate. The flood ignores what the guest answers.

use super::{Job, Next, Wire};
use crate::{
    frame::{self, Host, Packet},
    random::Random,
};
use diorite_model::scenario::FloodKind;
use smoltcp::wire::{TcpControl, TcpSeqNumber};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::mpsc::Sender,
    time::{Duration, Instant},
};

/// A flood in progress.
pub struct Flood {
    guest: IpAddr,
    port: u16,
    kind: FloodKind,
    frames: u32,
    rate: u32,
    sent: u32,
    begun: Instant,
    random: Random,
    reply: Sender<u32>,
}

/// Frames are sent in bunches, so often.
const EVERY: Duration = Duration::from_millis(5);

impl Flood {
    /// `frames` in all, `rate` in a second. How many were sent goes to `reply`.
    pub fn new(
        guest: IpAddr,
        port: u16,
        kind: FloodKind,
        (frames, rate): (u32, u32),
        seed: u64,
        begun: Instant,
        reply: Sender<u32>,
    ) -> Self {
        let random = Random::new(seed, u64::from(port) + 0xf100d);
        Self { guest, port, kind, frames, rate: rate.max(1), sent: 0, begun, random, reply }
    }

    fn frame(&mut self, guest: Host, wire: &mut Wire<'_>) -> Vec<u8> {
        let own = wire.own(self.guest);
        let chance = self.random.number();
        let source = 1024 + (chance % 60_000) as u16;
        match self.kind {
            FloodKind::Syn => {
                // From addresses of the documentation's networks (RFC 5737, RFC 3849).
                let ip = match self.guest {
                    IpAddr::V4(_) => Ipv4Addr::new(198, 51, 100, (chance >> 32) as u8).into(),
                    IpAddr::V6(_) => Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(chance)).into(),
                };
                let sequence = TcpSeqNumber((chance >> 32) as i32);
                frame::tcp(Host { ip, ..own }, source, guest, self.port, TcpControl::Syn, sequence)
            }
            FloodKind::Udp => frame::udp(own, source, guest, self.port, &[0x55; 64]),
            FloodKind::Malformed => {
                // Bytes of chance behind the Ethernet header.
                let ethertype: [u8; 2] = if self.guest.is_ipv4() { [8, 0] } else { [0x86, 0xdd] };
                let mut frame = [guest.mac.as_bytes(), own.mac.as_bytes(), &ethertype].concat();
                let length = (chance % 200) as usize;
                for _ in 0..=length / 8 {
                    frame.extend(self.random.number().to_be_bytes());
                }
                // As far as its first nibble it is what it claims to be.
                frame[14] = frame[14] & 15 | if self.guest.is_ipv4() { 0x40 } else { 0x60 };
                frame
            }
        }
    }
}

impl Job for Flood {
    fn frame(&mut self, _: &Packet<'_>, _: Instant, _: &mut Wire<'_>) -> bool {
        false
    }

    fn tick(&mut self, now: Instant, wire: &mut Wire<'_>) -> Next {
        let guest = wire.guest(self.guest);
        let Some(guest) = guest.filter(|_| self.sent < self.frames) else {
            // The asker may have given up; that is its own affair.
            let _ = self.reply.send(self.sent);
            return Next::Done;
        };
        let due = (now - self.begun).as_secs_f64() * f64::from(self.rate);
        let due = (due as u32 + 1).min(self.frames);
        // After a pause of the host no burst makes up for it.
        let most = (self.rate / 50).max(1);
        for _ in 0..due.saturating_sub(self.sent).min(most) {
            let frame = self.frame(guest, wire);
            wire.out.push(frame);
            self.sent += 1;
        }
        Next::At(now + EVERY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Config, frame::Body};
    use smoltcp::wire::EthernetAddress;
    use std::{collections::BTreeMap, sync::mpsc};

    /// Everything that a flood of 500 frames at 1000 a second sends, and how long that takes.
    fn flood(kind: FloodKind, known: bool) -> (Vec<Vec<u8>>, u32, Duration) {
        let (config, guest) = (Config::default(), "10.77.0.100".parse().expect("an address"));
        let mac = EthernetAddress([0x52, 0x54, 0, 1, 2, 3]);
        let neighbours = if known { BTreeMap::from([(guest, mac)]) } else { BTreeMap::new() };
        let (reply, answer) = mpsc::channel();
        let begun = Instant::now();
        let mut job = Flood::new(guest, 22, kind, (500, 1000), 3, begun, reply);
        let (mut out, mut raw, mut now) = (Vec::new(), Vec::new(), begun);
        loop {
            let mut lent = Wire { config: &config, routed: &[], neighbours: &neighbours, out: &mut out, raw: &mut raw };
            match job.tick(now, &mut lent) {
                Next::At(at) => now = at,
                Next::Done => return (out, answer.recv().expect("an answer"), now - begun),
            }
        }
    }

    #[test]
    fn a_flood_is_as_long_and_as_fast_as_was_said() {
        for kind in [FloodKind::Syn, FloodKind::Udp, FloodKind::Malformed] {
            let (frames, sent, took) = flood(kind, true);
            assert_eq!((frames.len(), sent), (500, 500), "{kind:?}");
            assert!((450..600).contains(&took.as_millis()), "{kind:?}: {took:?}");
            assert_eq!(frames, flood(kind, true).0, "the seed decides");
        }
        assert_eq!(flood(FloodKind::Syn, false).1, 0, "nobody is there");
    }

    #[test]
    fn each_kind_is_what_its_name_says() {
        for frame in flood(FloodKind::Syn, true).0 {
            let packet = Packet::parse(&frame).expect("well-formed");
            let Body::Tcp { to, control: TcpControl::Syn, .. } = packet.body else { panic!("{packet:?}") };
            assert_eq!(to.port(), 22);
        }
        assert!(
            flood(FloodKind::Udp, true)
                .0
                .iter()
                .all(|f| matches!(Packet::parse(f).map(|p| p.body), Some(Body::Udp { .. })))
        );
        let sound = flood(FloodKind::Malformed, true).0.iter().filter(|f| Packet::parse(f).is_some()).count();
        assert!(sound < 250, "{sound} of 500 are well-formed");
    }
}
