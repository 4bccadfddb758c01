//! A program that a person names, asked something: bytes go in on its standard input, its standard output is the answer.

use diorite_model::{Error, Exit, Result};
use std::io::{ErrorKind, Read as _, Write as _};
use std::process::{Command, Stdio};

/// Runs a program, without a shell, with these bytes on its standard input; what it prints is the answer, of at most `most` bytes.
/// Its stderr is ours, and it may ask the person on the terminal. `noun` says in errors what it is: `signer`.
///
/// # Errors
/// [`Exit::Host`]: it cannot be started, failed, or printed more. [`Exit::Input`]: no program is named.
pub fn of_program(words: &[String], input: &[u8], most: usize, noun: &str) -> Result<Vec<u8>> {
    let place = format!("program `{}`", words.join(" "));
    let Some((program, arguments)) = words.split_first() else {
        return Err(Error::input(format!("no program is named as the {noun}")));
    };
    let failed = |why: String| {
        Error::new(Exit::Host, format!("the {noun} failed"))
            .at(place.clone())
            .because(why)
            .hint("run it yourself; no shell reads its words, so that quotes and variables stay as they are")
    };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut child = command.spawn().map_err(|e| failed(e.to_string()))?;
    let (mut stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let mut answer = Vec::new();
    let (written, read) = std::thread::scope(|scope| {
        let write = scope.spawn(move || stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(input)));
        let read = stdout.map_or(Ok(0), |stdout| stdout.take(most as u64 + 1).read_to_end(&mut answer));
        (write.join().unwrap_or(Ok(())), read)
    });
    if answer.len() > most {
        let _ = child.kill();
        let _ = child.wait();
        return Err(failed(format!("it printed more than {most} bytes")));
    }
    let status = child.wait().map_err(|e| failed(e.to_string()))?;
    read.map_err(|e| failed(e.to_string()))?;
    match (status.success(), written) {
        (false, _) => Err(failed(format!("it ended with {status}"))),
        // One that reads less than it is given may know enough.
        (true, Err(e)) if e.kind() != ErrorKind::BrokenPipe => Err(failed(e.to_string())),
        (true, _) => Ok(answer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str, input: &[u8]) -> Result<Vec<u8>> {
        of_program(&line.split(' ').map(str::to_owned).collect::<Vec<_>>(), input, 1 << 20, "signer")
    }

    #[test]
    fn bytes_go_in_and_come_out() {
        let large = vec![7; 1 << 20];
        assert_eq!(of("cat", &large).expect("an answer"), large);
        assert_eq!(of("true", &large).expect("nothing read"), b"");
    }

    #[test]
    fn one_that_fails_is_an_error() {
        let said = |line: &str, input: &[u8]| of(line, input).expect_err(line).to_string();
        assert!(
            said("false", b"x")
                .contains("the signer failed\n  at program `false`\n  because it ended with exit status: 1")
        );
        assert!(said("no-such-program-anywhere -x", b"").contains("No such file"));
        assert!(said("cat", &vec![0; (1 << 20) + 1]).contains("it printed more than 1048576 bytes"));
        assert!(said("cat /dev/zero", b"").contains("it printed more than"));
        assert_eq!(of_program(&[], b"", 1, "signer").expect_err("no program").exit, Exit::Input);
    }
}
