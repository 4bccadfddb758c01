//! A syslog receiver: messages of RFC 5424 over UDP (RFC 5426) and TCP, framed both ways that RFC 6587 knows.

use crate::{
    host::Datagrams,
    listen::{Service, ServiceSession, SessionStep},
};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// A message as it was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyslogMessage {
    /// Facility, 0 to 23.
    pub facility: u8,
    /// Severity, 0 (emergency) to 7 (debug).
    pub severity: u8,
    /// Time as written; none for `-`.
    pub time: Option<String>,
    /// Host name.
    pub host: Option<String>,
    /// Program.
    pub program: Option<String>,
    /// Process.
    pub process: Option<String>,
    /// Kind of message.
    pub id: Option<String>,
    /// Structured data as written.
    pub data: Option<String>,
    /// Text.
    pub text: String,
}

/// Something that was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Sender.
    pub from: SocketAddr,
    /// Over TCP, not UDP.
    pub stream: bool,
    /// The message, or what is wrong with it, with its bytes.
    pub message: Result<SyslogMessage, String>,
}

/// Messages that are kept, and the longest one.
const MOST: usize = 100_000;
const LONGEST: usize = 64 << 10;

/// A receiver. Copies of the handle are the same receiver.
#[derive(Debug, Clone, Default)]
pub struct Syslog(Arc<Mutex<Vec<Received>>>);

impl Syslog {
    /// Everything received so far.
    pub fn received(&self) -> Vec<Received> {
        self.inner().clone()
    }
    /// The messages that were well-formed.
    pub fn messages(&self) -> Vec<SyslogMessage> {
        self.inner().iter().filter_map(|r| r.message.clone().ok()).collect()
    }

    fn inner(&self) -> MutexGuard<'_, Vec<Received>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, from: SocketAddr, stream: bool, bytes: &[u8]) {
        let (mut all, message) = (self.inner(), parse(bytes));
        if all.len() < MOST {
            all.push(Received { from, stream, message });
        }
    }

    pub(crate) fn datagrams(&self) -> Datagrams {
        let own = self.clone();
        Box::new(move |from, data| {
            own.take(from, false, data);
            None
        })
    }

    pub(crate) fn service(&self) -> Service {
        let own = self.clone();
        Box::new(move |from| Box::new(SyslogStream { own: own.clone(), from }))
    }
}

struct SyslogStream {
    own: Syslog,
    from: SocketAddr,
}

impl ServiceSession for SyslogStream {
    fn step(&mut self, input: &mut Vec<u8>, ended: bool, _: &mut Vec<u8>, _: Instant) -> SessionStep {
        loop {
            match frame(input, ended) {
                Framed::Message(bytes) => self.own.take(self.from, true, &bytes),
                Framed::NotYet if ended => return SessionStep::Close,
                Framed::NotYet => return SessionStep::Wait,
                Framed::Wrong => {
                    self.own.take(self.from, true, &input[..input.len().min(80)]);
                    return SessionStep::Reset;
                }
            }
        }
    }
}

enum Framed {
    Message(Vec<u8>),
    NotYet,
    Wrong,
}

/// The next message of a stream: `LENGTH SP MESSAGE` where it begins with a digit, else up to a line feed (RFC 6587 §3.4).
fn frame(input: &mut Vec<u8>, ended: bool) -> Framed {
    match input.first() {
        None => Framed::NotYet,
        Some(b'1'..=b'9') => {
            let digits = input.iter().take_while(|b| b.is_ascii_digit()).count();
            let length = std::str::from_utf8(&input[..digits]).ok().and_then(|d| d.parse::<usize>().ok());
            match (length, input.get(digits)) {
                (Some(length), Some(b' ')) if length <= LONGEST => {
                    if input.len() < digits + 1 + length {
                        return Framed::NotYet;
                    }
                    Framed::Message(input.drain(..digits + 1 + length).skip(digits + 1).collect())
                }
                (Some(_), None) if digits <= 5 => Framed::NotYet,
                _ => Framed::Wrong,
            }
        }
        Some(b'<') => match input.iter().position(|b| *b == b'\n') {
            Some(end) => {
                let mut line: Vec<u8> = input.drain(..=end).collect();
                line.pop();
                Framed::Message(line)
            }
            None if input.len() > LONGEST => Framed::Wrong,
            None if ended => Framed::Message(std::mem::take(input)),
            None => Framed::NotYet,
        },
        Some(_) => Framed::Wrong,
    }
}

