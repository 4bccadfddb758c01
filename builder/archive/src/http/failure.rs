//! Why a URL could not be read, before anybody decides whether that is an error: another mirror may have the file.

use crate::url;
use diorite_model::{Error, Exit};
use std::fmt;
use std::time::Duration;

/// The classes of failure that are treated differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The server is there and has no such file (404, 410).
    Gone,
    /// The server will not give it, now or later (401, 403, other 4xx, a redirect that leads nowhere).
    Refused,
    /// The server cannot now (408, 429, 5xx).
    Busy,
    /// No answer, a broken connection, or no byte for too long.
    Broken,
    /// The name of the host is not known.
    Unknown,
    /// TLS: no certificate authority that is trusted here signed the certificate.
    Certificate,
    /// The server cannot send the rest of a file that was begun; it may send the whole.
    Range,
    /// The bytes are not the ones asked for.
    Wrong,
    /// The network is not to be used.
    Offline,
    /// A signal asked the process to end while it waited.
    Interrupted,
}

/// One failed attempt.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What kind of failure it was, which decides whether another attempt makes sense.
    pub kind: FailureKind,
    /// The URL, fit to be shown.
    pub url: String,
    /// What went wrong, as a sentence for an error message.
    pub cause: String,
    /// The status of the answer, when that is what failed.
    pub status: Option<u16>,
    /// How long the server asks clients to wait (Retry-After).
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// A failure at this URL.
    pub fn new(kind: FailureKind, url: &str, cause: impl fmt::Display) -> Self {
        Self { kind, url: url::shown(url), cause: cause.to_string(), status: None, retry_after: None }
    }

    /// A connection that broke while reading.
    pub fn broken(url: &str, error: &std::io::Error) -> Self {
        match error.get_ref().and_then(|e| e.downcast_ref::<ureq::Error>()) {
            Some(error) => Self::request(url, error),
            None => Self::new(FailureKind::Broken, url, plain(error)),
        }
    }

    /// A request that ureq could not carry out.
    pub(super) fn request(url: &str, error: &ureq::Error) -> Self {
        let (kind, cause) = match error {
            ureq::Error::HostNotFound => (FailureKind::Unknown, "no such host is known".to_owned()),
            ureq::Error::Timeout(_) => (FailureKind::Broken, "no answer came in time".to_owned()),
            ureq::Error::Io(e) if certificate(&e.to_string()) => (FailureKind::Certificate, e.to_string()),
            ureq::Error::Io(e) => (FailureKind::Broken, plain(e)),
            ureq::Error::Rustls(e) if certificate(&e.to_string()) => (FailureKind::Certificate, e.to_string()),
            ureq::Error::Rustls(e) => (FailureKind::Broken, e.to_string()),
            ureq::Error::ConnectProxyFailed(e) => {
                (FailureKind::Refused, format!("the proxy does not connect: {}", e.trim()))
            }
            ureq::Error::BadUri(e) => (FailureKind::Refused, e.clone()),
            other => (FailureKind::Broken, other.to_string()),
        };
        Self::new(kind, url, cause)
    }

    /// A status that is not success.
    pub(super) fn status(url: &str, status: u16, reason: &str) -> Self {
        let kind = match status {
            404 | 410 => FailureKind::Gone,
            408 | 429 | 500..=599 => FailureKind::Busy,
            _ => FailureKind::Refused,
        };
        let cause = format!("the server answers {status} {reason}");
        Self { status: Some(status), ..Self::new(kind, url, cause.trim_end()) }
    }

    /// May another attempt end differently?
    pub fn passing(&self) -> bool {
        matches!(self.kind, FailureKind::Busy | FailureKind::Broken)
    }

    /// The error when there is nowhere else to go: `what` names the thing that was wanted.
    pub fn into_error(self, what: impl Into<String>) -> Error {
        let error = match self.kind {
            FailureKind::Interrupted => return Error::new(Exit::Interrupted, self.cause),
            FailureKind::Offline => Error::host(what),
            _ => Error::remote(what),
        };
        error.at(self.url.clone()).because(&self.cause).hint(self.hint())
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self.kind {
            FailureKind::Gone | FailureKind::Range => {
                "name another mirror (DIORITE_MIRROR, or `mirrors` under [archive] in the profile)"
            }
            FailureKind::Wrong => {
                "the mirror, or a proxy on the way, changes files: name another mirror (DIORITE_MIRROR), best with https"
            }
            FailureKind::Refused => {
                "see whether a proxy or login is needed (http_proxy, https_proxy), or name another mirror (DIORITE_MIRROR)"
            }
            FailureKind::Busy => "try again later, or name another mirror (DIORITE_MIRROR)",
            FailureKind::Broken | FailureKind::Unknown | FailureKind::Interrupted => {
                "see whether this machine has a network and needs a proxy (http_proxy, https_proxy), or name another \
                 mirror (DIORITE_MIRROR)"
            }
            FailureKind::Certificate => {
                "install the certificate authority of your network on this host, or name a file with it in SSL_CERT_FILE"
            }
            FailureKind::Offline => "allow the network, or bring the packages with `diorite vault import FILE`",
        }
    }

    /// What to do about it where the repository is none of Debian's, so that there is no other mirror of it.
    pub fn hint_of_extra(&self) -> &'static str {
        match self.kind {
            FailureKind::Gone | FailureKind::Range => {
                "compare `uri` and `suite` with what the repository's own page says"
            }
            FailureKind::Wrong => {
                "the repository may be in the middle of an update, or a proxy changes files: try again later"
            }
            FailureKind::Refused => "see whether a proxy or login is needed (http_proxy, https_proxy)",
            FailureKind::Busy => "try again later",
            FailureKind::Broken | FailureKind::Unknown | FailureKind::Interrupted => {
                "look at the host in `uri`, and see whether this machine has a network and needs a proxy (http_proxy, https_proxy)"
            }
            FailureKind::Certificate | FailureKind::Offline => self.hint(),
        }
    }
}

impl From<Error> for Failure {
    /// Only an interruption arrives here.
    fn from(error: Error) -> Self {
        Self { kind: FailureKind::Interrupted, url: String::new(), cause: error.what, status: None, retry_after: None }
    }
}

/// rustls says `invalid peer certificate: UnknownIssuer` and the like.
fn certificate(text: &str) -> bool {
    text.contains("peer certificate")
}

/// The words of an I/O error, without the number.
fn plain(error: &std::io::Error) -> String {
    use std::io::ErrorKind::*;
    match error.kind() {
        ConnectionRefused => "the connection is refused: nothing listens there".into(),
        ConnectionReset | BrokenPipe | ConnectionAborted => "the connection was cut".into(),
        UnexpectedEof => "the connection ended before the file did".into(),
        TimedOut | WouldBlock => "no answer came in time".into(),
        _ => error.to_string(),
    }
}
