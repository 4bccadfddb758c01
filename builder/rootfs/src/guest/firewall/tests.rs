//! The rendered rules, read back by an interpreter of their own and asked about packets: what it says must be what the
//! recipe says.

mod router;

use super::*;
use diorite_model::profile;
use diorite_model::recipe::{Allow, AllowOut, Container, NetworkSet, Peer, Policy, Protocol, Publish, Traffic};
use std::net::IpAddr;

fn recipe(text: &str) -> Recipe {
    let text = format!("[image]\nname = \"x\"\nversion = \"1\"\n{text}");
    profile::parse(&text, "x.toml", &mut |name| panic!("{name} is asked for")).unwrap_or_else(|e| panic!("{e}")).0
}

fn text(recipe: &Recipe) -> String {
    render(&ruleset(recipe)).unwrap()
}

/// The first packet of a connection, or a message of ICMP.
#[derive(Debug, Clone)]
struct Packet {
    chain: &'static str,
    source: IpAddr,
    destination: IpAddr,
    /// `tcp`, `udp`, `icmp` or `icmpv6`.
    protocol: &'static str,
    port: u16,
    kind: &'static str,
    /// Port before translation.
    translated: Option<u16>,
    from: &'static str,
    to: &'static str,
    /// Its source has used up its rate.
    over: bool,
    /// Groups of the links it comes and goes by.
    groups: (u32, u32),
}

fn packet(chain: &'static str, source: &str, protocol: &'static str, port: u16) -> Packet {
    let source: IpAddr = source.parse().unwrap();
    let destination = if source.is_ipv4() { "192.0.2.10" } else { "2001:db8::10" }.parse().unwrap();
    let (from, to) = if chain == "output" { ("", "eth0") } else { ("eth0", "") };
    Packet {
        chain,
        source,
        destination,
        protocol,
        port,
        kind: "",
        translated: None,
        from,
        to,
        over: false,
        groups: (0, 0),
    }
}

/// What the rules do with a packet, and the counter that saw it last. Panics on words it does not know.
fn judge(rules: &str, packet: &Packet) -> (bool, String) {
    let Some((_, chain)) = rules.split_once(&format!("chain {} {{", packet.chain)) else {
        return (true, String::new());
    };
    let lines = chain.split_once("\n  }").unwrap().0.lines().skip(2);
    let mut seen = String::new();
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let Some(verdict) = follow(&words, packet, &mut seen) {
            return (verdict, seen);
        }
    }
    panic!("the chain leaves a packet to its policy, which the kernel sets last: {chain}")
}

