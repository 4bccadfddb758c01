//! Lines for a log: a stage when it begins and ends, and in between what moves, every few seconds.

use super::{BarUnit, Event, Sink, bytes, duration};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::time::{Duration, Instant};

/// A log line at least this often while something runs.
const BEAT: Duration = Duration::from_secs(5);

pub(super) struct Plain(Arc<Shared>);

struct Shared {
    state: Mutex<PlainLog>,
    changed: Condvar,
}

pub(super) struct PlainLog {
    out: Box<dyn Write + Send>,
    stages: BTreeMap<u64, (String, Instant)>,
    bars: BTreeMap<u64, PlainBar>,
    last: Instant,
}

struct PlainBar {
    stage: u64,
    total: u64,
    unit: BarUnit,
    position: u64,
    message: String,
    begun: Instant,
}

impl Plain {
    /// With a thread that keeps the log moving while a stage has nothing to say.
    pub(super) fn start(out: Box<dyn Write + Send>) -> Self {
        let state = PlainLog { out, stages: BTreeMap::new(), bars: BTreeMap::new(), last: Instant::now() };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let weak = Arc::downgrade(&shared);
        // Without the thread (none to be had) there are fewer lines, no fewer results.
        let _ = std::thread::Builder::new().name("progress".into()).spawn(move || beat(&weak));
        Self(shared)
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        self.0.changed.notify_all();
    }
}

impl Sink for Plain {
    fn event(&self, event: Event) {
        self.0.state.lock().unwrap_or_else(|e| e.into_inner()).event(event, Instant::now());
    }
}

fn beat(weak: &Weak<Shared>) {
    // The thread holds the state only while it looks: the display ends with its last user, at the latest a beat later.
    while let Some(shared) = weak.upgrade() {
        let state = shared.state.lock().unwrap_or_else(|e| e.into_inner());
        if let Ok((mut state, _)) = shared.changed.wait_timeout(state, Duration::from_secs(1)) {
            state.beat(Instant::now());
        }
    }
}

impl PlainLog {
    #[cfg(test)]
    pub(super) fn new(out: Box<dyn Write + Send>, now: Instant) -> Self {
        Self { out, stages: BTreeMap::new(), bars: BTreeMap::new(), last: now }
    }

    pub(super) fn event(&mut self, event: Event, now: Instant) {
        match event {
            Event::Stage { id, name } => {
                self.line(&format!("{name} ..."), now);
                self.stages.insert(id, (name, now));
            }
            Event::StageDone { id, note } => {
                if let (Some((name, begun)), Some(note)) = (self.stages.remove(&id), note) {
                    let gap = if note.is_empty() { "" } else { ": " };
                    self.line(&format!("{name}{gap}{note} ({})", duration(now - begun)), now);
                }
            }
            Event::Bar { id, stage, total, unit } => {
                let bar = PlainBar { stage, total, unit, position: 0, message: String::new(), begun: now };
                self.bars.insert(id, bar);
            }
            Event::BarDone { id } => {
                self.bars.remove(&id);
            }
            Event::Say { text } => self.line(&text, now),
            Event::Position { id, position } => {
                if let Some(bar) = self.bars.get_mut(&id) {
                    bar.position = position;
                }
            }
            Event::Total { id, total } => {
                if let Some(bar) = self.bars.get_mut(&id) {
                    bar.total = total;
                }
            }
            Event::Message { id, text } => {
                if let Some(bar) = self.bars.get_mut(&id) {
                    bar.message = text;
                }
            }
        }
        self.beat(now);
    }

    /// Says where everything stands, if nothing has been said for a while.
    pub(super) fn beat(&mut self, now: Instant) {
        if now.duration_since(self.last) < BEAT || self.stages.is_empty() {
            return;
        }
        let mut lines: Vec<String> = self.bars.values().map(|bar| self.bar(bar, now)).collect();
        if lines.is_empty() {
            // Only the youngest stage: outer ones wait for it.
            let (name, begun) = self.stages.values().next_back().expect("checked above");
            lines.push(format!("{name} ... {}", duration(now - *begun)));
        }
        for line in lines {
            self.line(&line, now);
        }
    }

    fn bar(&self, bar: &PlainBar, now: Instant) -> String {
        let name = self.stages.get(&bar.stage).map_or("", |(name, _)| name.as_str());
        let seconds = (now - bar.begun).as_secs_f64().max(0.001);
        let rate = bar.position as f64 / seconds;
        let mut line = match (bar.unit, bar.total) {
            (BarUnit::Items, 0) => format!("{name} ... {}", bar.position),
            (BarUnit::Items, total) => format!("{name} ... {} of {total}", bar.position),
            (BarUnit::Bytes, 0) => format!("{name} ... {}", bytes(bar.position)),
            (BarUnit::Bytes, total) => {
                let percent = 100 * bar.position.min(total) / total;
                format!("{name} ... {percent} %, {} of {}", bytes(bar.position), bytes(total))
            }
        };
        if bar.unit == BarUnit::Bytes {
            line += &format!(", {}/s", bytes(rate as u64));
        }
        if super::foreseeable(bar.unit, bar.position, bar.total) {
            let left = (bar.total - bar.position) as f64 / rate;
            line += &format!(", {} left", duration(Duration::from_secs_f64(left.min(1e6))));
        }
        if !bar.message.is_empty() {
            line += &format!(", {}", bar.message);
        }
        line
    }

    fn line(&mut self, text: &str, now: Instant) {
        self.last = now;
        // A log that is gone is no reason to stop working.
        let _ = writeln!(self.out, "{text}").and_then(|()| self.out.flush());
    }
}
