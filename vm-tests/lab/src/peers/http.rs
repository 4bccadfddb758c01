//! An HTTP/1.1 server (RFC 9110, 9112) whose answers are chosen path by path, good, slow and broken ones, and which
//! remembers what it was asked.

pub(in crate::peers) mod request;

use crate::listen::{Service, ServiceSession, SessionStep};
use request::{Intake, RequestReader};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// What an answer carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// These bytes.
    Bytes(Arc<[u8]>),
    /// A file of the host, read while it is sent.
    File(PathBuf),
}

/// What goes wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The connection is closed after so many bytes of the whole answer, although more was promised.
    CutAfter(usize),
    /// It is reset instead.
    ResetAfter(usize),
    /// It stays open, and nothing more comes.
    SilentAfter(usize),
    /// These bytes come instead of an answer.
    Instead(Vec<u8>),
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// Fields of the head; `Content-Length` is added.
    pub fields: Vec<(String, String)>,
    /// Body. A `HEAD` request gets its length alone.
    pub body: Body,
    /// The answer begins so late.
    pub delay: Duration,
    /// So many bytes at a time, and so long between them.
    pub trickle: Option<(usize, Duration)>,
    /// What goes wrong. Only with a body of bytes.
    pub fault: Option<Fault>,
}

impl Reply {
    /// An answer with this body.
    pub fn new(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        let fields = vec![("Content-Type".to_owned(), kind.to_owned())];
        let body = Body::Bytes(body.into().into());
        Self { status, fields, body, delay: Duration::ZERO, trickle: None, fault: None }
    }
    /// A good answer in plain text.
    pub fn text(body: &str) -> Self {
        Self::new(200, "text/plain; charset=utf-8", body)
    }
    /// A good answer from a file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { body: Body::File(path.into()), ..Self::new(200, "application/octet-stream", "") }
    }
    /// With a field more.
    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }
    /// With a fault.
    pub fn broken(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        self
    }
}

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Who asked.
    pub from: SocketAddr,
    /// Method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Fields of the head, names in lower case.
    pub fields: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl Request {
    /// A field of the head by its name in lower case.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// Limits, so that a guest fills no memory: a body, requests that are remembered, and the bytes of their bodies.
const LONGEST_BODY: usize = 200 << 10;
const MOST_REQUESTS: usize = 10_000;
const MOST_KEPT: usize = 256 << 20;
/// Bytes that are handed on at a time.
const PIECE: usize = 64 << 10;

/// Answers requests by what they say.
type Handler = Box<dyn FnMut(&Request) -> Reply + Send>;

struct SiteState {
    longest_body: usize,
    paths: BTreeMap<String, Reply>,
    others: Reply,
    requests: Vec<Request>,
    /// By the beginning of the path, and how many bytes a body may have.
    handlers: Vec<(String, usize, Handler)>,
}

/// A site. Copies of the handle are the same site; it may be changed while it is served.
#[derive(Clone)]
pub struct Site(Arc<Mutex<SiteState>>);

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Site")
    }
}

impl Default for Site {
    fn default() -> Self {
        let others = Reply::new(404, "text/plain", "not found\n");
        let (paths, requests, handlers) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self(Arc::new(Mutex::new(SiteState { longest_body: LONGEST_BODY, paths, others, requests, handlers })))
    }
}

impl Site {
    /// Answers this path, whatever the query, from now on.
    pub fn set(&self, path: impl Into<String>, reply: Reply) {
        self.inner().paths.insert(path.into(), reply);
    }
    /// Answers all other paths; at first, that they do not exist.
    pub fn set_others(&self, reply: Reply) {
        self.inner().others = reply;
    }
    /// Takes bodies of so many bytes from now on, where no program of the lab takes them.
    pub fn take_bodies(&self, most: usize) {
        self.inner().longest_body = most;
    }
    /// Answers all paths that begin so and have no answer of their own by a program of the lab, which takes bodies of at
    /// most so many bytes.
    pub(crate) fn handle(&self, under: &str, most: usize, handler: impl FnMut(&Request) -> Reply + Send + 'static) {
        self.inner().handlers.push((under.to_owned(), most, Box::new(handler)));
    }
    /// What it was asked so far; without bodies that a program has taken.
    pub fn requests(&self) -> Vec<Request> {
        self.inner().requests.clone()
    }

