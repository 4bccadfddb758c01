//! Programs inside the lab, talked to by a host that is none of its code.

mod client;
mod guest;

use client::Client;
use diorite_lab::{
    Config, Lab,
    peers::{
        files::Image,
        http::{Fault, Reply, Site},
        registry::Registry,
        syslog::Syslog,
        updates::{Lie, Offered},
    },
};
use guest::{Behaviour, Guest, PLAIN};
use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

fn start() -> (Client, Lab, IpAddr) {
    let (client, fd) = Client::new();
    let lab = Lab::start_with(Config::default(), vec![fd]).expect("lab");
    let host = lab.config().ipv4.into();
    (client, lab, host)
}

fn get(client: &mut Client, to: SocketAddr, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n");
    String::from_utf8_lossy(&client.talk(to, request.as_bytes(), |_| false)).into_owned()
}

#[test]
fn a_site_answers_well_slowly_brokenly_and_no_more() {
    let (mut client, lab, host) = start();
    let (web, site) = (SocketAddr::new(host, 80), Site::default());
    assert_eq!(get(&mut client, web, "/"), "", "nobody listens yet");
    lab.serve_http(80, &site).expect("serve");
    let directory = tempfile::tempdir().expect("temporary directory");
    // More than every buffer on the way holds.
    let big: Vec<u8> = (0..1_500_000u32).map(|n| (n % 251) as u8).collect();
    std::fs::create_dir(directory.path().join("v2")).expect("directory");
    std::fs::write(directory.path().join("v2/disk.raw"), &big).expect("write");
    site.directory(directory.path(), "/updates/").expect("a directory");
    let request = b"GET /updates/v2/disk.raw HTTP/1.1\r\nConnection: close\r\n\r\n";
    let got = client.talk(web, request, |_| false);
    assert!(got.ends_with(&big) && got.len() < big.len() + 300, "{} bytes", got.len());
    let v6 = SocketAddr::new(lab.config().ipv6.into(), 80);
    assert!(get(&mut client, v6, "/none").starts_with("HTTP/1.1 404 "));

    site.set("/slow", Reply { delay: Duration::from_millis(400), ..Reply::text("late") });
    let asked = Instant::now();
    assert!(get(&mut client, web, "/slow").ends_with("late") && asked.elapsed() >= Duration::from_millis(400));
    site.set("/drip", Reply { trickle: Some((40, Duration::from_millis(50))), ..Reply::text(&"x".repeat(200)) });
    let asked = Instant::now();
    assert!(get(&mut client, web, "/drip").ends_with("xxx") && asked.elapsed() >= Duration::from_millis(200));
    site.set("/cut", Reply::text("cut").broken(Fault::CutAfter(20)));
    assert_eq!(get(&mut client, web, "/cut").len(), 20);
    site.set("/reset", Reply::text("reset").broken(Fault::ResetAfter(0)));
    assert_eq!(get(&mut client, web, "/reset"), "");
    site.set("/odd", Reply::text("").broken(Fault::Instead(b"SSH-2.0-x\r\n".to_vec())));
    assert_eq!(get(&mut client, web, "/odd"), "SSH-2.0-x\r\n");
    let paths: Vec<String> = site.requests().into_iter().map(|r| r.target).collect();
    assert_eq!(paths, ["/updates/v2/disk.raw", "/none", "/slow", "/drip", "/cut", "/reset", "/odd"]);
    assert_eq!(site.requests()[0].from.ip(), IpAddr::from(client::V4));
    lab.stop_serving(80).expect("stop");
    assert_eq!(get(&mut client, web, "/"), "");
}

#[test]
fn a_registry_gives_manifests_and_blobs_by_digest() {
    let (mut client, lab, host) = start();
    let site = Site::default();
    let blob = b"a layer".to_vec();
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest = br#"{"schemaVersion":2}"#.to_vec();
    let image = Image { name: "web/app".into(), tag: "1".into(), kind: kind.into(), manifest, blobs: vec![blob] };
    site.image(&image);
    lab.serve_http(5000, &site).expect("serve");
    let registry = SocketAddr::new(host, 5000);
    assert!(get(&mut client, registry, "/v2/").starts_with("HTTP/1.1 200 "));
    let manifest = get(&mut client, registry, "/v2/web/app/manifests/1");
    assert!(manifest.contains(kind) && manifest.ends_with("{\"schemaVersion\":2}"));
    // As sha256sum(1) says of both.
    let named = "sha256:bafebd36189ad3688b7b3915ea55d461e0bfcfbdde11e54b0a123999fb6be50f";
    assert!(manifest.contains(&format!("Docker-Content-Digest: {named}\r\n")));
    assert!(get(&mut client, registry, &format!("/v2/web/app/manifests/{named}")).ends_with('}'));
    let blob = "sha256:e28d98ac666afd34f089b971a663264d54d67a60ddc82996d48d8f3c204eb75f";
    assert!(get(&mut client, registry, &format!("/v2/web/app/blobs/{blob}")).ends_with("\r\n\r\na layer"));
    let missing = format!("/v2/web/app/blobs/sha256:{}", "0".repeat(64));
    assert!(get(&mut client, registry, &missing).starts_with("HTTP/1.1 404 "));
}

