//! The simulator as tests hold it: started, furnished, made to fail, asked what came.

use crate::certificate::TestCertificate;
use crate::endpoints;
use crate::fault::{ApiFault, FaultPlan};
use crate::server;
use crate::state::{LoggedRequest, SimulatorState, lock};
use crate::world::World;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};

/// A running simulator; gone when dropped.
#[derive(Debug)]
pub struct Simulator {
    shared: Arc<SimulatorState>,
    address: SocketAddr,
    scheme: &'static str,
    thread: Option<JoinHandle<()>>,
}

impl Simulator {
    /// Without TLS.
    pub fn http(world: World) -> Self {
        Self::start(world, None, 0)
    }

    /// With this certificate.
    pub fn https(world: World, certificate: &TestCertificate) -> Self {
        Self::start(world, Some(Arc::new(certificate.server())), 0)
    }

    /// At a port of the caller's choice, for clients that are not ours; 0 is any.
    pub fn at_port(world: World, certificate: Option<&TestCertificate>, port: u16) -> Self {
        Self::start(world, certificate.map(|c| Arc::new(c.server())), port)
    }

    fn start(world: World, tls: Option<Arc<ServerConfig>>, port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("a port on loopback");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(SimulatorState {
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
    pub fn fail(&self, method: &str, template: &str, fault: ApiFault, times: usize) {
        assert!(
            endpoints::ENDPOINTS.iter().any(|c| c.method == method && c.path == template),
            "{method} {template} is no call"
        );
        lock(&self.shared.faults).push(FaultPlan { method: method.into(), template: template.into(), fault, times });
    }

    /// After so many more changes it stops answering, the last of them included: what a client sees that is killed,
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
    pub fn requests(&self) -> Vec<LoggedRequest> {
        lock(&self.shared.asked).clone()
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.shared.closing.store(true, SeqCst);
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(stream: TcpStream, tls: Option<Arc<ServerConfig>>, shared: &Arc<SimulatorState>) {
    let _ = stream.set_nodelay(true);
    // The real one drops idle connections after five seconds.
    let _ = stream.set_read_timeout(Some(lock(&shared.world).idle));
    match tls {
        None => server::connection(stream, shared),
        Some(config) => {
            if let Ok(connection) = ServerConnection::new(config) {
                server::connection(StreamOwned::new(connection, stream), shared);
            }
        }
    }
}
