//! Asks the API of one target: logged in, with time limits, repeated only where that is safe.
//!
//! What may be repeated follows from what can have happened. A request that was never sent may be sent again; so may a
//! GET; so may one that was refused because of a lock, before anything was done. A POST whose answer got lost may have
//! been carried out: it is not repeated, and the [`CallError`] says so.

mod error;
mod login;
mod parameters;
mod transport;

pub(crate) use error::locked;
pub use error::{CallError, CallErrorKind};
pub use parameters::{Parameters, Path};

use crate::target::{Credential, Target};
use diorite_host::interrupt;
use diorite_model::Result;
use login::Session;
use serde_json::Value;
use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use transport::PeerCertificate;
use ureq::http::{Request, Response, header};
use ureq::{Agent, Body, SendBody};

/// How to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Changes nothing.
    Get,
    /// Makes or does something.
    Post,
    /// Changes something.
    Put,
    /// Removes something.
    Delete,
}

impl Method {
    /// As HTTP spells it.
    pub fn word(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
        }
    }
}

/// How long to wait, and how often to try.
#[derive(Debug, Clone, Copy)]
pub struct ClientLimits {
    /// For a connection, name and TLS included.
    pub connect: Duration,
    /// Without any byte coming or going. The API itself gives up after 30 seconds (596).
    pub stall: Duration,
    /// For the answer to an upload, after its last byte.
    pub uploaded: Duration,
    /// Attempts at what is safe to repeat.
    pub attempts: u32,
    /// Between two attempts; grows with each.
    pub pause: Duration,
    /// For a lock that somebody else holds.
    pub lock: Duration,
    /// Between two looks at a task, at most.
    pub poll: Duration,
    /// For a task that says nothing new.
    pub silence: Duration,
    /// Age at which a ticket is renewed; it is valid for two hours.
    pub ticket: Duration,
}

impl Default for ClientLimits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            connect: seconds(10),
            stall: seconds(40),
            uploaded: seconds(300),
            attempts: 3,
            pause: seconds(1),
            lock: seconds(120),
            poll: Duration::from_millis(700),
            silence: seconds(3600),
            ticket: seconds(3600),
        }
    }
}

/// Largest payload of a TLS record, in bytes (RFC 8446 §5.1).
const RECORD: usize = 16 << 10;

/// Largest answer that is read, in bytes.
const LARGEST: u64 = 32 << 20;

/// A target that can be asked. Usable from several threads.
#[derive(Debug)]
pub struct Client {
    target: Arc<Target>,
    session: Session,
    peer: PeerCertificate,
    /// Connections are kept for less than the five seconds after which the server drops them.
    reads: Agent,
    /// What changes something never goes over a connection that may just have been closed.
    writes: Agent,
    limits: ClientLimits,
    /// Microseconds of waiting for locks.
    lock_time: AtomicU64,
}

/// What came back, before it is judged.
pub(crate) struct RawResponse {
    status: u16,
    reason: String,
    body: Vec<u8>,
}

impl Client {
    /// A client for this target. Nothing is asked yet.
    ///
    /// # Errors
    /// The certificate authorities cannot be read.
    pub fn new(
        target: Target,
        credential: Credential,
        environment: &dyn Fn(&str) -> Option<String>,
        limits: ClientLimits,
    ) -> Result<Self> {
        let (tls, peer) = transport::tls(&target, environment)?;
        let agent = |idle: usize| {
            let config = Agent::config_builder()
                .user_agent(concat!("diorite/", env!("CARGO_PKG_VERSION")))
                .accept("application/json")
                .accept_encoding("identity")
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                // Between an administrator and his hypervisor there is a VPN, not a proxy.
                .proxy(None)
                .timeout_connect(Some(limits.connect))
                .timeout_resolve(Some(limits.connect))
                .timeout_per_read(Some(limits.stall))
                .timeout_per_write(Some(limits.stall))
                .max_idle_connections(idle)
                .max_idle_connections_per_host(idle)
                .max_idle_age(Duration::from_secs(2))
                // A TLS record; the default of eight of them is zeroed for each of many small answers.
                .input_buffer_size(RECORD)
                .output_buffer_size(RECORD)
                .build();
            transport::agent(config, tls.clone())
        };
        Ok(Self {
            target: Arc::new(target),
            session: Session::new(credential, limits.ticket),
            peer,
            reads: agent(4),
            writes: agent(0),
            limits,
            lock_time: AtomicU64::new(0),
        })
    }

    /// The target that is asked.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Who asks: `deploy@pve!ci`.
    pub fn who(&self) -> &str {
        self.session.who()
    }

    /// The limits that were given.
    pub fn limits(&self) -> &ClientLimits {
        &self.limits
    }

    /// Asks for something; repeated when the answer does not come.
    pub fn get(&self, path: &Path, parameters: &Parameters) -> Result<Value, CallError> {
        self.call(Method::Get, path, parameters)
    }

