//! A proxy on the loopback that writes down what is asked for. It has some files itself, by the end of their URL; all else it gets
//! where the URL says, or from the proxy of this host.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// Serves until the process ends.
pub struct RecordingProxy {
    /// What `http_proxy` has to say.
    pub address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl RecordingProxy {
    /// `files` by the end of their URL.
    pub fn start(files: BTreeMap<String, PathBuf>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (record, files) = (Arc::clone(&asked), Arc::new(files));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (record, files) = (Arc::clone(&record), Arc::clone(&files));
                std::thread::spawn(move || drop(serve(stream, &record, &files)));
            }
        });
        Self { address, asked }
    }

    /// Every request since the last time, `GET URL`, in order.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().expect("no thread panics with it"))
    }
}

fn serve(mut stream: TcpStream, record: &Mutex<Vec<String>>, files: &BTreeMap<String, PathBuf>) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut method, mut url, mut headers) = request(&mut reader)?;
    let written = |line: String| record.lock().expect("no thread panics with it").push(line);
    if method == "CONNECT" {
        // A tunnel: what goes through it to a port without TLS can be read, and is answered here.
        let Some(host) = url.strip_suffix(":80").map(str::to_owned) else {
            written(format!("{method} {url}"));
            return write!(stream, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        };
        write!(stream, "HTTP/1.1 200 Connected\r\n\r\n")?;
        (method, url, headers) = request(&mut reader)?;
        url = format!("http://{host}{url}");
    }
    written(format!("{method} {url}"));
    let found = files.iter().find(|(end, _)| url.replace("%2b", "+").replace("%2B", "+").ends_with(*end));
    if let Some((_, file)) = found {
        let bytes = std::fs::read(file)?;
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", bytes.len())?;
        return stream.write_all(&bytes);
    }
    match onwards(&method, &url, &headers) {
        Ok(mut upstream) => io::copy(&mut upstream, &mut stream).map(drop),
        Err(_) => write!(stream, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
    }
}

/// Method, target and headers of a request; an error where there is none any more.
fn request(reader: &mut impl io::BufRead) -> io::Result<(String, String, Vec<String>)> {
    let (mut first, mut headers) = (String::new(), Vec::new());
    reader.read_line(&mut first)?;
    let mut words = first.split_whitespace().map(str::to_owned);
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            return Ok((method, target, headers));
        }
        headers.push(line);
    }
}

/// The answer of the server that the URL names.
fn onwards(method: &str, url: &str, headers: &[String]) -> io::Result<impl io::Read> {
    let plain = url.strip_prefix("http://").ok_or_else(|| io::Error::other("only http"))?;
    let (host, path) = plain.split_once('/').ok_or_else(|| io::Error::other("a path"))?;
    let port = |host: &str| if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let upstream = std::env::var("http_proxy").ok().filter(|proxy| !proxy.is_empty());
    let (place, target) =
        match upstream.as_deref().map(|proxy| proxy.trim_start_matches("http://").trim_end_matches('/')) {
            Some(proxy) => (port(proxy), url.to_owned()),
            None => (port(host), format!("/{path}")),
        };
    let mut stream = TcpStream::connect(place)?;
    let kept = headers.iter().filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
    let kept: String = kept.map(String::as_str).collect();
    write!(stream, "{method} {target} HTTP/1.1\r\n{kept}Connection: close\r\n\r\n")?;
    Ok(stream.take(u64::MAX))
}
