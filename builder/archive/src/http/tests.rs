//! The client against a server that misbehaves, and the texts of its errors.

use super::server::{Server, ServerAction};
use super::*;
use diorite_model::Exit;

/// Short enough for tests; a stall takes a quarter of a second to be noticed.
pub(crate) fn impatient() -> Options {
    Options {
        connect: Duration::from_secs(5),
        stall: Duration::from_millis(250),
        attempts: 3,
        pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(20),
        offline: false,
    }
}

pub(crate) fn client(options: Options) -> HttpClient {
    HttpClient::with_environment(options, &|_| None).unwrap()
}

fn body() -> Vec<u8> {
    (0..200_000u32).map(|i| (i % 251) as u8).collect()
}

#[test]
fn a_busy_server_is_asked_again() {
    for busy in [
        ServerAction::Status(503),
        ServerAction::Status(500),
        ServerAction::Status(429),
        ServerAction::Status(408),
        ServerAction::RetryAfter(503, 3600),
    ] {
        let server = Server::start();
        let url = server.file("/x", body(), &[busy, ServerAction::Serve]);
        assert_eq!(client(impatient()).get(&url, 1 << 20).unwrap(), body(), "{busy:?}");
        assert_eq!(server.asked().len(), 2, "{busy:?}");
    }
}

#[test]
fn a_broken_connection_is_tried_again() {
    for broken in [ServerAction::Cut(0), ServerAction::Cut(1000), ServerAction::Stall(0), ServerAction::Stall(1000)] {
        let server = Server::start();
        let url = server.file("/x", body(), &[broken, ServerAction::Serve]);
        assert_eq!(client(impatient()).get(&url, 1 << 20).unwrap(), body(), "{broken:?}");
        assert_eq!(server.asked().len(), 2, "{broken:?}");
    }
}

#[test]
fn what_is_final_is_not_asked_again() {
    for (act, kind) in [
        (ServerAction::Status(404), FailureKind::Gone),
        (ServerAction::Status(410), FailureKind::Gone),
        (ServerAction::Status(403), FailureKind::Refused),
        (ServerAction::Redirect("ftp://example.invalid/x"), FailureKind::Refused),
        (ServerAction::Redirect("file:///etc/passwd"), FailureKind::Refused),
    ] {
        let server = Server::start();
        let url = server.file("/x", body(), &[act]);
        assert_eq!(client(impatient()).get(&url, 1 << 20).unwrap_err().kind, kind, "{act:?}");
        assert_eq!(server.asked().len(), 1, "{act:?}");
    }
}

#[test]
fn attempts_and_sizes_have_limits() {
    let server = Server::start();
    let url = server.file("/busy", body(), &[ServerAction::Status(503)]);
    assert_eq!(client(impatient()).get(&url, 1 << 20).unwrap_err().kind, FailureKind::Busy);
    assert_eq!(server.asked().len(), 3);
    let url = server.file("/x", body(), &[ServerAction::Serve]);
    assert!(client(impatient()).get(&url, 199_999).unwrap_err().cause.contains("larger than 199999 bytes"));
    assert_eq!(client(impatient()).get(&url, 200_000).unwrap().len(), 200_000);
    let url = server.file("/loop", body(), &[ServerAction::Redirect("/loop")]);
    assert!(client(impatient()).get(&url, 9).unwrap_err().cause.contains("more than ten times"));
}

#[test]
fn redirects_are_followed_and_connections_kept() {
    let server = Server::start();
    let url = server.file("/a/old", "", &[ServerAction::Redirect("new")]);
    server.file("/a/new", "hello", &[ServerAction::Serve]);
    let http = client(impatient());
    for _ in 0..3 {
        assert_eq!(http.get(&url, 100).unwrap(), b"hello");
    }
    let asked = server.asked();
    assert_eq!(asked.len(), 6);
    assert!(asked.iter().all(|a| a.connection == 1), "one connection for all: {asked:?}");
}

