//! `[firewall]`.

use super::parts::{
    LAST_PORT, NUMBER, PORT, PROTOCOL, Portless, TYPE, peers, peers_written, string, traffic, traffic_written, why,
};
use crate::Result;
use crate::profile::{
    field::*,
    section::Section,
    values,
    written::{self, Written},
};
use crate::recipe::*;
use crate::tables::forwarding::read::{FORWARD, NAT, forward, forward_written, nat, nat_written};
use std::collections::BTreeMap;

pub(crate) const FIREWALL: &[Field] = &[
    tables("allow", ALLOW, "what may come in, in order: the first entry that fits a packet decides"),
    named("sets", &values::NAME, SET, "networks by name, to be named in `from` and `to`"),
    table("egress", EGRESS, "what may go out"),
    table("forward", FORWARD, "what may pass through the machine from one link to another; everything else is dropped"),
    table("nat", NAT, "address translation of what passes through"),
];
const ALLOW: &[Field] = &[
    port("port", "destination port, of the machine or published by a container; `tcp` and `udp` need one"),
    LAST_PORT,
    PROTOCOL,
    NUMBER,
    TYPE,
    texts("in", &values::NAME, "the links it may come in by, names in `[network]`").or_said("every link"),
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
    PORT.or_said("every port"),
    LAST_PORT,
    PROTOCOL,
    NUMBER,
    TYPE,
    texts("to", &values::PEER, "where to: networks, and names of sets; IPv4 networks alone admit no IPv6")
        .or_said("anywhere"),
    text("name", &values::NAME, "name of the rule and of its counter").or_said("protocol and port, `tcp-443`"),
    why(),
];

/// Connections at once when a rate has no `burst`; nft(8)'s own default.
const BURST: u32 = 5;

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
    Ok(Firewall {
        sets,
        allow,
        egress: egress(&t.table_or_empty("egress")?)?,
        forward: forward(&t.table_or_empty("forward")?)?,
        nat: nat(&t.table_or_empty("nat")?)?,
    })
}

fn allow(t: &Section) -> Result<Allow> {
    Ok(Allow {
        name: string(t, "name")?,
        why: string(t, "why")?,
        what: traffic(t, Portless::Refused)?,
        links: t.plain("in")?,
        from: peers(t, "from")?,
        rate: rate(t)?,
        listener: string(t, "listener")?,
    })
}

fn egress(t: &Section) -> Result<Egress> {
    let policy = if t.needed("policy")?.value == "drop" { Policy::Drop } else { Policy::Accept };
    let one = |a: &Section| -> Result<AllowOut> {
        Ok(AllowOut {
            name: string(a, "name")?,
            why: string(a, "why")?,
            what: traffic(a, Portless::EveryPort)?,
            to: peers(a, "to")?,
        })
    };
    let allow = t.tables("allow")?.iter().map(one).collect::<Result<_>>()?;
    Ok(Egress { policy, allow })
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
        traffic_written(Written::default(), &a.what)
            .maybe("name", a.name.as_deref())
            .maybe("why", a.why.as_deref())
            .list("in", &a.links)
            .with("from", peers_written(&a.from))
            .maybe("rate", a.rate.map(|r| format!("{}/{}", r.connections, r.per.name())))
            .maybe("burst", a.rate.map(|r| r.burst))
            .maybe("listener", a.listener.as_deref())
    };
    let allow_out = |a: &AllowOut| {
        traffic_written(Written::default(), &a.what)
            .maybe("name", a.name.as_deref())
            .maybe("why", a.why.as_deref())
            .with("to", peers_written(&a.to))
    };
    let egress = Written::default().with("policy", written::word(&firewall.egress.policy)).tables(
        "allow",
        &firewall.egress.allow,
        allow_out,
    );
    Written::default()
        .named("sets", &firewall.sets, set)
        .tables("allow", &firewall.allow, allow)
        .with("egress", egress)
        .with("forward", forward_written(&firewall.forward))
        .with("nat", nat_written(&firewall.nat))
}
