//! Certificates that an authority signs (RFC 8555): a service for each that has uacme(1) ask, its timer, and what answers the
//! authority's challenges on port 80 or in the DNS. The certificate goes the way of one that was given: the service of
//! `certificates` takes it.

use super::Guest;
use super::ini::{Ini, word};
use super::sandbox;
use diorite_model::recipe::{Acme, AcmeDns, ServerCertificate};
use diorite_model::{Recipe, Result};

const SCRIPT: &str = "usr/lib/diorite/acme";
const HTTP_HOOK: &str = "usr/lib/diorite/acme-http";
const DNS_HOOK: &str = "usr/lib/diorite/acme-dns";
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
    let hook = format!("/{}", if acme.dns.is_some() { DNS_HOOK } else { HTTP_HOOK });
    let words: Vec<String> = [&state, &acme.directory, acme.email.as_ref().unwrap_or(&String::new()), &hook]
        .into_iter()
        .chain(&certificate.names)
        .map(|argument| word(argument))
        .collect();
    let socket = if acme.dns.is_none() { format!(" {}", Acme::SOCKET) } else { String::new() };
    let asker = Ini::new()
        .section("Unit")
        .set("Description", format!("An authority signs certificate {name}"))
        .set("Wants", "network-online.target")
        .set("After", format!("network-online.target{socket}"))
        .set("OnSuccess", ServerCertificate::unit(name))
        .section("Service")
        .set("Type", "oneshot")
        .set("ExecStart", format!("/{SCRIPT} {}", words.join(" ")))
        .set("StateDirectory", state.trim_start_matches("/var/lib/"))
        .set("StateDirectoryMode", "0700")
        .set("TimeoutStartSec", "15min");
    let asker = match &acme.dns {
        None => asker
            .set("RuntimeDirectory", Acme::CHALLENGES.trim_start_matches("/run/"))
            .set("RuntimeDirectoryMode", "0755")
            .set("RuntimeDirectoryPreserve", "yes"),
        Some(dns) => updates(asker, dns),
    };
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

/// What the hook of DNS-01 is told. What it has left behind goes however the service ends.
fn updates(asker: Ini, dns: &AcmeDns) -> Ini {
    let servers = dns.servers().map(String::as_str).collect::<Vec<_>>().join(" ");
    let variables = [
        ("ACME_DNS_SERVERS", servers),
        ("ACME_DNS_ZONE", dns.zone.clone()),
        ("ACME_DNS_KEY", format!("{}:{}", dns.algorithm.name(), dns.key)),
    ];
    asker
        .each("Environment", variables.map(|(name, value)| word(&format!("{name}={value}"))))
        .set("LoadCredential", format!("{}:{}", AcmeDns::CREDENTIAL, dns.credential))
        .set("ExecStopPost", format!("/{DNS_HOOK} clean"))
}

