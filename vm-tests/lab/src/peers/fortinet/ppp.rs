//! The gateway's end of a PPP link (RFC 1661) that carries IPv4 (RFC 1332) and nothing else: frames in, frames and packets out.
//! Each frame stands behind six bytes: the length of both, 0x5050, and the length of the frame, which has neither flags nor
//! escapes nor a checksum.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

/// The six bytes, and what is in the middle of them.
const HEAD: usize = 6;
const MAGIC: u16 = 0x5050;
/// The longest packet that either end takes where it says nothing else (RFC 1661 §6.1), as the gateway does. The shortest limit
/// that makes sense: what IPv4 never cuts (RFC 791 §3.2).
const MOST: usize = 1500;
const LEAST: usize = 68;
/// The longest frame: address, control and protocol before it.
const LONGEST: usize = MOST + 4;

/// Protocols (RFC 1661 §2).
const IP: u16 = 0x0021;
const IPCP: u16 = 0x8021;
const LCP: u16 = 0xc021;

/// Codes of LCP and IPCP (RFC 1661 §5).
const CONFIGURE_REQUEST: u8 = 1;
const CONFIGURE_ACK: u8 = 2;
const CONFIGURE_NAK: u8 = 3;
const CONFIGURE_REJECT: u8 = 4;
const TERMINATE_REQUEST: u8 = 5;
const TERMINATE_ACK: u8 = 6;
const CODE_REJECT: u8 = 7;
const PROTOCOL_REJECT: u8 = 8;
const ECHO_REQUEST: u8 = 9;
const ECHO_REPLY: u8 = 10;
const DISCARD_REQUEST: u8 = 11;

/// Options of LCP (RFC 1661 §6, 1662 §7.1), and of IPCP (RFC 1332 §3).
const MRU: u8 = 1;
const CHARACTER_MAP: u8 = 2;
const MAGIC_NUMBER: u8 = 5;
const ADDRESS: u8 = 3;

/// Time between two requests that are not answered, how many there are, and how often an answer may be no (RFC 1661 §4.6).
const RESTART: Duration = Duration::from_secs(3);
const REQUESTS: u32 = 10;
const REFUSALS: u32 = 10;

/// Takes the next frame from what has come; `None`: it is not whole yet.
///
/// # Errors
/// In words: it is no frame.
pub fn next(input: &mut Vec<u8>) -> Result<Option<Vec<u8>>, &'static str> {
    let Some(head) = input.first_chunk::<HEAD>() else { return Ok(None) };
    let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    let (total, length) = (usize::from(word(0)), usize::from(word(4)));
    if word(2) != MAGIC || total != length + HEAD || length == 0 {
        return Err("no frame of the tunnel");
    }
    if length > LONGEST {
        return Err("a frame that is too long");
    }
    if input.len() < total {
        return Ok(None);
    }
    Ok(Some(input.drain(..total).skip(HEAD).collect()))
}

/// Appends a frame. What is longer than anybody asked for does not come here.
fn frame(protocol: u16, data: &[u8], out: &mut Vec<u8>) {
    let length = data.len() + 2;
    debug_assert!(length <= LONGEST);
    for word in [(length + HEAD) as u16, MAGIC, length as u16, protocol] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    out.extend_from_slice(data);
}

/// What is agreed on for LCP or IPCP: each end asks for its own side, and the other says yes.
struct Negotiation {
    protocol: u16,
    /// The gateway's own options, and the identifier of its last request. `None`: it has asked for nothing yet.
    own: Vec<(u8, Vec<u8>)>,
    id: Option<u8>,
    own_agreed: bool,
    theirs_agreed: bool,
    requests: u32,
    refusals: u32,
    again: Option<Instant>,
}

impl Negotiation {
    fn new(protocol: u16, own: Vec<(u8, Vec<u8>)>) -> Self {
        let (own_agreed, theirs_agreed) = (false, false);
        Self { protocol, own, id: None, own_agreed, theirs_agreed, requests: 0, refusals: 0, again: None }
    }

    fn open(&self) -> bool {
        self.own_agreed && self.theirs_agreed
    }

    /// Begins anew: what was agreed on holds no more.
    fn reset(&mut self) {
        (self.own_agreed, self.theirs_agreed, self.again, self.requests) = (false, false, None, 0);
    }

    /// Asks for its own options, with a new identifier.
    fn request(&mut self, now: Instant, out: &mut Vec<u8>) {
        let id = self.id.map_or(1, |id| id.wrapping_add(1));
        (self.id, self.own_agreed, self.again) = (Some(id), false, Some(now + RESTART));
        self.requests += 1;
        let options = written(&self.own);
        self.say(CONFIGURE_REQUEST, id, &options, out);
    }

    fn say(&self, code: u8, id: u8, data: &[u8], out: &mut Vec<u8>) {
        frame(self.protocol, &packet(code, id, data), out);
    }
}

/// A packet of LCP or IPCP.
fn packet(code: u8, id: u8, data: &[u8]) -> Vec<u8> {
    let length = (data.len() + 4) as u16;
    [&[code, id], &length.to_be_bytes()[..], data].concat()
}