/// Sends a request with fields and a body, and gives the answer: its head and its body.
fn ask(client: &mut Client, to: SocketAddr, request: &str, fields: &str, body: &[u8]) -> (String, Vec<u8>) {
    let head = format!(
        "{request} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\nContent-Length: {}\r\n{fields}\r\n",
        body.len()
    );
    let answer = client.talk(to, &[head.as_bytes(), body].concat(), |_| false);
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").expect("a head");
    (String::from_utf8_lossy(&answer[..end]).into_owned(), answer[end + 4..].to_vec())
}

/// A field of an answer.
fn field<'a>(head: &'a str, name: &str) -> &'a str {
    head.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_else(|| panic!("{name}: {head}"))
}

/// As sha256sum(1) says of `a layer`.
const LAYER: &str = "sha256:e28d98ac666afd34f089b971a663264d54d67a60ddc82996d48d8f3c204eb75f";

/// What the specification's own conformance tests go through: a blob in pieces, in one request and from another
/// repository, a manifest that names it, tags, and each refusal.
#[test]
fn a_registry_takes_what_is_pushed_and_refuses_what_is_wrong() {
    let (mut client, lab, host) = start();
    let (registry, at) = (Registry::default(), SocketAddr::new(host, 5000));
    lab.serve_http(5000, &registry.site()).expect("serve");
    let mut say = |request: &str, fields: &str, body: &[u8]| ask(&mut client, at, request, fields, body);
    let status = |head: &str| head[9..12].to_owned();
    assert_eq!(status(&say("GET /v2/", "", b"").0), "200");
    assert_eq!(status(&say(&format!("HEAD /v2/web/app/blobs/{LAYER}"), "", b"").0), "404");

    // In pieces: the second begins where the first has ended.
    let (head, _) = say("POST /v2/web/app/blobs/uploads/", "", b"");
    assert_eq!(status(&head), "202");
    let place = field(&head, "Location").to_owned();
    let (head, _) = say(&format!("PATCH {place}"), "Content-Range: 0-1\r\n", b"a ");
    assert_eq!((status(&head).as_str(), field(&head, "Range")), ("202", "0-1"));
    assert_eq!(status(&say(&format!("PATCH {place}"), "Content-Range: 5-9\r\n", b"layer").0), "416");
    assert_eq!(field(&say(&format!("GET {place}"), "", b"").0, "Range"), "0-1");
    let (head, _) = say(&format!("PUT {place}?digest={}", LAYER.replace(':', "%3A")), "", b"layer");
    assert_eq!((status(&head).as_str(), field(&head, "Docker-Content-Digest")), ("201", LAYER));
    let whole = say(&format!("GET {}", field(&head, "Location")), "", b"");
    assert_eq!((status(&whole.0).as_str(), &whole.1[..]), ("200", &b"a layer"[..]));
    let part = say(&format!("GET /v2/web/app/blobs/{LAYER}"), "Range: bytes=2-\r\n", b"");
    assert_eq!((status(&part.0).as_str(), &part.1[..]), ("206", &b"layer"[..]));
    assert_eq!(status(&say(&format!("PUT {place}?digest={LAYER}"), "", b"").0), "404", "it is finished");

    // In one request, with the wrong digest; from a repository that has it, and one that has not.
    let post = |name: &str, query: &str| format!("POST /v2/{name}/blobs/uploads/?{query}");
    assert_eq!(status(&say(&post("other", &format!("digest={LAYER}")), "", b"another").0), "400");
    assert_eq!(status(&say(&format!("GET /v2/other/blobs/{LAYER}"), "", b"").0), "404", "not its own");
    assert_eq!(status(&say(&post("other", &format!("mount={LAYER}&from=none")), "", b"").0), "202");
    assert_eq!(status(&say(&post("other", &format!("mount={LAYER}&from=web/app")), "", b"").0), "201");
    assert_eq!(status(&say(&format!("GET /v2/other/blobs/{LAYER}"), "", b"").0), "200");
    assert_eq!(status(&say(&post("../etc", &format!("digest={LAYER}")), "", b"a layer").0), "404", "no name");

    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest = format!("{{\"schemaVersion\":2,\"layers\":[{{\"digest\":\"{LAYER}\"}}]}}");
    let typed = format!("Content-Type: {kind}\r\n");
    let (head, _) = say("PUT /v2/web/app/manifests/1.0", &typed, manifest.as_bytes());
    assert_eq!(status(&head), "201");
    let digest = field(&head, "Docker-Content-Digest").to_owned();
    for reference in ["1.0", &digest] {
        let (head, body) = say(&format!("GET /v2/web/app/manifests/{reference}"), "", b"");
        assert_eq!((field(&head, "Content-Type"), body), (kind, manifest.clone().into_bytes()));
    }
    let unknown = manifest.replace("e28d", "0000");
    for (reference, manifest, expected) in [
        ("2.0", unknown.as_str(), "404"),
        ("2.0", "nonsense", "400"),
        (LAYER, &manifest, "400"),
        ("a b", &manifest, "400"),
    ] {
        assert_eq!(
            status(&say(&format!("PUT /v2/web/app/manifests/{reference}"), &typed, manifest.as_bytes()).0),
            expected
        );
    }
    say("PUT /v2/web/app/manifests/latest", &typed, manifest.as_bytes());
    let (_, tags) = say("GET /v2/web/app/tags/list", "", b"");
    assert_eq!(tags, br#"{"name":"web/app","tags":["1.0","latest"]}"#);
    let (head, tags) = say("GET /v2/web/app/tags/list?n=1", "", b"");
    assert_eq!(tags, br#"{"name":"web/app","tags":["1.0"]}"#);
    assert_eq!(field(&head, "Link"), "</v2/web/app/tags/list?n=1&last=1.0>; rel=\"next\"");
    assert_eq!(status(&say(&format!("DELETE /v2/web/app/blobs/{LAYER}"), "", b"").0), "405");
    assert_eq!(registry.tags("web/app"), ["1.0", "latest"]);
    assert_eq!(registry.manifest("web/app", "latest").expect("pushed").bytes[..], *manifest.as_bytes());
    assert_eq!(registry.blob(LAYER).expect("pushed")[..], *b"a layer");
}

/// A layer in chunks, as clients push what they compress while they send it, and larger than every buffer on the way.
#[test]
fn a_registry_takes_a_large_layer_in_chunks() {
    let (mut client, lab, host) = start();
    let registry = Registry::default();
    lab.serve_http(5000, &registry.site()).expect("serve");
    let at = SocketAddr::new(host, 5000);
    let (head, _) = ask(&mut client, at, "POST /v2/big/blobs/uploads/", "", b"");
    let place = field(&head, "Location").to_owned();
    let layer: Vec<u8> = (0..2_000_000u32).map(|n| (n % 249) as u8).collect();
    let mut request =
        format!("PATCH {place} HTTP/1.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes();
    for piece in layer.chunks(32_768) {
        request.extend(format!("{:x}\r\n", piece.len()).into_bytes());
        request.extend(piece);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    let answer = client.talk(at, &request, |_| false);
    assert!(answer.starts_with(b"HTTP/1.1 202 "), "{}", String::from_utf8_lossy(&answer));
    let digest = format!("sha256:{}", diorite_model::Digest::of(&layer));
    let (head, _) = ask(&mut client, at, &format!("PUT {place}?digest={digest}"), "", b"");
    assert!(head.starts_with("HTTP/1.1 201 "), "{head}");
    assert!(registry.blob(&digest).expect("pushed")[..] == layer[..]);
}

#[test]
fn an_update_server_names_its_files_and_lies_about_them() {
    let (mut client, lab, host) = start();
    let (web, site) = (SocketAddr::new(host, 80), Site::default());
    lab.serve_http(80, &site).expect("serve");
    let pause = Duration::from_millis(50);
    let lies = [Lie::Digest, Lie::Bit, Lie::Cut(300), Lie::Slow(100, pause), Lie::Missing];
    let lying = lies.into_iter().enumerate().map(|(n, lie)| Offered::new(format!("{n}.raw"), [7; 400]).lying(lie));
    site.updates("/updates/", &[vec![Offered::new("good.raw", *b"a layer")], lying.collect()].concat());
    let mut get = |path: &str, fields: &str| ask(&mut client, web, &format!("GET /updates/{path}"), fields, b"");
    let (head, sums) = get("SHA256SUMS", "");
    let sums = String::from_utf8(sums).expect("text");
    assert!(sums.starts_with(&format!("{}  good.raw\n", &LAYER[7..])) && sums.lines().count() == 6, "{sums}");
    let tag = field(&head, "ETag").to_owned();
    let (head, body) = get("SHA256SUMS", &format!("If-None-Match: \"x\", {tag}\r\n"));
    assert!(head.starts_with("HTTP/1.1 304 ") && body.is_empty(), "{head}");
    assert!(get("SHA256SUMS", "If-None-Match: \"x\"\r\n").0.starts_with("HTTP/1.1 200 "));
    let tag = format!("\"{}\"", &LAYER[7..]);
    for (condition, status, body) in [(tag.as_str(), "206", "layer"), ("\"x\"", "200", "a layer")] {
        let (head, got) = get("good.raw", &format!("Range: bytes=2-\r\nIf-Range: {condition}\r\n"));
        assert_eq!((&head[9..12], got.as_slice()), (status, body.as_bytes()), "a part, or all of what is new");
    }
    let digest = |bytes: &[u8]| diorite_model::Digest::of(bytes).to_string();
    let named = |n: usize| sums.lines().nth(n + 1).expect("it is named")[..64].to_owned();
    let whole = get("0.raw", "").1;
    assert!(whole == [7; 400] && digest(&whole) != named(0), "another digest than it has");
    let bit = get("1.raw", "").1;
    assert!(bit.len() == 400 && digest(&bit) != named(1), "other bytes than were promised");
    let (head, cut) = get("2.raw", "");
    assert!(field(&head, "Content-Length") == "400" && cut.len() < 400, "{} bytes", cut.len());
    let asked = Instant::now();
    let slow = get("3.raw", "").1;
    assert!(digest(&slow) == named(3) && asked.elapsed() >= pause * 4, "{:?}", asked.elapsed());
    assert!(get("4.raw", "").0.starts_with("HTTP/1.1 404 "));
}

#[test]
fn messages_come_by_datagram_and_by_stream() {
    let (mut client, lab, host) = start();
    let (log, syslog) = (SocketAddr::new(host, 514), Syslog::default());
    lab.serve_syslog(514, &syslog).expect("serve");
    let line = "<30>1 2026-11-23T05:40:00Z web sshd 1 - - hello";
    client.ask(log, line.as_bytes(), Duration::from_millis(100));
    client.talk(log, format!("{} {line}{line}\n", line.len()).as_bytes(), |_| syslog.received().len() == 3);
    client.ask(log, b"not syslog", Duration::from_millis(100));
    let all = syslog.received();
    assert_eq!(
        all.iter().map(|r| (r.stream, r.message.is_ok())).collect::<Vec<_>>(),
        [(false, true), (true, true), (true, true), (false, false)]
    );
    assert!(syslog.messages().iter().all(|m| m.facility == 3 && m.severity == 6 && m.text == "hello"));
}

/// A guest's metrics, good and with a mistake that many readers pass over.
#[test]
fn metrics_are_scraped_strictly() {
    const BEHAVIOUR: Behaviour = Behaviour {
        serves: &[
            (9100, "", "HTTP/1.0 200 OK\r\n\r\n# TYPE up gauge\nup{job=\"x\"} 1\n"),
            (9101, "", "HTTP/1.0 200 OK\r\n\r\nup 1\nup 1\n"),
            (9102, "", "HTTP/1.0 503 No\r\n\r\n"),
        ],
        ..PLAIN
    };
    let (_guest, fd) = Guest::start(BEHAVIOUR);
    let lab = Lab::start_with(Config::default(), vec![fd]).expect("lab");
    let guest = lab.wait_for_lease(&mut || Ok(())).expect("lease").ipv4.into();
    let metrics = lab.scrape(guest, 9100, "/metrics").expect("lab").expect("metrics");
    assert_eq!(metrics.value("up", &[("job", "x")]), Some(1.0));
    let twice = lab.scrape(guest, 9101, "/metrics").expect("lab").expect_err("refused");
    assert_eq!(twice, "line 2: the same value twice: up 1");
    assert_eq!(lab.scrape(guest, 9102, "/metrics").expect("lab").expect_err("refused"), "status 503");
}
