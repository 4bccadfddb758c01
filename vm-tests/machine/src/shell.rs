//! A root shell on a virtio-serial port: one command at a time, status and output. It does not use the network, so a
//! firewall cannot hide it, and it leaves no trace on the disk.

use crate::credentials::SHELL_READY;
use diorite_model::{Error, Exit, Result};
use std::{
    io::{ErrorKind, Read, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

/// What a command gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Exit status.
    pub status: i32,
    /// Standard output and error together, without trailing white space.
    pub text: String,
}

impl Output {
    /// Exit status 0.
    pub fn success(&self) -> bool {
        self.status == 0
    }
}

#[derive(Debug)]
pub(crate) struct Shell {
    stream: UnixStream,
    received: Vec<u8>,
    /// Bytes ever received: a sign of life.
    pub(crate) bytes: u64,
    commands: u64,
}

impl Shell {
    pub(crate) fn new(stream: UnixStream) -> Result<Self> {
        let timeout = stream.set_read_timeout(Some(Duration::from_millis(200)));
        timeout.map_err(|e| Error::host("the shell's port cannot be used").because(e))?;
        Ok(Self { stream, received: Vec::new(), bytes: 0, commands: 0 })
    }

    /// A second handle on the port.
    pub(crate) fn port(&self) -> Result<UnixStream> {
        self.stream.try_clone().map_err(|e| Error::host("no second handle on the shell's port").because(e))
    }

    /// Reads what is there, for at most a fifth of a second.
    fn read(&mut self) -> Result<()> {
        let mut buffer = [0; 65536];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err(Error::new(Exit::VerificationFailed, "the machine has ended while its shell was asked")),
            Ok(n) => {
                self.bytes += n as u64;
                self.received.extend_from_slice(&buffer[..n]);
                Ok(())
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {
                Ok(())
            }
            Err(e) => Err(Error::host("the shell's port cannot be read").because(e)),
        }
    }

    /// Takes everything up to and with `mark` out of what was received.
    fn until(&mut self, mark: &str) -> Option<Vec<u8>> {
        let at = self.received.windows(mark.len()).position(|w| w == mark.as_bytes())?;
        let taken = self.received.drain(..at + mark.len()).collect::<Vec<u8>>();
        Some(taken[..at].to_vec())
    }

    /// Waits for the shell's first word.
    pub(crate) fn wait_ready(&mut self, patience: &mut dyn FnMut(u64) -> Result<()>) -> Result<()> {
        while self.until(&format!("{SHELL_READY}\n")).is_none() {
            patience(self.bytes)?;
            self.read()?;
        }
        Ok(())
    }

    /// Looks for the shell's first word for at most a fifth of a second.
    pub(crate) fn try_ready(&mut self) -> bool {
        // A port that is closed says nothing any more.
        self.read().is_ok() && self.until(&format!("{SHELL_READY}\n")).is_some()
    }

    /// Runs one command with sh(1).
    pub(crate) fn run(&mut self, command: &str, patience: &mut dyn FnMut(u64) -> Result<()>) -> Result<Output> {
        self.commands += 1;
        // Whatever was said before is no answer to this.
        self.received.clear();
        let mark = format!("diorite-{}-done", self.commands);
        let quoted = command.replace('\'', r"'\''");
        // The command reads nothing of what we send after it. The mark is put together by the shell, so that an echo
        // of this line could never be taken for the answer.
        let line = format!(
            "/bin/sh -c '{quoted}' </dev/null 2>&1; printf '\\n%s %d\\n' 'diorite-''{}-done' $?\n",
            self.commands
        );
        self.write(line.as_bytes(), patience)?;
        let text = loop {
            if let Some(text) = self.until(&format!("\n{mark} ")) {
                break text;
            }
            patience(self.bytes)?;
            self.read()?;
        };
        let status = loop {
            if let Some(number) = self.until("\n") {
                break String::from_utf8_lossy(&number).trim().parse().unwrap_or(-1);
            }
            patience(self.bytes)?;
            self.read()?;
        };
        Ok(Output { status, text: String::from_utf8_lossy(&text).trim_end().to_owned() })
    }

    fn write(&mut self, mut bytes: &[u8], patience: &mut dyn FnMut(u64) -> Result<()>) -> Result<()> {
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(n) => bytes = &bytes[n..],
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {
                    patience(self.bytes)?;
                }
                Err(e) => return Err(Error::new(Exit::VerificationFailed, "the shell takes no command").because(e)),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    /// The host's own sh on the other end of the socket pair.
    fn local() -> Shell {
        let (near, far) = UnixStream::pair().expect("socket pair");
        let end = || Stdio::from(std::os::fd::OwnedFd::from(far.try_clone().expect("clone")));
        let mut child = Command::new("/bin/sh")
            .args(["-c", &format!("echo noise; echo {SHELL_READY}; exec /bin/sh")])
            .stdin(end())
            .stdout(end())
            .spawn()
            .expect("sh");
        std::thread::spawn(move || child.wait());
        Shell::new(near).expect("shell")
    }

    fn patience() -> impl FnMut(u64) -> Result<()> {
        let end = std::time::Instant::now() + Duration::from_secs(20);
        move |_| if std::time::Instant::now() < end { Ok(()) } else { Err(Error::bug("sh does not answer")) }
    }

    #[test]
    fn status_and_output_of_each_command() {
        let mut shell = local();
        shell.wait_ready(&mut patience()).expect("ready");
        let mut run = |command: &str| shell.run(command, &mut patience()).expect("an answer");
        assert_eq!(run("echo one; echo two >&2"), Output { status: 0, text: "one\ntwo".to_owned() });
        assert_eq!(run("exit 3"), Output { status: 3, text: String::new() });
        assert_eq!(run("printf 'it'\"'\"'s'").text, "it's");
        assert_eq!(run("cat").text, "", "a command cannot eat the next one");
        let long = run("i=0; while [ $i -lt 20000 ]; do echo 0123456789; i=$((i+1)); done");
        assert_eq!((long.status, long.text.len()), (0, 20_000 * 11 - 1));
        assert_eq!(run("kill -9 $$").status, 137);
    }

    #[test]
    fn impatience_and_the_end_of_the_machine_are_errors() {
        let (near, far) = UnixStream::pair().expect("socket pair");
        let mut shell = Shell::new(near).expect("shell");
        let mut impatient = |_| Err(Error::input("enough"));
        assert_eq!(shell.wait_ready(&mut impatient).expect_err("impatient").what, "enough");
        drop(far);
        let ended = shell.wait_ready(&mut patience()).expect_err("ended");
        assert_eq!(ended.exit, Exit::VerificationFailed);
    }
}
