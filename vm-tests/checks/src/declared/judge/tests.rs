//! Every judge finds the fault it is for.

use super::*;
use diorite_model::{recipe::Protocol, verify::*};
use std::time::Duration;

fn said(text: &str) -> Output {
    Output { status: 0, text: text.to_owned() }
}

fn good(ask: &Ask, text: &str) {
    assert!(inside(ask, &said(text)).is_ok(), "{ask:?}: {text}: {:?}", inside(ask, &said(text)));
}

fn bad(ask: &Ask, text: &str) {
    assert!(inside(ask, &said(text)).is_err(), "{ask:?}: {text}");
}

fn page(status: u16, body: &str) -> Result<HttpReply, String> {
    Ok(HttpReply { status, head: String::new(), body: body.as_bytes().to_vec() })
}

#[test]
fn ports() {
    use PortState::*;
    let scan = |seen, witnessed| Scan { verdicts: [(80, seen)].into(), witnessed, rounds: 3, took: Duration::ZERO };
    for (seen, is) in [
        (PortVerdict::Open, Open),
        (PortVerdict::Closed, Closed),
        (PortVerdict::Rejected, Rejected),
        (PortVerdict::Silent, Silent),
    ] {
        for state in [Open, Closed, Rejected, Silent] {
            assert_eq!(tcp(&scan(seen, true), 80, state).is_ok(), state == is, "{seen:?} {state:?}");
        }
    }
    assert!(tcp(&scan(PortVerdict::Silent, false), 80, Silent).is_err(), "silence without a witness");
    assert!(tcp(&scan(PortVerdict::Open, true), 81, Open).is_err(), "another port");
    assert!(udp(&UdpVerdict::Closed, Closed).is_ok() && udp(&UdpVerdict::Closed, Silent).is_err());
    assert!(udp(&UdpVerdict::Unwitnessed, Silent).is_err());
    let ask = |state| Ask::Port(Port { port: 22, protocol: Protocol::Tcp, state, family: None });
    good(&ask(Open), "LISTEN 0 128 0.0.0.0:22 0.0.0.0:*");
    bad(&ask(Open), "");
    good(&ask(Closed), "");
    bad(&ask(Closed), "LISTEN 0 128 0.0.0.0:22 0.0.0.0:*");
    assert!(inside(&ask(Closed), &Output { status: 127, text: "ss: not found".into() }).is_err());
}

#[test]
fn pages() {
    let wanted = Http {
        port: 80,
        tls: false,
        path: "/".into(),
        status: 200,
        contains: vec!["Hello".into()],
        lacks: vec!["error".into()],
        family: None,
    };
    assert!(http(&wanted, &page(200, "Hello")).is_ok());
    for (status, body) in [(404, "Hello"), (200, "hello"), (200, "Hello error")] {
        assert!(http(&wanted, &page(status, body)).is_err(), "{status} {body}");
    }
    assert!(http(&wanted, &Err("no connection".into())).is_err());
    let ask = Ask::Http(wanted);
    good(&ask, "HTTP/1.0 200 OK\r\nA: b\r\n\r\n<p>Hello</p>");
    bad(&ask, "HTTP/1.0 500 No\r\n\r\nHello");
    bad(&ask, "bash: connect: Connection refused");
}

#[test]
fn names() {
    let ask = |resolvable, addresses: &[&str]| {
        let addresses = addresses.iter().map(|a| a.parse().unwrap()).collect();
        Ask::Dns(Dns { name: "a.example".into(), resolvable, addresses })
    };
    let answer = "192.0.2.7     STREAM a.example\n192.0.2.7     DGRAM\n2001:db8::7   STREAM";
    good(&ask(true, &[]), answer);
    good(&ask(true, &["2001:db8::7", "192.0.2.7"]), answer);
    bad(&ask(true, &["192.0.2.8"]), answer);
    bad(&ask(true, &[]), "");
    good(&ask(false, &[]), "");
    bad(&ask(false, &[]), answer);
}

#[test]
fn metrics() {
    let ask = |labels: &[(&str, &str)], at_least, at_most| Metric {
        name: "node_load1".into(),
        labels: labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        at_least,
        at_most,
        port: 9100,
        path: "/metrics".into(),
    };
    let text = "# HELP node_load1 x\nnode_load15 9\nnode_load1{cpu=\"a\\\"b,c\",mode=\"x\"} 0.5 123\nnode_load1{cpu=\"1\"} 3e0\n";
    let is = |m: &Metric| metric(m, &page(200, text)).is_ok();
    assert!(is(&ask(&[], None, None)) && is(&ask(&[("mode", "x")], Some(0), Some(1))));
    assert!(is(&ask(&[("cpu", "a\"b,c")], None, None)) && is(&ask(&[("cpu", "1")], Some(3), Some(3))));
    assert!(!is(&ask(&[("cpu", "2")], None, None)), "no such label");
    assert!(!is(&ask(&[("mode", "x")], Some(1), None)), "too little");
    assert!(!is(&ask(&[("cpu", "1")], None, Some(2))), "too much");
    assert!(metric(&ask(&[], None, None), &page(200, "node_load15 9\n")).is_err(), "another metric");
    assert!(metric(&ask(&[], None, None), &page(503, text)).is_err());
    assert!(metric(&ask(&[], None, None), &page(200, "node_load1{cpu=\"1")).is_err(), "cut");
}

