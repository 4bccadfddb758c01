//! Programs inside the lab, talked to by a host that is none of its code.

mod client;
mod guest;

use client::Client;
use diorite_lab::{
    Config, Lab,
    peers::{
        files::Image,
        http::{Fault, Reply, Site},
        syslog::Syslog,
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
    let folder = tempfile::tempdir().expect("temporary folder");
    // More than every buffer on the way holds.
    let big: Vec<u8> = (0..1_500_000u32).map(|n| (n % 251) as u8).collect();
    std::fs::create_dir(folder.path().join("v2")).expect("folder");
    std::fs::write(folder.path().join("v2/disk.raw"), &big).expect("write");
    site.folder(folder.path(), "/updates/").expect("a folder");
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
