//! Tasks: what takes longer goes on by itself on a node, under a number that says where (UPID).

use crate::client::{CallError, CallErrorKind, Client, Method, Parameters, Path, locked};
use diorite_host::interrupt;
use diorite_host::progress::{BarUnit, Progress};
use serde_json::Value;
use std::fmt;
use std::str::FromStr;
use std::time::Instant;

/// Lines of a log that are asked for at once.
const LINES: u64 = 500;
/// Lines of a failed task's log that an error shows.
const SHOWN: usize = 15;
/// Parts of a bar: a tenth of a percent.
const WHOLE: u64 = 1000;

/// `UPID:NODE:PID:PSTART:STARTTIME:TYPE:ID:USER:`; the node is where the task runs, whichever was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upid {
    text: String,
    node: String,
    started: u64,
    kind: String,
    user: String,
}

impl Upid {
    /// The node it runs on.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// When it began, in seconds since 1970.
    pub fn started(&self) -> u64 {
        self.started
    }

    /// `qmclone`.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Whose it is: `root@pam`, `deploy@pve!ci`.
    pub fn user(&self) -> &str {
        &self.user
    }
}

impl fmt::Display for Upid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Upid {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<_> = text.split(':').collect();
        match parts.as_slice() {
            ["UPID", node, pid, pstart, start, kind, .., user, ""]
                if parts.len() >= 9
                    && [pid, pstart, start].iter().all(|n| u64::from_str_radix(n, 16).is_ok())
                    && !node.is_empty()
                    && !kind.is_empty() =>
            {
                let started = u64::from_str_radix(start, 16).unwrap_or_default();
                let owned = |part: &str| part.to_owned();
                Ok(Self { text: owned(text), node: owned(node), started, kind: owned(kind), user: owned(user) })
            }
            _ => Err("this is not a task ID (UPID)".into()),
        }
    }
}

/// How a task ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskOutcome {
    /// `OK`.
    Clean,
    /// `WARNINGS: n`, with the lines of its log that warn.
    WithWarnings(Vec<String>),
}

/// The task that a call has started.
///
/// # Errors
/// The answer is no UPID: [`CallErrorKind::UnexpectedReply`].
pub fn of_answer(client: &Client, method: Method, path: &Path, answer: &Value) -> Result<Upid, CallError> {
    let text = answer.as_str().unwrap_or_default();
    text.parse().map_err(|why: String| client.failure(CallErrorKind::UnexpectedReply, method, path, why))
}

impl Client {
    /// Waits for the end of a task, showing what its log says last and how far it is.
    ///
    /// # Errors
    /// [`CallErrorKind::Task`] with the end of its log when it failed; [`CallErrorKind::TimedOut`] when it has said nothing new for
    /// [`ClientLimits::silence`](crate::ClientLimits::silence), and then it may still be running.
    pub fn wait(&self, task: &Upid, name: &str, progress: &Progress) -> Result<TaskOutcome, CallError> {
        let names = |last: &'static str| Path::new(["nodes", task.node(), "tasks", &task.to_string(), last]);
        let (status, stage) = (names("status"), progress.stage(name));
        let bar = stage.bar(0, BarUnit::Items);
        let mut log = Log::default();
        let (mut known, mut unknown, mut heard) = (0, 0, Instant::now());
        let mut pause = self.limits().poll / 16;
        loop {
            if interrupt::came() {
                return Err(self.failure(CallErrorKind::Interrupted, Method::Get, &status, "interrupted"));
            }
            let now = match self.get(&status, &Parameters::none()) {
                // For a moment after it began the node may not know it.
                Err(f) if f.kind == CallErrorKind::Parameters && unknown < self.limits().attempts => {
                    unknown += 1;
                    self.rest(1);
                    continue;
                }
                other => other?,
            };
            log.follow(self, &names("log"))?;
            if log.last != known {
                (known, heard) = (log.last, Instant::now());
                if let Some(line) = log.lines.last() {
                    bar.set_message(line.clone());
                }
                if let Some(parts) = log.lines.iter().rev().find_map(|line| portion(line)) {
                    bar.set_total(WHOLE);
                    bar.inc(parts.saturating_sub(log.shown));
                    log.shown = log.shown.max(parts);
                }
            }
            if now.get("status").and_then(Value::as_str) == Some("stopped") {
                let end = now.get("exitstatus").and_then(Value::as_str).unwrap_or("it ended without a status");
                return match end {
                    "OK" => {
                        stage.done("");
                        Ok(TaskOutcome::Clean)
                    }
                    _ if end.starts_with("WARNINGS") => {
                        stage.done(end.to_lowercase());
                        let warns = |line: &&String| line.to_ascii_lowercase().contains("warn");
                        Ok(TaskOutcome::WithWarnings(log.lines.iter().filter(warns).cloned().collect()))
                    }
                    _ => {
                        let log = log.lines.split_off(log.lines.len().saturating_sub(SHOWN));
                        // A lock that was waited for in vain before anything was done; since 9.2 only the task says so.
                        let kind = if locked(end) { CallErrorKind::Locked } else { CallErrorKind::Task };
                        let failure = self.failure(kind, Method::Get, &status, end);
                        Err(CallError { task: Some(format!("{name} ({task})")), log, ..failure })
                    }
                };
            }
            if heard.elapsed() > self.limits().silence {
                let failure = self.failure(CallErrorKind::TimedOut, Method::Get, &status, "the task says nothing new");
                return Err(CallError { unclear: true, log: log.lines, ..failure });
            }
            // Most are done at once; those that are not are asked less and less often.
            pause = (pause * 2).min(self.limits().poll);
            std::thread::sleep(pause);
        }
    }

