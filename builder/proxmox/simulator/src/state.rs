//! What all connections share: the world, the faults to come, the requests that came.

use crate::fault::FaultPlan;
use crate::world::World;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedRequest {
    /// `GET`.
    pub method: String,
    /// The path as it was asked, below `/api2/json`.
    pub path: String,
    /// Parameters of the query and the form; no file.
    pub parameters: Vec<(String, String)>,
}

#[derive(Debug)]
pub(crate) struct SimulatorState {
    pub world: Mutex<World>,
    pub faults: Mutex<Vec<FaultPlan>>,
    pub asked: Mutex<Vec<LoggedRequest>>,
    /// Changes that are still carried out before the simulator stops answering.
    pub changes: Mutex<Option<usize>>,
    pub closing: AtomicBool,
}

impl SimulatorState {
    /// Whether it has stopped answering.
    pub fn gone(&self) -> bool {
        *lock(&self.changes) == Some(0)
    }

    /// Counts a change that was carried out; whether it was the last.
    pub fn last_change(&self) -> bool {
        let mut left = lock(&self.changes);
        *left = left.map(|n| n.saturating_sub(1));
        *left == Some(0)
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