    /// Asks, and returns what stands under `data`.
    ///
    /// # Errors
    /// A [`CallError`], which says whether the request may have been carried out all the same.
    pub fn call(&self, method: Method, path: &Path, parameters: &Parameters) -> Result<Value, CallError> {
        let (query, body) = match method {
            Method::Get | Method::Delete => (parameters.encoded(), None),
            Method::Post | Method::Put => (String::new(), Some(parameters.encoded())),
        };
        let mark = if query.is_empty() { "" } else { "?" };
        let url = format!("{}/api2/json{path}{mark}{query}", self.target.url);
        self.insist(method, path, || {
            let request = Request::builder().method(method.word()).uri(&url);
            let request = self.session.sign(self, method, request)?;
            match &body {
                None => self.send(&self.reads_or_writes(method), method, path, request.body(SendBody::none())),
                Some(form) => {
                    let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
                    let body = SendBody::from_owned_reader(std::io::Cursor::new(form.clone().into_bytes()));
                    let request = request.header(header::CONTENT_LENGTH, form.len());
                    self.send(&self.writes, method, path, request.body(body))
                }
            }
        })
    }

    fn reads_or_writes(&self, method: Method) -> Agent {
        if method == Method::Get { self.reads.clone() } else { self.writes.clone() }
    }

    /// Sends what `once` makes until it is answered, as far as that is safe.
    fn insist(
        &self,
        method: Method,
        path: &Path,
        mut once: impl FnMut() -> Result<RawResponse, CallError>,
    ) -> Result<Value, CallError> {
        let begun = Instant::now();
        let (mut attempt, mut renewed) = (0, false);
        loop {
            attempt += 1;
            let tried = Instant::now();
            let failure = match once().and_then(|answer| self.judge(method, path, answer)) {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            if interrupt::came() {
                return Err(CallError { kind: CallErrorKind::Interrupted, ..failure });
            }
            match failure.kind {
                // Refused before anything was done: with a fresh ticket the same request may pass.
                CallErrorKind::Unauthorised if !renewed && self.session.forget() => renewed = true,
                // At least once more, however long the host took to say so.
                CallErrorKind::Locked if attempt == 1 || begun.elapsed() < self.limits.lock => {
                    self.rest(1);
                    self.waited_for_lock(tried);
                }
                _ if failure.passing(method) && attempt < self.limits.attempts => self.rest(attempt),
                _ => return Err(CallError { attempts: attempt, ..failure }),
            }
        }
    }

    /// How long locks were waited for that somebody else held.
    pub fn lock_time(&self) -> Duration {
        Duration::from_micros(self.lock_time.load(Relaxed))
    }

    /// Counts the time since an attempt that met a lock.
    pub(crate) fn waited_for_lock(&self, since: Instant) {
        let micros = u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.lock_time.fetch_add(micros, Relaxed);
    }

    /// Waits, unless somebody wants us to end.
    pub(crate) fn rest(&self, times: u32) {
        let end = Instant::now() + self.limits.pause * times;
        while Instant::now() < end && !interrupt::came() {
            std::thread::sleep((end - Instant::now()).min(Duration::from_millis(100)));
        }
    }

    /// Asks once; any answer is one.
    pub(crate) fn send(
        &self,
        agent: &Agent,
        method: Method,
        path: &Path,
        request: Result<Request<SendBody<'_>>, ureq::http::Error>,
    ) -> Result<RawResponse, CallError> {
        self.peer.clear();
        transport::forget_reason();
        let failed = |e: &ureq::Error| CallError::of_request(self.target.clone(), method, path, e, self.peer.get());
        let request = request.map_err(|e| failed(&ureq::Error::Http(e)))?;
        let response: Response<Body> = agent.run(request).map_err(|e| failed(&e))?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        let mut reader = response.into_body().into_reader().take(LARGEST);
        match reader.read_to_end(&mut body) {
            Ok(_) => Ok(RawResponse { status, reason: transport::reason(), body }),
            // The status is known, and errors close the connection, not always politely.
            Err(_) if status >= 400 => Ok(RawResponse { status, reason: transport::reason(), body: Vec::new() }),
            Err(e) => Err(failed(&ureq::Error::Io(e))),
        }
    }

    /// `data` of an answer that is one.
    pub(crate) fn judge(&self, method: Method, path: &Path, answer: RawResponse) -> Result<Value, CallError> {
        let RawResponse { status, reason, body } = answer;
        let mut json: Option<Value> = serde_json::from_slice(&body).ok();
        let failed = |kind, why: String| CallError::new(self.target.clone(), kind, method, path, Some(status), why);
        match status {
            200..=299 => match json.as_mut().and_then(Value::as_object_mut).and_then(|o| o.remove("data")) {
                Some(data) => Ok(data),
                None => {
                    Err(failed(CallErrorKind::UnexpectedReply, "the answer is not in the form of Proxmox VE's".into()))
                }
            },
            300..=399 => Err(failed(CallErrorKind::UnexpectedReply, "the answer is a redirect".into())),
            _ => Err(CallError::of_answer(self.target.clone(), method, path, status, &reason, json.as_ref())),
        }
    }

    /// The agent for uploads: as for every change.
    pub(crate) fn writes(&self) -> &Agent {
        &self.writes
    }

    /// A request that is logged in.
    pub(crate) fn signed(
        &self,
        method: Method,
        request: ureq::http::request::Builder,
    ) -> Result<ureq::http::request::Builder, CallError> {
        self.session.sign(self, method, request)
    }

    /// A failure about this target.
    pub(crate) fn failure(
        &self,
        kind: CallErrorKind,
        method: Method,
        path: &Path,
        why: impl Into<String>,
    ) -> CallError {
        CallError::new(self.target.clone(), kind, method, path, None, why.into())
    }
}
