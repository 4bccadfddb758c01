//! What a machine asks over HTTP before its connection is a tunnel: a login, and what it is told of the network inside.

use super::{Fortinet, GatewayState};
use crate::peers::http::Request;
use crate::peers::http::request::{Intake, RequestReader};
use std::net::{Ipv4Addr, SocketAddr};

/// Bytes of a request's body: a name and a password, encoded.
const LONGEST_BODY: usize = 8 << 10;
/// The cookie's name.
const COOKIE: &str = "SVPNCOOKIE=";

/// What has come of what was said.
pub enum DialogueStep {
    /// All that was asked is answered.
    Answer,
    /// Nothing more is said.
    Close,
    /// The connection is a tunnel from now on.
    Tunnel {
        /// Of this account.
        user: String,
        /// With this address inside.
        address: Ipv4Addr,
    },
}

/// The requests of one connection.
pub struct Dialogue {
    reader: RequestReader,
    from: SocketAddr,
}

impl Dialogue {
    pub fn new(from: SocketAddr) -> Self {
        Self { reader: RequestReader::new(from), from }
    }

    /// Answers what has come.
    pub fn step(&mut self, gateway: &Fortinet, input: &mut Vec<u8>, output: &mut Vec<u8>) -> DialogueStep {
        loop {
            let (request, close) = match self.reader.take(input, LONGEST_BODY) {
                Intake::Request(request, close) => (request, close),
                Intake::Continue => continue,
                Intake::NotYet => return DialogueStep::Answer,
                Intake::Wrong(status) => {
                    say(status, "", "", output);
                    return DialogueStep::Close;
                }
            };
            if let Some(tunnel) = self.answer(gateway, &request, output) {
                return tunnel;
            }
            if close {
                return DialogueStep::Close;
            }
        }
    }

    /// Answers a request; or not, where the connection is a tunnel from now on.
    fn answer(&self, gateway: &Fortinet, request: &Request, output: &mut Vec<u8>) -> Option<DialogueStep> {
        let path = request.target.split('?').next().unwrap_or_default();
        let cookie = cookie(request).unwrap_or_default();
        let mut state = gateway.state();
        match (request.method.as_str(), path) {
            ("POST", "/remote/logincheck") => self.log_in(gateway, &mut state, request, output),
            ("GET", "/" | "/remote/login") => say(200, "", "<html><body>log in</body></html>", output),
            ("GET", "/remote/logout") => {
                state.log_out(cookie);
                say(200, &format!("Set-Cookie: {COOKIE}; path=/; secure; httponly\r\n"), "", output);
            }
            ("GET", path) => match (state.login(cookie), path) {
                (Some(_), "/remote/index" | "/remote/fortisslvpn") => say(200, "", "<html></html>", output),
                (Some((_, address)), "/remote/fortisslvpn_xml") => say(200, "", &told(&state, address), output),
                // No answer: the next thing said is a frame.
                (Some((user, address)), "/remote/sslvpn-tunnel") => {
                    return Some(DialogueStep::Tunnel { user, address });
                }
                (None, path) if path.starts_with("/remote/") => say(403, "", "", output),
                _ => say(404, "", "", output),
            },
            _ => say(404, "", "", output),
        }
        None
    }

    /// Who is not known is told so as FortiOS tells it: without a cookie.
    fn log_in(&self, gateway: &Fortinet, state: &mut GatewayState, request: &Request, output: &mut Vec<u8>) {
        let (user, password) = (form(&request.body, "username"), form(&request.body, "credential"));
        let account = &gateway.0.account;
        let known = user.as_ref() == Some(&account.user) && password.as_ref() == Some(&account.password);
        let cookie = if known { state.log_in(&account.user) } else { None };
        // Only a name that is known is repeated: a password may have been written in its place.
        let who = user.filter(|user| *user == account.user).unwrap_or_else(|| "somebody unknown".to_owned());
        match cookie {
            Some(cookie) => {
                state.counts.logins += 1;
                state.note(self.from, format!("login of {who}: accepted"));
                let cookie = format!("Set-Cookie: {COOKIE}{cookie}; path=/; secure; httponly\r\n");
                say(200, &cookie, "ret=1,redir=/remote/index", output);
            }
            None => {
                let why = if known { "no address is free" } else { "refused" };
                state.counts.refused += 1;
                state.note(self.from, format!("login of {who}: {why}"));
                let cookie = format!("Set-Cookie: {COOKIE}; path=/; expires=Sun, 11 Mar 1984 12:00:00 GMT; secure\r\n");
                say(200, &cookie, "ret=0,redir=/remote/login?&err=sslvpn_login_permission_denied&lang=en", output);
            }
        }
    }
}

/// The network inside, in FortiOS' words.
fn told(state: &GatewayState, address: Ipv4Addr) -> String {
    let ((network, mask), server) = (state.inside.network(), state.inside.router());
    format!(
        "<?xml version='1.0' encoding='utf-8'?><sslvpn-tunnel ver='2' dtls='0' patch='1'>\
         <fos platform='LAB' major='7' minor='04' patch='0' build='0' branch='0' />\
         <ipv4><dns ip='{server}' /><assigned-addr ipv4='{address}' />\
         <split-tunnel-info><addr ip='{network}' mask='{mask}' /></split-tunnel-info></ipv4>\
         <idle-timeout val='300' /><auth-timeout val='28800' /></sslvpn-tunnel>"
    )
}

fn say(status: u16, fields: &str, body: &str, output: &mut Vec<u8>) {
    let reason = match status {
        200 => "OK",
        403 => "Forbidden",
        404 => "Not Found",
        _ => "Bad Request",
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} {reason}\r\n{fields}Content-Type: text/html\r\nContent-Length: {length}\r\n\r\n");
    output.extend_from_slice(head.as_bytes());
    output.extend_from_slice(body.as_bytes());
}

fn cookie(request: &Request) -> Option<&str> {
    let all = request.field("cookie")?.split(';');
    all.filter_map(|one| one.trim().strip_prefix(COOKIE)).find(|value| !value.is_empty())
}

/// A field of a form (application/x-www-form-urlencoded).
fn form(body: &[u8], name: &str) -> Option<String> {
    let fields = body.split(|b| *b == b'&').filter_map(|field| field.strip_prefix(name.as_bytes())?.strip_prefix(b"="));
    let mut value = fields.clone().next()?.iter();
    let mut bytes = Vec::new();
    let digit = |b: Option<&u8>| char::from(*b?).to_digit(16);
    while let Some(byte) = value.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => (digit(value.next())? * 16 + digit(value.next())?) as u8,
            other => *other,
        });
    }
    String::from_utf8(bytes).ok()
}
