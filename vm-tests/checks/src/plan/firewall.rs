//! What the firewall lets through, asked from the wire: every admitted port answers, its neighbours are silent.

use super::{Add, Expected, Family, Question, Sweep, Vantage};
use crate::surroundings::split;
use diorite_model::{
    Recipe,
    recipe::{Allow, NodeExporter, Policy, Protocol, Publish},
    report::Evidence,
};
use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Networks for documentation (RFC 5737, RFC 3849, RFC 9637): the machine's way to one of them is its gateway's.
const ELSEWHERE: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(198, 51, 100, 77)),
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, 77)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 77)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 0x77)),
    IpAddr::V6(Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0x77)),
];

/// An address that no link and no route of the recipe leads to; none when the machine has no gateway either.
fn elsewhere(recipe: &Recipe, family: Family, gateway: bool) -> Option<IpAddr> {
    let links = recipe.network.values();
    let known = links.flat_map(|l| l.addresses.iter().chain(l.routes.iter().map(|r| &r.to)));
    // The network of an address: its host's bits do not count.
    let networks: Vec<(IpAddr, u8)> = known.filter_map(|text| split(text)).filter(|(_, length)| *length > 0).collect();
    let fits = |ip: &&IpAddr| {
        ip.is_ipv4() == (family == Family::V4) && !networks.iter().any(|(net, length)| within(**ip, *net, *length))
    };
    ELSEWHERE.iter().find(fits).copied().filter(|_| gateway)
}

fn within(ip: IpAddr, net: IpAddr, length: u8) -> bool {
    match (ip, net) {
        (IpAddr::V4(ip), IpAddr::V4(net)) => (ip.to_bits() ^ net.to_bits()).leading_zeros() >= u32::from(length),
        (IpAddr::V6(ip), IpAddr::V6(net)) => (ip.to_bits() ^ net.to_bits()).leading_zeros() >= u32::from(length),
        _ => false,
    }
}

/// Ports that a connection out of the machine is tried to: discard and those behind it. Not 53, which always may.
const NOWHERE: std::ops::RangeInclusive<u16> = 9..=52;
/// The secure shell's port.
const SSH: u16 = 22;
/// Connections the other checks of one port begin at most; a burst must have room for them.
const ASKED: u32 = 5;

/// A whole conversation may be more than a small burst lets in.
fn roomy(allow: &Allow) -> bool {
    allow.rate.is_none_or(|r| r.burst >= ASKED)
}

/// Whether the secure shell can be talked to from `source`.
pub(super) fn speaks(recipe: &Recipe, source: IpAddr) -> bool {
    let fits = |a: &&Allow| a.protocol == Protocol::Tcp && a.ports().contains(&SSH);
    recipe.firewall.allow.iter().find(|a| fits(a) && recipe.firewall.names(&a.from, source)).is_some_and(roomy)
}