/// One rule; `None` when it decides nothing about this packet.
fn follow(words: &[&str], p: &Packet, seen: &mut String) -> Option<bool> {
    let mut at = 0;
    // One value or a set of them.
    let value = |at: &mut usize| -> Vec<String> {
        let start = *at;
        *at += 1;
        if words[start] != "{" {
            return vec![words[start].to_owned()];
        }
        while words[*at] != "}" {
            *at += 1;
        }
        *at += 1;
        words[start + 1..*at - 1].iter().map(|w| w.trim_end_matches(',').to_owned()).collect()
    };
    let port = |list: Vec<String>, port: u16| {
        list.iter().any(|r| {
            let (first, last) = r.split_once('-').unwrap_or((r, r));
            (first.parse().unwrap()..=last.parse().unwrap()).contains(&port)
        })
    };
    let within = |list: Vec<String>, address: IpAddr| {
        list.iter().any(|n| match n.parse::<diorite_model::recipe::Network>() {
            Ok(network) => network.contains(address),
            Err(_) => n.parse::<IpAddr>().unwrap() == address,
        })
    };
    let (four, transport) = (p.source.is_ipv4(), matches!(p.protocol, "tcp" | "udp"));
    while at < words.len() {
        let pair = (words[at], words.get(at + 1).copied().unwrap_or_default());
        at += 2;
        let holds = match pair {
            ("ct", "state") => {
                value(&mut at);
                false
            }
            ("ct", "status") => value(&mut at) == ["dnat"] && p.translated.is_some(),
            ("fib", "daddr") => value(&mut at) == ["type"] && value(&mut at) == ["local"],
            ("ct", "original") => {
                assert_eq!(words[at], "proto-dst");
                at += 1;
                let list = value(&mut at);
                p.translated.is_some_and(|t| port(list, t))
            }
            ("iif", "\"lo\"") => p.from == "lo",
            ("oif", "\"lo\"") => p.to == "lo",
            ("iifgroup", _) => {
                at -= 1;
                value(&mut at).contains(&p.groups.0.to_string())
            }
            ("oifgroup", "!=") => value(&mut at) != [p.groups.1.to_string()],
            ("oifgroup", _) => {
                at -= 1;
                value(&mut at).contains(&p.groups.1.to_string())
            }
            ("iifname", "\"podman*\"") => p.from.starts_with("podman"),
            ("iifname", "\"inpod*\"") => p.from.starts_with("inpod"),
            ("oifname", "\"podman*\"") => p.to.starts_with("podman"),
            (name @ ("icmp" | "icmpv6"), "type") => {
                let list = value(&mut at);
                p.protocol == name && list.iter().any(|k| k == p.kind)
            }
            // Neighbours are tried with the limits they have.
            ("ip6", "hoplimit") => {
                value(&mut at);
                !four
            }
            ("meta", "nfproto") => value(&mut at) == [if four { "ipv4" } else { "ipv6" }],
            ("meta", "l4proto") => value(&mut at) == [p.protocol],
            (family @ ("ip" | "ip6"), side) => {
                let address = if side == "saddr" { p.source } else { p.destination };
                let list = value(&mut at);
                (family == "ip") == four && within(list, address)
            }
            (name @ ("tcp" | "udp"), "dport") => {
                let list = value(&mut at);
                transport && p.protocol == name && port(list, p.port)
            }
            ("udp", "sport") => {
                value(&mut at);
                // A server's or a client's own port, the other one of the pair.
                p.protocol == "udp" && matches!(p.port, 67 | 68 | 546 | 547)
            }
            ("update", _) => {
                let family = value(&mut at);
                assert_eq!(family[0] == "ip", four, "a limit of the other family: {words:?}");
                p.over
            }
            ("counter", "name") => {
                *seen = words[at].trim_matches('"').to_owned();
                at += 1;
                true
            }
            ("accept", "") => return Some(true),
            ("drop", "") => return Some(false),
            other => panic!("{other:?} in {words:?}"),
        };
        if !holds {
            return None;
        }
    }
    None
}

/// Numbers that look random and are the same in every run (Knuth's MMIX generator).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())].clone()
    }
}

const NETWORKS: [&str; 8] = [
    "192.0.2.0/24",
    "192.0.2.128/25",
    "10.0.0.0/8",
    "0.0.0.0/0",
    "2001:db8::/32",
    "2001:db8:1::/48",
    "fd00::/8",
    "::/0",
];
const SOURCES: [&str; 7] =
    ["192.0.2.7", "192.0.2.200", "10.1.2.3", "203.0.113.9", "2001:db8::7", "2001:db8:1::7", "fd00::7"];
const PORTS: [u16; 7] = [22, 53, 80, 81, 82, 8080, 65_535];

fn peers(dice: &mut Dice) -> Vec<Peer> {
    let one = |dice: &mut Dice| match dice.roll(4) {
        0 => Peer::Set("office".into()),
        _ => Peer::Network(dice.one(&NETWORKS).parse().unwrap()),
    };
    (0..dice.roll(4)).map(|_| one(dice)).collect()
}

