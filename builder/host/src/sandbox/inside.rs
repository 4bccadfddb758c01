//! A child of our own that owns all ids: `diorite __inside JOB`, JSON in, JSON out.
//!
//! As root the child is the same program again; as a user it runs as id 0 of a user namespace. It reads its input
//! from stdin, answers `{"ok": …}` or `{"error": …}` on stdout, and tells its progress on stderr, one JSON object per
//! line; other lines there (a panic) belong to the error. Unprivileged user namespaces need a process without
//! threads, and files of other ids can only be made, read and removed in there: hence a process of its own.

use super::ids::Ids;
use super::launch::{Launch, c, pipe};
use super::program::program_path;
use super::{Memory, SandboxMode, mode};
use crate::interrupt;
use crate::progress::Progress;
use diorite_model::{Error, Exit, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::process::ExitCode;

/// A job: its input as JSON, its result as JSON.
pub type Job = fn(&[u8]) -> Result<Vec<u8>>;

/// Tells the child its mode.
pub(super) const MODE_VARIABLE: &str = "DIORITE_INSIDE";

/// The argument before the job's name.
const VERB: &str = "__inside";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Ok(serde_json::Value),
    Error(JobError),
}

/// An [`Error`] on its way through the pipe.
#[derive(Serialize, Deserialize)]
struct JobError {
    exit: u8,
    what: String,
    place: Option<String>,
    detail: Option<String>,
    cause: Option<String>,
    hint: Option<String>,
    further: Vec<JobError>,
}

impl From<Error> for JobError {
    fn from(e: Error) -> Self {
        let further = e.further.into_iter().map(Self::from).collect();
        Self {
            exit: e.exit as u8,
            what: e.what,
            place: e.place,
            detail: e.detail,
            cause: e.cause,
            hint: e.hint,
            further,
        }
    }
}

impl From<JobError> for Error {
    fn from(t: JobError) -> Self {
        use Exit::*;
        let all = [Input, Usage, LockOutdated, VerificationFailed, Host, Remote, NotReproducible, Bug, Interrupted];
        let exit = all.into_iter().find(|e| *e as u8 == t.exit).unwrap_or(Bug);
        let further = t.further.into_iter().map(Self::from).collect();
        Self { exit, what: t.what, place: t.place, detail: t.detail, cause: t.cause, hint: t.hint, further }
    }
}

/// Runs a registered job in a child that owns every id, and waits for its result.
///
/// The program is `/proc/self/exe`, or `DIORITE_PROGRAM`. Its `main` must begin with [`inside`].
///
/// # Errors
/// Those of the job; [`Exit::Host`] when the host offers no sandbox; [`Exit::Interrupted`].
pub fn run_inside<R: DeserializeOwned>(job: &str, input: &impl Serialize, progress: &Progress) -> Result<R> {
    run_inside_with(None, job, input, progress)
}

/// As [`run_inside`], with a directory that the child sees in memory.
pub fn run_inside_with<R: DeserializeOwned>(
    memory: Option<&Memory>,
    job: &str,
    input: &impl Serialize,
    progress: &Progress,
) -> Result<R> {
    let mode = mode()?;
    let input = serde_json::to_vec(input).map_err(|e| Error::bug(format!("the input of job `{job}`")).because(e))?;
    let program = program_path();
    let fail = |e: std::io::Error| Error::host(format!("job `{job}` cannot be started")).because(e);
    let (stdin, stdin_end) = pipe().map_err(fail)?;
    let (stdout, stdout_end) = pipe().map_err(fail)?;
    let (stderr, stderr_end) = pipe().map_err(fail)?;
    // In chroot mode there is something to put back, so the child gets the time; elsewhere the kernel clears up.
    let signal = if mode == SandboxMode::Chroot { libc::SIGTERM } else { libc::SIGKILL };
    let mut env: Vec<_> = std::env::vars_os().filter(|(k, _)| k != MODE_VARIABLE).map(|(k, v)| (c(k), c(v))).collect();
    env.push((c(MODE_VARIABLE), c(mode.name())));
    let launch = Launch {
        namespaces: memory.map_or(0, |_| libc::CLONE_NEWNS),
        ids: match mode {
            SandboxMode::UserNamespace => Some(Ids::full().map_err(|w| Error::host(w.cause).hint(w.hint))?),
            _ => None,
        },
        init: false,
        reaper: false,
        ops: memory.map(Memory::ops).unwrap_or_default(),
        argv: vec![c(program), c(VERB), c(job)],
        env,
        streams: [stdin.as_raw_fd(), stdout_end.as_raw_fd(), stderr_end.as_raw_fd()],
        keep: Vec::new(),
        death_signal: signal,
    };
    let running = launch.start(signal)?;
    drop((stdin, stdout_end, stderr_end));
    let (answer, words) = std::thread::scope(|scope| {
        let words = scope.spawn(|| listen(File::from(stderr), progress));
        // A child that died early shows in its answer.
        let _ = File::from(stdin_end).write_all(&input);
        let mut answer = Vec::new();
        let _ = File::from(stdout).read_to_end(&mut answer);
        (answer, words.join().unwrap_or_default())
    });
    let ended = running.wait()?;
    match serde_json::from_slice(&answer) {
        Ok(Answer::Ok(value)) => {
            if !words.is_empty() {
                progress.say(words);
            }
            serde_json::from_value(value).map_err(|e| Error::bug(format!("the result of job `{job}`")).because(e))
        }
        Ok(Answer::Error(error)) => Err(error.into()),
        Err(_) => {
            interrupt::check()?;
            Err(Error::bug(format!("job `{job}` ended without an answer")).because(ended.status).detail(words))
        }
    }
}