    /// Whether a task has ended, well or not.
    ///
    /// # Errors
    /// As of any question.
    pub fn has_ended(&self, task: &Upid) -> Result<bool, CallError> {
        let status = Path::new(["nodes", task.node(), "tasks", &task.to_string(), "status"]);
        match self.get(&status, &Parameters::none()) {
            // The node does not know it yet.
            Err(failure) if failure.kind == CallErrorKind::Parameters => Ok(false),
            answer => Ok(answer?.get("status").and_then(Value::as_str) == Some("stopped")),
        }
    }

    /// Ends a task: `TERM`, and `KILL` five seconds later.
    ///
    /// # Errors
    /// It is another's, or has gone.
    pub fn stop(&self, task: &Upid) -> Result<(), CallError> {
        let path = Path::new(["nodes", task.node(), "tasks", &task.to_string()]);
        self.call(Method::Delete, &path, &Parameters::none()).map(drop)
    }
}

/// The end of a log, as far as it has been read.
#[derive(Default)]
struct Log {
    lines: Vec<String>,
    /// Lines read.
    last: u64,
    shown: u64,
}

impl Log {
    fn follow(&mut self, client: &Client, path: &Path) -> Result<(), CallError> {
        loop {
            let asked = Parameters::none().number("start", self.last).number("limit", LINES);
            let answer = client.get(path, &asked)?;
            let new: Vec<&Value> = answer.as_array().into_iter().flatten().collect();
            // Where there is nothing yet, one line says so.
            let number = |entry: &&Value| entry.get("n").and_then(Value::as_u64).unwrap_or(0) > self.last;
            let new: Vec<_> = new.into_iter().filter(number).collect();
            let line = |v: &&Value| v.get("t").and_then(Value::as_str).unwrap_or_default().trim().to_owned();
            let texts: Vec<String> = new.iter().map(line).collect();
            if texts.iter().all(|t| t == "no content") {
                return Ok(());
            }
            self.last += texts.len() as u64;
            let full = texts.len() as u64 == LINES;
            self.lines.extend(texts.into_iter().filter(|line| !line.is_empty()));
            let spare = self.lines.len().saturating_sub(2 * LINES as usize);
            self.lines.drain(..spare);
            if !full {
                return Ok(());
            }
        }
    }
}

/// `transferred 128.0 MiB of 256.0 MiB (50.00%)` → 500 of [`WHOLE`].
fn portion(line: &str) -> Option<u64> {
    let (before, _) = line.split_once("%)")?;
    let number: f64 = before.rsplit_once('(')?.1.parse().ok()?;
    (0.0..=100.0).contains(&number).then_some((number * 10.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_tasks() {
        let good = "UPID:pve1:0003F2A1:01C2B3D4:65A1B2C3:imgcopy:local:deploy@pve!ci:";
        let task = good.parse::<Upid>().expect("a task");
        assert_eq!((task.node(), task.kind(), task.user()), ("pve1", "imgcopy", "deploy@pve!ci"));
        assert_eq!(task.started(), 0x65a1_b2c3);
        assert!("UPID:pve1:0003F2A1:01C2B3D4:65A1B2C3:qmmove:900-scsi0>100-scsi3:root@pam:".parse::<Upid>().is_ok());
        for wrong in ["", "UPID:pve1:x:y:z:a:b:c:", "OK", "UPID::0003F2A1:01C2B3D4:65A1B2C3:imgcopy:l:u@p:"] {
            assert!(wrong.parse::<Upid>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn how_far() {
        assert_eq!(portion("transferred 128.0 MiB of 256.0 MiB (50.00%)"), Some(500));
        assert_eq!(portion("transferred (a lot)"), None);
        assert_eq!(portion("(999.0%)"), None);
    }
}
