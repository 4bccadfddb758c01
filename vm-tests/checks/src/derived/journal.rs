//! Errors in the journal: every one is the image's fault but those that have a reason here. Words of containers are none:
//! podman marks whatever a program says on its standard error as an error, and httpd's log goes there.

use crate::{
    answer::{Judged, verdict},
    check::Check,
};
use diorite_machine::Output;
use serde_json::Value;

/// Messages of this boot of priority `err` and worse, syslog(3), a line of JSON each, journalctl(1). A file that journald is
/// beginning at that very moment is left out, which it says: then the answer is not whole, and is asked for again.
const COMMAND: &str = "for turn in 1 2 3 4 5; do \
    said=$(journalctl -b -p err -o json --output-fields=SYSLOG_IDENTIFIER,MESSAGE,CONTAINER_NAME --no-pager 2>&1); \
    status=$?; case $said in *' is truncated, ignoring file.'*) ;; *) break ;; esac; done; \
    printf '%s\\n' \"$said\"; echo status:$status";

/// Whose message, a text in it, and why it is no fault.
const EXCUSED: [(&str, &str, &str); 3] = [
    (
        "systemd-journal-upload",
        "Upload to ",
        "the server that takes the journal is no part of the lab; what has not arrived is sent later",
    ),
    (
        "sshd-session",
        "kex_exchange_identification: ",
        "whoever asks for the banner alone, as this verification and every scanner do, hangs up before keys are exchanged",
    ),
    (
        "systemd-growfs",
        "crypt_resize() of ",
        "LUKS2 keeps its key in the kernel, so that a mapping cannot be resized; it has the partition's size when it is opened",
    ),
];

/// How many are told.
const TOLD: usize = 4;

/// The journal of this boot.
pub fn check() -> Check {
    Check::script("journal", "no unexpected errors in the journal", COMMAND, judge)
}

/// Whether every error is one of the excused.
fn judge(output: &Output) -> Judged {
    let (mut wrong, mut excused) = (Vec::new(), 0);
    let mut lines = output.text.lines().filter(|l| !l.is_empty()).peekable();
    while let Some(line) = lines.next() {
        if lines.peek().is_none() {
            if line != "status:0" {
                return Err(format!("the journal cannot be read: {line}"));
            }
            continue;
        }
        let Ok(entry) = serde_json::from_str::<Value>(line) else { return Err(format!("journalctl says: {line}")) };
        let (who, what) = (text(&entry["SYSLOG_IDENTIFIER"]), text(&entry["MESSAGE"]));
        if !entry["CONTAINER_NAME"].is_null() {
            continue;
        }
        match EXCUSED.iter().any(|(name, words, _)| *name == who && what.contains(words)) {
            true => excused += 1,
            false => wrong.push(format!("{who}: {}", what.lines().next().unwrap_or_default())),
        }
    }
    let seen = match wrong.len() {
        0 => format!("none, {excused} with a reason"),
        n => format!("{n}: {}", wrong[..n.min(TOLD)].join("; ")),
    };
    verdict(wrong.is_empty() && output.text.contains("status:"), seen)
}

/// A field: text, or an array of bytes where it is not UTF-8, systemd.journal-fields(7).
fn text(field: &Value) -> String {
    match field {
        Value::String(text) => text.clone(),
        Value::Array(bytes) => {
            let bytes: Vec<u8> = bytes.iter().filter_map(|b| u8::try_from(b.as_u64()?).ok()).collect();
            String::from_utf8_lossy(&bytes).into_owned()
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Judged {
        judge(&Output { status: 0, text: text.to_owned() })
    }

    #[test]
    fn an_error_is_told_unless_it_has_a_reason() {
        let entry = |who: &str, what: &str| {
            serde_json::json!({ "SYSLOG_IDENTIFIER": who, "MESSAGE": what, "__CURSOR": "x" }).to_string()
        };
        let hung_up = entry("sshd-session", "error: kex_exchange_identification: read: Connection reset by peer");
        assert_eq!(said("status:0"), Ok("none, 0 with a reason".into()));
        assert_eq!(said(&format!("{hung_up}\nstatus:0")), Ok("none, 1 with a reason".into()));
        let wrong = entry("kernel", "I/O error, dev vda\nand more");
        assert_eq!(said(&format!("{hung_up}\n{wrong}\nstatus:0")), Err("1: kernel: I/O error, dev vda".into()));
        let contained = r#"{"SYSLOG_IDENTIFIER":"web","MESSAGE":"response:200","CONTAINER_NAME":"web"}"#;
        assert!(said(&format!("{contained}\nstatus:0")).is_ok());
        let disguised = hung_up.replace("sshd-session", "app");
        assert!(said(&format!("{disguised}\nstatus:0")).is_err(), "another one's words");
        let encrypted = entry("systemd-growfs", "crypt_resize() of /dev/vda6 failed: Operation not permitted");
        assert_eq!(said(&format!("{encrypted}\nstatus:0")), Ok("none, 1 with a reason".into()));
        let bytes = r#"{"SYSLOG_IDENTIFIER":"app","MESSAGE":[66,97,100,255]}"#;
        assert_eq!(said(&format!("{bytes}\nstatus:0")), Err("1: app: Bad\u{fffd}".into()));
        for nothing in ["", "status:1", "No journal files were found.\nstatus:0"] {
            assert!(said(nothing).is_err(), "{nothing:?} proves nothing");
        }
    }
}