/// Every check of ports, for questions that come from `source`. `gateway`: the machine finds its way to other networks.
pub(super) fn ports(recipe: &Recipe, family: Family, source: IpAddr, gateway: bool, add: Add<'_>) {
    let outside = Evidence::Outside;
    let name = family.name();
    let admits = |port: u16, protocol| {
        let mut all = recipe.firewall.allow.iter();
        all.find(|a| a.protocol == protocol && a.ports().contains(&port) && recipe.firewall.names(&a.from, source))
    };
    let tcp: BTreeSet<u16> = tried(recipe).into_iter().filter(|p| admits(*p, Protocol::Tcp).is_some()).collect();
    let published = published(recipe);
    let exporter = recipe.monitoring.node_exporter.is_some().then_some(NodeExporter::PORT);
    for port in &tcp {
        // Containers have an IPv4 network; what a published port answers over IPv6 is not declared.
        if published.contains(port) && family == Family::V6 {
            continue;
        }
        let listens = *port == SSH || published.contains(port) || Some(*port) == exporter;
        let (word, expected) = if listens { ("open", Expected::Open) } else { ("admitted", Expected::Admitted) };
        let what = format!("TCP port {port} is {word} ({name})");
        add(format!("port-{name}-tcp-{port}-{word}"), what, outside, Question::Port(family, *port, expected));
    }
    let roomy = |port: u16| admits(port, Protocol::Tcp).is_some_and(roomy);
    if speaks(recipe, source) {
        let what = format!("port 22 gives an SSH banner ({name})");
        add(format!("ssh-banner-{name}"), what, outside, Question::Ssh(family));
    }
    if family == Family::V4 {
        for port in tcp.intersection(&published).filter(|p| roomy(**p)) {
            let what = format!("the container behind port {port} answers HTTP");
            add(format!("http-{port}"), what, outside, Question::Http(*port));
        }
        if exporter.is_some_and(|port| tcp.contains(&port)) {
            let what = "port 9100 gives metrics in Prometheus' format, and what the image says of itself";
            add("metrics-9100".into(), what.into(), outside, Question::Metrics);
        }
    }
    for port in &tcp {
        let Some(rate) = admits(*port, Protocol::Tcp).and_then(|a| a.rate) else { continue };
        // Only a limit that an emulated machine can be made to reach.
        let slow = u64::from(rate.connections) <= rate.per.seconds() && rate.burst <= 50;
        if slow && !(published.contains(port) && family == Family::V6) {
            let what = format!("TCP port {port} is silent to a source over its rate ({name})");
            add(format!("port-{name}-tcp-{port}-limited"), what, outside, Question::Limited(family, *port, rate));
        }
    }
    let rated = |a: &&Allow| a.rate.is_some();
    let rules = |protocol| recipe.firewall.allow.iter().filter(move |a| a.protocol == protocol);
    let allow = |protocol, source| rules(protocol).filter(move |a| recipe.firewall.names(&a.from, source));
    // A port with a rate is asked by itself. Containers have an IPv4 network; what a published port answers over IPv6 is
    // not declared.
    let mut unsaid: BTreeSet<u16> = recipe.firewall.allow.iter().filter(rated).flat_map(Allow::ports).collect();
    if family == Family::V6 {
        unsaid.extend(&published);
    }
    let sweep = |protocol, vantage, source| Sweep {
        family,
        protocol,
        vantage,
        admitted: allow(protocol, source).map(|a| (a.port, a.last_port)).collect(),
        declared: rules(protocol).map(|a| (a.port, a.last_port)).collect(),
        unsaid: unsaid.clone(),
    };
    let words = |what: &str| format!("{what}, no port answers but those declared ({name})");
    for (protocol, of) in [(Protocol::Tcp, "tcp"), (Protocol::Udp, "udp")] {
        let what = words(&format!("of all 65,535 {} ports", of.to_uppercase()));
        let question = Question::Ports(sweep(protocol, Vantage::Here, source));
        add(format!("ports-{name}-{of}"), what, outside, question);
    }
    let other = elsewhere(recipe, family, gateway).map(|from| ("other-network", Vantage::From(from), from));
    let same = [
        ("source-port-53", Vantage::SourcePort(53), source),
        ("source-port-20", Vantage::SourcePort(20), source),
        ("fragments", Vantage::Fragments, source),
    ];
    for (id, vantage, source) in other.into_iter().chain(same) {
        let words_of = match vantage {
            Vantage::Here => "asked from the lab",
            Vantage::From(_) => "asked from another network",
            Vantage::SourcePort(53) => "asked from port 53",
            Vantage::SourcePort(_) => "asked from port 20",
            Vantage::Fragments => "asked in fragments",
        };
        let question = Question::Ports(sweep(Protocol::Tcp, vantage, source));
        add(format!("ports-{name}-tcp-{id}"), words(words_of), outside, question);
    }
}