/// A firewall nobody would write: entries overlap, cover each other, repeat themselves.
fn random(dice: &mut Dice, base: &Recipe) -> Recipe {
    let mut recipe = base.clone();
    let office = (0..=dice.roll(2)).map(|_| dice.one(&NETWORKS).parse().unwrap()).collect();
    recipe.firewall.sets.insert("office".into(), NetworkSet { networks: office, why: None });
    let protocol = |dice: &mut Dice| dice.one(&[Protocol::Tcp, Protocol::Udp]);
    for i in 0..dice.roll(5) {
        let port = dice.one(&PORTS);
        let last_port = port.saturating_add(dice.one(&[0, 0, 1, 3]));
        let rate = (dice.roll(3) == 0).then_some(diorite_model::recipe::Rate {
            connections: 10,
            per: diorite_model::recipe::Period::Minute,
            burst: 5,
        });
        let (name, from) = (Some(format!("r{i}")), peers(dice));
        let protocol = protocol(dice);
        let what = Traffic::Ports { protocol, first: port, last: last_port };
        recipe.firewall.allow.push(Allow { name, from, rate, ..Allow::of(what) });
    }
    let publish = |dice: &mut Dice| Publish {
        host: dice.one(&PORTS),
        container: 8000,
        protocol: protocol(dice),
        local: dice.roll(3) == 0,
    };
    if dice.roll(2) == 0 {
        let publish = (0..dice.roll(3)).map(|_| publish(dice)).collect();
        let web = Container { publish, ..base.containers["web"].clone() };
        recipe.containers.insert("web".into(), web);
    } else {
        recipe.containers.clear();
    }
    if dice.roll(2) == 0 {
        recipe.firewall.egress.policy = Policy::Drop;
        for i in 0..dice.roll(3) {
            let port = dice.one(&PORTS);
            let (name, why, to) = (Some(format!("o{i}")), None, peers(dice));
            let protocol = protocol(dice);
            recipe.firewall.egress.allow.push(AllowOut { name, why, what: Traffic::port(port, protocol), to });
        }
    }
    recipe
}

/// What the recipe says of a connection from outside, without looking at any rule.
fn meant(recipe: &Recipe, source: IpAddr, protocol: Protocol, port: u16) -> bool {
    let fits = |a: &&Allow| a.what.is_port(protocol, port);
    recipe.firewall.allow.iter().filter(fits).any(|a| recipe.firewall.names(&a.from, source))
}

/// Over some hundreds of recipes: every packet is decided as the recipe says, on the machine and behind it; IPv6 comes
/// in only where an entry names nobody or that IPv6 network; out goes only what is listed.
#[test]
fn the_rules_decide_what_the_recipe_says() {
    let base = recipe(
        "[containers.web]\npackages = [\"busybox\"]\ncommand = [\"x\"]\n[firewall]\nallow = []\n[network.lan]\ndhcp = true\n",
    );
    let (mut dice, mut admitted, mut asked) = (Dice(1), 0, 0);
    for _ in 0..400 {
        let recipe = random(&mut dice, &base);
        let rules = text(&recipe);
        let published = |protocol, port| {
            let mut all = recipe.containers.values().flat_map(|c| &c.publish);
            all.any(|p| !p.local && p.protocol == protocol && p.host == port)
        };
        for source in SOURCES {
            let address: IpAddr = source.parse().unwrap();
            for port in PORTS.into_iter().chain([23, 83, 8000]) {
                for protocol in [Protocol::Tcp, Protocol::Udp] {
                    let meant = meant(&recipe, address, protocol, port);
                    let (outside, name) = (published(protocol, port), protocol.name());
                    let own = judge(&rules, &packet("input", source, name, port)).0;
                    assert_eq!(own, meant && !outside, "{source} {name} {port}\n{rules}");
                    let behind =
                        Packet { translated: Some(port), to: "podman0", ..packet("forward", source, name, 8000) };
                    assert_eq!(judge(&rules, &behind).0, meant && outside, "{source} {name} {port}\n{rules}");
                    // What was not translated by podman reaches nothing behind the machine.
                    let straight = Packet { to: "podman0", ..packet("forward", source, name, port) };
                    assert!(!judge(&rules, &straight).0, "{source} {name} {port}\n{rules}");
                    if own && address.is_ipv6() {
                        let four = recipe.firewall.allow.iter().any(|a| {
                            a.what.is_port(protocol, port)
                                && (a.from.is_empty()
                                    || recipe.firewall.networks(&a.from).iter().any(|n| n.contains(address)))
                        });
                        assert!(four, "IPv6 is wider: {source} {name} {port}\n{rules}");
                    }
                    admitted += usize::from(own || behind.translated.is_some() && meant && outside);
                    asked += 1;
                    outward(&recipe, &rules, address, protocol, port);
                }
            }
        }
    }
    assert!(admitted > asked / 50 && admitted < asked / 2, "{admitted} of {asked}: the dice are loaded");
}

