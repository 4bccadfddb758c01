//! Progress on stderr: bars on a terminal, plain lines elsewhere, JSON lines from a child to its parent.
//!
//! Everything is an [`Event`]; what is done with it decides the sink. stdout is never touched. A stage says its
//! name when it begins and a note when it ends; a bar counts bytes or items within a stage.

mod plain;
mod terminal;

use serde::{Deserialize, Serialize};
use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What a bar counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BarUnit {
    /// Shown as kB, MB, GB with rate and time left.
    Bytes,
    /// Shown as n/total.
    Items,
}

/// What happens; ids are unique within a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    Stage { id: u64, name: String },
    StageDone { id: u64, note: Option<String> },
    Bar { id: u64, stage: u64, total: u64, unit: BarUnit },
    Position { id: u64, position: u64 },
    Total { id: u64, total: u64 },
    Message { id: u64, text: String },
    BarDone { id: u64 },
    Say { text: String },
}

/// Where events go.
trait Sink: Send + Sync {
    fn event(&self, event: Event);
}

struct Quiet;
impl Sink for Quiet {
    fn event(&self, _: Event) {}
}

/// The child's end of [`Progress::relay`]: one JSON object per line on stderr.
struct Lines;
impl Sink for Lines {
    fn event(&self, event: Event) {
        let mut line = serde_json::to_vec(&Relayed { progress: event }).expect("our own types serialize");
        line.push(b'\n');
        // One write: lines of several threads do not mix. Nobody listening is no reason to stop working.
        let _ = std::io::stderr().write_all(&line);
    }
}

#[derive(Serialize, Deserialize)]
struct Relayed {
    progress: Event,
}

/// A handle on the display. Cheap to clone; used from any thread.
#[derive(Clone)]
pub struct Progress {
    sink: Arc<dyn Sink>,
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Progress")
    }
}

static NEXT: AtomicU64 = AtomicU64::new(1);

