//! Rules → text, as nft(8) reads it.

use super::rules::{Addresses, FilterRule, Limit, Match, NatRule, PacketVerdict, Ports, Ruleset, Translation};
use diorite_model::{Error, Result};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::IpAddr;

/// Most sources that are counted at a time for one limit. While it is full a new one is not limited; who may come at all
/// is decided before.
const SOURCES: u32 = 65_535;

/// The rules as nft(8) reads them.
///
/// # Errors
/// [`Exit::Bug`](diorite_model::Exit::Bug) for a name that is not an identifier: the profile's form lets none through.
pub fn render(rules: &Ruleset) -> Result<String> {
    let chains = [("input", Some(&rules.input)), ("forward", Some(&rules.forward)), ("output", rules.output.as_ref())];
    let all = || chains.iter().filter_map(|(_, r)| *r).flatten();
    let translations = [("prerouting", "dstnat", &rules.prerouting), ("postrouting", "srcnat", &rules.postrouting)];
    let counters = all().filter_map(|r| r.counter.as_ref());
    let counters: BTreeSet<&String> =
        counters.chain(translations.iter().flat_map(|(.., all)| all.iter().map(|r| &r.counter))).collect();
    let limits: BTreeSet<&Limit> = all()
        .flat_map(|r| &r.matches)
        .filter_map(|m| if let Match::Over(limit, _) = m { Some(limit) } else { None })
        .collect();
    // Declared, deleted and made anew in one transaction: works whether or not it was there.
    let mut text = "table inet diorite\ndelete table inet diorite\n\ntable inet diorite {\n".to_owned();
    for counter in counters {
        let _ = writeln!(text, "  counter {} {{ }}", identifier(counter)?);
    }
    for limit in limits {
        let (kind, forget) = (if limit.ipv4 { "ipv4_addr" } else { "ipv6_addr" }, limit.forget);
        let _ = writeln!(
            text,
            "  set {} {{ type {kind}; size {SOURCES}; flags dynamic, timeout; timeout {forget}s; }}",
            identifier(&limit.name())?
        );
    }
    for (name, rules) in chains.iter().filter_map(|(name, rules)| Some((name, (*rules)?))) {
        let _ = write!(text, "\n  chain {name} {{\n    type filter hook {name} priority filter; policy drop;\n");
        for rule in rules {
            let _ = writeln!(text, "    {}", rule.render()?);
        }
        text.push_str("  }\n");
    }
    for (name, priority, rules) in translations.into_iter().filter(|(.., rules)| !rules.is_empty()) {
        let _ = write!(text, "\n  chain {name} {{\n    type nat hook {name} priority {priority}; policy accept;\n");
        for rule in rules {
            let _ = writeln!(text, "    {}", rule.render()?);
        }
        text.push_str("  }\n");
    }
    text.push_str("}\n");
    Ok(text)
}

/// A name that is one word to nft(8).
fn identifier(name: &str) -> Result<&str> {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    match name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(fine) && name.len() < 128 {
        true => Ok(name),
        false => Err(Error::bug(format!("{name:?} is not a valid rule name"))),
    }
}

impl Limit {
    /// Name of the set that counts.
    fn name(&self) -> String {
        format!("rate_{}_{}", self.id, if self.ipv4 { "ipv4" } else { "ipv6" })
    }
}

impl FilterRule {
    fn render(&self) -> Result<String> {
        let mut words = self.matches.iter().map(Match::render).collect::<Result<Vec<_>>>()?;
        if let Some(counter) = &self.counter {
            words.push(format!("counter name \"{}\"", identifier(counter)?));
        }
        words.push(if self.verdict == PacketVerdict::Accept { "accept" } else { "drop" }.into());
        Ok(words.join(" "))
    }
}

impl NatRule {
    fn render(&self) -> Result<String> {
        let mut words = self.matches.iter().map(Match::render).collect::<Result<Vec<_>>>()?;
        words.push(format!("counter name \"{}\"", identifier(&self.counter)?));
        let family = |address: IpAddr| if address.is_ipv4() { "ip" } else { "ip6" };
        words.push(match self.translation {
            Translation::To(address, None) => format!("dnat {} to {address}", family(address)),
            Translation::To(IpAddr::V6(address), Some(port)) => format!("dnat ip6 to [{address}]:{port}"),
            Translation::To(address, Some(port)) => format!("dnat ip to {address}:{port}"),
            Translation::From(address) => format!("snat {} to {address}", family(address)),
            Translation::Masquerade => "masquerade".to_owned(),
        });
        Ok(words.join(" "))
    }
}