#[test]
fn units_and_containers() {
    let ask = |running, enabled| Ask::Unit(Unit { name: "a.service".into(), running, enabled });
    let text = "LoadState=loaded\nActiveState=active\nUnitFileState=enabled";
    good(&ask(true, Some(true)), text);
    bad(&ask(false, None), text);
    bad(&ask(true, Some(false)), text);
    bad(&ask(true, None), "LoadState=loaded\nActiveState=failed\nUnitFileState=enabled");
    good(&ask(false, Some(false)), "LoadState=masked\nActiveState=inactive\nUnitFileState=masked");
    bad(&ask(false, None), "LoadState=not-found\nActiveState=inactive\nUnitFileState=");
    bad(&ask(false, None), "");
    let ask = |running, healthy| Ask::Container(Container { name: "web".into(), running, healthy });
    good(&ask(true, Some(true)), "state:running\nhealth:healthy");
    bad(&ask(true, Some(true)), "state:running\nhealth:starting");
    bad(&ask(true, Some(true)), "state:running");
    bad(&ask(true, None), "state:exited");
    bad(&ask(true, None), "Error: no such container web");
    good(&ask(false, None), "Error: no such container web");
    bad(&ask(false, None), "state:running");
}

#[test]
fn files() {
    let plain = File {
        path: "/etc/motd".into(),
        exists: true,
        kind: Some(FileKind::File),
        mode: Some("0644".into()),
        owner: Some("root".into()),
        group: Some("root".into()),
        sha256: Some("ab".into()),
        contains: vec!["Welcome".into()],
        lacks: vec!["root".into()],
        target: None,
    };
    let ask = Ask::File(plain.clone());
    let text = "stat:regular file|0644|root|root\nsha256:ab  -\ntext:Welcome here";
    good(&ask, text);
    for (from, to) in [
        ("regular file", "directory"),
        ("0644", "0666"),
        ("|root|root", "|nobody|root"),
        ("|root|root", "|root|adm"),
        ("sha256:ab", "sha256:cd"),
        ("sha256:ab  -", ""),
        ("Welcome", "Hello"),
        ("here", "root"),
    ] {
        assert!(text.contains(from));
        bad(&ask, &text.replacen(from, to, 1));
    }
    bad(&ask, "absent");
    bad(&ask, "");
    let gone = Ask::File(File { exists: false, ..plain.clone() });
    good(&gone, "absent");
    bad(&gone, text);
    bad(&gone, "");
    let link = File {
        kind: Some(FileKind::Symlink),
        target: Some("x".into()),
        mode: None,
        sha256: None,
        contains: vec![],
        lacks: vec![],
        ..plain
    };
    good(&Ask::File(link.clone()), "target:x\nstat:symbolic link|0777|root|root");
    bad(&Ask::File(link), "target:y\nstat:symbolic link|0777|root|root");
}

#[test]
fn commands() {
    let ask = Ask::Command(Command {
        exec: vec!["x".into()],
        status: 0,
        stdout: vec!["fine".into()],
        stderr: vec![],
        timeout: 5,
    });
    good(&ask, "out:all fine\nstatus:0");
    bad(&ask, "out:all fine\nstatus:1");
    bad(&ask, "out:bad\nerr:fine\nstatus:0");
    bad(&ask, "out:all fine");
    bad(&ask, "out:status:0\nout:fine\nstatus:124");
    let seen = inside(&ask, &said("err:no such file\nstatus:127")).unwrap_err();
    assert_eq!(seen, "status 127, said no such file");
}

#[test]
fn processes_values_accounts_and_packages() {
    let ask = |running, user: Option<&str>| {
        Ask::Process(Process { name: "sshd".into(), running, user: user.map(str::to_owned) })
    };
    good(&ask(true, Some("root")), "user:root\nuser:anna\ndone");
    bad(&ask(true, Some("nobody")), "user:root\ndone");
    bad(&ask(true, None), "done");
    bad(&ask(false, None), "user:root\ndone");
    bad(&ask(false, None), "");
    let ask = Ask::Sysctl(Sysctl { name: "a.b".into(), value: "4 8".into() });
    good(&ask, "4\t8");
    bad(&ask, "4\t9");
    assert!(inside(&ask, &Output { status: 1, text: "4 8".into() }).is_err());
    let anna = User {
        name: "anna".into(),
        exists: true,
        uid: Some(21000),
        home: Some("/home/anna".into()),
        shell: Some("/bin/bash".into()),
        groups: vec!["web".into()],
    };
    let text = "passwd:anna:x:21000:21000::/home/anna:/bin/bash\ngroups:anna web\ndone";
    let ask = Ask::User(anna.clone());
    good(&ask, text);
    for (from, to) in [("x:21000", "x:21001"), ("/home/anna", "/"), ("/bin/bash", "/bin/sh"), ("anna web", "anna")] {
        bad(&ask, &text.replacen(from, to, 1));
    }
    bad(&ask, "done");
    let gone = Ask::User(User { exists: false, ..anna });
    good(&gone, "done");
    bad(&gone, text);
    bad(&gone, "");
    let ask = |installed, version: Option<&str>| {
        Ask::Package(Package { name: "less".into(), installed, version: version.map(str::to_owned) })
    };
    good(&ask(true, Some("1.2")), "installed 1.2");
    bad(&ask(true, Some("1.3")), "installed 1.2");
    bad(&ask(true, None), "config-files 1.2");
    good(&ask(false, None), "dpkg-query: no packages found matching less");
    bad(&ask(false, None), "installed 1.2");
}
