//! A mail server that takes every mail and keeps it: RFC 5321, without extensions, so that whoever insists on encryption
//! is told nothing.

use crate::listen::{Service, ServiceSession, SessionStep};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// A mail that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Whoever brought it.
    pub from: SocketAddr,
    /// What it called itself.
    pub hello: String,
    /// Its sender, of the envelope.
    pub sender: String,
    /// Its receivers, of the envelope.
    pub receivers: Vec<String>,
    /// Head and body as they came, lines ended by CR and LF, leading dots taken away.
    pub text: String,
}

impl Mail {
    /// A field of the head, folded lines joined (RFC 5322 §2.2.3).
    pub fn field(&self, name: &str) -> Option<String> {
        let (head, _) = self.text.split_once("\r\n\r\n").unwrap_or((&self.text, ""));
        let mut lines = head
            .split("\r\n")
            .skip_while(|line| !line.split_once(':').is_some_and(|(field, _)| field.eq_ignore_ascii_case(name)));
        let mut value = lines.next()?.split_once(':')?.1.trim().to_owned();
        for more in lines.take_while(|line| line.starts_with([' ', '\t'])) {
            value.push(' ');
            value.push_str(more.trim());
        }
        Some(value)
    }
}

/// Mails that are kept, the longest line of a command (RFC 5321 §4.5.3.1), and the longest mail.
const MOST: usize = 10_000;
const LINE: usize = 1000;
const LONGEST: usize = 128 << 10;

/// A server. Copies of the handle are the same server.
#[derive(Debug, Clone, Default)]
pub struct Smtp(Arc<Mutex<Vec<Mail>>>);

impl Smtp {
    /// Everything taken so far.
    pub fn mails(&self) -> Vec<Mail> {
        self.inner().clone()
    }

    fn inner(&self) -> MutexGuard<'_, Vec<Mail>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn service(&self) -> Service {
        let own = self.clone();
        Box::new(move |from| Box::new(SmtpSession::new(own.clone(), from)))
    }
}

/// A conversation; what it has of its next mail.
struct SmtpSession {
    own: Smtp,
    greeted: bool,
    data: bool,
    mail: Mail,
}

impl SmtpSession {
    fn new(own: Smtp, from: SocketAddr) -> Self {
        let (hello, sender, text) = (String::new(), String::new(), String::new());
        Self { own, greeted: false, data: false, mail: Mail { from, hello, sender, receivers: Vec::new(), text } }
    }

    /// Forgets the envelope, not who brings it.
    fn reset(&mut self) {
        self.mail.sender.clear();
        self.mail.receivers.clear();
        self.mail.text.clear();
        self.data = false;
    }

    /// The answer to a line; none within a mail.
    fn line(&mut self, line: &str) -> Option<&'static str> {
        if self.data {
            if line != "." {
                self.mail.text += line.strip_prefix('.').unwrap_or(line);
                self.mail.text += "\r\n";
                return None;
            }
            let mut all = self.own.inner();
            if all.len() < MOST {
                all.push(self.mail.clone());
            }
            drop(all);
            self.reset();
            return Some("250 taken");
        }
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let path = |key: &str| {
            let at = rest.get(..key.len()).filter(|start| start.eq_ignore_ascii_case(key))?.len();
            let path = rest[at..].trim_start().strip_prefix('<')?;
            path.split_once('>').map(|(path, _)| path.to_owned())
        };
        Some(match verb.to_ascii_uppercase().as_str() {
            "HELO" | "EHLO" if !rest.is_empty() => {
                self.reset();
                self.mail.hello = rest.to_owned();
                "250 mail.lab.test"
            }
            "MAIL" if !self.mail.hello.is_empty() => match path("FROM:") {
                Some(sender) => {
                    self.reset();
                    self.mail.sender = sender;
                    "250 sender taken"
                }
                None => "501 no such address",
            },
            "RCPT" if !self.mail.sender.is_empty() => match path("TO:") {
                Some(receiver) if !receiver.is_empty() => {
                    self.mail.receivers.push(receiver);
                    "250 receiver taken"
                }
                _ => "501 no such address",
            },
            "DATA" if !self.mail.receivers.is_empty() => {
                self.data = true;
                "354 go on"
            }
            "RSET" => {
                self.reset();
                "250 forgotten"
            }
            "NOOP" => "250 nothing done",
            "QUIT" => "221 bye",
            "HELO" | "EHLO" | "MAIL" | "RCPT" | "DATA" => "503 not now",
            _ => "502 not known",
        })
    }
}

