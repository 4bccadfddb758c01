//! `[firewall]`.

use crate::Result;
use crate::profile::{
    field::*,
    section::Section,
    values,
    written::{self, Written},
};
use crate::recipe::*;
use std::collections::BTreeMap;

pub(crate) const FIREWALL: &[Field] = &[
    tables("allow", ALLOW, "what may come in, in order: the first entry that fits a packet decides"),
    named("sets", &values::NAME, SET, "networks by name, to be named in `from` and `to`"),
    table("egress", EGRESS, "what may go out"),
];
const ALLOW: &[Field] = &[
    port("port", "destination port, of the machine or published by a container").needed(),
    port("last_port", "the last port of a range that begins with `port`").or_said("`port` again: one port"),
    protocol("protocol"),
    texts("from", &values::PEER, "who may come: networks, and names of sets; IPv4 networks alone admit no IPv6")
        .or_said("from anywhere"),
    text("rate", &values::RATE, "new connections each IPv4 address or IPv6 /64 may begin; the rest is dropped"),
    integer("burst", 1, 10_000, "connections that may come at once after a silence, with `rate` only")
        .or_said("5 with `rate`"),
    text("listener", &values::LISTENER, "who listens there, when no table of the profile says so"),
    text("name", &values::NAME, "name of the rule and of its counter").or_said("protocol and port, `tcp-443`"),
    why(),
];
const SET: &[Field] = &[texts("networks", &values::NETWORK, "its networks, one at least").needed(), why()];
const EGRESS: &[Field] = &[
    choice(
        "policy",
        &[("accept", "whatever the machine or a container begins"), ("drop", "only what `allow` names")],
        "what may go out when no entry names it",
    )
    .or_text("accept"),
    tables("allow", ALLOW_OUT, "what may go out although the policy is `drop`; answers, DHCP, DNS and NTP always may"),
];
const ALLOW_OUT: &[Field] = &[
    port("port", "destination port").or_said("every port"),
    port("last_port", "the last port of a range that begins with `port`").or_said("`port` again: one port"),
    protocol("protocol"),
    texts("to", &values::PEER, "where to: networks, and names of sets; IPv4 networks alone admit no IPv6")
        .or_said("anywhere"),
    text("name", &values::NAME, "name of the rule and of its counter").or_said("protocol and port, `tcp-443`"),
    why(),
];

/// Connections at once when a rate has no `burst`; nft(8)'s own default.
const BURST: u32 = 5;

const fn why() -> Field {
    text("why", &values::PROSE, "what it is for; shown in the documentation only")
}

/// A transport protocol, `tcp` when nothing is said.
pub(crate) const fn protocol(name: &'static str) -> Field {
    choice(name, &[("tcp", "RFC 9293"), ("udp", "RFC 768")], "transport protocol").or_text("tcp")
}

/// Reads what [`protocol`] declares.
pub(crate) fn protocol_of(t: &Section) -> Result<Protocol> {
    Ok(if t.needed("protocol")?.value == "udp" { Protocol::Udp } else { Protocol::Tcp })
}

/// Reads a list of networks and names of sets.
pub(crate) fn peers(t: &Section, key: &str) -> Result<Vec<Peer>> {
    Ok(t.plain(key)?.into_iter().map(|text| Peer::try_from(text).expect("its form was checked")).collect())
}

pub(crate) fn firewall(top: &Section) -> Result<Firewall> {
    let t = top.table_or_empty("firewall")?;
    let mut sets = BTreeMap::new();
    for (name, s) in t.named("sets")? {
        let networks = s.plain("networks")?;
        if networks.is_empty() {
            return Err(s.missing("networks"));
        }
        let networks = networks.iter().map(|n| n.parse().expect("its form was checked")).collect();
        sets.insert(name, NetworkSet { networks, why: string(&s, "why")? });
    }
    let allow = t.tables("allow")?.iter().map(allow).collect::<Result<_>>()?;
    Ok(Firewall { sets, allow, egress: egress(&t.table_or_empty("egress")?)? })
}

