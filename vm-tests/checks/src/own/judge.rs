//! Answers → verdicts for checks of the profile's own; each judge has a test in which it finds the fault it is for.

use crate::judge::{Judged, short};
use diorite_lab::{HttpReply, PortVerdict, Scan, UdpVerdict};
use diorite_machine::Output;
use diorite_model::verify::{
    Ask, Command, Container, Dns, File, FileKind, Http, Metric, PortState, Process, Sysctl, Unit, User,
};
use std::net::IpAddr;

fn verdict(good: bool, seen: impl Into<String>) -> Judged {
    if good { Ok(seen.into()) } else { Err(seen.into()) }
}

/// The value of a line `KEY:VALUE`.
fn of<'a>(text: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |l| l.strip_prefix(key)?.strip_prefix(':'))
}

/// An answer of [`super::scripts`].
pub fn inside(ask: &Ask, output: &Output) -> Judged {
    match ask {
        Ask::Port(p) => {
            let open = !output.text.is_empty();
            let seen = if open { "somebody listens" } else { "nobody listens" };
            verdict(
                output.success() && open == (p.state == PortState::Open),
                if output.success() { seen } else { &output.text },
            )
        }
        Ask::Http(h) => http(h, &reply(output)),
        Ask::Metric(m) => metric(m, &reply(output)),
        Ask::Dns(d) => {
            let found = output.text.lines().filter_map(|l| l.split_whitespace().next()?.parse().ok());
            dns(d, &found.collect::<Vec<IpAddr>>())
        }
        Ask::Unit(u) => unit(u, output),
        Ask::File(f) => file(f, output),
        Ask::Command(c) => command(c, output),
        Ask::Container(c) => container(c, output),
        Ask::Process(p) => process(p, output),
        Ask::Sysctl(s) => sysctl(s, output),
        Ask::User(u) => user(u, output),
        Ask::Package(p) => {
            // Other words than `installed`: removed, with its configuration left, or never known.
            let state = output.text.lines().find_map(|l| l.strip_prefix("installed "));
            match (p.installed, state, &p.version) {
                (true, Some(version), Some(wanted)) => verdict(version == wanted, format!("version {version}")),
                (true, Some(version), None) => Ok(format!("version {version}")),
                (true, None, _) => Err(format!("not installed: {}", short(&output.text))),
                (false, Some(version), _) => Err(format!("installed, version {version}")),
                (false, None, _) => Ok("not installed".to_owned()),
            }
        }
    }
}

/// What came over /dev/tcp, or why nothing did.
fn reply(output: &Output) -> Result<HttpReply, String> {
    let none = || format!("no answer: {}", short(&output.text));
    let (head, body) = output.text.split_once("\r\n\r\n").unwrap_or((&output.text, ""));
    let status = head.strip_prefix("HTTP/1.").and_then(|l| l.split(' ').nth(1)?.get(..3)?.parse().ok());
    Ok(HttpReply { status: status.ok_or_else(none)?, head: head.to_owned(), body: body.as_bytes().to_vec() })
}

/// A TCP port, seen from outside.
pub fn tcp(scan: &Scan, port: u16, state: PortState) -> Judged {
    let Some(seen) = scan.verdicts.get(&port) else { return Err("not asked".to_owned()) };
    let (is, words) = match seen {
        PortVerdict::Open => (PortState::Open, "open: SYN and ACK"),
        PortVerdict::Closed => (PortState::Closed, "closed: RST"),
        PortVerdict::Rejected => (PortState::Rejected, "rejected: ICMP error"),
        PortVerdict::Silent if !scan.witnessed => return Err("silent, but so was everything else".to_owned()),
        PortVerdict::Silent => (PortState::Silent, "silent, while an echo request behind it was answered"),
    };
    verdict(is == state, words)
}

/// A UDP port, seen from outside.
pub fn udp(seen: &UdpVerdict, state: PortState) -> Judged {
    let (is, words) = match seen {
        UdpVerdict::Reply(data) => (PortState::Open, format!("answered {} bytes", data.len())),
        UdpVerdict::Closed => (PortState::Closed, "closed: port unreachable".to_owned()),
        UdpVerdict::Rejected(code) => (PortState::Rejected, format!("rejected: unreachable, code {code}")),
        UdpVerdict::Silent => (PortState::Silent, "silent, while an echo request behind it was answered".to_owned()),
        UdpVerdict::Unwitnessed => return Err("silent, but so was everything else".to_owned()),
    };
    verdict(is == state, words)
}

/// A page.
pub fn http(wanted: &Http, reply: &Result<HttpReply, String>) -> Judged {
    let page = reply.as_ref().map_err(Clone::clone)?;
    let text = String::from_utf8_lossy(&page.body);
    let seen = format!("status {}, {} bytes", page.status, page.body.len());
    if page.status != wanted.status {
        return Err(seen);
    }
    texts(&text, &wanted.contains, &wanted.lacks).map_or(Ok(seen.clone()), |why| Err(format!("{seen}, and {why}")))
}

