//! A small HTTP server on the loopback for tests: misbehaves as told.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What the server does with one request for a path.
#[allow(dead_code)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerAction {
    /// As it should be.
    Serve,
    /// Ends the connection after so many bytes of the body, having promised all.
    Cut(usize),
    /// As `Cut`, but without Content-Length: the end looks like the end of the file.
    CutSilently(usize),
    /// Sends so many bytes of the body and then nothing, with the connection open.
    Stall(usize),
    /// Knows no ranges: always the whole file.
    WithoutRange,
    /// A status without the file.
    Status(u16),
    /// A status with `Retry-After` in seconds.
    RetryAfter(u16, u64),
    /// Other bytes of the same length.
    Wrong,
    /// Answers with a range that was not asked for.
    OtherRange,
    /// More bytes than the file has.
    TooMany,
    /// A redirect.
    Redirect(&'static str),
    /// An HTML page, as a captive portal does.
    Portal,
}

/// One request as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedRequest {
    pub target: String,
    pub range: Option<u64>,
    pub connection: usize,
}

#[derive(Default)]
struct ServerState {
    files: BTreeMap<String, Vec<u8>>,
    /// Acts still to come for a path; the last one stays.
    acts: BTreeMap<String, Vec<ServerAction>>,
    asked: Vec<ServedRequest>,
    connections: usize,
}

/// Serves until the process ends; threads hold the sockets.
#[derive(Clone)]
pub struct Server {
    state: Arc<Mutex<ServerState>>,
    pub root: String,
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let root = format!("http://{}", listener.local_addr().unwrap());
        let server = Self { state: Arc::default(), root };
        let shared = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = shared.clone();
                let connection = {
                    let mut state = server.state.lock().unwrap();
                    state.connections += 1;
                    state.connections
                };
                std::thread::spawn(move || server.connection(stream, connection));
            }
        });
        server
    }

    /// Puts a file there, with what is to happen at each request; the last act stays.
    pub fn file(&self, path: &str, bytes: impl Into<Vec<u8>>, acts: &[ServerAction]) -> String {
        let mut state = self.state.lock().unwrap();
        state.files.insert(path.to_owned(), bytes.into());
        state.acts.insert(path.to_owned(), acts.to_vec());
        format!("{}{path}", self.root)
    }

    /// Every request so far.
    pub fn asked(&self) -> Vec<ServedRequest> {
        self.state.lock().unwrap().asked.clone()
    }

    fn connection(&self, stream: TcpStream, connection: usize) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while let Some((target, range)) = request(&mut reader) {
            let path = target.strip_prefix(&self.root).unwrap_or(&target).to_owned();
            let (bytes, act) = {
                let mut state = self.state.lock().unwrap();
                state.asked.push(ServedRequest { target, range, connection });
                let bytes = state.files.get(&path).cloned();
                let act = match state.acts.get_mut(&path) {
                    Some(acts) if acts.len() > 1 => acts.remove(0),
                    Some(acts) => acts.first().copied().unwrap_or(ServerAction::Serve),
                    None => ServerAction::Status(404),
                };
                (bytes.unwrap_or_default(), act)
            };
            if !answer(&stream, bytes, range, act).unwrap_or(false) {
                let _ = stream.shutdown(std::net::Shutdown::Both);
                return;
            }
        }
    }
}

/// Target and first byte asked for; nothing at the end of the connection.
fn request(reader: &mut impl BufRead) -> Option<(String, Option<u64>)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let target = line.split(' ').nth(1)?.to_owned();
    let mut range = None;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok().filter(|n| *n > 0)?;
        let header = header.trim().to_ascii_lowercase();
        if header.is_empty() {
            return Some((target, range));
        }
        if let Some(from) = header.strip_prefix("range: bytes=") {
            range = from.trim_end_matches('-').parse().ok();
        }
    }
}

/// Answers; whether the connection lives on.
fn answer(mut stream: &TcpStream, mut bytes: Vec<u8>, range: Option<u64>, act: ServerAction) -> std::io::Result<bool> {
    let mut brief = |head: &str, body: &str| {
        let text = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(text.as_bytes()).map(|()| true)
    };
    match act {
        ServerAction::Status(status) => return brief(&format!("{status} X"), ""),
        ServerAction::RetryAfter(status, seconds) => {
            return brief(&format!("{status} X\r\nRetry-After: {seconds}"), "");
        }
        ServerAction::Redirect(to) => return brief(&format!("302 X\r\nLocation: {to}"), ""),
        ServerAction::Portal => return brief("200 OK\r\nContent-Type: text/html", "<html>please log in</html>"),
        ServerAction::Wrong => bytes.iter_mut().for_each(|b| *b ^= 0x55),
        ServerAction::TooMany => bytes.extend_from_slice(b"more"),
        _ => {}
    }
    let range = range.filter(|_| !matches!(act, ServerAction::WithoutRange));
    let from = range.unwrap_or(0) as usize;
    if from >= bytes.len() && range.is_some() {
        return brief("416 Range Not Satisfiable", "");
    }
    let body = &bytes[from..];
    let mut head = if range.is_some() {
        let said = if act == ServerAction::OtherRange { 0 } else { from };
        format!("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {said}-{}/{}\r\n", bytes.len() - 1, bytes.len())
    } else {
        "HTTP/1.1 200 OK\r\n".to_owned()
    };
    match act {
        ServerAction::CutSilently(_) => head.push_str("Connection: close\r\n\r\n"),
        _ => head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len())),
    }
    stream.write_all(head.as_bytes())?;
    match act {
        ServerAction::Cut(n) | ServerAction::CutSilently(n) => {
            stream.write_all(&body[..n.min(body.len())])?;
            Ok(false)
        }
        ServerAction::Stall(n) => {
            stream.write_all(&body[..n.min(body.len())])?;
            // Nothing more until the client goes away.
            let _ = std::io::Read::read(&mut stream, &mut [0]);
            Ok(false)
        }
        _ => stream.write_all(body).map(|()| true),
    }
}