fn allow(t: &Section) -> Result<Allow> {
    let port = t.needed_number("port")?.value;
    Ok(Allow {
        name: string(t, "name")?,
        why: string(t, "why")?,
        port,
        last_port: last_port(t, port)?.unwrap_or(port),
        protocol: protocol_of(t)?,
        from: peers(t, "from")?,
        rate: rate(t)?,
        listener: string(t, "listener")?,
    })
}

fn egress(t: &Section) -> Result<Egress> {
    let policy = if t.needed("policy")?.value == "drop" { Policy::Drop } else { Policy::Accept };
    let mut allow = Vec::new();
    for a in t.tables("allow")? {
        let (first, last) = match a.number("port")? {
            Some(port) => (port.value, last_port(&a, port.value)?.unwrap_or(port.value)),
            None if a.key("last_port").is_some() => return Err(a.missing("port")),
            None => (1, u16::MAX),
        };
        allow.push(AllowOut {
            name: string(&a, "name")?,
            why: string(&a, "why")?,
            port: first,
            last_port: last,
            protocol: protocol_of(&a)?,
            to: peers(&a, "to")?,
        });
    }
    Ok(Egress { policy, allow })
}

fn string(t: &Section, key: &str) -> Result<Option<String>> {
    Ok(t.text(key)?.map(|w| w.value))
}

fn last_port(t: &Section, first: u16) -> Result<Option<u16>> {
    let Some(last) = t.number::<u16>("last_port")? else { return Ok(None) };
    if last.value < first {
        let error = t.files.error(last.span, format!("`{}` ends before it begins", t.path));
        return Err(error.because(format!("the first port is {first}")).hint("put the smaller one into `port`"));
    }
    Ok(Some(last.value))
}

fn rate(t: &Section) -> Result<Option<Rate>> {
    let burst = t.number::<u32>("burst")?;
    let Some(text) = t.text("rate")? else {
        return match burst {
            Some(burst) => {
                let error = t.files.error(burst.span, format!("`{}` has a `burst` and no `rate`", t.path));
                Err(error.hint("add a rate, such as `rate = \"10/minute\"`, or remove the burst"))
            }
            None => Ok(None),
        };
    };
    let (connections, per) = values::rate(&text.value).expect("its form was checked");
    Ok(Some(Rate { connections, per, burst: burst.map_or(BURST, |b| b.value) }))
}

/// The table that says this.
pub(crate) fn written(firewall: &Firewall) -> Written {
    let networks = |list: &[Network]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    let set =
        |s: &NetworkSet| Written::default().with("networks", networks(&s.networks)).maybe("why", s.why.as_deref());
    let allow = |a: &Allow| {
        Written::default()
            .maybe("name", a.name.as_deref())
            .maybe("why", a.why.as_deref())
            .with("port", u32::from(a.port))
            .with("last_port", u32::from(a.last_port))
            .with("protocol", a.protocol.name())
            .with("from", peers_written(&a.from))
            .maybe("rate", a.rate.map(|r| format!("{}/{}", r.connections, r.per.name())))
            .maybe("burst", a.rate.map(|r| r.burst))
            .maybe("listener", a.listener.as_deref())
    };
    let allow_out = |a: &AllowOut| {
        Written::default()
            .maybe("name", a.name.as_deref())
            .maybe("why", a.why.as_deref())
            .with("port", u32::from(a.port))
            .with("last_port", u32::from(a.last_port))
            .with("protocol", a.protocol.name())
            .with("to", peers_written(&a.to))
    };
    let egress = Written::default().with("policy", written::word(&firewall.egress.policy)).tables(
        "allow",
        &firewall.egress.allow,
        allow_out,
    );
    Written::default().named("sets", &firewall.sets, set).tables("allow", &firewall.allow, allow).with("egress", egress)
}

pub(crate) fn peers_written(peers: &[Peer]) -> Vec<String> {
    peers.iter().map(ToString::to_string).collect()
}
