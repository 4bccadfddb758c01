//! Stands in for a Proxmox VE host in tests, on loopback: no hypervisor is in Debian's archive.
//!
//! It knows the calls of its [`table`], which a test compares with the real API's own schema, and refuses every other
//! call and parameter, as the real one does. What it answers comes from a [`World`] that a test furnishes. It behaves as
//! observed on a real host also where that is odd (each place says so), and fails on command ([`Fault`]).

mod answers;
mod certificate;
mod cluster;
mod download;
mod fault;
mod hardware;
mod http;
mod machines;
mod multipart;
pub mod table;
mod world;

pub use certificate::Certificate;
pub use cluster::Cluster;
pub use fault::Fault;
pub use hardware::Hardware;
pub use world::{Machine, Node, Storage, TOKEN, Task, USER, World};

use fault::Planned;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// One request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// `GET`.
    pub method: String,
    /// The path as it was asked, below `/api2/json`.
    pub path: String,
    /// Parameters of the query and the form; no file.
    pub parameters: Vec<(String, String)>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    world: Mutex<World>,
    faults: Mutex<Vec<Planned>>,
    asked: Mutex<Vec<Asked>>,
    /// Changes that are still carried out before nobody answers any more.
    changes: Mutex<Option<usize>>,
    closing: AtomicBool,
}

impl Shared {
    /// Nobody answers.
    fn gone(&self) -> bool {
        *lock(&self.changes) == Some(0)
    }

    /// Counts a change that was carried out; whether it was the last.
    fn last_change(&self) -> bool {
        let mut left = lock(&self.changes);
        *left = left.map(|n| n.saturating_sub(1));
        *left == Some(0)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running stand-in; gone when dropped.
#[derive(Debug)]
pub struct Double {
    shared: Arc<Shared>,
    address: SocketAddr,
    scheme: &'static str,
    thread: Option<JoinHandle<()>>,
}

impl Double {
    /// Without TLS.
    pub fn http(world: World) -> Self {
        Self::start(world, None, 0)
    }

    /// With this certificate.
    pub fn https(world: World, certificate: &Certificate) -> Self {
        Self::start(world, Some(Arc::new(certificate.server())), 0)
    }

    /// At a port of the caller's choice, for clients that are not ours; 0 is any.
    pub fn at_port(world: World, certificate: Option<&Certificate>, port: u16) -> Self {
        Self::start(world, certificate.map(|c| Arc::new(c.server())), port)
    }

    fn start(world: World, tls: Option<Arc<ServerConfig>>, port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("a port on loopback");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            world: Mutex::new(world),
            faults: Mutex::default(),
            asked: Mutex::default(),
            changes: Mutex::default(),
            closing: AtomicBool::new(false),
        });
        let scheme = if tls.is_some() { "https" } else { "http" };
        let theirs = shared.clone();
        let thread = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if theirs.closing.load(SeqCst) {
                    return;
                }
                let (shared, tls) = (theirs.clone(), tls.clone());
                thread::spawn(move || serve(stream, tls, &shared));
            }
        });
        Self { shared, address, scheme, thread: Some(thread) }
    }

    /// `https://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Everything there is, to be looked at or changed.
    pub fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.shared.world)
    }

    /// The next `times` requests of this call of the table (`GET`, `/nodes/{node}/storage`) end in this fault.
    pub fn fail(&self, method: &str, template: &str, fault: Fault, times: usize) {
        assert!(
            table::CALLS.iter().any(|c| c.method == method && c.path == template),
            "{method} {template} is no call"
        );
        lock(&self.shared.faults).push(Planned { method: method.into(), template: template.into(), fault, times });
    }

    /// After so many more changes nobody answers any more, the last of them included: what a client sees that is killed,
    /// or whose network goes.
    pub fn vanish_after(&self, changes: usize) {
        *lock(&self.shared.changes) = Some(changes);
    }

    /// No more faults.
    pub fn mend(&self) {
        lock(&self.shared.faults).clear();
        *lock(&self.shared.changes) = None;
    }

    /// Every request that came, in order.
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.shared.asked).clone()
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        self.shared.closing.store(true, SeqCst);
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(stream: TcpStream, tls: Option<Arc<ServerConfig>>, shared: &Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    // The real one drops idle connections after five seconds.
    let _ = stream.set_read_timeout(Some(lock(&shared.world).idle));
    match tls {
        None => http::connection(stream, shared),
        Some(config) => {
            if let Ok(connection) = ServerConnection::new(config) {
                http::connection(StreamOwned::new(connection, stream), shared);
            }
        }
    }
}