/// The same connection the other way: to `address`, from the machine and from a container.
fn outward(recipe: &Recipe, rules: &str, address: IpAddr, protocol: Protocol, port: u16) {
    let egress = &recipe.firewall.egress;
    let listed = |a: &AllowOut| a.what.is_port(protocol, port) && recipe.firewall.names(&a.to, address);
    let meant = egress.policy == Policy::Accept || port == 53 || egress.allow.iter().any(listed);
    let own = if address.is_ipv4() { "192.0.2.10" } else { "2001:db8::10" };
    let out = Packet { destination: address, ..packet("output", own, protocol.name(), port) };
    assert_eq!(judge(rules, &out).0, meant, "to {address} {protocol:?} {port}\n{rules}");
    // Containers ask the machine for names.
    let listed = egress.policy == Policy::Accept || egress.allow.iter().any(listed);
    let from = Packet { chain: "forward", from: "podman0", ..out };
    let may = listed && !recipe.containers.is_empty();
    assert_eq!(judge(rules, &from).0, may, "{address} {protocol:?} {port}\n{rules}");
}

/// What is reached through a tunnel alone does not leave beside it, whatever else may go out; and the way to the other end
/// is open although nothing else is.
#[test]
fn what_leaves_by_a_tunnel_leaves_by_nothing_else() {
    let tables = "[network.lan]\ndhcp = true\n[vpn.gate]\ntype = \"ipsec\"\naddresses = [\"10.97.0.1/32\"]\n\
        gateway = \"192.0.2.9\"\nremote = [\"10.61.0.0/16\"]\nonly_through = [\"10.61.0.0/16\"]\n[firewall.egress]\npolicy = ";
    let containers = "[containers.web]\npackages = [\"busybox\"]\ncommand = [\"x\"]\n";
    for policy in ["\"accept\"\n", "\"drop\"\nallow = [{ protocol = \"tcp\" }]\n"] {
        let rules = text(&recipe(&format!("{tables}{policy}{containers}")));
        let goes = |chain, to: &str, group, protocol, port| {
            let (from, out) = if chain == "forward" { ("podman0", "eth0") } else { ("", "eth0") };
            let destination = to.parse().unwrap();
            let packet =
                Packet { destination, groups: (0, group), from, to: out, ..packet(chain, "10.97.0.1", protocol, port) };
            judge(&rules, &packet)
        };
        for chain in ["output", "forward"] {
            assert!(goes(chain, "10.61.0.7", 1, "tcp", 443).0, "through the tunnel\n{rules}");
            let beside = goes(chain, "10.61.0.7", 0, "tcp", 443);
            assert_eq!(beside, (false, "only_through_gate".into()), "{rules}");
            assert!(goes(chain, "10.62.0.7", 0, "tcp", 443).0, "another network\n{rules}");
        }
        for port in [500, 4500] {
            assert!(goes("output", "192.0.2.9", 0, "udp", port).0, "{rules}");
            assert_eq!(goes("output", "192.0.2.8", 0, "udp", port).0, policy.contains("accept"), "{rules}");
        }
        let first = rules.split_once("chain output {").unwrap().1.lines().nth(2).unwrap().trim().to_owned();
        assert_eq!(first, "oif \"lo\" accept", "the machine talks with itself");
    }
}