fn written(options: &[(u8, Vec<u8>)]) -> Vec<u8> {
    options.iter().flat_map(|(kind, data)| [&[*kind, data.len() as u8 + 2], &data[..]].concat()).collect()
}

/// The options of a request; `None` where their lengths contradict each other.
fn options(mut data: &[u8]) -> Option<Vec<(u8, Vec<u8>)>> {
    let mut all = Vec::new();
    while let [kind, length, ..] = *data {
        let (option, rest) = data.split_at_checked(usize::from(length)).filter(|(option, _)| option.len() >= 2)?;
        all.push((kind, option[2..].to_vec()));
        data = rest;
    }
    data.is_empty().then_some(all)
}

/// What is said of one option.
enum OptionVerdict {
    Yes,
    /// Another value would do.
    Rather(Vec<u8>),
    No,
}

/// One link, from the gateway's side.
pub struct Ppp {
    lcp: Negotiation,
    ipcp: Negotiation,
    /// The address that the other end gets.
    given: Ipv4Addr,
    /// The longest packet it takes.
    longest: usize,
    magic: u32,
    over: bool,
}

impl Ppp {
    /// A link whose ends have said nothing yet. `own` is what the gateway calls itself inside, as FortiOS does: often its
    /// address outside.
    pub fn new(own: Ipv4Addr, given: Ipv4Addr, magic: u32) -> Self {
        let lcp = Negotiation::new(LCP, vec![(MAGIC_NUMBER, magic.to_be_bytes().into())]);
        let ipcp = Negotiation::new(IPCP, vec![(ADDRESS, own.octets().into())]);
        Self { lcp, ipcp, given, longest: MOST, magic, over: false }
    }

    /// Asks first.
    pub fn begin(&mut self, now: Instant, out: &mut Vec<u8>) {
        self.lcp.request(now, out);
    }

    /// Packets go through.
    pub fn up(&self) -> bool {
        self.lcp.open() && self.ipcp.open() && !self.over
    }

    /// Nothing more comes of it: an end has said so, or they do not agree.
    pub fn over(&self) -> bool {
        self.over
    }

