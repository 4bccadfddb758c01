//! A small client of QEMU's machine protocol (qemu-qmp-ref(7)): one JSON object a line, over a socket pair.

use diorite_model::{Error, Result};
use serde_json::{Value, json};
use std::{
    io::{ErrorKind, Read, Write},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

/// The connection.
#[derive(Debug)]
pub struct Qmp {
    stream: UnixStream,
    rest: Vec<u8>,
    /// Names of events that came between answers.
    pub events: Vec<String>,
}

impl Qmp {
    /// Greets and leaves negotiation mode. QEMU answers when its main loop runs, after it has set itself up.
    pub fn connect(stream: UnixStream, limit: Duration) -> Result<Self> {
        let failed = |e| Error::host("QMP cannot be used").because(e);
        stream.set_read_timeout(Some(Duration::from_millis(500))).map_err(failed)?;
        let mut qmp = Self { stream, rest: Vec::new(), events: Vec::new() };
        let end = Instant::now() + limit;
        qmp.receive(end)?;
        qmp.execute("qmp_capabilities", json!({}), limit)?;
        Ok(qmp)
    }

    /// Runs a command and gives its return value.
    pub fn execute(&mut self, command: &str, arguments: Value, limit: Duration) -> Result<Value> {
        let mut line = json!({ "execute": command, "arguments": arguments }).to_string();
        line.push('\n');
        let end = Instant::now() + limit;
        self.stream.write_all(line.as_bytes()).map_err(|e| lost(command, e))?;
        loop {
            let mut message = self.receive(end)?;
            if let Some(value) = message.get_mut("return") {
                return Ok(value.take());
            }
            if let Some(error) = message.get("error") {
                let why = error["desc"].as_str().unwrap_or("no description").to_owned();
                return Err(Error::host(format!("QEMU refused `{command}`")).because(why));
            }
        }
    }

    /// A command of the human monitor: savevm and loadvm have no simple QMP form. Its output is empty when it worked.
    pub fn human(&mut self, line: &str, limit: Duration) -> Result<String> {
        let output = self.execute("human-monitor-command", json!({ "command-line": line }), limit)?;
        Ok(output.as_str().unwrap_or_default().trim().to_owned())
    }

    fn receive(&mut self, end: Instant) -> Result<Value> {
        loop {
            if let Some(at) = self.rest.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=at).collect();
                let message: Value = serde_json::from_slice(&line)
                    .map_err(|e| Error::host("QEMU said something that is not QMP").because(e))?;
                if let Some(event) = message["event"].as_str() {
                    self.events.push(event.to_owned());
                    continue;
                }
                return Ok(message);
            }
            let mut buffer = [0; 8192];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(lost("QMP", "QEMU has ended")),
                Ok(n) => self.rest.extend_from_slice(&buffer[..n]),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {
                    if Instant::now() >= end {
                        return Err(lost("QMP", "QEMU does not answer"));
                    }
                }
                Err(e) => return Err(lost("QMP", e)),
            }
        }
    }
}

fn lost(doing: &str, cause: impl std::fmt::Display) -> Error {
    Error::host(format!("no answer from QEMU to `{doing}`")).because(cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufRead;

    /// A QEMU of four lines.
    fn pretend(answers: &'static [&'static str]) -> UnixStream {
        let (near, far) = UnixStream::pair().expect("socket pair");
        std::thread::spawn(move || {
            let mut write = far.try_clone().expect("clone");
            write.write_all(b"{\"QMP\": {}}\n").expect("greeting");
            let lines = std::io::BufReader::new(far).lines();
            for (_, answer) in lines.zip(answers) {
                write.write_all(answer.as_bytes()).expect("answer");
            }
        });
        near
    }

    #[test]
    fn answers_events_and_refusals_are_told_apart() {
        let stream = pretend(&[
            "{\"return\": {}}\n",
            "{\"event\": \"RESET\"}\n{\"return\": {\"status\": \"running\"}}\n",
            "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no such disk\"}}\n",
        ]);
        let limit = Duration::from_secs(5);
        let mut qmp = Qmp::connect(stream, limit).expect("connect");
        assert_eq!(qmp.execute("query-status", json!({}), limit).expect("status")["status"], "running");
        assert_eq!(qmp.events, ["RESET"]);
        let refused = qmp.execute("eject", json!({}), limit).expect_err("refused");
        assert_eq!(refused.cause.as_deref(), Some("no such disk"));
    }

    #[test]
    fn a_qemu_that_ends_or_hangs_is_an_error_in_time() {
        let (near, far) = UnixStream::pair().expect("socket pair");
        let hung = Qmp::connect(near.try_clone().expect("clone"), Duration::from_millis(10)).expect_err("hung");
        assert_eq!(hung.cause.as_deref(), Some("QEMU does not answer"));
        drop(far);
        let ended = Qmp::connect(near, Duration::from_secs(5)).expect_err("ended");
        assert_eq!(ended.cause.as_deref(), Some("QEMU has ended"));
    }
}