#[test]
fn of_icmp_both_families_let_in_the_same() {
    let rules = text(&recipe(""));
    let comes =
        |protocol, kind, source: &str| judge(&rules, &Packet { kind, ..packet("input", source, protocol, 0) }).0;
    for (kind, admitted) in [
        ("echo-request", true),
        ("destination-unreachable", true),
        ("time-exceeded", true),
        ("parameter-problem", true),
        ("redirect", false),
        ("router-advertisement", false),
        ("timestamp-request", false),
    ] {
        assert_eq!(comes("icmp", kind, "192.0.2.7"), admitted, "{kind}");
        let six = if kind == "redirect" { "nd-redirect" } else { kind };
        assert_eq!(comes("icmpv6", six, "2001:db8::7"), admitted, "{kind}");
    }
    // What IPv6 has besides: its "fragmentation needed", and what only neighbours may say.
    for kind in ["packet-too-big", "nd-neighbor-solicit", "nd-neighbor-advert", "nd-router-advert"] {
        assert!(comes("icmpv6", kind, "fe80::1"), "{kind}");
    }
    assert!(comes("icmpv6", "mld-listener-query", "fe80::1") && !comes("icmpv6", "mld-listener-query", "2001:db8::7"));
    assert!(!comes("icmpv6", "nd-router-solicit", "fe80::1"));
}

/// The kernel passes packets of containers on, and would tell strangers of shorter ways.
#[test]
fn a_machine_with_containers_is_no_router() {
    let web = "[containers.web]\npackages = [\"busybox\"]\ncommand = [\"x\"]\n";
    for policy in ["", "[firewall.egress]\npolicy = \"drop\"\n"] {
        let rules = text(&recipe(&format!("{policy}{web}")));
        let goes = |kind| judge(&rules, &Packet { kind, ..packet("output", "fe80::2", "icmpv6", 0) }).0;
        assert!(!goes("nd-redirect") && goes("nd-neighbor-solicit"), "{rules}");
    }
}

#[test]
fn over_its_rate_a_source_is_dropped_and_counted() {
    let rules = text(&recipe("[firewall]\nallow = [{ port = 22, rate = \"6/minute\", burst = 3 }]\n"));
    for source in ["192.0.2.7", "2001:db8::7"] {
        let within = packet("input", source, "tcp", 22);
        assert_eq!(judge(&rules, &within), (true, "input_tcp_22".into()));
        assert_eq!(judge(&rules, &Packet { over: true, ..within }), (false, "limited_tcp_22".into()));
    }
    assert!(
        rules.contains("set rate_tcp_22_ipv4 { type ipv4_addr; size 65535; flags dynamic, timeout; timeout 60s; }")
    );
    let slow = text(&recipe("[firewall]\nallow = [{ port = 22, rate = \"2/hour\", burst = 10 }]\n"));
    assert!(slow.contains("timeout 18000s"), "forgotten before its burst is full again:\n{slow}");
}