/// RFC 5424 §6: `<PRI>1 TIME HOST PROGRAM PROCESS ID DATA TEXT`.
fn parse(bytes: &[u8]) -> Result<SyslogMessage, String> {
    let all = String::from_utf8_lossy(bytes).into_owned();
    let wrong = |what: &str| format!("{what}: {}", all.chars().take(200).collect::<String>().escape_debug());
    let rest = all.strip_prefix('<').ok_or_else(|| wrong("no priority"))?;
    let (priority, rest) = rest.split_once('>').ok_or_else(|| wrong("no priority"))?;
    let digits = (1..=3).contains(&priority.len()) && priority.bytes().all(|b| b.is_ascii_digit());
    let number: u8 = priority.parse().ok().filter(|p| *p <= 191 && digits).ok_or_else(|| wrong("no priority"))?;
    let rest = rest.strip_prefix("1 ").ok_or_else(|| wrong("not version 1"))?;
    let mut words = rest.splitn(6, ' ');
    let mut word = |most: usize| -> Result<Option<String>, String> {
        let word = words.next().unwrap_or_default();
        let fine = !word.is_empty() && word.len() <= most && word.bytes().all(|b| b.is_ascii_graphic());
        if fine { Ok(Some(word.to_owned()).filter(|w| w != "-")) } else { Err(wrong("a field is missing or wrong")) }
    };
    let [time, host, program, process, id] = [word(48)?, word(255)?, word(48)?, word(128)?, word(32)?];
    if time.as_deref().is_some_and(|time| !timestamp(time)) {
        return Err(wrong("not a time of RFC 3339"));
    }
    let rest = words.next().ok_or_else(|| wrong("no structured data"))?;
    let end = structured(rest).ok_or_else(|| wrong("wrong structured data"))?;
    let (data, text) = rest.split_at(end);
    let text = match text.strip_prefix(' ') {
        Some(text) => text.trim_start_matches('\u{feff}').to_owned(),
        None if text.is_empty() => String::new(),
        None => return Err(wrong("wrong structured data")),
    };
    let data = Some(data.to_owned()).filter(|data| data != "-");
    Ok(SyslogMessage { facility: number / 8, severity: number % 8, time, host, program, process, id, data, text })
}

/// `2026-11-23T05:40:00.123456Z`, or with `+01:00` behind.
fn timestamp(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let Some(rest) = shape.strip_prefix("0000-00-00T00:00:00") else { return false };
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => {
            let zone = fraction.trim_start_matches('0');
            if !(1..=6).contains(&(fraction.len() - zone.len())) {
                return false;
            }
            zone
        }
        None => rest,
    };
    matches!(zone, "Z" | "+00:00" | "-00:00")
}

/// Where structured data ends: `-`, or elements `[ID NAME="VALUE" …]` with `\"`, `\\` and `\]` inside values.
fn structured(text: &str) -> Option<usize> {
    if text.starts_with('-') {
        return Some(1);
    }
    let bytes = text.as_bytes();
    let (mut at, mut inside) = (0, false);
    while bytes.get(at) == Some(&b'[') {
        loop {
            at += 1;
            match (bytes.get(at)?, inside) {
                (b'\\', true) => at += 1,
                (b'"', _) => inside = !inside,
                (b']', false) => break,
                (b']', true) => return None,
                _ => {}
            }
        }
        at += 1;
    }
    (at > 0).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 5424 §6.5.
    #[test]
    fn the_examples_of_the_specification_are_understood() {
        let one =
            "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \u{feff}'su root' failed for lonvick";
        let read = parse(one.as_bytes()).expect("well-formed");
        assert_eq!((read.facility, read.severity, read.text.as_str()), (4, 2, "'su root' failed for lonvick"));
        assert_eq!((read.program.as_deref(), read.process, read.data), (Some("su"), None, None));
        let two = "<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time to make the do-nuts.";
        assert_eq!(parse(two.as_bytes()).expect("well-formed").process.as_deref(), Some("8710"));
        let three = "<165>1 2003-10-11T22:14:15.003Z host evntslog - ID47 \
                     [exampleSDID@32473 iut=\"3\" x=\"a\\]b\"][examplePriority@32473 class=\"high\"]";
        let read = parse(three.as_bytes()).expect("well-formed");
        assert!(read.text.is_empty() && read.data.expect("data").ends_with("\"high\"]"));
    }

    #[test]
    fn what_is_not_well_formed_is_called_so() {
        for wrong in [
            "",
            "hello",
            "<192>1 - - - - - -",
            "<+4>1 - - - - - -",
            "<34>2 - - - - - -",
            "<34>1 - - - - -",
            "<34>1 yesterday - - - - -",
            "<34>1 2003-08-24T05:14:15.000000003-07:00 - - - - -",
            "<34>1 - - - - - [x",
            "<34>1 - - - - - [x y=\"]\"]",
            "<34>1  - - - - -",
            "<13>Oct 11 22:14:15 mymachine su: an old message",
        ] {
            assert!(parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(parse(b"<34>1 - - - - - -").is_ok());
    }

    #[test]
    fn streams_are_framed_both_ways() {
        let syslog = Syslog::default();
        let mut session = syslog.service()("10.77.0.9:999".parse().expect("an address"));
        let bytes = b"17 <34>1 - - - - - -17 <35>1 - - - - - -<36>1 - - - - - - line\n<37>1 - - - - - - last";
        let mut input = Vec::new();
        for (n, byte) in bytes.iter().enumerate() {
            input.push(*byte);
            let last = n + 1 == bytes.len();
            let step = session.step(&mut input, last, &mut Vec::new(), Instant::now());
            assert_eq!(step, if last { SessionStep::Close } else { SessionStep::Wait });
        }
        let priorities: Vec<u8> = syslog.messages().iter().map(|m| m.facility * 8 + m.severity).collect();
        assert_eq!((priorities, syslog.messages()[3].text.as_str()), (vec![34, 35, 36, 37], "last"));
        for wrong in [&b"999999 <"[..], b"no", b"17x<34>"] {
            let step = session.step(&mut wrong.to_vec(), false, &mut Vec::new(), Instant::now());
            assert_eq!(step, SessionStep::Reset);
        }
    }
}
