//! The packet filter: firewall table → nftables rules, nft(8), in a table of our own and nowhere else.
//!
//! Rules are values of types that cannot hold text; one function renders them. The file replaces the table in one
//! transaction, so a reload never leaves a moment without rules, and a file that does not load changes nothing.

use super::Guest;
use super::ini::Ini;
use diorite_model::recipe::{Allow, Protocol};
use diorite_model::{Error, Recipe, Result};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::IpAddr;

/// Where the rules are in the image.
pub const RULES: &str = "etc/diorite/firewall.nft";
/// The unit that loads them.
pub const UNIT: &str = "diorite-firewall.service";

/// Networks: address and prefix length.
pub type Networks = Vec<(IpAddr, u8)>;

/// A condition; all of a rule's must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// Part of, or related to, a connection that was admitted.
    Established,
    /// Belongs to no connection and cannot begin one.
    Invalid,
    /// Came in through the loopback interface.
    Loopback,
    /// Came in through a bridge of podman's.
    FromContainers,
    /// Echo requests and the errors IPv4 needs, RFC 1122.
    Icmp,
    /// Echo requests, errors and multicast listener queries IPv6 needs, RFC 4890 4.4.1.
    Icmpv6,
    /// Neighbour discovery and router advertisements that no router has passed on, RFC 4861.
    NeighbourDiscovery,
    /// A DHCPv4 server's answer, RFC 2131 4.1.
    Dhcpv4,
    /// A DHCPv6 server's answer, RFC 8415 7.2.
    Dhcpv6,
    /// Source address in one of these networks, all of one family.
    From(Networks),
    /// Destination port.
    Port(Protocol, u16),
    /// Port the packet was sent to before it was translated to a container's: forward sees only the translated one.
    PublishedPort(Protocol, u16),
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may pass.
    Accept,
    /// It is gone, in silence.
    Drop,
    /// The next rule, or the chain's policy, decides.
    Continue,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Conditions.
    pub matches: Vec<Match>,
    /// Named counter.
    pub counter: Option<String>,
    /// Verdict.
    pub verdict: Verdict,
}

/// The two chains; whatever no rule admits is dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruleset {
    /// Packets to the machine itself.
    pub input: Vec<Rule>,
    /// Packets to and from containers.
    pub forward: Vec<Rule>,
}

fn rule(matches: impl Into<Vec<Match>>, verdict: Verdict) -> Rule {
    Rule { matches: matches.into(), counter: None, verdict }
}

fn counted(matches: impl Into<Vec<Match>>, verdict: Verdict, counter: impl Into<String>) -> Rule {
    Rule { matches: matches.into(), counter: Some(counter.into()), verdict }
}

/// The recipe's rules.
///
/// # Errors
/// [`Exit::Bug`](diorite_model::Exit::Bug) for a network that is none: the profile's form does not let it through.
pub fn ruleset(recipe: &Recipe) -> Result<Ruleset> {
    use Match::*;
    use Verdict::*;
    let published: BTreeSet<(Protocol, u16)> =
        recipe.containers.values().flat_map(|c| &c.publish).map(|p| (p.protocol, p.host)).collect();
    let mut input = vec![
        rule([Established], Accept),
        counted([Invalid], Drop, "input_invalid"),
        rule([Loopback], Accept),
        rule([NeighbourDiscovery], Accept),
        rule([Icmp], Accept),
        rule([Icmpv6], Accept),
    ];
    if recipe.network.values().any(|l| l.dhcp) {
        input.push(rule([Dhcpv4], Accept));
    }
    // Router advertisements can ask for DHCPv6 whatever the profile says of DHCP.
    if recipe.network.values().any(|l| l.dhcp || l.router_advertisements) {
        input.push(rule([Dhcpv6], Accept));
    }
    let mut forward = vec![rule([Established], Accept), counted([Invalid], Drop, "forward_invalid")];
    for allow in &recipe.firewall.allow {
        let outside = published.contains(&(allow.protocol, allow.port));
        let (port, name) = (allow.port, protocol(allow.protocol));
        let (condition, chain, counter) = if outside {
            (PublishedPort(allow.protocol, port), &mut forward, format!("forward_{name}_{port}"))
        } else {
            (Port(allow.protocol, port), &mut input, format!("input_{name}_{port}"))
        };
        for from in sources(allow)? {
            let mut matches = vec![condition.clone()];
            matches.splice(0..0, from.map(From));
            chain.push(counted(matches, Accept, counter.clone()));
        }
    }
    if !recipe.containers.is_empty() {
        forward.push(counted([FromContainers], Accept, "forward_from_containers"));
    }
    input.push(counted([], Continue, "input_dropped"));
    forward.push(counted([], Continue, "forward_dropped"));
    Ok(Ruleset { input, forward })
}

