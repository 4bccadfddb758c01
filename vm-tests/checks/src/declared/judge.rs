//! Answers → verdicts for checks of the profile's own; each judge has a test in which it finds the fault it is for.

use crate::answer::{Judged, short, verdict};
use diorite_lab::{HttpReply, PortVerdict, Scan, UdpVerdict};
use diorite_machine::Output;
use diorite_model::verify::{
    Ask, Command, Container, Dns, File, FileKind, Http, Metric, PortState, Process, Sysctl, Unit, User,
};
use std::net::IpAddr;

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

/// What another machine saw of a port or a page.
pub fn from_machine(ask: &Ask, output: &Output) -> Judged {
    match ask {
        Ask::Port(p) => {
            let seen = output.text.split(':').next().unwrap_or_default();
            verdict(output.success() && seen == p.state.name(), short(&output.text))
        }
        Ask::Http(h) => http(h, &reply(output)),
        Ask::Metric(m) => metric(m, &reply(output)),
        other => Err(format!("{} is not asked from another machine", other.kind())),
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
mod tests;
