//! Unsolicited traffic: what a machine may say without being asked, as its recipe declares it: who its name and time servers are, and where
//! its services and containers may connect to. Anything else on the wire is a machine that phones home.

use crate::{
    answer::Judged,
    check::{Check, Phase},
    scope::Scope,
    surroundings::{Surroundings, split},
};
use diorite_lab::{
    Record,
    allow::{self, Allowed, To, What},
};
use diorite_model::{
    Recipe,
    recipe::{LinkKind, Protocol, Traffic},
};
use std::net::IpAddr;

/// IEEE 802.3ad: bonds find each other by the slow protocols' frames.
const SLOW_PROTOCOLS: u16 = 0x8809;
/// A declared range of so many ports is told one by one; a longer one is any port.
const MOST_PORTS: u16 = 64;

/// The machine has said nothing but this since power-on.
pub fn check(scope: &Scope<'_>) -> Check {
    let (what, allowed) = ("no undeclared outgoing traffic", allowed(scope.recipe));
    let check = Check::outside("nothing-unasked", what, move |machine| Ok(judge(&machine.lab().record(), &allowed)));
    check.phase(Phase::Summary).of_the_boot()
}

/// The list for this recipe.
fn allowed(recipe: &Recipe) -> Vec<Allowed> {
    let around = Surroundings::of(recipe);
    let mut all = allow::ordinary(&around.config);
    all.extend(around.sides.iter().flat_map(|side| allow::ordinary(&side.config)));
    let server = |text: &String| text.split(['#', '%']).next().and_then(|a| a.parse::<IpAddr>().ok()).map(To::Address);
    for (name, link) in &recipe.network {
        for (address, length) in link.addresses.iter().filter_map(|a| split(a)) {
            let why = format!("it looks for neighbours on {name}");
            all.push(Allowed::new(What::Arp, To::Network(address, length), None, &why));
        }
        for to in link.dns.iter().filter_map(server) {
            for (what, port) in [(What::Udp, 53), (What::Tcp, 53), (What::Tcp, 853)] {
                all.push(Allowed::new(what, to, port, &format!("it asks a name server of {name}")));
            }
        }
        for to in link.ntp.iter().filter_map(server) {
            all.push(Allowed::new(What::Udp, to, 123, &format!("it asks a time server of {name}")));
        }
        if matches!(link.kind, LinkKind::Bond(_)) {
            let what = What::Ethertype(SLOW_PROTOCOLS);
            all.push(Allowed::new(what, To::Anywhere, None, &format!("the bond {name} looks for its partner")));
        }
    }
    let fallback = recipe.time.fallback_ntp.iter().flatten();
    for to in recipe.time.ntp.iter().chain(fallback).filter_map(server) {
        all.push(Allowed::new(What::Udp, to, 123, "it asks a declared time server"));
    }
    for (name, mount) in &recipe.mounts {
        let Some((_, port)) = mount.server() else { continue };
        let addresses = mount.server_addresses(&recipe.hosts);
        let to =
            if addresses.is_empty() { vec![To::Anywhere] } else { addresses.into_iter().map(To::Address).collect() };
        let why = format!("it asks the file server of the mount {name}");
        all.extend(to.into_iter().map(|to| Allowed::new(What::Tcp, to, port, &why)));
    }
    for out in recipe.outgoing() {
        let addresses = out.addresses(&recipe.hosts);
        let to =
            if addresses.is_empty() { vec![To::Anywhere] } else { addresses.into_iter().map(To::Address).collect() };
        let kinds = match out.port {
            Some((Protocol::Tcp, port)) => vec![(What::Tcp, Some(port))],
            Some((Protocol::Udp, port)) => vec![(What::Udp, Some(port))],
            None => vec![(What::Icmp(8), None), (What::Icmp6(128), None)],
        };
        for to in to {
            all.extend(kinds.iter().map(|(what, port)| Allowed::new(*what, to, *port, &out.who)));
        }
    }
    for call in recipe.tunnel_calls() {
        let addresses = call.addresses(&recipe.hosts);
        let to =
            if addresses.is_empty() { vec![To::Anywhere] } else { addresses.into_iter().map(To::Address).collect() };
        let what = if call.protocol == Protocol::Tcp { What::Tcp } else { What::Udp };
        let why = format!("it calls the other end of the tunnel {}", call.tunnel);
        all.extend(to.into_iter().map(|to| Allowed::new(what, to, call.port, &why)));
    }
    for out in &recipe.firewall.egress.allow {
        let why = out.why.clone().unwrap_or_else(|| "firewall.egress lets it".to_owned());
        let networks = recipe.firewall.networks(&out.to);
        let targets = match out.to[..] {
            [] => vec![To::Anywhere],
            _ => networks.iter().map(|n| To::Network(n.address(), n.length())).collect(),
        };
        for to in targets {
            all.extend(said_of(&out.what).into_iter().map(|(what, port)| Allowed::new(what, to, port, &why)));
        }
    }
    for (name, link) in &recipe.network {
        if link.dhcp_server.is_some() {
            all.push(Allowed::new(What::Udp, To::Anywhere, 68, &format!("it leases addresses on {name}")));
        }
        if link.advertise.is_some() {
            let why = format!("it advertises itself on {name}");
            all.push(Allowed::new(What::Icmp6(134), To::Anywhere, None, &why));
        }
    }
    all
}