/// What the machine itself is asked of its packet filter. `outside` is an address that is not its own.
pub(super) fn inside(recipe: &Recipe, outside: IpAddr, add: Add<'_>) {
    let inside = Evidence::Inside;
    let question = Question::Counters(counters(recipe));
    add("firewall-counters".into(), "every rule of the firewall has its counter".into(), inside, question);
    let egress = &recipe.firewall.egress;
    let listed = |port: u16| {
        let mut all = egress.allow.iter().filter(|a| a.protocol == Protocol::Tcp && a.ports().contains(&port));
        all.any(|a| recipe.firewall.names(&a.to, outside))
    };
    if let (Policy::Drop, Some(port)) = (egress.policy, NOWHERE.into_iter().find(|p| !listed(*p))) {
        let what = format!("a connection to TCP port {port} of a neighbour does not go out, and is counted");
        add(format!("egress-tcp-{port}-dropped"), what, inside, Question::Kept(outside, port));
    }
    let what = "reloading and stopping the firewall's unit leaves its rules in place";
    add("firewall-stays".into(), what.into(), inside, Question::RulesStay);
    let names: Vec<String> = recipe.containers.keys().cloned().collect();
    let what = match names[..] {
        [] => "no undeclared port answers while the firewall is loaded again",
        _ => "no undeclared port answers while the firewall is loaded again and the containers are started anew",
    };
    add("firewall-under-churn".into(), what.into(), Evidence::Outside, Question::Churn(names));
}

/// The counters of what may come in and go out.
pub(super) fn counters(recipe: &Recipe) -> Vec<String> {
    let published = |protocol, port| {
        let mut all = recipe.containers.values().flat_map(|c| &c.publish);
        all.any(|p| !p.local && p.protocol == protocol && p.host == port)
    };
    let mut all = Vec::new();
    for allow in &recipe.firewall.allow {
        let mut ports = allow.ports();
        let (behind, id) = (ports.clone().any(|p| published(allow.protocol, p)), allow.id());
        all.extend(behind.then(|| format!("forward_{id}")));
        all.extend(ports.any(|p| !published(allow.protocol, p)).then(|| format!("input_{id}")));
        all.extend(allow.rate.map(|_| format!("limited_{id}")));
    }
    all.extend(["input_dropped", "forward_dropped"].map(Into::into));
    if recipe.firewall.egress.policy == Policy::Drop {
        all.extend(recipe.firewall.egress.allow.iter().map(|a| format!("egress_{}", a.id())));
        all.push("output_dropped".into());
    }
    all
}

/// Ports of TCP that others may reach in a container.
fn published(recipe: &Recipe) -> BTreeSet<u16> {
    let fits = |p: &&Publish| p.protocol == Protocol::Tcp && !p.local;
    recipe.containers.values().flat_map(|c| &c.publish).filter(fits).map(|p| p.host).collect()
}