/// Shows the child's progress; returns its other words, at most the last 100 lines.
fn listen(stderr: File, progress: &Progress) -> String {
    let mut relay = progress.relay();
    let mut words = std::collections::VecDeque::new();
    for line in BufReader::new(stderr).split(b'\n') {
        let Ok(line) = line else { break };
        let line = String::from_utf8_lossy(&line).into_owned();
        if !relay.line(&line) {
            words.push_back(line);
            if words.len() > 100 {
                words.pop_front();
            }
        }
    }
    Vec::from(words).join("\n")
}

/// The first thing `main` does: when we are `… __inside JOB`, runs that job of the registry and says the exit code.
pub fn inside(registry: &[(&str, Job)]) -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != VERB {
        return None;
    }
    interrupt::install();
    let name = arguments.next().unwrap_or_default();
    // stdout is for the answer alone; whatever a job prints goes to stderr.
    // SAFETY: descriptors 1 and 2 are open (run_inside made them); the copy is new and ours alone.
    let mut answer = unsafe {
        let copy = libc::fcntl(1, libc::F_DUPFD_CLOEXEC, 10);
        libc::dup2(2, 1);
        if copy < 0 {
            return Some(ExitCode::from(Exit::Bug as u8));
        }
        File::from_raw_fd(copy)
    };
    let mut input = Vec::new();
    let result = match registry.iter().chain(OWN).find(|(n, _)| name == **n) {
        None => Err(Error::bug(format!("there is no job `{}`", name.display()))),
        Some((_, job)) => match std::io::stdin().read_to_end(&mut input) {
            Ok(_) => job(&input),
            Err(e) => Err(Error::bug("the job's input").because(e)),
        },
    };
    let result = result.and_then(|bytes| {
        serde_json::from_slice(&bytes)
            .map_err(|e| Error::bug(format!("the result of job `{}`", name.display())).because(e))
    });
    let (told, code) = match result {
        Ok(value) => (Answer::Ok(value), Exit::Done),
        Err(error) => {
            let exit = error.exit;
            (Answer::Error(error.into()), exit)
        }
    };
    let bytes = serde_json::to_vec(&told).expect("our own types serialize");
    match answer.write_all(&bytes) {
        Ok(()) => Some(ExitCode::from(code as u8)),
        Err(_) => Some(ExitCode::from(Exit::Bug as u8)),
    }
}

/// Makes a [`Job`] of a function with types: `("tree", |json| typed(json, build::configured))`.
pub fn typed<I: DeserializeOwned, O: Serialize>(
    input: &[u8],
    job: impl FnOnce(I, &Progress) -> Result<O>,
) -> Result<Vec<u8>> {
    let input = serde_json::from_slice(input).map_err(|e| Error::bug("the job's input").because(e))?;
    let output = job(input, &Progress::to_parent())?;
    serde_json::to_vec(&output).map_err(|e| Error::bug("the job's result").because(e))
}

/// Jobs of this room.
const OWN: &[(&str, Job)] =
    &[(REMOVE, |json| typed(json, |path: std::path::PathBuf, _| Ok(std::fs::remove_dir_all(path).is_ok())))];

/// Removes a directory whose files belong to ids that only the sandbox owns.
pub(crate) const REMOVE: &str = "remove";
