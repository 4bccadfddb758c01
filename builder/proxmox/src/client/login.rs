//! Who asks: an API token with every request, or a ticket that is fetched with a password, renewed in time, and joined by
//! the token against forged requests (CSRF) wherever something is changed.

use super::{CallError, CallErrorKind, Client, Method, Parameters, Path};
use crate::target::{Credential, Secret};
use serde_json::Value;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use ureq::SendBody;
use ureq::http::request::Builder;
use ureq::http::{Request, header};

#[derive(Debug, Clone)]
struct Ticket {
    value: Secret,
    csrf: Secret,
    since: Instant,
}

#[derive(Debug)]
pub(super) struct Session {
    credential: Credential,
    renew: Duration,
    ticket: Mutex<Option<Ticket>>,
}

impl Session {
    pub(super) fn new(credential: Credential, renew: Duration) -> Self {
        Self { credential, renew, ticket: Mutex::new(None) }
    }

    pub(super) fn who(&self) -> &str {
        self.credential.who()
    }

    /// Drops a ticket that was refused. Says whether another may be had.
    pub(super) fn forget(&self) -> bool {
        self.lock().take().is_some()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Ticket>> {
        self.ticket.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The request with what proves who asks.
    pub(super) fn sign(&self, client: &Client, method: Method, request: Builder) -> Result<Builder, CallError> {
        match &self.credential {
            Credential::Token { whole, .. } => {
                Ok(request.header(header::AUTHORIZATION, format!("PVEAPIToken={}", whole.show())))
            }
            Credential::Password { user, password } => {
                let ticket = self.ticket(client, user, password)?;
                let request = request.header(header::COOKIE, format!("PVEAuthCookie={}", ticket.value.show()));
                Ok(match method {
                    Method::Get => request,
                    _ => request.header("CSRFPreventionToken", ticket.csrf.show()),
                })
            }
        }
    }

    /// The ticket at hand, a renewed one, or a new one. One thread fetches it, the others wait.
    fn ticket(&self, client: &Client, user: &str, password: &Secret) -> Result<Ticket, CallError> {
        let mut held = self.lock();
        let fetched = match held.as_ref() {
            Some(ticket) if ticket.since.elapsed() < self.renew => return Ok(ticket.clone()),
            // A ticket is its own password; one that has expired meanwhile is not.
            Some(old) => match fetch(client, user, &old.value) {
                Err(failure) if failure.kind == CallErrorKind::Unauthorised => fetch(client, user, password)?,
                other => other?,
            },
            None => fetch(client, user, password)?,
        };
        *held = Some(fetched.clone());
        Ok(fetched)
    }
}

/// `POST /access/ticket`, which makes nothing and may be repeated.
fn fetch(client: &Client, user: &str, password: &Secret) -> Result<Ticket, CallError> {
    let path = Path::new(["access", "ticket"]);
    let form = Parameters::none().text("username", user).text("password", password.show()).encoded();
    let mut attempt = 0;
    let data = loop {
        attempt += 1;
        let request = Request::builder()
            .method("POST")
            .uri(format!("{}/api2/json{path}", client.target.url))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::CONTENT_LENGTH, form.len());
        let body = SendBody::from_owned_reader(std::io::Cursor::new(form.clone().into_bytes()));
        let answer = client.send(&client.writes, Method::Post, &path, request.body(body));
        match answer.and_then(|answer| client.judge(Method::Post, &path, answer)) {
            Ok(data) => break data,
            Err(f) if f.passing(Method::Get) && attempt < client.limits.attempts => client.rest(attempt),
            // Nothing was asked for yet that could have been carried out.
            Err(f) => return Err(CallError { attempts: attempt, unclear: false, ..f }),
        }
    };
    let text = |key: &str| data.get(key).and_then(Value::as_str).map(Secret::new);
    let second = data.get("NeedTFA").is_some_and(|v| !matches!(v, Value::Null) && v != &Value::from(0));
    match (second, text("ticket"), text("CSRFPreventionToken")) {
        (true, ..) => {
            Err(client.failure(CallErrorKind::SecondFactor, Method::Post, &path, "the user has a second factor"))
        }
        (_, Some(value), Some(csrf)) => Ok(Ticket { value, csrf, since: Instant::now() }),
        _ => {
            Err(client.failure(CallErrorKind::UnexpectedReply, Method::Post, &path, "there is no ticket in the answer"))
        }
    }
}