#[test]
fn a_machine_with_fixed_addresses_expects_no_dhcp_and_asks_its_own_servers() {
    let fixed = "[network.lan]\naddresses = [\"192.0.2.10/24\"]\nrouter_advertisements = false\ndns = [\"192.0.2.53\"]\n\
                 [firewall]\nallow = []\n[firewall.egress]\npolicy = \"drop\"\n";
    let rules = text(&recipe(fixed));
    assert!(!rules.contains("sport 67") && !rules.contains("sport 547"), "{rules}");
    let to = |destination: &str| Packet {
        destination: destination.parse().unwrap(),
        ..packet("output", "192.0.2.10", "udp", 53)
    };
    assert!(judge(&rules, &to("192.0.2.53")).0 && !judge(&rules, &to("192.0.2.54")).0, "{rules}");
    let learned = text(&recipe("[firewall]\nallow = []\n[firewall.egress]\npolicy = \"drop\"\n"));
    for (protocol, port) in [("udp", 53), ("tcp", 53), ("udp", 123), ("udp", 67), ("udp", 547)] {
        let source = if port == 547 { "fe80::1" } else { "192.0.2.10" };
        let destination = if port == 547 { "ff02::1:2" } else { "255.255.255.255" }.parse().unwrap();
        let question = Packet { destination, ..packet("output", source, protocol, port) };
        assert!(judge(&learned, &question).0, "{protocol} {port}\n{learned}");
    }
    assert_eq!(judge(&learned, &packet("output", "192.0.2.10", "tcp", 443)), (false, "output_dropped".into()));
}

/// Rules speak of networks and never of cards, so that a card has the same rules whatever a cloud-init drive makes of it;
/// and the drive may say DHCP and other name servers where the profile says neither.
#[test]
fn a_cloud_init_drive_changes_no_cards_rules() {
    let fixed = "[network.lan]\nmatch = { mac = \"52:54:00:00:00:01\" }\naddresses = [\"192.0.2.10/24\"]\n\
                 router_advertisements = false\ndns = [\"192.0.2.53\"]\n[network.rest]\naddresses = [\"198.51.100.10/24\"]\nrouter_advertisements = false\n\
                 [firewall]\nallow = [{ port = 22, from = [\"192.0.2.0/24\"] }]\n[firewall.egress]\npolicy = \"drop\"\n";
    let without = text(&recipe(fixed));
    let with = text(&recipe(&format!("{fixed}[config_drive]\nnocloud = true\n")));
    let ask = |rules: &str, to: &str, port| {
        let destination = to.parse().unwrap();
        judge(rules, &Packet { destination, ..packet("output", "192.0.2.10", "udp", port) }).0
    };
    assert_eq!((ask(&without, "203.0.113.53", 53), ask(&with, "203.0.113.53", 53)), (false, true));
    assert_eq!((ask(&without, "255.255.255.255", 67), ask(&with, "255.255.255.255", 67)), (false, true));
    assert!(!ask(&with, "203.0.113.53", 123 + 1), "nothing else becomes possible");
    for rules in [&without, &with] {
        for card in ["eth0", "eth1"] {
            let from = |source, port| judge(rules, &Packet { from: card, ..packet("input", source, "tcp", port) }).0;
            assert_eq!((from("192.0.2.7", 22), from("198.51.100.7", 22), from("192.0.2.7", 23)), (true, false, false));
        }
    }
    let cards = |rules: &str| {
        rules.lines().filter(|l| l.contains("iif") || l.contains("oif")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(cards(&without), cards(&with));
    assert!(cards(&with).iter().all(|l| l.contains("if \"lo\"")), "{:?}", cards(&with));
}

#[test]
fn closed_means_closed() {
    let rules = render(&closed()).unwrap();
    for chain in ["input", "forward", "output"] {
        for source in ["192.0.2.7", "2001:db8::7"] {
            for (protocol, kind) in [("tcp", ""), ("udp", ""), ("icmp", "echo-request"), ("icmpv6", "nd-router-advert")]
            {
                assert!(!judge(&rules, &Packet { kind, ..packet(chain, source, protocol, 22) }).0, "{chain}\n{rules}");
            }
        }
    }
    insta::assert_snapshot!("closed", rules);
}

#[test]
fn nothing_but_our_own_table_is_touched() {
    let rules = text(&recipe(""));
    assert!(!rules.contains("flush"), "{rules}");
    let tables: Vec<_> = rules.lines().filter(|l| l.contains("table")).collect();
    assert_eq!(tables, ["table inet diorite", "delete table inet diorite", "table inet diorite {"]);
}
