//! Input for a shell inside the machine, over a port that carries bytes and knows no end of input: the injected shell
//! starts another one behind a pipe, and lets it have what comes in lines of octal numbers.

/// What begins a line that is about the shell, not of it: a record separator, which ordinary output does not contain. `begin`
/// follows when it takes letters, its status when it has ended.
const MARK: &[u8] = b"\x1ediorite-shell ";
/// Letters in one line.
const LINE: usize = 200;

/// One shell.
pub(super) struct StdinPump {
    interactive: bool,
    begun: bool,
    /// What may be the beginning of the mark.
    held: Vec<u8>,
}

impl StdinPump {
    /// A shell that shows a prompt, or one that reads commands and says nothing by itself.
    pub fn new(interactive: bool) -> Self {
        Self { interactive, begun: false, held: Vec::new() }
    }

    /// What starts it.
    pub fn first(&self) -> Vec<u8> {
        // No terminal is behind the port: bash says so once, and shows its prompt.
        let prompt = r"if command -v bash >/dev/null; then PS1='\u@\h:\w\$ ' bash --norc --noprofile --noediting -i; else sh -i; fi";
        let shell = if self.interactive { prompt } else { "sh" };
        format!(
            "printf '\\036diorite-shell begin\\n'; \
             while IFS= read -r l && test \"$l\" != -; do printf %b \"$l\"; done 2>/dev/null | \
             {{ ( {shell} ) 2>&1; printf '\\036diorite-shell %d\\n' $?; }}\n"
        )
        .into_bytes()
    }

    /// Whether it takes letters. Whatever is sent before, the injected shell may take for its own.
    pub fn begun(&self) -> bool {
        self.begun
    }

    /// These letters, as it is to be told.
    pub fn letters(&self, letters: &[u8]) -> Vec<u8> {
        let line =
            |part: &[u8]| part.iter().map(|b| format!("\\0{b:03o}")).chain(["\n".to_owned()]).collect::<String>();
        letters.chunks(LINE).map(line).collect::<String>().into_bytes()
    }

    /// There are no more.
    pub fn last(&self) -> Vec<u8> {
        b"-\n".to_vec()
    }

    /// Takes what came from the port and appends what the shell said to `out`. Its status, once it has ended.
    pub fn heard(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Option<i32> {
        self.held.extend_from_slice(bytes);
        loop {
            let Some(at) = self.held.iter().position(|b| *b == MARK[0]) else {
                out.append(&mut self.held);
                return None;
            };
            out.extend(self.held.drain(..at));
            let known = self.held.len().min(MARK.len());
            if self.held[..known] != MARK[..known] {
                // Only a letter like it.
                out.extend(self.held.drain(..1));
                continue;
            }
            let rest = self.held.get(MARK.len()..)?;
            let end = rest.iter().position(|b| *b == b'\n')?;
            let word = String::from_utf8_lossy(&rest[..end]).into_owned();
            self.held.drain(..MARK.len() + end + 1);
            if word != "begin" {
                return Some(word.parse().unwrap_or(-1));
            }
            self.begun = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{Read as _, Write as _},
        os::{fd::OwnedFd, unix::net::UnixStream},
        process::{Command, Stdio},
    };

    /// The host's own sh as the injected one: its input never ends.
    fn speak(script: &[u8]) -> (String, i32) {
        let (mut near, far) = UnixStream::pair().expect("socket pair");
        let end = || Stdio::from(OwnedFd::from(far.try_clone().expect("clone")));
        let mut child = Command::new("/bin/sh").stdin(end()).stdout(end()).stderr(end()).spawn().expect("sh");
        drop(far);
        near.set_read_timeout(Some(std::time::Duration::from_secs(20))).expect("timeout");
        let mut pump = StdinPump::new(false);
        near.write_all(&pump.first()).expect("write");
        let (mut out, mut bytes, mut told) = (Vec::new(), [0; 7], false);
        let status = loop {
            let n = match near.read(&mut bytes) {
                // A signal that another test has caught.
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                read => read.expect("it answers"),
            };
            assert!(n > 0, "it has ended: {out:?}");
            if let Some(status) = pump.heard(&bytes[..n], &mut out) {
                break status;
            }
            if pump.begun() && !std::mem::replace(&mut told, true) {
                near.write_all(&[pump.letters(script), pump.last()].concat()).expect("write");
            }
        };
        drop(near);
        child.kill().expect("sh");
        child.wait().expect("sh");
        (String::from_utf8_lossy(&out).into_owned(), status)
    }

    #[test]
    fn commands_are_run_in_one_shell_with_their_output_and_status() {
        assert_eq!(speak(b"x=1; cd /\npwd; echo $x >&2\n"), ("/\n1\n".into(), 0));
        assert_eq!(speak(b"exit 3\necho never\n"), (String::new(), 3));
        assert_eq!(
            speak(b"cat <<E\n\\0101 'it' \"is\" %d \xc3\xa4\nE\nfalse\n"),
            ("\\0101 'it' \"is\" %d \u{e4}\n".into(), 1)
        );
        assert_eq!(speak(b""), (String::new(), 0));
    }

    #[test]
    fn what_is_no_program_ends_with_the_input() {
        let (said, status) = speak(b"echo \"never ended");
        assert!(status != 0 && !said.is_empty(), "{said}: {status}");
    }

    #[test]
    fn the_mark_is_found_in_pieces_and_letters_like_it_pass() {
        let mut pump = StdinPump::new(false);
        let mut out = Vec::new();
        for piece in [&b"a\x1e"[..], b"b\x1edior", b"ite-shell beg", b"in\nc\x1ediorite-shell 4"] {
            assert_eq!(pump.heard(piece, &mut out), None);
        }
        assert!(pump.begun());
        assert_eq!((pump.heard(b"2\n", &mut out), out), (Some(42), b"a\x1ebc".to_vec()));
    }
}