impl ServiceSession for SmtpSession {
    fn step(&mut self, input: &mut Vec<u8>, ended: bool, output: &mut Vec<u8>, _: Instant) -> SessionStep {
        if !self.greeted {
            self.greeted = true;
            output.extend_from_slice(b"220 mail.lab.test ESMTP\r\n");
        }
        while let Some(end) = input.windows(2).position(|pair| pair == b"\r\n") {
            let line: Vec<u8> = input.drain(..end + 2).take(end).collect();
            let Some(answer) = self.line(&String::from_utf8_lossy(&line)) else { continue };
            output.extend_from_slice(answer.as_bytes());
            output.extend_from_slice(b"\r\n");
            if answer.starts_with("221") {
                return SessionStep::Close;
            }
        }
        if input.len() > LINE || self.mail.text.len() > LONGEST {
            return SessionStep::Reset;
        }
        if ended { SessionStep::Close } else { SessionStep::Wait }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A conversation byte by byte: what the server says, and how it ends.
    fn talk(smtp: &Smtp, said: &str) -> (String, SessionStep) {
        let mut session = smtp.service()("10.77.0.9:999".parse().expect("an address"));
        let (mut input, mut output, mut step) = (Vec::new(), Vec::new(), SessionStep::Wait);
        for byte in said.bytes() {
            input.push(byte);
            step = session.step(&mut input, false, &mut output, Instant::now());
            if step != SessionStep::Wait {
                break;
            }
        }
        (String::from_utf8(output).expect("text"), step)
    }

    #[test]
    fn a_mail_is_kept_as_it_came() {
        let smtp = Smtp::default();
        let said = "EHLO monitor\r\nMAIL FROM:<monitor@example.org> BODY=8BITMIME\r\nRCPT TO:<a@example.org>\r\n\
                    rcpt to: <b@example.org>\r\nDATA\r\nTo: a\r\nSubject: [FIRING:1]\r\n page-down\r\n\r\n..x\r\n.\r\nQUIT\r\n";
        let (answers, end) = talk(&smtp, said);
        let codes: Vec<&str> = answers.lines().filter_map(|l| l.get(..3)).collect();
        assert_eq!((codes, end), (vec!["220", "250", "250", "250", "250", "354", "250", "221"], SessionStep::Close));
        let [mail] = &smtp.mails()[..] else { panic!("one mail") };
        assert_eq!((mail.hello.as_str(), mail.sender.as_str()), ("monitor", "monitor@example.org"));
        assert_eq!(mail.receivers, ["a@example.org", "b@example.org"]);
        assert_eq!(mail.field("subject").as_deref(), Some("[FIRING:1] page-down"));
        assert!(mail.text.ends_with("\r\n\r\n.x\r\n") && mail.field("x").is_none());
    }

    #[test]
    fn what_is_out_of_order_is_refused() {
        let smtp = Smtp::default();
        for (said, code) in [
            ("MAIL FROM:<a@b>\r\n", "503"),
            ("EHLO\r\n", "503"),
            ("STARTTLS\r\n", "502"),
            ("EHLO x\r\nMAIL FROM:a@b\r\n", "501"),
            ("EHLO x\r\nMAIL FROM:<a@b>\r\nDATA\r\n", "503"),
            ("EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<>\r\n", "501"),
        ] {
            let (answers, _) = talk(&smtp, said);
            assert!(answers.lines().last().is_some_and(|l| l.starts_with(code)), "{said}: {answers}");
        }
        assert_eq!(talk(&smtp, &"x".repeat(2000)).1, SessionStep::Reset);
        assert!(smtp.mails().is_empty());
    }
}
