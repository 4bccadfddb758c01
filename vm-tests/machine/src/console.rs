//! The serial console: every byte kept in a file, every line looked at as it comes.

use diorite_model::{Error, Result};
use std::{
    collections::HashSet,
    fs::File,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// What a line on the console can mean at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AlarmKind {
    /// The kernel has given up.
    Panic,
    /// A fault that the kernel has found in itself and may survive: an oops, a bug, a warning.
    Oops,
    /// The kernel killed a process for want of memory.
    OutOfMemory,
    /// systemd waits for a person who is not there.
    EmergencyMode,
    /// The kernel restarts.
    Restarting,
    /// The kernel powers off.
    PoweringOff,
    /// A block of the root does not have its hash.
    VerityCorruption,
    /// The firmware found nothing to start.
    NothingToBoot,
}

/// What is looked for: kind, and texts that must all be in one line.
const PATTERNS: &[(AlarmKind, &[&str])] = &[
    (AlarmKind::VerityCorruption, &["device-mapper: verity:", "corrupt"]),
    (AlarmKind::Panic, &["Kernel panic - not syncing"]),
    (AlarmKind::Oops, &["Oops:"]),
    (AlarmKind::Oops, &["kernel BUG at"]),
    (AlarmKind::Oops, &["WARNING: CPU: "]),
    (AlarmKind::OutOfMemory, &["Out of memory: Killed process"]),
    (AlarmKind::EmergencyMode, &["You are in emergency mode"]),
    (AlarmKind::EmergencyMode, &["You are in rescue mode"]),
    (AlarmKind::EmergencyMode, &["(initramfs)"]),
    (AlarmKind::Restarting, &["reboot: Restarting system"]),
    (AlarmKind::Restarting, &["reboot: machine restart"]),
    (AlarmKind::PoweringOff, &["reboot: Power down"]),
    (AlarmKind::NothingToBoot, &["BdsDxe: No bootable option"]),
    (AlarmKind::NothingToBoot, &["UEFI Interactive Shell"]),
];

/// A line that means something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// The event that the line reports.
    pub kind: AlarmKind,
    /// The line, without control sequences.
    pub line: String,
    /// Since power-on.
    pub at: Duration,
}

/// The listening end.
#[derive(Debug)]
pub struct Console {
    seen: Arc<Mutex<ScanState>>,
    follower: Arc<Mutex<Follower>>,
    log: PathBuf,
    input: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

/// What is done with bytes as they come.
type Hear = Box<dyn FnMut(&[u8]) + Send>;

/// Whoever hears every byte.
#[derive(Default)]
struct Follower(Option<Hear>);

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Follower")
    }
}

#[derive(Debug, Default)]
struct ScanState {
    lines: Vec<(Duration, String)>,
    alarms: Vec<Alarm>,
    /// What was said, letters only.
    said: HashSet<String>,
}

/// A guest that invents lines fills no memory; one that says so many different ones is not getting anywhere either.
const MOST_NEWS: usize = 50_000;

impl Console {
    /// Reads from `stream` until it ends, into the file `log`.
    pub(crate) fn listen(mut stream: UnixStream, log: &Path, power_on: Instant) -> Result<Self> {
        let mut file = File::create(log).map_err(|e| Error::io("cannot write the console's log", log, e))?;
        let seen = Arc::new(Mutex::new(ScanState::default()));
        let follower: Arc<Mutex<Follower>> = Arc::default();
        let (shared, follows) = (seen.clone(), follower.clone());
        let input = stream.try_clone().map_err(|e| Error::host("no second end for the console").because(e))?;
        let thread = std::thread::Builder::new().name("console".to_owned()).spawn(move || {
            let (mut buffer, mut rest) = ([0; 4096], Vec::new());
            while let Ok(n) = stream.read(&mut buffer) {
                if n == 0 {
                    break;
                }
                {
                    let mut follower = locked(&follows);
                    // A full disk must not stop the watching.
                    let _ = file.write_all(&buffer[..n]);
                    follower.0.iter_mut().for_each(|hear| hear(&buffer[..n]));
                }
                rest.extend_from_slice(&buffer[..n]);
                while let Some(end) = rest.iter().position(|b| *b == b'\n') {
                    let line = plain(&rest.drain(..=end).collect::<Vec<u8>>());
                    take(&shared, line, power_on.elapsed());
                }
                // A prompt has no line end.
                if rest.len() > 65_536 || contains(&rest, b"(initramfs)") || contains(&rest, b"Shell> ") {
                    take(&shared, plain(&std::mem::take(&mut rest)), power_on.elapsed());
                }
            }
            take(&shared, plain(&rest), power_on.elapsed());
        });
        let thread = thread.map_err(|e| Error::host("no thread for the console").because(e))?;
        Ok(Self { seen, follower, log: log.to_owned(), input: Some(input), thread: Some(thread) })
    }

