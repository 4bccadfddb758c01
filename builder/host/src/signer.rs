//! A signature from a program that the user names: it has the key, or reaches the device that has.

use diorite_model::{Error, Result};
use std::io::Write as _;
use std::process::{Command, Stdio};

/// More is no signature.
const LONGEST: usize = 64 << 10;

/// Gives the program the message on its standard input, and returns what it prints. It may ask the person at the terminal. The
/// variable `DIORITE_SIGN` says what the message is about.
///
/// # Errors
/// [`diorite_model::Exit::Input`]: it cannot be started, fails, or prints nothing or far too much.
pub fn ask(command: &str, about: &str, message: &[u8]) -> Result<Vec<u8>> {
    let error = |why: String| {
        Error::input(format!("the {about} was not signed"))
            .at(format!("program `{command}`"))
            .because(why)
            .hint("run it yourself: it gets bytes on stdin, and prints their RSA signature (PKCS #1 v1.5, SHA-256)")
    };
    let mut child = Command::new("/bin/sh")
        .args(["-c", command])
        .env("DIORITE_SIGN", about)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(|e| error(e.to_string()))?;
    // One that does not read to the end may still answer; the answer is judged.
    let _ = child.stdin.take().expect("it is piped").write_all(message);
    let output = child.wait_with_output().map_err(|e| error(e.to_string()))?;
    if !output.status.success() {
        return Err(error(format!("it ended with {}", output.status)));
    }
    match output.stdout.len() {
        0 => Err(error("it printed nothing".into())),
        n if n > LONGEST => Err(error(format!("it printed {n} bytes, and a signature has a few hundred"))),
        _ => Ok(output.stdout),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(command: &str) -> String {
        ask(command, "boot loader", b"message").expect_err("no signature").to_string()
    }

    #[test]
    fn an_answer_is_what_the_program_prints() {
        assert_eq!(ask("cat", "boot loader", b"message").expect("an answer"), b"message");
        assert_eq!(ask("printf %s \"$DIORITE_SIGN\"", "boot loader", b"message").expect("an answer"), b"boot loader");
        // It need not read what it is given.
        assert_eq!(ask("echo -n x", "boot loader", &vec![7; 1 << 20]).expect("an answer"), b"x");
    }

    #[test]
    fn a_program_that_fails_is_told() {
        let all = ["exit 3", "true", "head -c 70000 /dev/zero", "printf x; exit 1"].map(said);
        insta::assert_snapshot!(all.join("\n"));
    }
}
