//! Reading URLs: `http:`, `https:` and `file:`. Blocking, one connection pool for all threads, deterministic pauses
//! between attempts, and failures that say whether the file is not there, the server is busy, or there is no answer.
//!
//! Bytes arrive as they are stored: no content coding is asked for, because everything read here has a SHA-256.

mod agent;
mod archive;
mod failure;
#[cfg(test)]
pub(crate) mod server;
#[cfg(test)]
pub(crate) mod tests;

use crate::url;
use agent::Agents;
pub use archive::MirrorClient;
use diorite_host::interrupt;
use diorite_model::{Result, date};
pub use failure::{Failure, FailureKind};
use std::io::Read;
use std::time::{Duration, Instant};
use ureq::http::{Response, header};

/// Timeouts and retries. They change no byte that arrives.
#[derive(Debug, Clone)]
pub struct Options {
    /// To reach a server, TLS included.
    pub connect: Duration,
    /// Without a single byte from a server before it counts as dead.
    pub stall: Duration,
    /// Attempts in a row without a byte received.
    pub attempts: u32,
    /// Pause after the first of them; doubled after each further one.
    pub pause: Duration,
    /// The longest pause, also when a server asks for more (Retry-After).
    pub longest_pause: Duration,
    /// Read nothing but `file:`.
    pub offline: bool,
}

impl Default for Options {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            connect: seconds(15),
            stall: seconds(30),
            attempts: 4,
            pause: seconds(1),
            longest_pause: seconds(60),
            offline: false,
        }
    }
}

/// The client. One is made for a whole run and shared by reference.
pub struct HttpClient {
    options: Options,
    agents: Agents,
}

/// The answer of a server that may require a login.
pub enum AuthResponse {
    /// The server sends the file.
    File(RemoteFile),
    /// Status 401: the challenges of its `WWW-Authenticate` headers.
    Unauthorized(Vec<String>),
}

/// An open file at a server.
pub struct RemoteFile {
    /// Offset of the first byte that will be read: what was asked for, or 0 when the server does not do ranges.
    pub from: u64,
    /// Whole size of the file, where the server says it.
    pub size: Option<u64>,
    /// Does the server call it a web page?
    pub html: bool,
    /// When it was last changed (RFC 9110, Last-Modified), in seconds since 1970, where the server says it.
    pub changed: Option<u64>,
    body: Box<dyn Read + Send>,
    url: String,
}