    /// A console that nobody speaks on.
    pub(crate) fn silent() -> Self {
        Self { seen: Arc::default(), follower: Arc::default(), log: PathBuf::new(), input: None, thread: None }
    }

    /// Lets somebody hear every byte: those that have come, at once, and all others as they come.
    pub fn follow(&self, mut hear: impl FnMut(&[u8]) + Send + 'static) -> Result<()> {
        let mut follower = locked(&self.follower);
        let said = std::fs::read(&self.log).map_err(|e| Error::io("cannot read the console's log", &self.log, e))?;
        hear(&said);
        follower.0 = Some(Box::new(hear));
        Ok(())
    }

    /// What is written here the guest reads from its serial port.
    pub fn input(&self) -> Result<UnixStream> {
        let input = self.input.as_ref().map(UnixStream::try_clone);
        let none = || Error::bug("this console has no other end");
        input.ok_or_else(none)?.map_err(|e| Error::host("no second end for the console").because(e))
    }

    /// Lines so far that said something new, numbers and marks aside: systemd says every second of a job that it still runs,
    /// and a service that starts anew for ever says the same each time.
    pub fn news(&self) -> usize {
        self.seen().said.len()
    }

    /// Alarms so far.
    pub fn alarms(&self) -> Vec<Alarm> {
        self.seen().alarms.clone()
    }

    /// Every line so far, without control sequences, and when it was complete, since power-on.
    pub fn lines(&self) -> Vec<(Duration, String)> {
        self.seen().lines.clone()
    }

    /// What is still being said: of the last 16 lines those that differ in more than numbers and marks, at most three. Of several
    /// jobs that a machine waits for, systemd names one at a time.
    pub fn last_said(&self) -> String {
        let seen = self.seen();
        let (mut lines, mut known) = (Vec::new(), HashSet::new());
        for (_, line) in seen.lines.iter().rev().take(16) {
            if lines.len() < 3 && known.insert(letters(line)) {
                lines.push(line.as_str());
            }
        }
        lines.reverse();
        lines.join("; ")
    }

    /// The last lines.
    pub fn tail(&self, lines: usize) -> String {
        let seen = self.seen();
        let last = &seen.lines[seen.lines.len().saturating_sub(lines)..];
        last.iter().map(|(_, line)| line.as_str()).collect::<Vec<_>>().join("\n")
    }

    fn seen(&self) -> MutexGuard<'_, ScanState> {
        locked(&self.seen)
    }

    /// Waits for the last byte; only after the machine has ended.
    pub(crate) fn finish(&mut self) {
        if let Some(thread) = self.thread.take() {
            // A panic there has already been printed.
            let _ = thread.join();
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|w| w == text)
}

fn take(seen: &Mutex<ScanState>, line: String, at: Duration) {
    let mut seen = locked(seen);
    if let Some((kind, _)) = PATTERNS.iter().find(|(_, texts)| texts.iter().all(|text| line.contains(text))) {
        seen.alarms.push(Alarm { kind: *kind, line: line.clone(), at });
    }
    if !line.is_empty() {
        if seen.said.len() < MOST_NEWS {
            seen.said.insert(letters(&line));
        }
        seen.lines.push((at, line));
    }
}

/// A line without numbers and marks.
fn letters(line: &str) -> String {
    line.chars().filter(|c| c.is_alphabetic()).collect()
}