/// The programs that [`generate`]'s services run, and what answers challenges.
pub(super) fn answers(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    if recipe.asks_authorities() {
        guest.file(SCRIPT, 0o755, include_bytes!("acme.sh").to_vec())?;
    }
    if recipe.challenge_credentials().next().is_some() {
        guest.file(DNS_HOOK, 0o755, include_bytes!("acme-dns.sh").to_vec())?;
    }
    if !recipe.answers_authorities() {
        return Ok(());
    }
    guest.file(HTTP_HOOK, 0o755, include_bytes!("acme-http.sh").to_vec())?;
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

    /// The hook of DNS-01 with the host's sh, beside programs that note what they are told.
    struct Hook {
        directory: tempfile::TempDir,
    }

    impl Hook {
        fn new() -> Self {
            let hook = Self { directory: tempfile::tempdir().unwrap() };
            hook.program("acme-dns", include_str!("acme-dns.sh"));
            hook.program(
                "knsupdate",
                "#!/bin/sh\n{ echo \"knsupdate $*\"; cat; } >>log\ncat said; exit $(cat status)\n",
            );
            hook.program("kdig", "#!/bin/sh\necho \"kdig $*\" >>log\ncat shown\n");
            // A clock by which half a minute goes by between two looks at it.
            hook.program("date", "#!/bin/sh\nn=$(($(cat clock) + 30)); echo $n | tee clock\n");
            hook.program("sleep", "#!/bin/sh\n");
            for (file, text) in
                [("clock", "0"), ("tsig", "c2VjcmV0\n"), ("said", ""), ("status", "0"), ("shown", "\"an-swer\"\n")]
            {
                hook.put(file, text);
            }
            hook
        }
        fn put(&self, name: &str, text: &str) {
            fs::write(self.directory.path().join(name), text).unwrap();
        }
        fn program(&self, name: &str, text: &str) {
            self.put(name, text);
            let path = self.directory.path().join(name);
            assert!(Command::new("chmod").arg("0755").arg(path).status().unwrap().success());
        }
        /// Whether it succeeds, what it was told to say, and which commands its programs got.
        fn run(&self, arguments: &[&str]) -> (bool, String, String) {
            let at = self.directory.path();
            let output = Command::new("/bin/sh")
                .arg(at.join("acme-dns"))
                .args(arguments)
                .current_dir(at)
                .env("PATH", format!("{}:/usr/bin:/bin", at.display()))
                .env("STATE_DIRECTORY", at)
                .env("CREDENTIALS_DIRECTORY", at)
                .env("ACME_DNS_SERVERS", "192.0.2.53 192.0.2.54")
                .env("ACME_DNS_ZONE", "a.example")
                .env("ACME_DNS_KEY", "hmac-sha256:a.example")
                .output()
                .unwrap();
            let log = fs::read_to_string(at.join("log")).unwrap_or_default();
            let _ = fs::remove_file(at.join("log"));
            (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned(), log)
        }
        fn listed(&self) -> usize {
            fs::read_dir(self.directory.path().join("records")).map_or(0, Iterator::count)
        }
    }

    const BEGIN: [&str; 5] = ["begin", "dns-01", "www.a.example", "to-ken", "an-swer"];
    const DELETE: &str = "update delete _acme-challenge.www.a.example.  TXT \"an-swer\"\n";

    #[test]
    fn a_record_is_added_seen_by_every_server_and_deleted() {
        let hook = Hook::new();
        let (good, said, log) = hook.run(&BEGIN);
        assert!(good, "{said}");
        assert_eq!(
            log,
            "knsupdate --tcp --timeout 20\nserver 192.0.2.53\nzone a.example.\nkey hmac-sha256:a.example c2VjcmV0\n\
             update add _acme-challenge.www.a.example. 0 TXT \"an-swer\"\nsend\n\
             kdig +short +tcp +norecurse +retry=0 +timeout=5 @192.0.2.53 TXT _acme-challenge.www.a.example.\n\
             kdig +short +tcp +norecurse +retry=0 +timeout=5 @192.0.2.54 TXT _acme-challenge.www.a.example.\n"
        );
        assert_eq!(hook.listed(), 1);
        let (good, _, log) = hook.run(&["failed", "dns-01", "www.a.example", "to-ken", "an-swer"]);
        assert!(good && log.contains(DELETE), "{log}");
        assert_eq!(hook.listed(), 0);
    }

    #[test]
    fn a_record_that_no_server_shows_is_deleted() {
        let hook = Hook::new();
        hook.put("shown", "\"an-swer2\"\n");
        let (good, said, log) = hook.run(&BEGIN);
        assert!(!good && said == "<4>192.0.2.53 does not show _acme-challenge.www.a.example\n", "{said}");
        assert!(log.ends_with(&format!("{DELETE}send\n")), "{log}");
        assert_eq!(hook.listed(), 0);
    }

    #[test]
    fn what_may_have_been_added_is_deleted_later() {
        let hook = Hook::new();
        hook.put("status", "1");
        hook.put("said", ";; ERROR: reply verification (failed to verify TSIG)\n;; ->>HEADER<<- opcode: UPDATE; status: BADKEY; id: 1\n");
        let (good, said, _) = hook.run(&BEGIN);
        assert!(!good && said.contains("did not add") && said.contains("status: BADKEY"), "{said}");
        assert_eq!((said.lines().count(), hook.listed()), (1, 0));
        hook.put("said", ";; ERROR: failed to receive response (network timeout)\n");
        assert!(!hook.run(&BEGIN).0);
        assert_eq!(hook.listed(), 1);
        // Whoever cannot delete it keeps it in mind, and is no failure.
        assert!(hook.run(&["clean"]).0);
        assert_eq!(hook.listed(), 1);
        hook.put("status", "0");
        let (good, _, log) = hook.run(&["clean"]);
        assert!(good && log.contains(DELETE), "{log}");
        assert_eq!(hook.listed(), 0);
        assert!(hook.run(&["clean"]).2.is_empty());
    }

    #[test]
    fn nothing_of_an_authority_or_a_credential_is_a_command() {
        let hook = Hook::new();
        for hostile in ["a\nsend", "a b", "a\"", "../a", "a;b"] {
            for at in 2..5 {
                let mut arguments = BEGIN;
                arguments[at] = hostile;
                let (good, _, log) = hook.run(&arguments);
                assert!(!good && log.is_empty(), "{hostile:?} {at}: {log}");
            }
        }
        let mut other = BEGIN;
        other[1] = "http-01";
        assert!(!hook.run(&other).0);
        hook.put("tsig", "c2Vj\nserver 192.0.2.99");
        let (good, said, log) = hook.run(&BEGIN);
        assert!(!good && log.is_empty(), "{log}");
        assert_eq!(said, "<4>the credential with the key a.example is not base64\n");
        assert_eq!(hook.listed(), 0);
    }
}