/// How the lab records what a rule is about: a few ports one by one, more of them as any port.
fn said_of(what: &Traffic) -> Vec<(What, Option<u16>)> {
    match what {
        Traffic::Ports { protocol, first, last } => {
            let what = if *protocol == Protocol::Tcp { What::Tcp } else { What::Udp };
            match last - first < MOST_PORTS {
                true => (*first..=*last).map(|port| (what, Some(port))).collect(),
                false => vec![(what, None)],
            }
        }
        Traffic::Icmp { v6, kind } => {
            let one = |kind| (if *v6 { What::Icmp6(kind) } else { What::Icmp(kind) }, None);
            kind.map_or_else(|| (0..=255).map(one).collect(), |kind| vec![one(kind)])
        }
        Traffic::Other(number) => vec![(What::Ip(*number), None)],
        Traffic::Any => Vec::new(),
    }
}

/// What was said, held against the list.
fn judge(record: &Record, allowed: &[Allowed]) -> Judged {
    let wrong: Vec<String> = allow::undeclared(record, allowed).iter().map(ToString::to_string).collect();
    match &wrong[..] {
        [] => Ok(format!("{} kinds of packets, every one declared", record.len())),
        wrong => Err(wrong.iter().take(4).cloned().collect::<Vec<_>>().join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::tests::{recipe_of, server};
    use diorite_lab::{Times, Utterance};
    use diorite_model::recipe::{AllowOut, Peer};
    use std::time::Duration;

    fn said(kind: &str, to: &str, port: u16) -> (Utterance, Times) {
        let (guest, kind, to) = ("52:54:00:12:34:56".to_owned(), kind.to_owned(), to.to_owned());
        let times = Times { count: 1, first: Duration::from_secs(3), last: Duration::from_secs(3) };
        (Utterance { guest, vlan: None, kind, to, port }, times)
    }

    #[test]
    fn what_is_declared_may_be_said_and_nothing_else() {
        let mut recipe = server();
        let list = [
            said("arp", "10.77.0.1", 0),
            said("udp", "255.255.255.255", 67),
            said("udp", "10.77.0.1", 123),
            said("icmp6-143", "ff02::16", 0),
        ];
        assert!(judge(&list.into(), &allowed(&recipe)).is_ok());
        let home = || Record::from([said("tcp-syn", "203.0.113.9", 443)]);
        let words = judge(&home(), &allowed(&recipe)).expect_err("it phones home");
        assert!(words.contains("203.0.113.9, TCP port 443"), "{words}");
        let to = vec![Peer::Network("203.0.113.0/24".parse().unwrap())];
        let (name, why, what) = (None, None, Traffic::port(443, Protocol::Tcp));
        recipe.firewall.egress.allow = vec![AllowOut { name, why, what, to }];
        assert!(judge(&home(), &allowed(&recipe)).is_ok());
        assert!(judge(&Record::from([said("tcp-syn", "203.0.113.9", 80)]), &allowed(&recipe)).is_err());
        // What monitoring asks of others: of these, and of nobody else.
        let watching = recipe_of(
            "[network.lan]\ndhcp = true\n[monitoring.prometheus]\n[monitoring.probes.shell]\n\
             tcp = { host = \"203.0.113.9\", port = 22 }\n[monitoring.probes.gate]\nping = { host = \"203.0.113.1\" }\n",
        );
        let asks = |kind, to, port| judge(&Record::from([said(kind, to, port)]), &allowed(&watching));
        assert!(asks("tcp-syn", "203.0.113.9", 22).is_ok() && asks("icmp-8", "203.0.113.1", 0).is_ok());
        assert!(asks("tcp-syn", "203.0.113.8", 22).is_err() && asks("tcp-syn", "203.0.113.9", 23).is_err());
        let time = || Record::from([said("udp", "192.0.2.123", 123)]);
        assert!(judge(&time(), &allowed(&recipe)).is_err());
        recipe.time.ntp = vec!["192.0.2.123".into()];
        assert!(judge(&time(), &allowed(&recipe)).is_ok());
    }
}
