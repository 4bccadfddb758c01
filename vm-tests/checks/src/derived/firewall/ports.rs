//! The ports of a machine, asked from the wire: every admitted one answers, all others are silent, wherever the question
//! comes from.

use crate::{
    answer::{Judged, verdict},
    check::{Check, CheckRun, Phase},
    scope::Scope,
    surroundings::split,
    sweep::{Family, Sweep, Vantage},
};
use diorite_lab::{PortVerdict, Scan};
use diorite_model::{
    Recipe,
    recipe::{Allow, Protocol, Rate},
    report::{Declared, Evidence},
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

/// Every admitted port answers.
pub fn admitted(scope: &Scope<'_>, family: Family) -> Vec<Check> {
    let (listeners, name) = (scope.recipe.listeners(), family.name());
    let one = |port: u16| {
        let listens = listeners.iter().any(|l| l.is_public_tcp() && l.port == port);
        let (word, declared) = if listens { ("open", Declared::Open) } else { ("admitted", Declared::Admitted) };
        let words = if listens { word } else { "admitted by the firewall" };
        let what = format!("TCP port {port} is {words} ({name})");
        let check = Check::outside(format!("port-{name}-tcp-{port}-{word}"), what, move |machine| {
            let (seen, witnessed) = machine.port(family, port, declared)?;
            Ok(answers(seen, witnessed, declared))
        });
        check.phase(Phase::Ports).over(family)
    };
    scope.admitted(family).into_iter().map(one).collect()
}

/// A source over its rate hears nothing of a port.
pub fn limits(scope: &Scope<'_>, family: Family) -> Vec<Check> {
    let name = family.name();
    let mut all = Vec::new();
    for port in scope.admitted(family) {
        let Some(rate) = scope.admits(family, Protocol::Tcp, port).and_then(|a| a.rate) else { continue };
        // Only a limit that an emulated machine can be made to reach.
        let slow = u64::from(rate.connections) <= rate.per.seconds() && rate.burst <= 50;
        if slow {
            let what = format!("TCP port {port} does not answer a source over its rate limit ({name})");
            let check = Check::outside(format!("port-{name}-tcp-{port}-limited"), what, move |machine| {
                machine.scan_until(family, port, |scan, asked, took| limited(scan, port, asked, took.as_secs(), rate))
            });
            all.push(check.phase(Phase::Ports).over(family));
        }
    }
    all
}

/// No port answers but those that are admitted, wherever the question comes from.
pub fn sweeps(scope: &Scope<'_>, family: Family) -> Vec<Check> {
    let (recipe, source, name) = (scope.recipe, scope.source(family), family.name());
    let rated = |a: &&Allow| a.rate.is_some();
    let here = |a: &&Allow| scope.comes_by(a);
    let ports = |a: &Allow, protocol| a.ports(protocol).map(|ports| (*ports.start(), *ports.end()));
    let admits =
        |source| recipe.firewall.allow.iter().filter(here).filter(move |a| recipe.firewall.names(&a.from, source));
    // A port with a rate is asked by itself, and who answers at one that leads to another machine is that machine.
    let front = scope.around.front.as_ref();
    let leads = recipe.firewall.nat.ports.iter().filter(|p| front.is_some_and(|link| p.input.contains(link)));
    let mut unsaid: BTreeSet<u16> = leads.flat_map(|p| p.port..=p.last_port).collect();
    unsaid.extend(recipe.firewall.allow.iter().filter(rated).flat_map(every));
    let sweep = |id: &str, words: &str, protocol, vantage, source| {
        let what = format!("{words} ({name})");
        let sweep = Sweep {
            family,
            protocol,
            vantage,
            admitted: admits(source).filter_map(|a| ports(a, protocol)).collect(),
            declared: recipe.firewall.allow.iter().filter_map(|a| ports(a, protocol)).collect(),
            unsaid: unsaid.clone(),
        };
        let check = Check::new(format!("ports-{name}-{id}"), what, Evidence::Outside, CheckRun::Sweep(sweep));
        check.phase(Phase::Ports).over(family)
    };
    let (tcp, udp) = (Protocol::Tcp, Protocol::Udp);
    let mut all = vec![
        sweep("tcp", "of all 65,535 TCP ports, only declared ones answer", tcp, Vantage::Here, source),
        sweep("udp", "of all 65,535 UDP ports, only declared ones answer", udp, Vantage::Here, source),
    ];
    if let Some(from) = elsewhere(recipe, family, scope.has_gateway(family)) {
        all.push(sweep(
            "tcp-other-network",
            "probed from another network, only declared ports answer",
            tcp,
            Vantage::From(from),
            from,
        ));
    }
    for (id, words, vantage) in [
        ("tcp-source-port-53", "probed from source port 53, only declared ports answer", Vantage::SourcePort(53)),
        ("tcp-source-port-20", "probed from source port 20, only declared ports answer", Vantage::SourcePort(20)),
        ("tcp-fragments", "probed with fragmented packets, only declared ports answer", Vantage::Fragments),
    ] {
        all.push(sweep(id, words, tcp, vantage, source));
    }
    all
}

/// Every port that an entry is about.
fn every(allow: &Allow) -> Vec<u16> {
    let both = [Protocol::Tcp, Protocol::Udp].into_iter();
    both.filter_map(|protocol| allow.ports(protocol)).flatten().collect()
}

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

/// What an admitted port answers.
fn answers(seen: Option<PortVerdict>, witnessed: bool, declared: Declared) -> Judged {
    let Some(seen) = seen else { return Err("not asked".to_owned()) };
    let words = match seen {
        PortVerdict::Open => "open: SYN and ACK",
        PortVerdict::Closed => "closed: RST",
        PortVerdict::Rejected => "rejected: ICMP error",
        PortVerdict::Silent if witnessed => "silent, while an echo request behind it was answered",
        PortVerdict::Silent => "silent, but the machine answered no echo request either",
    };
    let good = match declared {
        Declared::Open => seen == PortVerdict::Open,
        Declared::Admitted => matches!(seen, PortVerdict::Open | PortVerdict::Closed),
        Declared::Silent => seen == PortVerdict::Silent && witnessed,
    };
    verdict(good, words)
}

/// The answer to connection number `asked`, all of them begun within `seconds`: silence is what a limit is for, and
/// more answers than it lets in are too many; `None`: ask again.
fn limited(scan: &Scan, port: u16, asked: u32, seconds: u64, rate: Rate) -> Option<Judged> {
    let most = u64::from(rate.burst) + (seconds + 1) * u64::from(rate.connections) / rate.per.seconds() + 2;
    match scan.verdicts.get(&port) {
        Some(PortVerdict::Silent) if scan.witnessed => Some(Ok(format!("silent to connection {asked} in {seconds} s"))),
        Some(PortVerdict::Open | PortVerdict::Closed) if u64::from(asked) <= most => None,
        Some(PortVerdict::Open | PortVerdict::Closed) => Some(Err(format!("answered {asked} times in {seconds} s"))),
        _ => Some(Err("neither an answer nor proven silence".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plan,
        scope::tests::{recipe_of, server},
    };
    use diorite_model::recipe::{Peer, Period, Route, Traffic};
    use std::time::Duration;

    fn scan(seen: PortVerdict, witnessed: bool) -> Scan {
        Scan { verdicts: [(80, seen)].into(), witnessed, rounds: 3, took: Duration::ZERO }
    }

    fn ids(recipe: &Recipe) -> Vec<String> {
        plan::of(recipe, &[]).into_iter().map(|c| c.id).collect()
    }

    fn sweep(recipe: &Recipe, id: &str) -> Sweep {
        match plan::of(recipe, &[]).into_iter().find(|c| c.id == id).expect("it is asked").run {
            CheckRun::Sweep(sweep) => sweep,
            _ => panic!("{id} is another kind of check"),
        }
    }

    #[test]
    fn another_network_is_one_that_only_the_gateway_knows() {
        let mut recipe = server();
        let from = |recipe: &_, family| elsewhere(recipe, family, true).map(|ip| ip.to_string());
        assert_eq!(from(&recipe, Family::V4).as_deref(), Some("198.51.100.77"));
        let link = recipe.network.get_mut("lan").unwrap();
        link.addresses = vec!["203.0.113.2/28".into(), "2001:db8::2/32".into()];
        link.routes = vec![Route::to("198.51.0.0/16")];
        assert_eq!(from(&recipe, Family::V4).as_deref(), Some("203.0.113.77"), "outside of the sixteen addresses");
        assert_eq!(from(&recipe, Family::V6).as_deref(), Some("3fff::77"));
        assert_eq!(elsewhere(&recipe, Family::V4, false), None, "no way back");
    }

    #[test]
    fn ranges_sets_and_rates_are_asked() {
        let mut recipe = server();
        let rate = Some(Rate { connections: 6, per: Period::Minute, burst: 3 });
        let fast = Some(Rate { connections: 100, per: Period::Second, burst: 3 });
        let far = vec![Peer::Network("192.0.2.0/24".parse().unwrap())];
        recipe.firewall.allow = vec![
            Allow { rate, ..Allow::port(22, Protocol::Tcp) },
            Allow::of(Traffic::Ports { protocol: Protocol::Tcp, first: 8070, last: 8090 }),
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
        assert_eq!(sweep(&recipe, "ports-ipv6-tcp").must(8080), Some(true), "a container's port");
        let leads = "[network.wan]\nmatch = { order = 1 }\n[network.lan]\nmatch = { order = 2 }\naddresses = [\"10.1.0.1/24\"]\n[firewall.forward]\nallow = [{ in = [\"wan\"], out = [\"lan\"] }]\n\
                     [firewall.nat]\nports = [{ in = [\"wan\"], port = 443, last_port = 444, to = \"10.1.0.5\" }]\n";
        let away = sweep(&recipe_of(leads), "ports-ipv4-tcp");
        assert_eq!((away.must(443), away.must(444), away.must(445)), (None, None, Some(false)), "another machine's");
        recipe.firewall.allow[3].from = vec![Peer::Network("198.51.100.0/24".parse().unwrap())];
        assert_eq!(sweep(&recipe, "ports-ipv4-tcp-other-network").must(5432), Some(true), "others may");
        let fragments = sweep(&recipe, "ports-ipv4-tcp-fragments");
        assert_eq!(fragments.must(5432), Some(false));
        assert!(
            fragments.ports().is_superset(&[5431, 5432, 5433].into()),
            "what others may is asked by those who may not"
        );
    }

    #[test]
    fn what_the_recipe_does_not_allow_must_be_silent() {
        let mut recipe = server();
        recipe.firewall.allow.clear();
        let checks = plan::of(&recipe, &[]);
        let of = |c: &Check| match &c.run {
            CheckRun::Sweep(sweep) => Some(sweep.clone()),
            _ => None,
        };
        let sweeps: Vec<Sweep> = checks.iter().filter_map(of).collect();
        assert_eq!(sweeps.len(), 12);
        assert!(sweeps.iter().all(|s| s.must(22) == Some(false) && s.must(9100) == Some(false)));
        let begins = |start: &str| checks.iter().any(|c| c.id.starts_with(start));
        assert!(!begins("port-") && !begins("http") && !begins("ssh"));
    }

    #[test]
    fn a_limit_is_seen_by_its_silence() {
        let rate = Rate { connections: 6, per: Period::Minute, burst: 3 };
        let open = scan(PortVerdict::Open, true);
        assert_eq!(limited(&open, 80, 5, 1, rate), None);
        assert!(limited(&open, 80, 6, 1, rate).unwrap().is_err(), "more than a burst of three");
        assert_eq!(limited(&open, 80, 8, 30, rate), None, "half a minute lets three more in");
        assert!(limited(&scan(PortVerdict::Silent, true), 80, 4, 1, rate).unwrap().is_ok());
        assert!(limited(&scan(PortVerdict::Silent, false), 80, 4, 1, rate).unwrap().is_err());
    }

    #[test]
    fn a_port_that_does_not_answer_as_declared_is_seen() {
        use PortVerdict::*;
        let good = |seen, declared| answers(Some(seen), true, declared).is_ok();
        assert!(good(Open, Declared::Open) && good(Open, Declared::Admitted) && good(Closed, Declared::Admitted));
        for (seen, declared) in [
            (Closed, Declared::Open),
            (Silent, Declared::Open),
            (Rejected, Declared::Admitted),
            (Silent, Declared::Admitted),
            (Open, Declared::Silent),
        ] {
            assert!(!good(seen, declared), "{seen:?} is not {declared:?}");
        }
        assert!(answers(None, true, Declared::Open).is_err(), "a port that was not asked");
        assert!(answers(Some(Silent), false, Declared::Silent).is_err(), "silence without a witness");
    }
}
