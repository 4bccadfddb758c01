//! What the lab's thread and its handles share: what was observed, and a few counters.

use crate::{
    record::Record,
    services::{dhcp::Lease, dhcp6::Lease6},
};
use smoltcp::wire::EthernetAddress;
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64},
    },
    time::Instant,
};

/// What the thread has found out, for the handle to read.
#[derive(Debug, Default)]
pub(crate) struct Observations {
    pub(crate) leases: BTreeMap<EthernetAddress, Lease>,
    pub(crate) leases6: BTreeMap<Ipv6Addr, Lease6>,
    pub(crate) informed: u64,
    pub(crate) addresses: BTreeMap<IpAddr, EthernetAddress>,
    pub(crate) record: Record,
    pub(crate) names: BTreeMap<String, u64>,
}

/// What the thread and the handles share.
#[derive(Debug)]
pub(crate) struct SharedState {
    pub(crate) state: Mutex<Observations>,
    pub(crate) changed: Condvar,
    pub(crate) frames: AtomicU64,
    /// Those of them that answered a watch.
    pub(crate) answered: Arc<AtomicU64>,
    pub(crate) all_closed: AtomicBool,
    pub(crate) ended: AtomicBool,
    pub(crate) started: Instant,
}

impl SharedState {
    pub(crate) fn state(&self) -> MutexGuard<'_, Observations> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