/// What is missing in a text, or in it and must not be.
fn texts(text: &str, contains: &[String], lacks: &[String]) -> Option<String> {
    let missing = contains.iter().find(|t| !text.contains(t.as_str())).map(|t| format!("no `{t}` in it"));
    missing.or_else(|| lacks.iter().find(|t| text.contains(t.as_str())).map(|t| format!("`{t}` in it")))
}

/// A name's addresses.
pub fn dns(wanted: &Dns, found: &[IpAddr]) -> Judged {
    let mut names: Vec<String> = found.iter().map(ToString::to_string).collect();
    names.sort();
    names.dedup();
    let seen = if names.is_empty() { "no address".to_owned() } else { names.join(", ") };
    let all = wanted.addresses.iter().all(|a| found.contains(a));
    verdict(found.is_empty() != wanted.resolvable && all, seen)
}

/// A sample in Prometheus' text format, version 0.0.4.
pub fn metric(wanted: &Metric, reply: &Result<HttpReply, String>) -> Judged {
    let page = reply.as_ref().map_err(Clone::clone)?;
    let text = String::from_utf8_lossy(&page.body);
    let values: Vec<f64> = text.lines().filter_map(|line| sample(line, wanted)).collect();
    let fits =
        |v: &&f64| wanted.at_least.is_none_or(|n| **v >= n as f64) && wanted.at_most.is_none_or(|n| **v <= n as f64);
    match (page.status, values.iter().find(fits), values.first()) {
        (200, Some(value), _) => Ok(value.to_string()),
        (200, None, Some(value)) => Err(value.to_string()),
        (200, None, None) => Err(format!("no such sample among {} lines", text.lines().count())),
        (status, ..) => Err(format!("status {status}")),
    }
}

/// The value of a line, if it is the sample that is wanted.
fn sample(line: &str, wanted: &Metric) -> Option<f64> {
    let rest = line.strip_prefix(wanted.name.as_str())?;
    let (labels, value) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None if rest.starts_with([' ', '\t']) => (vec![], rest),
        None => return None,
    };
    let has = |(name, value): (&String, &String)| labels.iter().any(|(n, v)| n == name && v == value);
    if !wanted.labels.iter().all(has) {
        return None;
    }
    value.split_whitespace().next()?.parse().ok()
}

/// Labels by name, and what stands behind them.
type Labels<'a> = (Vec<(String, String)>, &'a str);

/// `a="b",c="d"} 1`, taken apart; in a value `\\`, `\"` and `\n` are escapes.
fn labels(mut rest: &str) -> Option<Labels<'_>> {
    let mut all = Vec::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(end) = rest.strip_prefix('}') {
            return Some((all, end));
        }
        let (name, quoted) = rest.split_once("=\"")?;
        let (mut value, mut chars) = (String::new(), quoted.char_indices());
        let end = loop {
            match chars.next()? {
                (at, '"') => break at,
                (_, '\\') => value.push(match chars.next()?.1 {
                    'n' => '\n',
                    other => other,
                }),
                (_, c) => value.push(c),
            }
        };
        all.push((name.trim().to_owned(), value));
        rest = &quoted[end + 1..];
    }
}

fn unit(wanted: &Unit, output: &Output) -> Judged {
    let said = |key: &str| output.text.lines().find_map(|l| l.strip_prefix(key)).unwrap_or_default();
    let (loaded, active, file) = (said("LoadState="), said("ActiveState="), said("UnitFileState="));
    let seen = format!("{loaded}, {active}{}", if file.is_empty() { String::new() } else { format!(", {file}") });
    let enabled = matches!(file, "enabled" | "enabled-runtime" | "alias" | "generated");
    // A unit that is not there is no unit that is known to be off.
    let good = output.success() && !active.is_empty() && (active == "active") == wanted.running;
    verdict(good && loaded != "not-found" && wanted.enabled.is_none_or(|e| e == enabled), seen)
}