impl HttpClient {
    /// A client with the process environment's proxies and certificates.
    ///
    /// Errors: [`diorite_model::Exit::Host`] for a proxy variable that is no URL, or a certificate file named by the
    /// environment that cannot be read.
    pub fn new(options: Options) -> Result<Self> {
        Self::with_environment(options, &|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    /// As [`HttpClient::new`], with the environment given.
    pub fn with_environment(options: Options, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        // Without a network its settings cannot be wrong.
        let environment = if options.offline { &|_: &str| None } else { environment };
        Ok(Self { agents: Agents::new(&options, environment)?, options })
    }

    /// The options it was created with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Makes every request that is under way fail, in all threads. For the end of the process.
    pub fn shutdown(&self) {
        self.agents.shutdown();
    }

    /// Opens a URL at an offset: one attempt, redirects followed.
    pub fn open(&self, url: &str, from: u64) -> Result<RemoteFile, Failure> {
        if let Some(path) = url::file_path(url) {
            return open_file(&path, url, from);
        }
        if self.options.offline {
            return Err(Failure::new(FailureKind::Offline, url, "the network is not to be used"));
        }
        let mut at = url.to_owned();
        for _ in 0..10 {
            let response = self.agents.request(&at, from)?;
            let status = response.status().as_u16();
            if !matches!(status, 301 | 302 | 303 | 307 | 308) {
                return reply(response, &at, from);
            }
            let location = response.headers().get(header::LOCATION).and_then(|l| l.to_str().ok());
            // Only to where a mirror may be: never from the network into a file.
            let next = location.and_then(|l| url::redirect(&at, l));
            at = next.filter(|next| matches!(url::scheme(next), Some("http" | "https"))).ok_or_else(|| {
                Failure::new(FailureKind::Refused, &at, format!("it redirects to `{}`", location.unwrap_or("nowhere")))
            })?;
        }
        Err(Failure::new(FailureKind::Refused, url, "it redirects more than ten times"))
    }

    /// As [`HttpClient::open`], with what to accept and an authorization. It is sent to the URL's own host only: a host
    /// that the request is redirected to gets none, and its own request for a login is refused.
    pub fn ask(
        &self,
        url: &str,
        from: u64,
        accept: &str,
        authorization: Option<&str>,
    ) -> Result<AuthResponse, Failure> {
        if self.options.offline {
            return Err(Failure::new(FailureKind::Offline, url, "the network is not to be used"));
        }
        let mut at = url.to_owned();
        for _ in 0..10 {
            let own = url::origin(&at) == url::origin(url);
            let mut headers = vec![(header::ACCEPT, accept)];
            headers.extend(authorization.filter(|_| own).map(|a| (header::AUTHORIZATION, a)));
            // A signature in a query opens what it leads to, and is not shown.
            let bare = at.split(['?', '#']).next().unwrap_or_default();
            let response = self.agents.ask(&at, from, &headers).map_err(|f| Failure { url: url::shown(bare), ..f })?;
            let status = response.status().as_u16();
            if status == 401 && own {
                let all = response.headers().get_all(header::WWW_AUTHENTICATE);
                return Ok(AuthResponse::Unauthorized(
                    all.iter().filter_map(|v| Some(v.to_str().ok()?.to_owned())).collect(),
                ));
            }
            if !matches!(status, 301 | 302 | 303 | 307 | 308) {
                return reply(response, bare, from).map(AuthResponse::File);
            }
            let location = response.headers().get(header::LOCATION).and_then(|l| l.to_str().ok());
            let next = location.and_then(|l| url::redirect(&at, l)).filter(|next| url::may_lead(&at, next));
            let place = || url::shown(location.unwrap_or("nowhere")).split('?').next().unwrap_or_default().to_owned();
            at =
                next.ok_or_else(|| Failure::new(FailureKind::Refused, bare, format!("it redirects to `{}`", place())))?;
        }
        Err(Failure::new(FailureKind::Refused, url, "it redirects more than ten times"))
    }

    /// The whole file, at most `limit` bytes, tried again as often as the options say.
    pub fn get(&self, url: &str, limit: u64) -> Result<Vec<u8>, Failure> {
        self.get_dated(url, limit).map(|(bytes, _)| bytes)
    }

    /// The same, with the time of its last change, in seconds since 1970, where the server says it.
    pub fn get_dated(&self, url: &str, limit: u64) -> Result<(Vec<u8>, Option<u64>), Failure> {
        let mut failures = 0;
        loop {
            match self.get_once(url, limit) {
                Err(failure) if failure.passing() && failures + 1 < self.options.attempts => {
                    self.pause(failures, &failure, &interrupt::check)?;
                    failures += 1;
                }
                result => return result,
            }
        }
    }

    fn get_once(&self, url: &str, limit: u64) -> Result<(Vec<u8>, Option<u64>), Failure> {
        let file = self.open(url, 0)?;
        let changed = file.changed;
        Ok((file.whole(url, limit)?, changed))
    }

    /// Waits after the `n`th failure in a row (counted from 0): the base pause doubled `n` times, or what the server
    /// asked for, never more than the longest pause. Ends as soon as `check` fails.
    pub fn pause(&self, n: u32, failure: &Failure, check: &dyn Fn() -> Result<()>) -> Result<(), Failure> {
        let step = self.options.pause.saturating_mul(1 << n.min(16));
        let pause = failure.retry_after.unwrap_or(step).min(self.options.longest_pause);
        let end = Instant::now() + pause;
        loop {
            check()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(Duration::from_millis(100)));
        }
    }
}

impl Read for RemoteFile {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.body.read(buffer)
    }
}

