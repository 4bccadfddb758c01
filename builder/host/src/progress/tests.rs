//! What a log looks like, with a clock of our own; and that a child's events arrive as if they were ours.

use super::*;
use std::sync::mpsc;

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);
impl std::io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_log_moves_every_few_seconds() {
    let page = Page::default();
    let start = Instant::now();
    let at = |s: u64| start + Duration::from_secs(s);
    let mut log = plain::PlainLog::new(Box::new(page.clone()), start);
    log.event(Event::Stage { id: 1, name: "fetch".into() }, at(0));
    log.event(Event::Bar { id: 2, stage: 1, total: 100_000_000, unit: BarUnit::Bytes }, at(0));
    log.event(Event::Position { id: 2, position: 10_000_000 }, at(2));
    log.event(Event::Message { id: 2, text: "libc6".into() }, at(2));
    log.beat(at(4));
    log.beat(at(5));
    log.beat(at(6));
    log.event(Event::Position { id: 2, position: 50_000_000 }, at(10));
    log.event(Event::BarDone { id: 2 }, at(12));
    log.beat(at(15));
    log.event(Event::Say { text: "a word".into() }, at(16));
    log.event(Event::StageDone { id: 1, note: Some("182 packages".into()) }, at(17));
    log.event(Event::Stage { id: 3, name: "verity".into() }, at(17));
    log.event(Event::StageDone { id: 3, note: Some(String::new()) }, at(18));
    log.beat(at(60));
    let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
    insta::assert_snapshot!(text, @r"
    fetch ...
    fetch ... 10 %, 10.0 MB of 100.0 MB, 2.0 MB/s, 45 s left, libc6
    fetch ... 50 %, 50.0 MB of 100.0 MB, 5.0 MB/s, 10 s left, libc6
    fetch ... 15 s
    a word
    fetch: 182 packages (17 s)
    verity ...
    verity (1.0 s)
    ");
    assert!(text.lines().all(|line| line.len() < 80));
}

struct Recorder(Mutex<mpsc::Sender<Event>>);
impl Sink for Recorder {
    fn event(&self, event: Event) {
        let _ = self.0.lock().unwrap().send(event);
    }
}

#[test]
fn the_time_left_is_told_when_it_can_be() {
    assert!(!foreseeable(BarUnit::Items, 1, 51), "the first of many unlike items says nothing");
    assert!(foreseeable(BarUnit::Items, 13, 51));
    assert!(!foreseeable(BarUnit::Items, 51, 51));
    assert!(foreseeable(BarUnit::Bytes, 1, 1000));
    assert!(!foreseeable(BarUnit::Bytes, 0, 1000));
    assert!(!foreseeable(BarUnit::Bytes, 5, 0));
}

#[test]
fn a_childs_events_get_ids_of_ours_and_other_lines_are_left_alone() {
    let (sender, events) = mpsc::channel();
    let progress = Progress::on(Recorder(Mutex::new(sender)));
    let mut relay = progress.relay();
    assert!(relay.line(r#"{"progress":{"stage":{"id":1,"name":"tree"}}}"#));
    assert!(relay.line(r#"{"progress":{"bar":{"id":2,"stage":1,"total":5,"unit":"Items"}}}"#));
    assert!(!relay.line("thread 'main' panicked"));
    assert!(!relay.line(r#"{"progress":{"unknown":1}}"#));
    let (Event::Stage { id, .. }, Event::Bar { stage, .. }) = (events.recv().unwrap(), events.recv().unwrap()) else {
        panic!("a stage and a bar")
    };
    assert_eq!(id, stage);
}

#[test]
fn a_bar_tells_its_last_position_and_goes() {
    let (sender, events) = mpsc::channel();
    let progress = Progress::on(Recorder(Mutex::new(sender)));
    let stage = progress.stage("tree");
    let bar = stage.bar(10, BarUnit::Items);
    std::thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| (0..1000).for_each(|_| bar.clone().inc(1)));
        }
    });
    bar.finish();
    stage.done("ok");
    drop(progress);
    let events: Vec<Event> = events.iter().collect();
    let n = events.len();
    assert!(n < 100, "events are thinned out, not {n}");
    assert!(matches!(events[n - 3], Event::Position { position: 4000, .. }));
    assert!(matches!(events[n - 2], Event::BarDone { .. }));
    assert!(matches!(&events[n - 1], Event::StageDone { note: Some(note), .. } if note == "ok"));
}

#[test]
fn sizes_and_times_in_words() {
    assert_eq!([999, 1500, 213_000_000, 2_500_000_000].map(bytes), ["999 B", "1.5 kB", "213.0 MB", "2.50 GB"]);
    assert_eq!([7, 59, 65, 7400].map(|s| duration(Duration::from_secs(s))), ["7.0 s", "59 s", "1:05 min", "2:03 h"]);
}

#[test]
fn terminal_templates_are_valid() {
    // A wrong template would fall back silently.
    let terminal = terminal::Terminal::new();
    for (id, unit, total) in [(1, BarUnit::Bytes, 5), (2, BarUnit::Items, 5), (3, BarUnit::Bytes, 0)] {
        terminal.event(Event::Stage { id: id + 10, name: "x".into() });
        terminal.event(Event::Bar { id, stage: id + 10, total, unit });
        terminal.event(Event::BarDone { id });
        terminal.event(Event::StageDone { id: id + 10, note: None });
    }
}