impl Match {
    fn render(&self) -> Result<String> {
        let plain = match self {
            Match::Established => "ct state { established, related }",
            Match::Invalid => "ct state invalid",
            Match::Loopback => "iif \"lo\"",
            Match::ToLoopback => "oif \"lo\"",
            Match::FromContainers => "iifname \"podman*\"",
            Match::FromInternal => "iifname \"inpod*\"",
            Match::ToContainers => "oifname \"podman*\"",
            Match::Icmp => "icmp type { echo-request, destination-unreachable, time-exceeded, parameter-problem }",
            Match::Icmpv6 => {
                "icmpv6 type { echo-request, destination-unreachable, packet-too-big, time-exceeded, parameter-problem }"
            }
            Match::NeighbourDiscovery => {
                "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } ip6 hoplimit 255"
            }
            Match::ListenerQuery => "icmpv6 type mld-listener-query ip6 saddr fe80::/10",
            Match::Discover => {
                "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit } ip6 hoplimit 255"
            }
            Match::ListenerReport => {
                "icmpv6 type { mld-listener-report, mld-listener-done, mld2-listener-report } ip6 hoplimit 1"
            }
            Match::Redirect => "icmpv6 type nd-redirect",
            Match::Dhcpv4 => "meta nfproto ipv4 udp sport 67 udp dport 68",
            Match::Dhcpv6 => "ip6 saddr fe80::/10 udp sport 547 udp dport 546",
            Match::AskDhcpv4 => "meta nfproto ipv4 udp sport 68 udp dport 67",
            Match::AskDhcpv6 => "ip6 daddr { fe80::/10, ff02::1:2 } udp sport 546 udp dport 547",
            Match::ToMachine => "fib daddr type local",
            Match::Translated => "ct status dnat",
            Match::DhcpQuestion => "meta nfproto ipv4 udp sport 68 udp dport 67",
            Match::DhcpReply => "meta nfproto ipv4 udp sport 67 udp dport 68",
            Match::RouterSolicitation => "icmpv6 type nd-router-solicit ip6 hoplimit 255",
            Match::RouterAdvertisement => "icmpv6 type nd-router-advert ip6 hoplimit 255",
            Match::InGroup(groups) => return Ok(format!("iifgroup {}", set(groups))),
            Match::OutGroup(groups) => return Ok(format!("oifgroup {}", set(groups))),
            Match::NotOutGroup(group) => return Ok(format!("oifgroup != {group}")),
            Match::Message(v6, None) => return Ok(format!("meta l4proto {}", if *v6 { 58 } else { 1 })),
            Match::Message(v6, Some(kind)) => {
                return Ok(format!("{} type {kind}", if *v6 { "icmpv6" } else { "icmp" }));
            }
            Match::IpProtocol(number) => return Ok(format!("meta l4proto {number}")),
            Match::From(addresses) => return Ok(addresses.render("saddr")),
            Match::To(addresses) => return Ok(addresses.render("daddr")),
            Match::Port(protocol, ports) => {
                let name = protocol.name();
                return Ok(match &ports[..] {
                    [(0 | 1, u16::MAX)] => format!("meta l4proto {name}"),
                    ports => format!("{name} dport {}", ranges(ports)),
                });
            }
            Match::PublishedPort(protocol, ports) => {
                let (name, ports) = (protocol.name(), ranges(ports));
                return Ok(format!("meta l4proto {name} ct status dnat ct original proto-dst {ports}"));
            }
            Match::Over(limit, rate) => {
                let source = if limit.ipv4 { "ip saddr" } else { "ip6 saddr and ffff:ffff:ffff:ffff::" };
                let (set, count, per, burst) = (limit.name(), rate.connections, rate.per.name(), rate.burst);
                let set = identifier(&set)?;
                return Ok(format!("update @{set} {{ {source} limit rate over {count}/{per} burst {burst} packets }}"));
            }
        };
        Ok(plain.to_owned())
    }
}

impl Addresses {
    fn render(&self, side: &str) -> String {
        let (family, number) = if self.ipv4 { ("ip", "ipv4") } else { ("ip6", "ipv6") };
        if self.networks.is_empty() || self.networks.iter().any(|n| n.length() == 0) {
            return format!("meta nfproto {number}");
        }
        let list: Vec<_> = self.networks.iter().map(ToString::to_string).collect();
        format!("{family} {side} {{ {} }}", list.join(", "))
    }
}

/// One port, one range, or a set of them.
fn ranges(ports: &[Ports]) -> String {
    let range = |(first, last): &Ports| if first == last { first.to_string() } else { format!("{first}-{last}") };
    set(&ports.iter().map(range).collect::<Vec<_>>())
}

/// One value, or a set of them.
fn set<T: ToString>(values: &[T]) -> String {
    let words: Vec<String> = values.iter().map(ToString::to_string).collect();
    match &words[..] {
        [one] => one.clone(),
        many => format!("{{ {} }}", many.join(", ")),
    }
}