    fn inner(&self) -> MutexGuard<'_, SiteState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What listens.
    pub(crate) fn service(&self) -> Service {
        let site = self.clone();
        Box::new(move |from| {
            let (site, reader, due, sending) = (site.clone(), RequestReader::new(from), None, None);
            Box::new(Connection { site, reader, due, sending })
        })
    }
}

/// What remains to be sent of an answer.
struct Sending {
    head: Vec<u8>,
    file: Option<std::io::Take<File>>,
    trickle: Option<(usize, Duration)>,
    end: Option<SessionStep>,
}

struct Connection {
    site: Site,
    reader: RequestReader,
    /// An answer that waits for its time.
    due: Option<(Instant, Sending)>,
    sending: Option<Sending>,
}

impl ServiceSession for Connection {
    fn step(&mut self, input: &mut Vec<u8>, ended: bool, output: &mut Vec<u8>, now: Instant) -> SessionStep {
        loop {
            if let Some((at, sending)) = self.due.take() {
                if now < at {
                    self.due = Some((at, sending));
                    return SessionStep::Until(at);
                }
                self.sending = Some(sending);
            }
            if let Some(mut sending) = self.sending.take() {
                let step = sending.step(output, now);
                let over = step == SessionStep::Wait && sending.head.is_empty() && sending.file.is_none();
                if let Some(end) = sending.end.filter(|_| over) {
                    if end == SessionStep::Wait {
                        // Open and silent for ever.
                        input.clear();
                        self.sending = Some(sending);
                    }
                    return end;
                }
                if let (SessionStep::Until(at), false) = (step, over) {
                    self.due = Some((at, sending));
                    return step;
                }
                if !over {
                    self.sending = Some(sending);
                    return step;
                }
            }
            match self.reader.take(input, self.most()) {
                Intake::Request(request, close) => {
                    let reply = self.note(&request);
                    let delay = reply.delay;
                    self.due = Some((now + delay, Sending::new(reply, &request, close)));
                }
                Intake::Continue => output.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n"),
                Intake::NotYet if ended => return SessionStep::Close,
                Intake::NotYet => return SessionStep::Wait,
                Intake::Wrong(status) => {
                    input.clear();
                    let head = format!("HTTP/1.1 {status} no\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                    output.extend_from_slice(head.as_bytes());
                    return SessionStep::Close;
                }
            }
        }
    }
}

impl Connection {
    /// Remembers a request and finds its answer.
    fn note(&self, request: &Request) -> Reply {
        let mut inner = self.site.inner();
        let path = request.target.split(['?', '#']).next().unwrap_or_default();
        let own = inner.paths.get(path).cloned();
        let handler = inner.handlers.iter_mut().find(|(under, ..)| own.is_none() && path.starts_with(under.as_str()));
        let made = handler.map(|(.., handler)| handler(request));
        if inner.requests.len() < MOST_REQUESTS {
            let left = MOST_KEPT.saturating_sub(inner.requests.iter().map(|r| r.body.len()).sum());
            let kept = made.is_none() && request.body.len() <= left;
            let body = if kept { request.body.clone() } else { Vec::new() };
            inner.requests.push(Request { body, ..request.clone() });
        }
        own.or(made).unwrap_or_else(|| inner.others.clone())
    }

