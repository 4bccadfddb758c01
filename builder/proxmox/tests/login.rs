//! Permission may not come in, and how it is said; tickets that are renewed, expire, and prove that a change was meant.

mod common;

use common::{client, client_with, environment, limits, simulator, steady};
use diorite_model::{Error, Exit};
use diorite_proxmox::client::{CallErrorKind, Method, Parameters, Path};
use diorite_proxmox::{Client, ClientLimits};
use diorite_proxmox_simulator::{Simulator, TestCertificate, USER, World};
use std::net::TcpListener;
use std::time::Duration;

fn version(client: &Client) -> Result<serde_json::Value, Error> {
    client.get(&Path::new(["version"]), &Parameters::none()).map_err(Error::from)
}

fn refused(client: &Client) -> String {
    let error = version(client).expect_err("it is refused");
    assert_eq!(error.exit, Exit::Remote);
    steady(&error)
}

/// By a password.
fn with_password(simulator: &Simulator, limits: ClientLimits) -> Client {
    let more = format!("user = \"{}\"\npassword_env = \"PVE_PASSWORD\"", USER.0);
    let environment = |name: &str| (name == "PVE_PASSWORD").then(|| USER.1.to_owned());
    client_with(&simulator.url(), &more, &environment, limits)
}

#[test]
fn a_wrong_token() {
    let simulator = simulator();
    let wrong = |name: &str| (name == "PVE_TOKEN").then(|| "deploy@pve!ci=no-such-secret".to_owned());
    let text = refused(&client_with(&simulator.url(), "", &wrong, limits()));
    assert!(!text.contains("no-such-secret"), "{text}");
    insta::assert_snapshot!(text);
    assert_eq!(simulator.requests().len(), 1, "a wrong token is not tried again: the host counts");
}

#[test]
fn a_wrong_password() {
    let simulator = simulator();
    let more = format!("user = \"{}\"\npassword_env = \"PVE_PASSWORD\"", USER.0);
    let wrong = |name: &str| (name == "PVE_PASSWORD").then(|| "guessed".to_owned());
    let text = refused(&client_with(&simulator.url(), &more, &wrong, limits()));
    assert!(!text.contains("guessed"), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn a_second_factor() {
    let simulator = simulator();
    simulator.world().second_factor = true;
    insta::assert_snapshot!(refused(&with_password(&simulator, limits())));
}

#[test]
fn a_ticket_serves_until_it_expires() {
    let simulator = simulator();
    let client = with_password(&simulator, limits());
    version(&client).expect("an answer");
    version(&client).expect("an answer");
    assert_eq!(simulator.world().ticket, 1, "one ticket serves for both");
    // The two hours are over, or the host was started anew.
    simulator.world().tickets.clear();
    version(&client).expect("with another ticket");
    assert_eq!(simulator.world().ticket, 2);
}

#[test]
fn a_ticket_is_renewed_in_time_by_itself() {
    let simulator = simulator();
    let client = with_password(&simulator, ClientLimits { ticket: Duration::ZERO, ..limits() });
    version(&client).expect("an answer");
    version(&client).expect("an answer");
    let passwords: Vec<_> = simulator
        .requests()
        .into_iter()
        .filter(|asked| asked.path == "/access/ticket")
        .map(|asked| asked.parameters.iter().any(|(name, value)| name == "password" && value == USER.1))
        .collect();
    assert_eq!(passwords, [true, false], "the second is fetched with the first");
}

#[test]
fn an_expired_ticket_whose_password_has_changed() {
    let simulator = simulator();
    let client = with_password(&simulator, limits());
    version(&client).expect("an answer");
    simulator.world().tickets.clear();
    simulator.fail("POST", "/access/ticket", diorite_proxmox_simulator::ApiFault::Status(401), usize::MAX);
    insta::assert_snapshot!(refused(&client));
}

/// The simulator refuses a change by ticket without the token that proves it was meant.
#[test]
fn changes_carry_the_token_against_forgery() {
    let simulator = simulator();
    simulator.world().grant("/storage/local", "Datastore.Allocate");
    let client = with_password(&simulator, limits());
    let path = Path::new(["nodes", "pve1", "storage", "local", "content", "local:import/x.qcow2"]);
    client.call(Method::Delete, &path, &Parameters::none()).expect("it is removed");
}

#[test]
fn nobody_there() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", free.local_addr().expect("an address"));
    drop(free);
    let plain = client_with(&url, "", &environment, limits());
    let vpn = client_with(
        &url,
        "vpn = \"connect to the school's VPN first (FortiClient, profile ADMIN)\"",
        &environment,
        limits(),
    );
    insta::assert_snapshot!(format!("{}\n{}", refused(&plain), refused(&vpn)));
}

#[test]
fn something_else_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let thread = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = listener.accept().expect("a connection");
        let _ = stream.read(&mut [0; 4096]);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").expect("an answer");
    });
    insta::assert_snapshot!(refused(&client_with(&url, "", &environment, limits())));
    thread.join().expect("it ends");
}