fn file(wanted: &File, output: &Output) -> Judged {
    if output.text.trim() == "absent" {
        return verdict(!wanted.exists, "not there");
    }
    let Some(stat) = of(&output.text, "stat").next() else { return Err(short(&output.text)) };
    if !wanted.exists {
        return Err(format!("there: {}", stat.replace('|', " ")));
    }
    let parts: Vec<&str> = stat.split('|').collect();
    let [kind, mode, owner, group] = parts[..] else { return Err(short(stat)) };
    let must = |good: bool, what: &str, seen: &str| if good { Ok(()) } else { Err(format!("{what}: {seen}")) };
    let is = match wanted.kind {
        None => true,
        Some(FileKind::File) => kind == "regular file" || kind == "regular empty file",
        Some(FileKind::Directory) => kind == "directory",
        Some(FileKind::Symlink) => kind == "symbolic link",
        Some(FileKind::Socket) => kind == "socket",
    };
    must(is, "it is something else", kind)?;
    let same = |wanted: &Option<String>, seen: &str| wanted.as_ref().is_none_or(|w| w == seen);
    must(same(&wanted.mode, mode), "its mode is another one", mode)?;
    must(same(&wanted.owner, owner), "its owner is another one", owner)?;
    must(same(&wanted.group, group), "its group is another one", group)?;
    let target = of(&output.text, "target").next().unwrap_or_default();
    must(same(&wanted.target, target), "it points elsewhere", target)?;
    if let Some(digest) = &wanted.sha256 {
        let seen = of(&output.text, "sha256").next().and_then(|l| l.split(' ').next()).unwrap_or("unknown");
        must(digest == seen, "its contents have another SHA-256", seen)?;
    }
    let text: Vec<&str> = of(&output.text, "text").collect();
    if let Some(why) = texts(&text.join("\n"), &wanted.contains, &wanted.lacks) {
        return Err(format!("there is {why}"));
    }
    Ok(format!("{kind} {mode} {owner} {group}"))
}

fn command(wanted: &Command, output: &Output) -> Judged {
    let Some(status) = of(&output.text, "status").last().and_then(|s| s.parse::<u8>().ok()) else {
        return Err(format!("it was not run: {}", short(&output.text)));
    };
    let of = |key| of(&output.text, key).collect::<Vec<_>>().join("\n");
    let (out, err) = (of("out"), of("err"));
    let said = if status != wanted.status && !err.is_empty() { &err } else { &out };
    let seen = match (status, wanted.status) {
        (124, other) if other != 124 => format!("it took longer than {} s", wanted.timeout),
        _ => format!("status {status}, said {}", short(said)),
    };
    let missing = texts(&out, &wanted.stdout, &[]).map(|why| format!("{why}, its output"));
    let missing = missing.or_else(|| texts(&err, &wanted.stderr, &[]).map(|why| format!("{why}, its errors")));
    match missing.filter(|_| status == wanted.status) {
        Some(why) => Err(format!("{seen}: {why}")),
        None => verdict(status == wanted.status, seen),
    }
}

fn container(wanted: &Container, output: &Output) -> Judged {
    let state = of(&output.text, "state").next();
    let health = of(&output.text, "health").next().filter(|h| !h.is_empty());
    let seen = match (state, health) {
        (Some(state), Some(health)) => format!("{state}, {health}"),
        (Some(state), None) => state.to_owned(),
        (None, _) => format!("not there: {}", short(&output.text)),
    };
    let good = (state == Some("running")) == wanted.running;
    verdict(good && wanted.healthy.is_none_or(|h| h == (health == Some("healthy"))), seen)
}

fn process(wanted: &Process, output: &Output) -> Judged {
    if output.text.lines().last() != Some("done") {
        return Err(short(&output.text));
    }
    let users: Vec<&str> = of(&output.text, "user").collect();
    let seen = if users.is_empty() { "none".to_owned() } else { format!("{} of {}", users.len(), users.join(", ")) };
    let owned = wanted.user.as_ref().is_none_or(|u| users.contains(&u.as_str()));
    verdict(users.is_empty() != wanted.running && owned, seen)
}

fn sysctl(wanted: &Sysctl, output: &Output) -> Judged {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    verdict(output.success() && words(&output.text) == words(&wanted.value), short(&output.text))
}

fn user(wanted: &User, output: &Output) -> Judged {
    if output.text.lines().last() != Some("done") {
        return Err(short(&output.text));
    }
    let Some(line) = of(&output.text, "passwd").next() else { return verdict(!wanted.exists, "not there") };
    if !wanted.exists {
        return Err(format!("there: {line}"));
    }
    let fields: Vec<&str> = line.split(':').collect();
    let [_, _, uid, _, _, home, shell] = fields[..] else { return Err(short(line)) };
    let groups: Vec<&str> = of(&output.text, "groups").flat_map(str::split_whitespace).collect();
    let same = |wanted: &Option<String>, seen: &str| wanted.as_ref().is_none_or(|w| w == seen);
    let good =
        wanted.uid.is_none_or(|u| u.to_string() == uid) && same(&wanted.home, home) && same(&wanted.shell, shell);
    let member = wanted.groups.iter().all(|g| groups.contains(&g.as_str()));
    verdict(good && member, format!("number {uid}, {home}, {shell}, in {}", groups.join(" ")))
}

#[cfg(test)]
mod tests {
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
        for (from, to) in [("x:21000", "x:21001"), ("/home/anna", "/"), ("/bin/bash", "/bin/sh"), ("anna web", "anna")]
        {
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
}