    /// How many bytes a body may have.
    fn most(&self) -> usize {
        let inner = self.site.inner();
        inner.handlers.iter().map(|(_, most, _)| *most).max().unwrap_or(inner.longest_body)
    }
}

impl Sending {
    fn new(reply: Reply, request: &Request, close: bool) -> Self {
        let mut end = close.then_some(SessionStep::Close);
        let trickle = reply.trickle;
        let none = |head: &str| {
            let head = format!("{head}Content-Length: 0\r\nConnection: close\r\n\r\n").into_bytes();
            Self { head, file: None, trickle: None, end: Some(SessionStep::Close) }
        };
        let (mut file, bytes, length) = match &reply.body {
            Body::Bytes(bytes) => (None, bytes.to_vec(), bytes.len() as u64),
            Body::File(path) => match File::open(path).and_then(|f| f.metadata().map(|m| (f, m.len()))) {
                Ok((file, length)) => (Some(file), Vec::new(), length),
                Err(_) => return none("HTTP/1.1 500 the file cannot be read\r\n"),
            },
        };
        let tag = reply.fields.iter().find(|(name, _)| name.eq_ignore_ascii_case("etag")).map(|(_, tag)| tag.as_str());
        let reads = matches!(request.method.as_str(), "GET" | "HEAD") && reply.status == 200;
        // RFC 9110 §13.1: known already, and a part of what is no longer there.
        let known = |tags: &str| tags.split(',').any(|t| t.trim() == "*" || Some(t.trim()) == tag);
        if reads && tag.is_some() && request.field("if-none-match").is_some_and(known) {
            let head = format!("HTTP/1.1 304 {}\r\nETag: {}\r\n", reason(304), tag.unwrap_or_default());
            let head = head + if close { "Connection: close\r\n\r\n" } else { "\r\n" };
            return Self { head: head.into_bytes(), file: None, trickle: None, end };
        }
        let same = request.field("if-range").is_none_or(|wanted| Some(wanted) == tag);
        let range = request.field("range").filter(|_| reads && same);
        let wanted = range.and_then(|range| range_of(range, length));
        let (status, start, stop) = match wanted {
            Some(Some((start, stop))) => (206, start, stop),
            Some(None) => return none(&format!("HTTP/1.1 416 no\r\nContent-Range: bytes */{length}\r\n")),
            None => (reply.status, 0, length),
        };
        let mut head = format!("HTTP/1.1 {status} {}\r\n", reason(status));
        for (name, value) in &reply.fields {
            head += &format!("{name}: {value}\r\n");
        }
        if status == 206 {
            head += &format!("Content-Range: bytes {start}-{}/{length}\r\n", stop - 1);
        }
        head += &format!("Content-Length: {}\r\nAccept-Ranges: bytes\r\n", stop - start);
        head += if close { "Connection: close\r\n\r\n" } else { "\r\n" };
        let mut head = head.into_bytes();
        if request.method == "HEAD" {
            file = None;
        } else if file.is_none() {
            head.extend_from_slice(&bytes[start as usize..stop as usize]);
        }
        let file = file.and_then(|mut file| {
            file.seek(SeekFrom::Start(start)).ok()?;
            Some(file.take(stop - start))
        });
        match reply.fault {
            None => {}
            Some(Fault::Instead(bytes)) => (head, end) = (bytes, Some(SessionStep::Close)),
            Some(Fault::CutAfter(n)) => {
                head.truncate(n);
                end = Some(SessionStep::Close);
            }
            Some(Fault::ResetAfter(n)) => {
                head.truncate(n);
                end = Some(SessionStep::Reset);
            }
            Some(Fault::SilentAfter(n)) => {
                head.truncate(n);
                end = Some(SessionStep::Wait);
            }
        }
        Self { head, file, trickle, end }
    }

    /// Hands on a piece.
    fn step(&mut self, output: &mut Vec<u8>, now: Instant) -> SessionStep {
        let most = self.trickle.map_or(PIECE, |(bytes, _)| bytes.clamp(1, PIECE));
        let mut file = self.file.take();
        while self.head.len() < most {
            let mut piece = vec![0; PIECE];
            match file.as_mut().map(|file| file.read(&mut piece)) {
                Some(Ok(n)) if n > 0 => self.head.extend_from_slice(&piece[..n]),
                // A file that cannot be read any more ends too early, which whoever asked can see.
                Some(_) => file = None,
                None => break,
            }
        }
        self.file = file;
        output.extend(self.head.drain(..most.min(self.head.len())));
        match self.trickle {
            Some((_, pause)) if !self.head.is_empty() || self.file.is_some() => SessionStep::Until(now + pause),
            _ => SessionStep::Wait,
        }
    }
}

/// `bytes=2-5` as start and end of what is wanted; the inner `None`: nothing of it is there. Other forms are passed over.
fn range_of(text: &str, length: u64) -> Option<Option<(u64, u64)>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let start = match (first, last) {
        ("", last) => length.saturating_sub(last.parse().ok()?),
        (first, _) => first.parse().ok()?,
    };
    let stop = match (first, last) {
        ("", _) | (_, "") => length,
        (_, last) => last.parse::<u64>().ok()?.saturating_add(1).min(length),
    };
    Some((start < stop).then_some((start, stop)))
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 | 302 | 307 | 308 => "Moved",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "-",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk(site: &Site, bytes: &[u8]) -> (String, SessionStep) {
        let mut session = site.service()("10.77.0.9:999".parse().expect("an address"));
        let (mut input, mut output) = (bytes.to_vec(), Vec::new());
        let step = session.step(&mut input, true, &mut output, Instant::now());
        (String::from_utf8(output).expect("text"), step)
    }