/// An error without the certificates' fingerprints.
fn masked(text: &str) -> String {
    let part = |c: char| c.is_ascii_hexdigit() || c == ':';
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(part) {
        let (before, behind) = rest.split_at(at);
        let run = &behind[..behind.find(|c: char| !part(c)).unwrap_or(behind.len())];
        out += before;
        // 32 pairs of digits, and what separates them.
        out += if run.len() == 95 { "FINGERPRINT" } else { run };
        rest = &behind[run.len()..];
    }
    out + rest
}

#[test]
fn a_pinned_certificate() {
    let (ours, another) = (TestCertificate::new(), TestCertificate::new());
    let simulator = Simulator::https(World::new(), &ours);
    let pinned = |c: &TestCertificate| format!("fingerprint = \"{}\"", c.fingerprint());
    version(&client_with(&simulator.url(), &pinned(&ours), &environment, limits()))
        .expect("the pinned one is believed");
    let client = client_with(&simulator.url(), &pinned(&another), &environment, limits());
    let failure = client.get(&Path::new(["version"]), &Parameters::none()).expect_err("not the pinned one");
    assert_eq!((failure.kind, failure.attempts), (CallErrorKind::Certificate, 1));
    // What is shown can be pinned as it stands.
    let hex: String = ours.fingerprint().to_uppercase().replace("SHA256:", "");
    let pairs: Vec<_> = hex.as_bytes().chunks(2).map(|c| String::from_utf8_lossy(c).into_owned()).collect();
    let text = refused(&client);
    assert!(text.contains(&format!("shown   {}", pairs.join(":"))), "{text}");
    insta::assert_snapshot!(masked(&text));
}

#[test]
fn an_authority_in_a_file() {
    let (ours, another) = (TestCertificate::new(), TestCertificate::new());
    let simulator = Simulator::https(World::new(), &ours);
    let directory = tempfile::tempdir().expect("a directory");
    let by = |c: &TestCertificate| {
        let file = directory.path().join("ca.pem");
        std::fs::write(&file, c.authority()).expect("a file");
        client_with(&simulator.url(), &format!("ca = \"{}\"", file.display()), &environment, limits())
    };
    version(&by(&ours)).expect("the authority vouches for it");
    let text = refused(&by(&another)).replace(&directory.path().display().to_string(), "DIRECTORY");
    insta::assert_snapshot!(masked(&text));
}

/// Nobody vouches for a host's own certificate until somebody says so.
#[test]
fn the_hosts_own_authorities() {
    let (ours, another) = (TestCertificate::new(), TestCertificate::new());
    let simulator = Simulator::https(World::new(), &ours);
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("bundle.pem");
    std::fs::write(&file, another.authority()).expect("a file");
    let bundle = file.display().to_string();
    let environment = move |name: &str| if name == "SSL_CERT_FILE" { Some(bundle.clone()) } else { environment(name) };
    insta::assert_snapshot!(masked(&refused(&client_with(&simulator.url(), "", &environment, limits()))));
}

/// Only what the five seconds of an idle connection leave is used again.
#[test]
fn a_connection_that_was_dropped_meanwhile() {
    let simulator = simulator();
    simulator.world().idle = Duration::from_millis(100);
    let client = client(&simulator);
    for _ in 0..4 {
        version(&client).expect("an answer, over a new connection if need be");
        std::thread::sleep(Duration::from_millis(120));
    }
}
