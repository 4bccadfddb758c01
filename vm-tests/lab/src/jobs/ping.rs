//! Echo request and reply, either family (RFC 792, RFC 4443).

use super::{Job, Next, Wire, echo_reply};
use crate::frame::{self, Packet};
use std::{
    net::IpAddr,
    sync::mpsc::Sender,
    time::{Duration, Instant},
};

/// Asks every second until an answer comes or the patience is over.
pub struct Ping {
    guest: IpAddr,
    ident: u16,
    sent: Vec<Instant>,
    until: Instant,
    answered: Option<Duration>,
    reply: Sender<Option<Duration>>,
}

impl Ping {
    /// Asks `guest`; the round-trip time goes to `reply`, or nothing when `until` comes first.
    pub fn new(guest: IpAddr, ident: u16, until: Instant, reply: Sender<Option<Duration>>) -> Self {
        Self { guest, ident, sent: Vec::new(), until, answered: None, reply }
    }
}

impl Job for Ping {
    fn frame(&mut self, packet: &Packet<'_>, now: Instant, _: &mut Wire<'_>) -> bool {
        let Some(number) = echo_reply(packet, self.guest, self.ident) else { return false };
        if let Some(sent) = self.sent.get(usize::from(number)) {
            self.answered.get_or_insert(now - *sent);
        }
        true
    }

    fn tick(&mut self, now: Instant, wire: &mut Wire<'_>) -> Next {
        if self.answered.is_some() || now >= self.until {
            // The asker may have given up; that is its own affair.
            let _ = self.reply.send(self.answered);
            return Next::Done;
        }
        let again = self.sent.last().map(|last| *last + Duration::from_secs(1));
        if again.is_none_or(|again| now >= again)
            && let Some(guest) = wire.guest(self.guest)
        {
            let number = self.sent.len() as u16;
            wire.out.push(frame::echo(wire.own(self.guest), guest, false, self.ident, number, b"diorite lab"));
            self.sent.push(now);
        }
        Next::At(self.until.min(now + Duration::from_millis(200)))
    }
}