    /// Asks again where no answer has come. When to come back.
    pub fn tick(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<Instant> {
        for one in [&mut self.lcp, &mut self.ipcp] {
            if one.again.is_some_and(|again| now >= again) {
                match one.requests < REQUESTS {
                    true => one.request(now, out),
                    false => self.over = true,
                }
            }
        }
        [self.lcp.again, self.ipcp.again].into_iter().flatten().min().filter(|_| !self.over)
    }

    /// Sends a packet: whether it is not too long, and all is agreed on.
    pub fn send(&self, packet: &[u8], out: &mut Vec<u8>) -> bool {
        let goes = self.up() && packet.len() <= self.longest;
        if goes {
            frame(IP, packet, out);
        }
        goes
    }

    /// Takes a frame, says what there is to say, and gives the packet that was in it.
    pub fn take<'a>(&mut self, frame: &'a [u8], now: Instant, out: &mut Vec<u8>) -> Option<&'a [u8]> {
        let bare = frame.strip_prefix(&[0xff, 0x03]).unwrap_or(frame);
        let (protocol, data) = bare.split_first_chunk::<2>()?;
        match u16::from_be_bytes(*protocol) {
            LCP => self.control(LCP, data, now, out),
            // What comes before its time is not looked at (RFC 1661 §3.4, 3.6).
            _ if !self.lcp.open() => {}
            IPCP => self.control(IPCP, data, now, out),
            IP if self.ipcp.open() => return Some(data),
            IP => {}
            _ => self.refuse(bare, out),
        }
        None
    }

    /// Rejects a protocol that nobody speaks here.
    fn refuse(&mut self, bare: &[u8], out: &mut Vec<u8>) {
        let id = self.lcp.id.map_or(1, |id| id.wrapping_add(1));
        self.lcp.id = Some(id);
        self.lcp.say(PROTOCOL_REJECT, id, &bare[..bare.len().min(MOST - 4)], out);
    }

    /// A packet of LCP or IPCP. One whose length is wrong is not looked at.
    fn control(&mut self, protocol: u16, data: &[u8], now: Instant, out: &mut Vec<u8>) {
        let [code, id, a, b, ..] = *data else { return };
        let length = usize::from(u16::from_be_bytes([a, b]));
        let (Some(packet), Some(rest)) = (data.get(..length), data.get(4..length)) else { return };
        match (protocol, code) {
            (_, CONFIGURE_REQUEST) => self.asked(protocol, id, rest, now, out),
            (_, CONFIGURE_ACK | CONFIGURE_NAK | CONFIGURE_REJECT) => self.answered(protocol, code, id, rest, now, out),
            (_, TERMINATE_REQUEST) => {
                self.one(protocol).say(TERMINATE_ACK, id, &[], out);
                self.one(protocol).reset();
                // Without its only network the link is of no use.
                self.over = true;
            }
            (LCP, PROTOCOL_REJECT) if rest.starts_with(&IPCP.to_be_bytes()) => self.over = true,
            (LCP, ECHO_REQUEST) if self.lcp.open() && rest.len() >= 4 => {
                let data = [&self.magic.to_be_bytes()[..], &rest[4..]].concat();
                self.lcp.say(ECHO_REPLY, id, &data, out);
            }
            (_, TERMINATE_ACK | CODE_REJECT) => {}
            (LCP, PROTOCOL_REJECT | ECHO_REQUEST | ECHO_REPLY | DISCARD_REQUEST) => {}
            _ => self.one(protocol).say(CODE_REJECT, id, &packet[..packet.len().min(MOST - 4)], out),
        }
    }

    fn one(&mut self, protocol: u16) -> &mut Negotiation {
        if protocol == LCP { &mut self.lcp } else { &mut self.ipcp }
    }

    /// The other end asks for its options.
    fn asked(&mut self, protocol: u16, id: u8, data: &[u8], now: Instant, out: &mut Vec<u8>) {
        let Some(all) = options(data) else { return };
        // Who asks once more begins anew (RFC 1661 §4.3), and IPCP with LCP.
        if self.one(protocol).open() {
            if protocol == LCP {
                self.ipcp.reset();
            }
            self.one(protocol).reset();
            self.one(protocol).request(now, out);
        }
        let (mut no, mut rather) = (Vec::new(), Vec::new());
        for (kind, value) in &all {
            match self.judge(protocol, *kind, value) {
                OptionVerdict::Yes => {}
                OptionVerdict::Rather(value) => rather.push((*kind, value)),
                OptionVerdict::No => no.push((*kind, value.clone())),
            }
        }
        if protocol == IPCP && !all.iter().any(|(kind, _)| *kind == ADDRESS) {
            rather.push((ADDRESS, self.given.octets().into()));
        }
        let (code, said) = match (no.is_empty(), rather.is_empty()) {
            (false, _) => (CONFIGURE_REJECT, written(&no)),
            (true, false) => (CONFIGURE_NAK, written(&rather)),
            (true, true) => (CONFIGURE_ACK, data.to_vec()),
        };
        if (protocol, code) == (LCP, CONFIGURE_ACK) {
            let limit = all.iter().find(|(kind, _)| *kind == MRU).and_then(|(_, value)| value.first_chunk::<2>());
            self.longest = limit.map_or(MOST, |limit| usize::from(u16::from_be_bytes(*limit)).min(MOST));
        }
        let before = self.lcp.open();
        let one = self.one(protocol);
        one.theirs_agreed = code == CONFIGURE_ACK;
        one.refusals = if one.theirs_agreed { 0 } else { one.refusals + 1 };
        let tired = one.refusals > REFUSALS;
        one.say(code, id, &said, out);
        self.over |= tired;
        self.go_on(before, now, out);
    }

    fn judge(&self, protocol: u16, kind: u8, value: &[u8]) -> OptionVerdict {
        match (protocol, kind, value) {
            (LCP, MRU, [a, b]) => match usize::from(u16::from_be_bytes([*a, *b])) {
                LEAST.. => OptionVerdict::Yes,
                _ => OptionVerdict::Rather((MOST as u16).to_be_bytes().into()),
            },
            // Its own number: the link leads back to where it begins.
            (LCP, MAGIC_NUMBER, value) if *value == self.magic.to_be_bytes() => {
                OptionVerdict::Rather((!self.magic).to_be_bytes().into())
            }
            (LCP, CHARACTER_MAP | MAGIC_NUMBER, [_, _, _, _]) => OptionVerdict::Yes,
            (IPCP, ADDRESS, value) if *value == self.given.octets() => OptionVerdict::Yes,
            (IPCP, ADDRESS, _) => OptionVerdict::Rather(self.given.octets().into()),
            _ => OptionVerdict::No,
        }
    }

    /// The other end has answered a request.
    fn answered(&mut self, protocol: u16, code: u8, id: u8, data: &[u8], now: Instant, out: &mut Vec<u8>) {
        let before = self.lcp.open();
        let one = self.one(protocol);
        if one.id != Some(id) || one.own_agreed || one.requests == 0 {
            return;
        }
        if code == CONFIGURE_ACK {
            if data == written(&one.own) {
                (one.own_agreed, one.again, one.requests) = (true, None, 0);
            }
            return self.go_on(before, now, out);
        }
        let Some(refused) = options(data) else { return };
        // What is not wanted is not insisted on. FortiOS leaves its address out as well.
        one.own.retain(|(kind, _)| !refused.iter().any(|(other, _)| other == kind));
        match one.requests < REQUESTS {
            true => one.request(now, out),
            false => self.over = true,
        }
    }

    /// Asks for its address where LCP has just been agreed on.
    fn go_on(&mut self, before: bool, now: Instant, out: &mut Vec<u8>) {
        if self.lcp.open() && !before {
            self.ipcp.request(now, out);
        }
    }
}

#[cfg(test)]
mod tests;
