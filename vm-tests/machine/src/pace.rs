//! How fast this host is now: the unit that patience is counted in. A fixed piece of work is timed on the wall clock,
//! so a slow processor and a busy one both stretch the unit.

use crate::accel::AcceleratorKind;
use std::time::{Duration, Instant};

/// What the piece of work takes on a quiet processor of about 3 GHz.
const REFERENCE: Duration = Duration::from_millis(10);
/// Dependent multiplications in the piece of work: 3 cycles each.
const STEPS: u32 = 10_000_000;
/// A guest's own timeouts (systemd waits 90 s for a device) run on the wall clock: less patience would end the
/// machine before it can say what is missing.
const LEAST: Duration = Duration::from_secs(150);

/// A calibrated unit: what a guest's kernel needs from its start to its first process on this host, now.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// The unit.
    pub unit: Duration,
}

impl Pace {
    /// Times the work.
    pub fn measure(kind: AcceleratorKind) -> Self {
        let started = Instant::now();
        let mut x = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..STEPS {
            x = std::hint::black_box(x.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(1));
        }
        let slowness = (started.elapsed().as_secs_f64() / REFERENCE.as_secs_f64()).clamp(1.0, 50.0);
        let canary = match kind {
            AcceleratorKind::Kvm => Duration::from_secs(1),
            AcceleratorKind::Tcg => Duration::from_secs(5),
        };
        Self { unit: canary.mul_f64(slowness) }
    }

    /// So long nothing at all may move.
    pub fn stall_limit(&self) -> Duration {
        (self.unit * 30).max(LEAST)
    }

    /// The last resort against a guest that moves for ever and gets nowhere.
    pub fn ceiling(&self) -> Duration {
        self.stall_limit() * 8
    }
}