impl Progress {
    /// Bars when stderr is a terminal, plain lines otherwise.
    pub fn new() -> Self {
        match std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|t| t != "dumb") {
            true => Self::on(terminal::Terminal::new()),
            false => Self::on(plain::Plain::start(Box::new(std::io::stderr()))),
        }
    }
    /// Discards everything, for tests and for callers without a terminal.
    pub fn quiet() -> Self {
        Self::on(Quiet)
    }
    /// In a child of [`crate::sandbox::run_inside`]: to the parent.
    pub fn to_parent() -> Self {
        Self::on(Lines)
    }
    fn on(sink: impl Sink + 'static) -> Self {
        Self { sink: Arc::new(sink) }
    }

    /// Begins a stage, or part of one; several may run at once.
    pub fn stage(&self, name: impl Into<String>) -> Stage {
        let id = NEXT.fetch_add(1, Relaxed);
        self.sink.event(Event::Stage { id, name: name.into() });
        Stage { id, sink: self.sink.clone(), ended: false }
    }
    /// Prints a line without disturbing the bars.
    pub fn say(&self, text: impl Into<String>) {
        self.sink.event(Event::Say { text: text.into() });
    }

    /// Something that takes a child's stderr line by line: progress is shown as if it were ours (`true`), anything
    /// else is left to the caller (`false`).
    pub(crate) fn relay(&self) -> Relay {
        Relay { sink: self.sink.clone(), ids: Default::default() }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

/// A running stage. Dropped without [`Stage::done`] it ends without a word (the error speaks).
pub struct Stage {
    id: u64,
    sink: Arc<dyn Sink>,
    ended: bool,
}

impl Stage {
    /// A bar within the stage. `total` 0 means unknown.
    pub fn bar(&self, total: u64, unit: BarUnit) -> Bar {
        let id = NEXT.fetch_add(1, Relaxed);
        self.sink.event(Event::Bar { id, stage: self.id, total, unit });
        Bar(Arc::new(BarState {
            id,
            sink: self.sink.clone(),
            position: AtomicU64::new(0),
            told: Mutex::new(Instant::now()),
        }))
    }
    /// Ends the stage, with what there is to say about it (`"182 packages, 213 MB"`); may be empty.
    pub fn done(mut self, note: impl Into<String>) {
        self.ended = true;
        self.sink.event(Event::StageDone { id: self.id, note: Some(note.into()) });
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !self.ended {
            self.sink.event(Event::StageDone { id: self.id, note: None });
        }
    }
}

/// A bar. Clones count together; it goes when the last one is dropped.
#[derive(Clone)]
pub struct Bar(Arc<BarState>);

struct BarState {
    id: u64,
    sink: Arc<dyn Sink>,
    position: AtomicU64,
    told: Mutex<Instant>,
}

impl Bar {
    /// Adds to the count. Cheap enough for every buffer of a copy.
    pub fn inc(&self, n: u64) {
        let position = self.0.position.fetch_add(n, Relaxed) + n;
        // At most ten events a second; whoever finds the lock taken need not wait.
        if let Ok(mut told) = self.0.told.try_lock()
            && told.elapsed() >= Duration::from_millis(100)
        {
            *told = Instant::now();
            self.0.sink.event(Event::Position { id: self.0.id, position });
        }
    }
    /// A changed total.
    pub fn set_total(&self, total: u64) {
        self.0.sink.event(Event::Total { id: self.0.id, total });
    }
    /// What is being worked on: a package, a file.
    pub fn set_message(&self, text: impl Into<String>) {
        self.0.sink.event(Event::Message { id: self.0.id, text: text.into() });
    }
    /// Takes the bar away (so does dropping it).
    pub fn finish(self) {}
}

impl Drop for BarState {
    fn drop(&mut self) {
        self.sink.event(Event::Position { id: self.id, position: *self.position.get_mut() });
        self.sink.event(Event::BarDone { id: self.id });
    }
}

/// See [`Progress::relay`].
pub(crate) struct Relay {
    sink: Arc<dyn Sink>,
    /// The child's id → ours.
    ids: std::collections::HashMap<u64, u64>,
}

impl Relay {
    pub(crate) fn line(&mut self, line: &str) -> bool {
        if !line.starts_with("{\"progress\":") {
            return false;
        }
        let Ok(Relayed { progress: mut event }) = serde_json::from_str(line) else { return false };
        let mut ours = |id: &mut u64| *id = *self.ids.entry(*id).or_insert_with(|| NEXT.fetch_add(1, Relaxed));
        match &mut event {
            Event::Bar { id, stage, .. } => {
                ours(id);
                ours(stage);
            }
            Event::Stage { id, .. }
            | Event::StageDone { id, .. }
            | Event::Position { id, .. }
            | Event::Total { id, .. }
            | Event::Message { id, .. }
            | Event::BarDone { id } => ours(id),
            Event::Say { .. } => {}
        }
        self.sink.event(event);
        true
    }
}

/// Whether the time left can be told. Items differ too much in size to say anything from the first few of them.
pub(crate) fn foreseeable(unit: BarUnit, position: u64, total: u64) -> bool {
    let enough = if unit == BarUnit::Items { total.div_ceil(4) } else { 1 };
    position >= enough.max(1) && position < total
}

/// `1.5 MB`: powers of 1000, as packages and disks are counted.
pub fn bytes(n: u64) -> String {
    match n {
        0..1000 => format!("{n} B"),
        1000..1_000_000 => format!("{:.1} kB", n as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", n as f64 / 1e6),
        _ => format!("{:.2} GB", n as f64 / 1e9),
    }
}

/// `7 s`, `1:05 min`, `2:03 h`.
pub fn duration(time: Duration) -> String {
    match time.as_secs() {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        s @ 10..60 => format!("{s} s"),
        s @ 60..3600 => format!("{}:{:02} min", s / 60, s % 60),
        s => format!("{}:{:02} h", s / 3600, s / 60 % 60),
    }
}

#[cfg(test)]
mod tests;