/// A line without control characters and escape sequences (ECMA-48 §5.4: CSI, parameters, final byte; §5.3: one letter).
fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let (mut out, mut chars) = (String::with_capacity(text.len()), text.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '\x1b' if chars.peek() == Some(&'[') => {
                chars.next();
                while chars.next_if(|c| !('@'..='~').contains(c)).is_some() {}
                chars.next();
            }
            '\x1b' => drop(chars.next_if(|c| ('@'..='_').contains(c))),
            c if c.is_control() && c != '\t' => {}
            c => out.push(c),
        }
    }
    out.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(parts: &[&str]) -> (Vec<AlarmKind>, String, Vec<u8>) {
        let directory = std::env::temp_dir().join(format!("diorite-console-{}-{}", std::process::id(), parts.len()));
        std::fs::create_dir_all(&directory).expect("directory");
        let (near, mut far) = UnixStream::pair().expect("socket pair");
        let log = directory.join("console.log");
        let mut console = Console::listen(near, &log, Instant::now()).expect("console");
        for part in parts {
            far.write_all(part.as_bytes()).expect("write");
        }
        drop(far);
        console.finish();
        let kept = std::fs::read(log).expect("log");
        std::fs::remove_dir_all(directory).expect("remove");
        (console.alarms().iter().map(|a| a.kind).collect(), console.tail(2), kept)
    }

    #[test]
    fn alarms_are_seen_through_colours_and_cuts() {
        let (alarms, tail, kept) = listen(&[
            "[    1.0] \x1b[0;1mfine\x1b[0m\r\n[   40.5] device-mapper: verity: 253:2: data bl",
            "ock 0 is corrupted\r\n[   40.6] reboot: Restarting",
            " system with command 'dm-verity device corrupted'\r\n",
        ]);
        assert_eq!(alarms, [AlarmKind::VerityCorruption, AlarmKind::Restarting]);
        assert!(tail.ends_with("'dm-verity device corrupted'"), "{tail}");
        assert!(kept.starts_with(b"[    1.0] \x1b["), "the file keeps every byte");
    }

    #[test]
    fn whoever_follows_hears_all_of_it_and_is_heard() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let (near, mut far) = UnixStream::pair().expect("socket pair");
        let mut console = Console::listen(near, &directory.path().join("log"), Instant::now()).expect("console");
        far.write_all(b"Job a runs (1s)\r\r\n\x1bM\r\x1b[K[ \x1b[0m***] Job a runs (2s)\r\r\n\x1bM\rbefore\n")
            .expect("write");
        while console.news() < 2 {
            std::thread::yield_now();
        }
        let (tell, heard) = std::sync::mpsc::channel();
        console.follow(move |bytes| tell.send(bytes.to_vec()).expect("the test listens")).expect("follow");
        far.write_all(b"after").expect("write");
        console.input().expect("input").write_all(b"hello").expect("write");
        let mut said = [0; 5];
        far.read_exact(&mut said).expect("what was typed");
        // The console's own copy of its end is open.
        far.shutdown(std::net::Shutdown::Write).expect("shutdown");
        console.finish();
        assert_eq!(console.news(), 2 + 1, "what was said before does not count, and `after` is the third");
        assert_eq!(console.tail(3), "[ ***] Job a runs (2s)\nbefore\nafter");
        assert_eq!(
            console.last_said(),
            "[ ***] Job a runs (2s); before; after",
            "a job is named once, as it was said last"
        );
        drop(console);
        let heard: Vec<u8> = heard.into_iter().flatten().collect();
        assert!(heard.ends_with(b"before\nafter") && said == *b"hello", "{}", String::from_utf8_lossy(&heard));
    }

    #[test]
    fn ordinary_lines_are_no_alarm() {
        let lines = "device-mapper: verity: sha256 using implementation \"sha256-generic\"\nReached target reboot\n";
        assert_eq!(listen(&[lines, "", "", ""]).0, []);
        assert_eq!(listen(&["a prompt without end: (initramfs) ", ""]).0, [AlarmKind::EmergencyMode]);
    }
}
