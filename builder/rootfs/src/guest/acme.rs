//! Certificates that an authority signs (RFC 8555): a service for each that has uacme(1) ask, its timer, and what answers the
//! authority's challenges on port 80. The certificate goes the way of one that was given: the service of `certificates` takes it.

use super::Guest;
use super::ini::{Ini, word};
use super::sandbox;
use diorite_model::recipe::{Acme, ServerCertificate};
use diorite_model::{Recipe, Result};

const SCRIPT: &str = "usr/lib/diorite/acme";
const ANSWER: &str = "usr/lib/diorite/acme-answer";

/// It asks an authority, and writes its own directories.
const ASKER: &[(&str, &str)] = &[
    ("PrivateNetwork", ""),
    ("IPAddressDeny", ""),
    ("RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX"),
    ("ProtectProc", "invisible"),
    ("ProcSubset", "pid"),
    ("TasksMax", "32"),
];
/// It reads the answers, and has one connection as its input and output.
const ANSWERER: &[(&str, &str)] =
    &[("ProtectProc", "invisible"), ("ProcSubset", "pid"), ("TasksMax", "8"), ("MemoryMax", "16M")];

/// Writes the units of a certificate that an authority signs. What was signed is in the file that this returns.
pub(super) fn generate(guest: &mut Guest, name: &str, certificate: &ServerCertificate) -> Result<Option<String>> {
    let Some(acme) = &certificate.acme else { return Ok(None) };
    let (unit, state) = (Acme::unit(name), Acme::state(name));
    let words: Vec<String> = [&state, &acme.directory, acme.email.as_ref().unwrap_or(&String::new())]
        .into_iter()
        .chain(&certificate.names)
        .map(|argument| word(argument))
        .collect();
    let directory = Acme::CHALLENGES.trim_start_matches("/run/");
    let asker = Ini::new()
        .section("Unit")
        .set("Description", format!("An authority signs certificate {name}"))
        .set("Wants", "network-online.target")
        .set("After", format!("network-online.target {}", Acme::SOCKET))
        .set("OnSuccess", ServerCertificate::unit(name))
        .section("Service")
        .set("Type", "oneshot")
        .set("ExecStart", format!("/{SCRIPT} {}", words.join(" ")))
        .set("StateDirectory", state.trim_start_matches("/var/lib/"))
        .set("StateDirectoryMode", "0700")
        .set("RuntimeDirectory", directory)
        .set("RuntimeDirectoryMode", "0755")
        .set("RuntimeDirectoryPreserve", "yes")
        .set("TimeoutStartSec", "15min");
    guest.unit(&unit, &sandbox::closed(asker, ASKER))?;
    let timer = Ini::new()
        .section("Unit")
        .set(
            "Description",
            format!("Certificate {name}, once the network is there and every hour: most hours nobody is asked"),
        )
        .section("Timer")
        .set("OnBootSec", "1min")
        .set("OnUnitInactiveSec", "1h")
        .set("RandomizedDelaySec", "1min")
        .section("Install")
        .set("WantedBy", "timers.target");
    let timer_unit = unit.replace(".service", ".timer");
    guest.unit(&timer_unit, &timer)?;
    guest.enable(&timer_unit)?;
    Ok(Some(format!("{state}/given.pem")))
}

/// The programs that [`generate`]'s services run, and what answers challenges.
pub(super) fn answers(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    if !recipe.asks_authorities() {
        return Ok(());
    }
    guest.file(SCRIPT, 0o755, include_bytes!("acme.sh").to_vec())?;
    guest.file(ANSWER, 0o755, include_bytes!("acme-answer.sh").to_vec())?;
    let socket = Ini::new()
        .section("Unit")
        .set("Description", "Challenges of certificate authorities")
        .section("Socket")
        .set("ListenStream", Acme::PORT.to_string())
        .set("Accept", "yes")
        .set("MaxConnections", "64")
        // Whoever asks too often is refused, and does not end it.
        .set("TriggerLimitIntervalSec", "0")
        .section("Install")
        .set("WantedBy", "sockets.target");
    guest.unit(Acme::SOCKET, &socket)?;
    guest.enable(Acme::SOCKET)?;
    let answerer = Ini::new()
        .section("Unit")
        .set("Description", "The answer to a certificate authority")
        .set("CollectMode", "inactive-or-failed")
        .section("Service")
        .set("ExecStart", format!("-/usr/bin/timeout 10 /{ANSWER} {}", Acme::CHALLENGES))
        .set("StandardInput", "socket")
        .set("StandardError", "journal")
        .set("DynamicUser", "yes");
    guest.unit(&Acme::SOCKET.replace(".socket", "@.service"), &sandbox::closed(answerer, ANSWERER))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    /// The host's sh.
    #[test]
    fn only_answers_are_served_and_everything_else_is_sent_to_tls() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("answer"), include_bytes!("acme-answer.sh")).unwrap();
        fs::create_dir(path("challenges")).unwrap();
        fs::write(path("challenges/to-ken_1"), "to-ken_1.thumb").unwrap();
        fs::write(path("secret"), "a secret").unwrap();
        let asked = |request: &str| {
            let mut child = Command::new("/bin/sh")
                .arg(path("answer"))
                .arg(path("challenges"))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            child.stdin.take().unwrap().write_all(request.as_bytes()).unwrap();
            String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
        };
        let at = |target: &str| asked(&format!("GET {target} HTTP/1.1\r\nHost: web.example:80\r\n\r\n"));
        let good = at("/.well-known/acme-challenge/to-ken_1");
        assert!(good.starts_with("HTTP/1.1 200 OK\r\nContent-Length: 14\r\n"), "{good}");
        assert!(good.ends_with("\r\n\r\nto-ken_1.thumb"), "{good}");
        for none in ["/.well-known/acme-challenge/other", "/.well-known/acme-challenge/../../secret"] {
            assert!(at(none).starts_with("HTTP/1.1 404 "), "{none}: {}", at(none));
        }
        assert!(at("/a?b=c").contains("\r\nLocation: https://web.example/a?b=c\r\n"), "{}", at("/a?b=c"));
        for hostile in ["GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "GET /\tx HTTP/1.1\r\nHost: a\r\n\r\n", "GET /\r\n\r\n"]
        {
            assert!(asked(hostile).starts_with("HTTP/1.1 404 "), "{hostile:?}: {}", asked(hostile));
        }
        assert_eq!(asked(""), "");
    }
}
