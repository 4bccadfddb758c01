//! One file over HTTP, for as long as a node fetches it: a node that can reach this host takes an image from here by
//! itself.
//!
//! HTTP/1.1 (RFC 9112) for wget and its like: one path that nobody can guess, by GET or HEAD, and nothing else. It is not
//! encrypted: an image holds no secret, and the node compares its SHA-256.

use crate::target::Serve;
use diorite_host::progress::Bar;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Largest head of a request, in bytes.
const HEAD: u64 = 8 << 10;
/// Without any byte coming or going.
const STALL: Duration = Duration::from_secs(40);

/// A file that can be fetched, until this is dropped.
#[derive(Debug)]
pub(crate) struct FileServer {
    url: String,
    address: SocketAddr,
    shared: Arc<ServedFile>,
    thread: Option<JoinHandle<()>>,
}

struct ServedFile {
    file: PathBuf,
    path: String,
    size: u64,
    bar: Bar,
    requested: AtomicBool,
    closing: AtomicBool,
}

impl std::fmt::Debug for ServedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.path)
    }
}

impl FileServer {
    /// Serves this file of so many bytes under a path that cannot be guessed. `target` is `HOST:PORT` of the API.
    pub fn start(file: &Path, size: u64, serve: &Serve, target: &str, bar: Bar) -> io::Result<Self> {
        let (listener, host) = match &serve.host {
            // Where the target's answers arrive, its nodes arrive too, as a rule.
            None => {
                let own = own_address(target)?;
                (TcpListener::bind((own, serve.port))?, bracketed(own))
            }
            // Perhaps another machine's address, which forwards it to here.
            Some(host) => (everywhere(serve.port)?, host.clone()),
        };
        let address = listener.local_addr()?;
        let path = format!("/{}/image.qcow2", unguessable()?);
        let url = format!("http://{host}:{}{path}", address.port());
        let (requested, closing) = Default::default();
        let shared = Arc::new(ServedFile { file: file.to_owned(), path, size, bar, requested, closing });
        let theirs = shared.clone();
        let thread = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if theirs.closing.load(SeqCst) {
                    return;
                }
                let shared = theirs.clone();
                // A transfer that breaks off is repeated by the node, or its task says why not.
                thread::spawn(move || drop(answer(stream, &shared)));
            }
        });
        Ok(Self { url, address, shared, thread: Some(thread) })
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `HOST:PORT` of where it is.
    pub fn host(&self) -> &str {
        self.url.split('/').nth(2).unwrap_or_default()
    }

    /// Whether it has been requested.
    pub fn requested(&self) -> bool {
        self.shared.requested.load(SeqCst)
    }
}

impl Drop for FileServer {
    fn drop(&mut self) {
        self.shared.closing.store(true, SeqCst);
        let here = match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        // The thread waits for a connection.
        let woken = TcpStream::connect((here, self.address.port())).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| woken) {
            let _ = thread.join();
        }
    }
}

/// The address that this host has on its way to the target. Nothing is sent.
fn own_address(target: &str) -> io::Result<IpAddr> {
    let target = target.to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?;
    let any: IpAddr = if target.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(target)?;
    Ok(socket.local_addr()?.ip())
}

/// At all addresses; those of IPv4 alone where there is no IPv6.
fn everywhere(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).or_else(|_| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)))
}

fn bracketed(ip: IpAddr) -> String {
    if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() }
}

fn unguessable() -> io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn answer(mut stream: TcpStream, shared: &ServedFile) -> io::Result<()> {
    stream.set_read_timeout(Some(STALL))?;
    stream.set_write_timeout(Some(STALL))?;
    let mut lines = BufReader::new((&stream).take(HEAD)).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    if !first.is_empty() {
        for line in lines {
            if line?.is_empty() {
                break;
            }
        }
    }
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if path != shared.path || !["GET", "HEAD"].contains(&method) {
        return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    shared.requested.store(true, SeqCst);
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        shared.size
    );
    stream.write_all(head.as_bytes())?;
    if method == "HEAD" {
        return Ok(());
    }
    let (mut from, mut buffer) = (File::open(&shared.file)?.take(shared.size), vec![0; 256 << 10]);
    loop {
        let n = from.read(&mut buffer)?;
        if n == 0 || shared.closing.load(SeqCst) {
            return Ok(());
        }
        stream.write_all(&buffer[..n])?;
        shared.bar.inc(n as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diorite_host::progress::{BarUnit, Progress};

    fn asked(served: &FileServer, request: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", served.address.port())).expect("a connection");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    #[test]
    fn one_path_and_nothing_else() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "the image").expect("written");
        let bar = || Progress::quiet().stage("").bar(0, BarUnit::Bytes);
        let serve = |host: Option<&str>| {
            let serve = Serve { host: host.map(str::to_owned), port: 0 };
            FileServer::start(file.path(), 9, &serve, "127.0.0.1:8006", bar()).expect("it is served")
        };
        let served = serve(None);
        let path = served.url().strip_prefix(&format!("http://{}", served.address)).expect("this host").to_owned();
        assert!(!serve(None).url().ends_with(&path), "another path each time");
        for wrong in ["GET / HTTP/1.1\r\n\r\n", "GET /image.qcow2 HTTP/1.1\r\n\r\n", "nonsense\r\n\r\n", "\r\n"] {
            assert!(asked(&served, wrong).starts_with("HTTP/1.1 404 "), "{wrong}");
        }
        assert!(asked(&served, &format!("POST {path} HTTP/1.1\r\n\r\n")).starts_with("HTTP/1.1 404 "));
        assert!(!served.requested());
        let head = asked(&served, &format!("HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert!(head.contains("Content-Length: 9\r\n") && head.ends_with("\r\n\r\n"), "{head}");
        assert!(asked(&served, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).ends_with("\r\n\r\nthe image"));
        assert!(served.requested());
        // Under a name of one's own it is at every address of this host.
        let named = serve(Some("build.example.org"));
        assert!(named.url().starts_with("http://build.example.org:"), "{}", named.url());
        let path = named.url().splitn(4, '/').nth(3).expect("a path").to_owned();
        assert!(asked(&named, &format!("GET /{path} HTTP/1.1\r\n\r\n")).ends_with("the image"));
        // Gone with it.
        let address = served.address;
        drop(served);
        assert!(TcpStream::connect(address).is_err());
    }
}