/// The networks of an entry by family; one `None` when it admits everybody.
fn sources(allow: &Allow) -> Result<Vec<Option<Networks>>> {
    if allow.from.is_empty() {
        return Ok(vec![None]);
    }
    let parse = |text: &String| {
        let (address, prefix) = text.split_once('/')?;
        let (address, prefix) = (address.parse::<IpAddr>().ok()?, prefix.parse::<u8>().ok()?);
        (prefix <= if address.is_ipv4() { 32 } else { 128 }).then_some((address, prefix))
    };
    let all: Option<Vec<_>> = allow.from.iter().map(parse).collect();
    let all = all.ok_or_else(|| Error::bug(format!("{:?} holds something that is no network", allow.from)))?;
    let (four, six): (Vec<_>, Vec<_>) = all.into_iter().partition(|(a, _)| a.is_ipv4());
    Ok([four, six].into_iter().filter(|f| !f.is_empty()).map(Some).collect())
}

fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    }
}

impl Match {
    fn render(&self) -> String {
        match self {
            Match::Established => "ct state { established, related }".into(),
            Match::Invalid => "ct state invalid".into(),
            Match::Loopback => "iif \"lo\"".into(),
            Match::FromContainers => "iifname \"podman*\"".into(),
            Match::Icmp => {
                "icmp type { echo-request, destination-unreachable, time-exceeded, parameter-problem }".into()
            }
            Match::Icmpv6 => "icmpv6 type { echo-request, destination-unreachable, packet-too-big, time-exceeded, \
                              parameter-problem, mld-listener-query }"
                .into(),
            Match::NeighbourDiscovery => {
                "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } ip6 hoplimit 255".into()
            }
            Match::Dhcpv4 => "meta nfproto ipv4 udp sport 67 udp dport 68".into(),
            Match::Dhcpv6 => "ip6 saddr fe80::/10 udp sport 547 udp dport 546".into(),
            Match::From(networks) => {
                let family = if networks.first().is_some_and(|(a, _)| a.is_ipv4()) { "ip" } else { "ip6" };
                let list: Vec<_> = networks.iter().map(|(a, p)| format!("{a}/{p}")).collect();
                format!("{family} saddr {{ {} }}", list.join(", "))
            }
            Match::Port(p, port) => format!("{} dport {port}", protocol(*p)),
            Match::PublishedPort(p, port) => {
                format!("meta l4proto {} ct status dnat ct original proto-dst {port}", protocol(*p))
            }
        }
    }
}

/// The rules as nft(8) reads them.
pub fn render(rules: &Ruleset) -> String {
    let counters: BTreeSet<&String> =
        rules.input.iter().chain(&rules.forward).filter_map(|r| r.counter.as_ref()).collect();
    // Declared, deleted and made anew in one transaction: works whether or not it was there.
    let mut text = "table inet diorite\ndelete table inet diorite\n\ntable inet diorite {\n".to_owned();
    for counter in counters {
        let _ = writeln!(text, "  counter {counter} {{ }}");
    }
    for (name, rules) in [("input", &rules.input), ("forward", &rules.forward)] {
        let _ = write!(text, "\n  chain {name} {{\n    type filter hook {name} priority filter; policy drop;\n");
        for rule in rules {
            let mut words: Vec<String> = rule.matches.iter().map(Match::render).collect();
            words.extend(rule.counter.iter().map(|c| format!("counter name \"{c}\"")));
            match rule.verdict {
                Verdict::Accept => words.push("accept".into()),
                Verdict::Drop => words.push("drop".into()),
                Verdict::Continue => {}
            }
            let _ = writeln!(text, "    {}", words.join(" "));
        }
        text.push_str("  }\n");
    }
    text.push_str("}\n");
    text
}

/// The rules, the unit that loads them before there is a network, and the network's dependence on it.
pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    guest.file(RULES, 0o644, render(&ruleset(recipe)?))?;
    let load = format!("/usr/sbin/nft -f /{RULES}");
    let unit = Ini::new()
        .section("Unit")
        .set("Description", "Packet filter")
        .set("DefaultDependencies", "no")
        .set("After", "systemd-modules-load.service")
        .set("Before", "network-pre.target systemd-networkd.service shutdown.target")
        .set("Wants", "network-pre.target")
        .set("Conflicts", "shutdown.target")
        .section("Service")
        .set("Type", "oneshot")
        .set("RemainAfterExit", "yes")
        // There is no ExecStop: stopping the unit leaves the rules where they are.
        .set("ExecStart", load.clone())
        .set("ExecReload", load)
        .section("Install")
        .set("WantedBy", "sysinit.target");
    guest.unit(UNIT, &unit)?;
    guest.enable(UNIT)?;
    // Without rules there is no network.
    let network = Ini::new().section("Unit").set("Requires", UNIT).set("After", UNIT);
    guest.drop_in("systemd-networkd.service", &network)?;
    // Debian's own unit flushes the whole ruleset when it is stopped.
    guest.mask("nftables.service")
}
