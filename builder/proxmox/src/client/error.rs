//! Why a call failed, before anybody decides whether that is an error; and the error it becomes.

use super::{Method, Path};
use crate::target::{LoginMethod, Target, Trust, fingerprint};
use diorite_model::{Error, Exit};
use serde_json::Value;
use std::io::ErrorKind;
use std::sync::Arc;
use ureq::Timeout;

/// The classes of failure that are treated differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallErrorKind {
    /// No connection, or no such host: nothing was sent.
    Unreachable,
    /// The certificate is not trusted: nothing was sent.
    Certificate,
    /// The connection broke, or what came is no HTTP.
    Cut,
    /// No byte came in time.
    TimedOut,
    /// 401: the token, password or ticket is not accepted.
    Unauthorised,
    /// The user has a second factor, which cannot be asked for.
    SecondFactor,
    /// 403: a privilege is missing.
    Forbidden,
    /// 400: the parameters are not accepted.
    Parameters,
    /// 501: this version has no such call.
    Missing,
    /// Somebody else holds the machine, its configuration or the storage.
    Locked,
    /// 502 to 504, 595 to 599: the node or its daemon does not answer.
    Unavailable,
    /// Any other status: the thing itself is refused.
    Refused,
    /// It answers, but not as Proxmox VE does.
    UnexpectedReply,
    /// A task ended badly.
    Task,
    /// Ours: what was to be sent cannot be.
    Local,
    /// SIGINT.
    Interrupted,
}

/// One call that failed.
#[derive(Debug, Clone)]
pub struct CallError {
    /// Its class.
    pub kind: CallErrorKind,
    /// How it was asked.
    pub method: Method,
    /// What was asked, below `/api2/json`.
    pub path: String,
    /// The status, when there was an answer.
    pub status: Option<u16>,
    /// The server's message, or ours.
    pub why: String,
    /// What is wrong with which parameter.
    pub parameters: Vec<(String, String)>,
    /// The task that failed, where it is one: what it was for, and its ID.
    pub task: Option<String>,
    /// Whose lock it is, where that is known.
    pub holder: Option<String>,
    /// The last lines of a task's own log.
    pub log: Vec<String>,
    /// It may have been carried out all the same.
    pub unclear: bool,
    /// How often it was tried.
    pub attempts: u32,
    pub(crate) sent: bool,
    pub(crate) certificate: Option<[u8; 32]>,
    pub(crate) target: Arc<Target>,
}

impl CallError {
    pub(super) fn new(
        target: Arc<Target>,
        kind: CallErrorKind,
        method: Method,
        path: &Path,
        status: Option<u16>,
        why: String,
    ) -> Self {
        Self {
            kind,
            method,
            path: path.to_string(),
            status,
            why,
            parameters: Vec::new(),
            task: None,
            holder: None,
            log: Vec::new(),
            unclear: false,
            attempts: 1,
            sent: status.is_some(),
            certificate: None,
            target,
        }
    }

