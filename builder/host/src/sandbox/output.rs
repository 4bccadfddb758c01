//! What a program said and how it ended.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// exit(3) with this code.
    Code(i32),
    /// Killed by this signal.
    Signal(i32),
}

impl Status {
    /// Whether it ended with exit code 0.
    pub fn success(self) -> bool {
        self == Self::Code(0)
    }
    /// From the status word of wait(2).
    pub(crate) fn from_wait(status: i32) -> Self {
        match libc::WIFSIGNALED(status) {
            true => Self::Signal(libc::WTERMSIG(status)),
            false => Self::Code(libc::WEXITSTATUS(status)),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "killed by signal {signal}"),
        }
    }
}

/// A program's end.
#[derive(Debug, Clone)]
pub struct Output {
    /// How it ended.
    pub status: Status,
    /// stdout and stderr together, in order (of a tool: stderr). Beyond [`LOG_LIMIT`] bytes the middle is left out.
    pub log: Vec<u8>,
    /// Of a tool that was waited for: stdout, whole; else empty.
    pub stdout: Vec<u8>,
    /// User and system CPU time of the program and everything it waited for.
    pub cpu: Duration,
}

impl Output {
    /// The log as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.log).into_owned()
    }
    /// The last lines of the log, for an error's detail.
    pub fn tail(&self, lines: usize) -> String {
        let text = self.text();
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

/// Bytes of a log that are kept: 4 MiB.
pub const LOG_LIMIT: usize = 4 << 20;

/// Reads to the end, hands every whole line on, keeps at most `limit` bytes.
pub(crate) fn collect(from: OwnedFd, line: &mut dyn FnMut(&str), limit: usize) -> Vec<u8> {
    let mut from = File::from(from);
    let (mut log, mut begun, mut buffer) = (Vec::new(), Vec::new(), vec![0; 1 << 16]);
    loop {
        let n = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            // A signal: the handler has killed the program, whose end we are about to read.
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        keep(&mut log, &buffer[..n], limit);
        begun.extend_from_slice(&buffer[..n]);
        while let Some(end) = begun.iter().position(|b| *b == b'\n') {
            line(&String::from_utf8_lossy(&begun[..end]));
            begun.drain(..=end);
        }
        if begun.len() > LOG_LIMIT {
            begun.clear();
        }
    }
    if !begun.is_empty() {
        line(&String::from_utf8_lossy(&begun));
    }
    log
}

/// Appends; when the log is full its middle goes.
fn keep(log: &mut Vec<u8>, bytes: &[u8], limit: usize) {
    const GAP: &[u8] = b"\n[... left out ...]\n";
    log.extend_from_slice(bytes);
    if log.len() > limit {
        let (head, tail) = (limit / 4, limit / 4);
        let rest = log.split_off(log.len() - tail);
        log.truncate(head);
        log.extend_from_slice(GAP);
        log.extend_from_slice(&rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn lines_arrive_and_a_flood_keeps_head_and_tail() {
        let (read, write) = crate::sandbox::launch::pipe().unwrap();
        let writer = std::thread::spawn(move || {
            let mut write = File::from(write);
            writeln!(write, "first").unwrap();
            let line = [b'x'; 1023];
            (0..5 << 10).for_each(|_| write.write_all(&line).and_then(|()| write.write_all(b"\n")).unwrap());
            write.write_all(b"last").unwrap();
        });
        let mut lines = Vec::new();
        let log = collect(read, &mut |line| lines.push(line.len()), LOG_LIMIT);
        writer.join().unwrap();
        assert_eq!((lines.len(), lines[0], lines[1]), ((5 << 10) + 2, 5, 1023));
        assert!(log.len() <= LOG_LIMIT && log.starts_with(b"first\n") && log.ends_with(b"\nlast"));
    }

    #[test]
    fn an_end_in_words() {
        assert_eq!(Status::from_wait(0x0300).to_string(), "exit code 3");
        assert_eq!(Status::from_wait(9).to_string(), "killed by signal 9");
        let output = Output { status: Status::Code(1), log: b"a\nb\nc\n".into(), stdout: vec![], cpu: Duration::ZERO };
        assert_eq!(output.tail(2), "b\nc");
    }
}