impl RemoteFile {
    /// Where it was opened, after redirects.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// All of it, for who asked for `url` from its start.
    ///
    /// Errors: `Refused` for more than `limit` bytes, `Broken` for less than the server announced.
    pub fn whole(mut self, url: &str, limit: u64) -> Result<Vec<u8>, Failure> {
        let too_large = || Failure::new(FailureKind::Refused, url, format!("it is larger than {limit} bytes"));
        let expected = self.size;
        if expected.is_some_and(|size| size > limit) {
            return Err(too_large());
        }
        let mut bytes = Vec::with_capacity(expected.unwrap_or(0) as usize);
        let mut buffer = [0; 1 << 16];
        loop {
            interrupt::check()?;
            match self.read(&mut buffer).map_err(|e| Failure::broken(url, &e))? {
                0 => break,
                n => bytes.extend_from_slice(&buffer[..n]),
            }
            if bytes.len() as u64 > limit {
                return Err(too_large());
            }
        }
        match expected {
            Some(size) if size != bytes.len() as u64 => {
                Err(Failure::new(FailureKind::Broken, url, format!("it ended after {} of {size} bytes", bytes.len())))
            }
            _ => Ok(bytes),
        }
    }
}

fn open_file(path: &std::path::Path, url: &str, from: u64) -> Result<RemoteFile, Failure> {
    use std::io::{ErrorKind, Seek, SeekFrom};
    let kind = |e: &std::io::Error| match e.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => FailureKind::Gone,
        _ => FailureKind::Refused,
    };
    let open = || {
        let mut file = std::fs::File::open(path)?;
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(std::io::Error::new(ErrorKind::NotFound, "it is not a file"));
        }
        let from = if from <= meta.len() { from } else { 0 };
        file.seek(SeekFrom::Start(from))?;
        Ok((file, meta.len(), from))
    };
    let (file, size, from) = open().map_err(|e| Failure::new(kind(&e), url, e))?;
    Ok(RemoteFile { from, size: Some(size), html: false, changed: None, body: Box::new(file), url: url.to_owned() })
}

/// Judges the status (RFC 9110, section 15) and where the body begins (section 14.4, Content-Range).
fn reply(response: Response<ureq::Body>, url: &str, asked: u64) -> Result<RemoteFile, Failure> {
    let text = |name| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let number = |name| text(name).and_then(|v| v.trim().parse::<u64>().ok());
    let status = response.status();
    let range = text(header::CONTENT_RANGE).and_then(|v| content_range(&v));
    let (from, size) = match (status.as_u16(), range) {
        (200, _) => (0, number(header::CONTENT_LENGTH)),
        (206, Some((from, size))) if from == asked => (from, size),
        (206, _) => {
            return Err(Failure::new(FailureKind::Range, url, "it answers with another range than the one asked for"));
        }
        (416, _) => return Err(Failure::new(FailureKind::Range, url, "it has not as many bytes as we already hold")),
        _ => {
            let mut failure = Failure::status(url, status.as_u16(), status.canonical_reason().unwrap_or(""));
            failure.retry_after = number(header::RETRY_AFTER).map(Duration::from_secs);
            return Err(failure);
        }
    };
    let html = text(header::CONTENT_TYPE).is_some_and(|t| t.starts_with("text/html"));
    let changed = text(header::LAST_MODIFIED).and_then(|value| date::parse(&value));
    let body = Box::new(response.into_body().into_reader());
    Ok(RemoteFile { from, size, html, changed, body, url: url.to_owned() })
}

/// `bytes 5-9/10` → (5, Some(10)); `bytes 5-9/*` → (5, None).
fn content_range(value: &str) -> Option<(u64, Option<u64>)> {
    let (range, size) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-')?.0.trim().parse().ok()?, size.trim().parse().ok()))
}