    /// A request that got no answer. `shown` is the certificate that was shown meanwhile.
    pub(super) fn of_request(
        target: Arc<Target>,
        method: Method,
        path: &Path,
        error: &ureq::Error,
        shown: Option<[u8; 32]>,
    ) -> Self {
        use ureq::Error as E;
        // What broke while the answer was read comes wrapped.
        if let E::Io(io) = error
            && let Some(inner) = io.get_ref().and_then(|inner| inner.downcast_ref::<E>())
        {
            return Self::of_request(target, method, path, inner, shown);
        }
        let (kind, why, sent) = match error {
            E::HostNotFound => (CallErrorKind::Unreachable, "unknown host".to_owned(), false),
            E::Timeout(Timeout::Connect | Timeout::Resolve) => {
                (CallErrorKind::Unreachable, "no answer in time".to_owned(), false)
            }
            E::Timeout(_) => (CallErrorKind::TimedOut, "no answer came in time".to_owned(), true),
            E::ConnectionFailed => (CallErrorKind::Unreachable, "no connection".to_owned(), false),
            E::Rustls(e) => tls(e),
            E::Io(e) => match e.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                Some(e) => tls(e),
                None => io(e),
            },
            other => (CallErrorKind::Cut, other.to_string(), true),
        };
        let unclear = sent && method != Method::Get;
        Self { sent, unclear, certificate: shown, ..Self::new(target, kind, method, path, None, why) }
    }

    /// An answer that is none: the JSON has `message` and `errors` (since 8.3), the status line says it as well.
    pub(super) fn of_answer(
        target: Arc<Target>,
        method: Method,
        path: &Path,
        status: u16,
        reason: &str,
        json: Option<&Value>,
    ) -> Self {
        let message = json.and_then(|j| j.get("message")).and_then(Value::as_str).unwrap_or(reason).trim();
        let errors = json.and_then(|j| j.get("errors")).and_then(Value::as_object);
        let word = |v: &Value| v.as_str().map_or_else(|| v.to_string(), |s| s.trim().to_owned());
        let kind = match status {
            401 => CallErrorKind::Unauthorised,
            403 => CallErrorKind::Forbidden,
            400 => CallErrorKind::Parameters,
            501 => CallErrorKind::Missing,
            502..=504 | 595..=599 => CallErrorKind::Unavailable,
            _ if locked(message) => CallErrorKind::Locked,
            _ => CallErrorKind::Refused,
        };
        let why = match (message, status) {
            ("", 595) => "the node does not answer".into(),
            ("", 596 | 599) => "the node did not answer in time".into(),
            ("", _) => "without a message".into(),
            (message, _) => message.lines().map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join("; "),
        };
        Self {
            parameters: errors.into_iter().flatten().map(|(name, v)| (name.clone(), word(v))).collect(),
            // 595 is a connection that never was; after any other of these the work may go on.
            unclear: kind == CallErrorKind::Unavailable && status != 595 && method != Method::Get,
            sent: status != 595,
            ..Self::new(target, kind, method, path, Some(status), why)
        }
    }

    /// May the same request be sent again, and end differently?
    pub fn passing(&self, method: Method) -> bool {
        let broken = matches!(
            self.kind,
            CallErrorKind::Cut | CallErrorKind::TimedOut | CallErrorKind::Unavailable | CallErrorKind::Unreachable
        );
        broken && (method == Method::Get || !self.sent)
    }

    /// `GET /nodes`.
    pub fn call(&self) -> String {
        self.task.clone().unwrap_or_else(|| format!("{} {}", self.method.word(), self.path))
    }

    /// The error for a person, with what to do.
    pub fn into_error(self) -> Error {
        let name = &self.target.name;
        let call = self.call();
        let answer = self.status.map_or(self.why.clone(), |status| format!("it answers {status}: {}", self.why));
        let error = |what: String| Error::remote(what).at(self.target.url.clone()).because(&answer);
        let noun = self.target.login.noun();
        let mut error = match self.kind {
            CallErrorKind::Interrupted => return Error::new(Exit::Interrupted, format!("interrupted at {call}")),
            CallErrorKind::Local => return Error::input(self.why.clone()).at(format!("{call} of target `{name}`")),
            CallErrorKind::Unreachable => error(format!("target `{name}` cannot be reached")).hint(self.reach()),
            CallErrorKind::Certificate => self.certificate_error(),
            CallErrorKind::Unauthorised => error(match &self.target.login {
                LoginMethod::Token(_) => format!("target `{name}` does not accept the token"),
                LoginMethod::Password(user, _) => format!("target `{name}` does not accept the login of {user}"),
            })
            .hint(format!(
                "it is from {}: is it complete, of this cluster, and neither expired, disabled nor deleted \
                 (Datacenter, Permissions)?",
                self.target.login.source().words()
            )),
            CallErrorKind::SecondFactor => error(format!("target `{name}` wants a second factor"))
                .hint("use an API token (`token_env`, `token_file` or `token_command`): it needs none"),
            CallErrorKind::Forbidden => error(format!("target `{name}` refuses {call}")).hint(format!(
                "the {noun}'s user lacks the privilege that is named there; `diorite target check {name}` lists all"
            )),
            CallErrorKind::Parameters => error(format!("target `{name}` does not accept the parameters of {call}"))
                .hint("if this host is newer or older than those Diorite knows (8.4 and 9), please report it"),
            CallErrorKind::Missing => error(format!("target `{name}` does not know {call}"))
                .hint("Proxmox VE 8.4 or later is needed; `diorite target check` says which it is"),
            CallErrorKind::Locked => {
                let holder = self.holder.as_ref().map_or(String::new(), |holder| format!("{holder}; "));
                error(format!("target `{name}` is busy: {call}")).hint(format!(
                    "{holder}try again when it has ended; a lock that a broken task left is removed on the node by \
                     `qm unlock ID`"
                ))
            }
            CallErrorKind::Task => {
                error(format!("a task of target `{name}` failed: {call}")).hint("the lines above are its log")
            }
            CallErrorKind::UnexpectedReply => error(format!("what answers at target `{name}` is not Proxmox VE's API"))
                .hint("is the address right? its port is 8006, nothing follows it"),
            CallErrorKind::Cut | CallErrorKind::TimedOut => {
                error(format!("target `{name}` did not answer {call}")).hint(self.unclear_hint())
            }
            CallErrorKind::Unavailable => {
                error(format!("a node of target `{name}` did not answer {call}")).hint(self.unclear_hint())
            }
            CallErrorKind::Refused => error(format!("target `{name}` refuses {call}"))
                .hint(format!("this is the host's own message; `diorite target check {name}` says what it offers")),
        };
        let mut detail: Vec<_> = self.parameters.iter().map(|(name, why)| format!("{name}: {why}")).collect();
        detail.extend(self.log.iter().map(|line| format!("| {line}")));
        if !detail.is_empty() {
            error = error.detail(detail.join("\n"));
        }
        if self.attempts > 1 {
            error.cause = error.cause.map(|cause| format!("{cause} (asked {} times)", self.attempts));
        }
        error
    }

    fn unclear_hint(&self) -> &'static str {
        if self.unclear {
            "it may have been carried out all the same: look at the node's task list before asking again"
        } else {
            "is the node healthy, and the way to it? (`systemctl status pveproxy pvedaemon` there)"
        }
    }

    fn reach(&self) -> String {
        match &self.target.vpn {
            Some(vpn) => format!("{vpn} ({} says so)", self.target.location),
            None => "is it on, and can this machine reach it? where a VPN is needed, `vpn = \"…\"` in the target says \
                     so to the next one"
                .into(),
        }
    }

    fn certificate_error(&self) -> Error {
        let name = &self.target.name;
        let shown = self.certificate.as_ref().map(fingerprint);
        let error = |what: String| Error::remote(what).at(self.target.url.clone());
        let compare = "compare it with what `pvenode cert info` says on the node itself";
        match (&self.target.trust, shown) {
            (Trust::Fingerprint(pin), Some(shown)) => error(format!(
                "target `{name}` presents another certificate than the pinned one"
            ))
            .detail(format!("pinned  {}\nshown   {shown}", fingerprint(pin)))
            .because("the connection is intercepted, or the certificate was renewed, which happens every year or two")
            .hint(format!(
                "{compare}; then write it to {}, or name the cluster's CA (`ca`), which lasts",
                self.target.location
            )),
            (trust, shown) => {
                let by = match trust {
                    Trust::Authority(file) => format!("the authorities in {}", file.display()),
                    _ => "this host's certificate authorities".into(),
                };
                let pin = shown.map_or("`fingerprint`".into(), |shown| format!("`fingerprint = \"{shown}\"`"));
                error(format!("the certificate of target `{name}` is not signed by {by}")).because(&self.why).hint(
                    format!(
                        "{compare} and write {pin}, or copy the cluster's CA, /etc/pve/pve-root-ca.pem, and name it: \
                         `ca = \"…\"`"
                    ),
                )
            }
        }
    }
}

