//! Bars on a terminal, by indicatif: one line for each running stage and each bar, finished stages above them.

use super::{BarUnit, Event, Sink, duration, foreseeable};
use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

pub(super) struct Terminal {
    lines: MultiProgress,
    state: Mutex<Bars>,
}

#[derive(Default)]
struct Bars {
    stages: HashMap<u64, (String, ProgressBar)>,
    bars: HashMap<u64, ProgressBar>,
}

impl Terminal {
    pub(super) fn new() -> Self {
        Self { lines: MultiProgress::new(), state: Mutex::default() }
    }

    fn add(&self, after: Option<&ProgressBar>, bar: ProgressBar, template: &str) -> ProgressBar {
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let unit = if template.contains("{bytes}") { BarUnit::Bytes } else { BarUnit::Items };
        let style = style.with_key("left", move |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            if foreseeable(unit, state.pos(), state.len().unwrap_or(0)) {
                let _ = write!(out, "{} left", duration(state.eta()));
            }
        });
        // Plain characters: readable on every terminal and in a copied log.
        let bar = bar.with_style(style.progress_chars("=> ").tick_chars("-\\|/ "));
        let bar = match after {
            Some(after) => self.lines.insert_after(after, bar),
            None => self.lines.add(bar),
        };
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }
}

impl Sink for Terminal {
    fn event(&self, event: Event) {
        let mut state = self.state.lock().unwrap_or_else(|e| e.into_inner());
        match event {
            Event::Stage { id, name } => {
                let bar =
                    self.add(None, ProgressBar::no_length(), "{spinner} {prefix} {elapsed}").with_prefix(name.clone());
                state.stages.insert(id, (name, bar));
            }
            Event::StageDone { id, note } => {
                let Some((name, bar)) = state.stages.remove(&id) else { return };
                let time = duration(bar.elapsed());
                bar.finish_and_clear();
                self.lines.remove(&bar);
                if let Some(note) = note {
                    let gap = if note.is_empty() { "" } else { ": " };
                    let _ = self.lines.println(format!("  {name}{gap}{note} ({time})"));
                }
            }
            Event::Bar { id, stage, total, unit } => {
                let template = match (unit, total) {
                    (_, 0) => "    {pos} {wide_msg}",
                    (BarUnit::Bytes, _) => "    [{bar:20}] {bytes}/{total_bytes} {bytes_per_sec} {left} {wide_msg}",
                    (BarUnit::Items, _) => "    [{bar:20}] {pos}/{len} {left} {wide_msg}",
                };
                let bar = if total == 0 { ProgressBar::no_length() } else { ProgressBar::new(total) };
                let bar = self.add(state.stages.get(&stage).map(|(_, bar)| bar), bar, template);
                state.bars.insert(id, bar);
            }
            Event::BarDone { id } => {
                if let Some(bar) = state.bars.remove(&id) {
                    bar.finish_and_clear();
                    self.lines.remove(&bar);
                }
            }
            Event::Position { id, position } => {
                if let Some(bar) = state.bars.get(&id) {
                    bar.set_position(position);
                }
            }
            Event::Total { id, total } => {
                if let Some(bar) = state.bars.get(&id) {
                    bar.set_length(total);
                }
            }
            Event::Message { id, text } => {
                if let Some(bar) = state.bars.get(&id) {
                    bar.set_message(text);
                }
            }
            Event::Say { text } => {
                let _ = self.lines.println(text);
            }
        }
    }
}