    #[test]
    fn requests_are_answered_remembered_or_refused() {
        let site = Site::default();
        site.set("/a", Reply::text("hello"));
        let two = b"GET /a?x=1 HTTP/1.1\r\nHost: h\r\n\r\nPOST /b HTTP/1.1\r\nContent-Length: 3\r\n\r\nxyz";
        let (said, step) = talk(&site, two);
        assert!(said.starts_with("HTTP/1.1 200 OK\r\n") && said.contains("\r\n\r\nhelloHTTP/1.1 404 Not Found\r\n"));
        assert_eq!(step, SessionStep::Close, "the other side has said all");
        let asked = site.requests();
        assert_eq!(
            (asked[0].target.as_str(), asked[0].field("host"), &asked[1].body[..]),
            ("/a?x=1", Some("h"), &b"xyz"[..])
        );
        let (said, _) = talk(&site, b"HEAD /a HTTP/1.0\r\n\r\n");
        assert!(said.contains("Content-Length: 5\r\n") && said.ends_with("close\r\n\r\n"));
        for (wrong, status) in [
            (&b"nonsense\r\n\r\n"[..], "400"),
            (b"GET / HTTP/2.0\r\n\r\n", "400"),
            (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", "400"),
            (b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "400"),
            (b"PUT / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", "413"),
            (b"PUT / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", "501"),
            (&[b'x'; request::LONGEST_HEAD + 1], "431"),
        ] {
            assert_eq!(&talk(&site, wrong).0[9..12], status);
        }
        assert_eq!(talk(&site, b"GET /a HTT"), (String::new(), SessionStep::Close));
    }

    #[test]
    fn ranges_and_files() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("file");
        std::fs::write(&path, "0123456789").expect("write");
        let site = Site::default();
        site.set("/f", Reply::file(&path));
        site.set("/gone", Reply::file(directory.path().join("gone")));
        for (range, status, body) in [
            ("", "200", "0123456789"),
            ("Range: bytes=2-5\r\n", "206", "2345"),
            ("Range: bytes=7-\r\n", "206", "789"),
            ("Range: bytes=-2\r\n", "206", "89"),
            ("Range: bytes=10-\r\n", "416", ""),
            ("Range: lines=1-\r\n", "200", "0123456789"),
        ] {
            let (said, _) = talk(&site, format!("GET /f HTTP/1.1\r\n{range}\r\n").as_bytes());
            assert_eq!((&said[9..12], said.split("\r\n\r\n").nth(1)), (status, Some(body)), "{range}");
        }
        assert_eq!(&talk(&site, b"GET /gone HTTP/1.1\r\n\r\n").0[9..12], "500");
    }

    #[test]
    fn faults_are_what_they_are_called() {
        let site = Site::default();
        for (fault, said, end) in [
            (Fault::CutAfter(12), "HTTP/1.1 200", SessionStep::Close),
            (Fault::ResetAfter(3), "HTT", SessionStep::Reset),
            (Fault::SilentAfter(0), "", SessionStep::Wait),
            (Fault::Instead(b"220 ftp".to_vec()), "220 ftp", SessionStep::Close),
        ] {
            site.set("/", Reply::text("hello").broken(fault));
            assert_eq!(talk(&site, b"GET / HTTP/1.1\r\n\r\n"), (said.to_owned(), end));
        }
    }
}