impl From<CallError> for Error {
    fn from(failure: CallError) -> Self {
        failure.into_error()
    }
}

/// Texts of a lock that somebody else holds, and of a worker that did not start: in both cases nothing was done.
pub(crate) fn locked(message: &str) -> bool {
    (message.contains("can't lock file") && message.contains("got timeout"))
        || message.contains("is locked (")
        || message.contains("got no worker upid")
}

fn tls(error: &rustls::Error) -> (CallErrorKind, String, bool) {
    match error {
        rustls::Error::InvalidCertificate(e) => {
            use rustls::CertificateError as C;
            let why = match e {
                C::UnknownIssuer => "it is signed by an unknown authority".into(),
                C::BadSignature => "its signature is not that of the known issuer".into(),
                C::Expired | C::ExpiredContext { .. } => "it has expired".into(),
                C::NotValidYet | C::NotValidYetContext { .. } => {
                    "it is not valid yet: is this host's clock right?".into()
                }
                C::NotValidForName | C::NotValidForNameContext { .. } => "it is for another name or address".into(),
                other => other.to_string(),
            };
            (CallErrorKind::Certificate, why, false)
        }
        other => (CallErrorKind::Cut, other.to_string(), false),
    }
}

fn io(error: &std::io::Error) -> (CallErrorKind, String, bool) {
    use ErrorKind::*;
    match error.kind() {
        ConnectionRefused => (CallErrorKind::Unreachable, "it refuses the connection".into(), false),
        HostUnreachable | NetworkUnreachable | AddrNotAvailable | NetworkDown => {
            (CallErrorKind::Unreachable, "there is no way to it".into(), false)
        }
        ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof | NotConnected => {
            (CallErrorKind::Cut, "it closed the connection".into(), true)
        }
        TimedOut | WouldBlock => (CallErrorKind::TimedOut, "no answer came in time".into(), true),
        _ => (CallErrorKind::Cut, error.to_string(), true),
    }
}