/// The ends of every entry's ports, and what is published between them.
fn tried(recipe: &Recipe) -> BTreeSet<u16> {
    let between = |a: &Allow| published(recipe).into_iter().filter(|p| a.ports().contains(p)).collect::<Vec<_>>();
    let entries = recipe.firewall.allow.iter().filter(|a| a.protocol == Protocol::Tcp);
    entries.flat_map(|a| [a.port, a.last_port].into_iter().chain(between(a))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{
        Family, Question, Sweep, plan,
        tests::{SOURCES, ids, recipe},
    };
    use diorite_model::recipe::{Allow, AllowOut, Peer, Period, Policy, Protocol, Rate};

    fn sweep(recipe: &diorite_model::Recipe, id: &str) -> Sweep {
        match plan(recipe, &[], SOURCES).into_iter().find(|c| c.id == id).unwrap().question {
            Question::Ports(sweep) => sweep,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_may_not_go_out_is_tried() {
        let mut recipe = recipe();
        let tried = |recipe: &_| ids(recipe).into_iter().find(|i| i.starts_with("egress-"));
        assert_eq!(tried(&recipe), None, "everything may");
        recipe.firewall.egress.policy = Policy::Drop;
        let near = |name: &str, first, last| AllowOut {
            name: Some(name.into()),
            why: None,
            port: first,
            last_port: last,
            protocol: Protocol::Tcp,
            to: vec![Peer::Network("10.77.0.0/24".parse().unwrap())],
        };
        recipe.firewall.egress.allow = vec![near("a", 1, 19)];
        assert_eq!(tried(&recipe).as_deref(), Some("egress-tcp-20-dropped"));
        assert!(super::counters(&recipe).contains(&"egress_a".to_owned()));
        recipe.firewall.egress.allow.push(near("b", 20, 65_535));
        assert_eq!(tried(&recipe), None, "everything there may");
    }

    #[test]
    fn another_network_is_one_that_only_the_gateway_knows() {
        let mut recipe = recipe();
        let from = |recipe: &_, family| super::elsewhere(recipe, family, true).map(|ip| ip.to_string());
        assert_eq!(from(&recipe, Family::V4).as_deref(), Some("198.51.100.77"));
        let link = recipe.network.get_mut("lan").unwrap();
        link.addresses = vec!["203.0.113.2/28".into(), "2001:db8::2/32".into()];
        link.routes = vec![diorite_model::recipe::Route { to: "198.51.0.0/16".into(), via: None, metric: None }];
        assert_eq!(from(&recipe, Family::V4).as_deref(), Some("203.0.113.77"), "outside of the sixteen addresses");
        assert_eq!(from(&recipe, Family::V6).as_deref(), Some("3fff::77"));
        assert_eq!(super::elsewhere(&recipe, Family::V4, false), None, "no way back");
    }

    #[test]
    fn ranges_sets_and_rates_are_asked() {
        let mut recipe = recipe();
        let rate = Some(Rate { connections: 6, per: Period::Minute, burst: 3 });
        let fast = Some(Rate { connections: 100, per: Period::Second, burst: 3 });
        let far = vec![Peer::Network("192.0.2.0/24".parse().unwrap())];
        recipe.firewall.allow = vec![
            Allow { rate, ..Allow::port(22, Protocol::Tcp) },
            Allow { last_port: 8090, ..Allow::port(8070, Protocol::Tcp) },
            Allow { rate: fast, ..Allow::port(443, Protocol::Tcp) },
            Allow { from: far, ..Allow::port(5432, Protocol::Tcp) },
        ];
        let ids = ids(&recipe);
        for id in [
            "port-ipv4-tcp-8070-admitted",
            "port-ipv4-tcp-8080-open",
            "port-ipv4-tcp-8090-admitted",
            "port-ipv4-tcp-22-limited",
            "port-ipv6-tcp-22-limited",
            "ports-ipv4-tcp",
            "ports-ipv6-udp",
            "ports-ipv6-tcp-other-network",
            "ports-ipv4-tcp-source-port-53",
            "firewall-counters",
            "firewall-stays",
            "metrics-image",
        ] {
            assert!(ids.iter().any(|i| i == id), "{id} is not among {ids:#?}");
        }
        // Three connections are too few for a banner; too fast to be reached; not for us.
        for id in ["ssh-banner-ipv4", "port-ipv4-tcp-443-limited", "port-ipv4-tcp-5432-open"] {
            assert!(!ids.iter().any(|i| i == id), "{id} is among {ids:#?}");
        }
        let here = sweep(&recipe, "ports-ipv4-tcp");
        assert_eq!((here.must(8085), here.must(8091), here.must(5432)), (Some(true), Some(false), Some(false)));
        assert_eq!(here.must(22), None, "it has a rate");
        assert_eq!(sweep(&recipe, "ports-ipv6-tcp").must(8080), None, "a container's port");
        recipe.firewall.allow[3].from = vec![Peer::Network("198.51.100.0/24".parse().unwrap())];
        assert_eq!(sweep(&recipe, "ports-ipv4-tcp-other-network").must(5432), Some(true), "others may");
        let fragments = sweep(&recipe, "ports-ipv4-tcp-fragments");
        assert_eq!(fragments.must(5432), Some(false));
        assert!(
            fragments.ports().is_superset(&[5431, 5432, 5433].into()),
            "what others may is asked by those who may not"
        );
    }
}
