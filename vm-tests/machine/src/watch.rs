//! Patience: how long to wait for a machine. Not a total time, but as long as anything moves: console, wire, shell or
//! disks. A console that says the end has come is believed at once.

use crate::{Machine, console::AlarmKind};
use diorite_host::interrupt;
use diorite_model::{Error, Exit, Result};
use std::time::{Duration, Instant};

/// How often QEMU is asked for its block statistics.
const ASK: Duration = Duration::from_secs(2);
/// Fewer operations between two such questions are a file system that tidies up, under a system that may well stand still.
const TRICKLE: u64 = 8;

/// Watches one machine. [`Watch::check`] is called several times a second by whoever waits.
pub struct Watch<'a> {
    machine: &'a Machine,
    wire: Box<dyn Fn() -> u64 + 'a>,
    started: Instant,
    moved: Instant,
    asked: Instant,
    seen: [u64; 3],
    blocks: u64,
    limit: Duration,
    ceiling: Duration,
    expected: Vec<AlarmKind>,
    handled: usize,
    told: Instant,
    observer: Option<Observer<'a>>,
}

/// Hears once a second how long the machine has been on and what its console said last.
type Observer<'a> = Box<dyn FnMut(Duration, &str) + 'a>;

impl<'a> Watch<'a> {
    pub(crate) fn new(machine: &'a Machine, wire: Box<dyn Fn() -> u64 + 'a>) -> Self {
        let now = Instant::now();
        let limit = machine.pace.stall_limit();
        let (started, moved, asked) = (now, now, now);
        Self {
            machine,
            wire,
            started,
            moved,
            asked,
            seen: [0; 3],
            blocks: 0,
            limit,
            ceiling: machine.pace.ceiling(),
            expected: Vec::new(),
            handled: 0,
            told: now,
            observer: None,
        }
    }

    /// These alarms are what this machine is meant to raise.
    pub fn expecting(mut self, kinds: &[AlarmKind]) -> Self {
        self.expected = kinds.to_vec();
        self
    }

    /// Has patience for so long in all, whatever moves.
    pub fn within(mut self, limit: Duration) -> Self {
        (self.limit, self.ceiling) = (limit, limit);
        self
    }

    /// What the console has said until now is known already.
    pub fn from_now(mut self) -> Self {
        self.handled = self.machine.console.alarms().len();
        self
    }

    /// Nobody has asked the machine anything for a while: that nothing has moved in it is no wonder.
    pub fn rested(&mut self) {
        self.moved = Instant::now();
    }

    /// Tells somebody about once a second how it goes.
    pub fn telling(mut self, observer: impl FnMut(Duration, &str) + 'a) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// An error when the machine has ended, the console tells of its end, nothing has moved for too long, or the user
    /// has interrupted.
    pub fn check(&mut self) -> Result<()> {
        self.check_with(self.seen[2])
    }

    /// The same, with the number of bytes the shell has said.
    pub(crate) fn check_with(&mut self, shell: u64) -> Result<()> {
        interrupt::check()?;
        let alarms = self.machine.console.alarms();
        let fatal = |kind: AlarmKind| !self.expected.contains(&kind) && kind != AlarmKind::Oops;
        let news = alarms[self.handled.min(alarms.len())..].iter().find(|alarm| fatal(alarm.kind));
        if let Some(alarm) = news {
            let at = format!("{:.1} s after power-on", alarm.at.as_secs_f64());
            let failed = Error::new(Exit::VerificationFailed, format!("the machine's console says: {}", alarm.line));
            return Err(failed.at(at).detail(self.machine.console.tail(12)));
        }
        self.handled = alarms.len();
        if let Some(status) = self.machine.ended() {
            let said = self.machine.complaints();
            let error = match status.success() {
                true => Error::new(Exit::VerificationFailed, "the machine has switched itself off"),
                false => Error::host(format!("QEMU has ended: {status}")).because(said),
            };
            return Err(error.detail(self.machine.console.tail(12)));
        }
        let now = Instant::now();
        if let Some(observer) = self.observer.as_mut().filter(|_| now >= self.told + Duration::from_secs(1)) {
            self.told = now;
            observer(self.machine.uptime(), &self.machine.console.tail(1));
        }
        let mut working = false;
        if now >= self.asked + ASK {
            self.asked = now;
            let blocks = self.machine.block_activity().unwrap_or(self.blocks);
            working = blocks.saturating_sub(std::mem::replace(&mut self.blocks, blocks)) >= TRICKLE;
        }
        let seen = [self.machine.console.news() as u64, (self.wire)(), shell];
        if working || seen != self.seen {
            self.seen = seen;
            self.moved = now;
        }
        if now >= self.moved + self.limit {
            return Err(self.stuck("nothing has moved", now - self.moved));
        }
        if now >= self.started + self.ceiling {
            return Err(self.stuck("the machine keeps moving and gets nowhere", now - self.started));
        }
        Ok(())
    }

    fn stuck(&self, what: &str, time: Duration) -> Error {
        let (last, seconds) = (self.machine.console.last_said(), time.as_secs_f64());
        Error::new(Exit::VerificationFailed, format!("{what} for {seconds:.0} s; the console said last: {last}"))
            .because(format!(
                "neither console, network, shell nor disks; a unit is {:.1} s here",
                self.machine.pace.unit.as_secs_f64()
            ))
            .detail(self.machine.console.tail(12))
    }
}