#[test]
fn ranges() {
    let server = Server::start();
    let url = server.file(
        "/x",
        body(),
        &[ServerAction::Serve, ServerAction::WithoutRange, ServerAction::OtherRange, ServerAction::Serve],
    );
    let http = client(impatient());
    let mut reply = http.open(&url, 150_000).unwrap();
    assert_eq!((reply.from, reply.size), (150_000, Some(200_000)));
    let mut rest = Vec::new();
    reply.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, &body()[150_000..]);
    let reply = http.open(&url, 150_000).unwrap();
    assert_eq!((reply.from, reply.size), (0, Some(200_000)));
    drop(reply);
    assert_eq!(http.open(&url, 150_000).err().unwrap().kind, FailureKind::Range);
    assert_eq!(http.open(&url, 200_000).err().unwrap().kind, FailureKind::Range);
    assert_eq!(content_range("bytes 5-9/10"), Some((5, Some(10))));
    assert_eq!(content_range("bytes 5-9/*"), Some((5, None)));
    assert_eq!(content_range("lines 5-9/10"), None);
}

#[test]
fn files_are_read_in_place() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("a b"), "hello").unwrap();
    let http = client(Options { offline: true, ..impatient() });
    let url = url::join(&format!("file://{}", directory.path().display()), "a b");
    assert_eq!(http.get(&url, 100).unwrap(), b"hello");
    assert_eq!(http.open(&url, 3).unwrap().from, 3);
    assert_eq!(
        http.get(&format!("file://{}/none", directory.path().display()), 9).unwrap_err().kind,
        FailureKind::Gone
    );
    assert_eq!(http.get(&format!("file://{}", directory.path().display()), 9).unwrap_err().kind, FailureKind::Gone);
    assert_eq!(http.get("http://127.0.0.1:1/x", 9).unwrap_err().kind, FailureKind::Offline);
}

/// A port nobody listens on: bound and closed again.
pub(crate) fn closed_port() -> String {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn what_is_wrong_is_said() {
    let mut texts = Vec::new();
    let mut say = |error: diorite_model::Error, exit: Exit, hide: &str| {
        assert_eq!(error.exit, exit, "{error}");
        texts.push(error.to_string().replace(hide, "HIDDEN"));
    };
    let server = Server::start();
    for (name, act) in [
        ("gone", ServerAction::Status(404)),
        ("forbidden", ServerAction::Status(403)),
        ("busy", ServerAction::Status(503)),
        ("cut", ServerAction::Cut(7)),
        ("stalled", ServerAction::Stall(7)),
        ("astray", ServerAction::Redirect("ftp://example.invalid/x")),
    ] {
        let url = server.file(&format!("/{name}"), body(), &[act]);
        let failure = client(impatient()).get(&url, 1 << 20).unwrap_err();
        say(failure.into_error("`x` cannot be read"), Exit::Remote, &server.root);
    }
    let closed = closed_port();
    let refused = client(impatient()).get(&closed, 9).unwrap_err();
    say(refused.into_error("`x` cannot be read"), Exit::Remote, &closed);
    let offline = client(Options { offline: true, ..impatient() }).get(&closed, 9).unwrap_err();
    say(offline.into_error("`x` cannot be read"), Exit::Host, &closed);
    let unknown = Failure::request("http://m:s@example.invalid/x", &ureq::Error::HostNotFound);
    say(unknown.into_error("`x` cannot be read"), Exit::Remote, &closed);

    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("ca.pem");
    std::fs::write(&empty, "no certificate").unwrap();
    let none = directory.path().join("none.pem");
    for (name, value) in [
        ("http_proxy", "gopher://me:secret@example.invalid"),
        ("https_proxy", "socks5://example.invalid:1080"),
        ("SSL_CERT_FILE", none.to_str().unwrap()),
        ("SSL_CERT_FILE", empty.to_str().unwrap()),
    ] {
        let environment = |asked: &str| (asked == name).then(|| value.to_owned());
        let error = HttpClient::with_environment(impatient(), &environment).err().unwrap();
        say(error, Exit::Host, directory.path().to_str().unwrap());
    }
    insta::assert_snapshot!(texts.join("\n\n"));
}
