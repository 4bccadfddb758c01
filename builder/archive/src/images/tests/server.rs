//! A registry on the loopback for tests, by the OCI distribution specification 1.1 as far as pulling goes: gives, wants a
//! login, redirects, lies, and breaks off. Standard library only, so that other rooms' tests can have it too.
#![allow(dead_code)]

use diorite_model::Digest;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What is answered instead of the file.
#[derive(Clone)]
pub enum ServerAction {
    /// A status without a body.
    Status(u16),
    /// Half of the body, having promised all.
    Cut,
    /// A redirect.
    To(String),
    /// A page for people.
    Page,
}

/// Who may read.
#[derive(Clone, Copy, Default)]
pub enum Door {
    /// Everybody.
    #[default]
    Open,
    /// Who brings a token, and tokens are given for this login; an empty one: to everybody.
    Token(&'static str),
    /// Who brings this login.
    Basic(&'static str),
}

/// One request.
#[derive(Clone, Default)]
pub struct ServedRequest {
    pub path: String,
    pub authorization: String,
    /// First byte asked for.
    pub from: usize,
}

#[derive(Default)]
pub struct State {
    /// Path → bytes.
    pub files: BTreeMap<String, Vec<u8>>,
    pub acts: BTreeMap<String, ServerAction>,
    pub door: Door,
    pub asked: Vec<ServedRequest>,
}

/// Serves until the process ends; threads hold the sockets.
#[derive(Clone)]
pub struct Server {
    pub state: Arc<Mutex<State>>,
    /// `127.0.0.1:PORT`.
    pub host: String,
}

pub const TOKEN: &str = "Bearer abc.def";

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("the loopback");
        let host = listener.local_addr().expect("an address").to_string();
        let server = Self { state: Arc::default(), host };
        let shared = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = shared.clone();
                std::thread::spawn(move || server.connection(&stream));
            }
        });
        server
    }

    /// Keeps a file by its digest; its path.
    pub fn put(&self, repository: &str, kind: &str, bytes: &[u8]) -> String {
        let path = format!("/v2/{repository}/{kind}/sha256:{}", Digest::of(bytes));
        self.state.lock().expect("state").files.insert(path.clone(), bytes.to_vec());
        path
    }

    pub fn act(&self, path: &str, act: ServerAction) {
        self.state.lock().expect("state").acts.insert(path.to_owned(), act);
    }

    pub fn door(&self, door: Door) {
        self.state.lock().expect("state").door = door;
    }

    pub fn asked(&self) -> Vec<ServedRequest> {
        self.state.lock().expect("state").asked.clone()
    }

    fn connection(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        while let Some(asked) = request(&mut reader) {
            self.state.lock().expect("state").asked.push(asked.clone());
            let (head, body, whole) = self.answer(&asked);
            let text = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n", body.len());
            let sent = if whole { &body[..] } else { &body[..body.len() / 2] };
            let mut out = stream;
            if out.write_all(text.as_bytes()).and_then(|()| out.write_all(sent)).is_err() || !whole {
                let _ = stream.shutdown(std::net::Shutdown::Both);
                return;
            }
        }
    }

    /// Status line with headers, body, and whether all of it is sent.
    fn answer(&self, asked: &ServedRequest) -> (String, Vec<u8>, bool) {
        let state = self.state.lock().expect("state");
        let none = |head: String| (head, Vec::new(), true);
        let wants = |challenge: String| none(format!("401 Unauthorized\r\nWWW-Authenticate: {challenge}"));
        let ServedRequest { path, authorization, from } = asked;
        match state.door {
            Door::Token(login) if path.starts_with("/token?") => {
                return match login.is_empty() || *authorization == format!("Basic {login}") {
                    true => ("200 OK".into(), br#"{"token": "abc.def"}"#.to_vec(), true),
                    false => wants("Basic realm=\"tokens\"".into()),
                };
            }
            Door::Token(_) if authorization != TOKEN => {
                let scope = path.trim_start_matches("/v2/").rsplitn(3, '/').last().unwrap_or_default();
                let realm = format!("http://{}/token", self.host);
                return wants(format!("Bearer realm=\"{realm}\",service=\"here\",scope=\"repository:{scope}:pull\""));
            }
            Door::Basic(login) if *authorization != format!("Basic {login}") => {
                return wants("Basic realm=\"registry\"".into());
            }
            _ => {}
        }
        let file = state.files.get(path).cloned();
        match (state.acts.get(path), file) {
            (Some(ServerAction::Status(status)), _) => none(format!("{status} X\r\nRetry-After: 0")),
            (Some(ServerAction::To(place)), _) => none(format!("307 Temporary Redirect\r\nLocation: {place}")),
            (Some(ServerAction::Page), _) => ("200 OK\r\nContent-Type: text/html".into(), b"<html>".to_vec(), true),
            (act, Some(bytes)) => {
                let whole = act.is_none();
                match *from > 0 && *from < bytes.len() {
                    true => {
                        let last = bytes.len() - 1;
                        let range =
                            format!("206 Partial Content\r\nContent-Range: bytes {from}-{last}/{}", bytes.len());
                        (range, bytes[*from..].to_vec(), whole)
                    }
                    false => ("200 OK".into(), bytes, whole),
                }
            }
            (_, None) => none("404 Not Found".into()),
        }
    }
}

/// Reads one request; nothing at the end of the connection.
fn request(reader: &mut impl BufRead) -> Option<ServedRequest> {
    let (mut line, mut asked) = (String::new(), ServedRequest::default());
    reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
    asked.path = line.split(' ').nth(1)?.to_owned();
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header).ok()? < 3 {
            return Some(asked);
        }
        let (name, value) = header.split_once(": ")?;
        match name.to_ascii_lowercase().as_str() {
            "authorization" => asked.authorization = value.trim().to_owned(),
            "range" => asked.from = value.trim().strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()?,
            _ => {}
        }
    }
}
