//! Recipe → rules, as values.
//!
//! IPv6 is never wider than IPv4: an entry without networks admits both families, one with networks only those it
//! names, so IPv4 networks alone admit no IPv6; and of ICMPv6 comes in what comes in of ICMP, and besides it what IPv6
//! cannot live without (RFC 4890 4.4.1), from neighbours only.

use diorite_model::recipe::{
    Allow, AllowOut, DnsOverTls, Firewall, Link, Network, Peer, Policy, Protocol, Rate, Recipe, Traffic,
};
use std::collections::BTreeSet;
use std::net::IpAddr;

mod routing;
mod tunnels;

/// Networks of one family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// IPv4, not IPv6.
    pub ipv4: bool,
    /// None of them within another; empty: the whole family.
    pub networks: Vec<Network>,
}

/// Ports, both ends included.
pub type Ports = (u16, u16);

/// A condition; all of a rule's must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// Part of, or related to, a connection that was admitted.
    Established,
    /// Belongs to no connection and cannot begin one.
    Invalid,
    /// Came in through the loopback interface.
    Loopback,
    /// Goes out through the loopback interface.
    ToLoopback,
    /// Came in through a bridge of podman's.
    FromContainers,
    /// Came in through a bridge of containers without a way out.
    FromInternal,
    /// Goes out through a bridge of podman's.
    ToContainers,
    /// Echo requests and the errors IPv4 needs, RFC 1122.
    Icmp,
    /// Echo requests and the errors IPv6 needs, RFC 4890 4.3.1.
    Icmpv6,
    /// Neighbour discovery and router advertisements that no router has passed on, RFC 4861.
    NeighbourDiscovery,
    /// A neighbour's question who listens to which group, RFC 2710 3.
    ListenerQuery,
    /// Our part of neighbour discovery and router solicitation, RFC 4861.
    Discover,
    /// Who listens to which group, to neighbours only, RFC 2710 and RFC 3810.
    ListenerReport,
    /// Advice to take another way, RFC 4861 4.5. A kernel that passes IPv6 packets on gives it, and has no switch for it.
    Redirect,
    /// A DHCPv4 server's answer, RFC 2131 4.1.
    Dhcpv4,
    /// A DHCPv6 server's answer, RFC 8415 7.2.
    Dhcpv6,
    /// A DHCPv4 client's question.
    AskDhcpv4,
    /// A DHCPv6 client's question, to its neighbours.
    AskDhcpv6,
    /// Source address.
    From(Addresses),
    /// Destination address.
    To(Addresses),
    /// Destination port among these, in order, none overlapping; never empty.
    Port(Protocol, Vec<Ports>),
    /// Port the packet was sent to before it was translated to a container's: forward sees only the translated one.
    /// Never empty.
    PublishedPort(Protocol, Vec<Ports>),
    /// Came in by a link of one of these groups; never empty.
    InGroup(Vec<u32>),
    /// Goes out by a link of one of these groups; never empty.
    OutGroup(Vec<u32>),
    /// Does not go out by a link of this group.
    NotOutGroup(u32),
    /// A message of ICMP or, if so, ICMPv6, of this type or of every one.
    Message(bool, Option<u8>),
    /// A protocol of IP by its number.
    IpProtocol(u8),
    /// Is sent to an address of the machine.
    ToMachine,
    /// Its destination has been translated.
    Translated,
    /// A DHCPv4 client's question to the machine.
    DhcpQuestion,
    /// The machine's answer to it.
    DhcpReply,
    /// A neighbour's question who is a router, RFC 4861 4.1.
    RouterSolicitation,
    /// The machine's answer to it.
    RouterAdvertisement,
    /// Its source has begun more connections than the limit of this name lets it.
    Over(Limit, Rate),
}

/// What is counted for each source of a family by itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Limit {
    /// Name of the rule.
    pub id: String,
    /// IPv4 addresses, not IPv6 networks of 64 bits.
    pub ipv4: bool,
    /// Seconds after which a source that was not heard again is forgotten: long enough for its burst to be full again.
    pub forget: u64,
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacketVerdict {
    /// It may pass.
    Accept,
    /// It is dropped without an answer.
    Drop,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterRule {
    /// Conditions.
    pub matches: Vec<Match>,
    /// Named counter.
    pub counter: Option<String>,
    /// PacketVerdict.
    pub verdict: PacketVerdict,
}

/// The chains; whatever no rule admits is dropped, by each chain's last rule and not by its policy alone: the kernel gives a
/// new chain its policy when its rules are in force already (nft_chain_commit_drop_policy in net/netfilter/nf_tables_api.c),
/// so that without such a rule a packet between the two could pass while the rules are loaded again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruleset {
    /// Packets to the machine itself.
    pub input: Vec<FilterRule>,
    /// Packets to and from containers, and from one link to another.
    pub forward: Vec<FilterRule>,
    /// Packets of the machine itself; none when every one of them may go out.
    pub output: Option<Vec<FilterRule>>,
    /// Destinations that are translated, before a packet's way is known.
    pub prerouting: Vec<NatRule>,
    /// Sources that are translated, when a packet's way is known.
    pub postrouting: Vec<NatRule>,
}

/// One rule of address translation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatRule {
    /// Conditions.
    pub matches: Vec<Match>,
    /// Named counter.
    pub counter: String,
    /// What becomes of the address.
    pub translation: Translation,
}

/// What becomes of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Translation {
    /// The destination is this machine, and this port of it if there is one.
    To(IpAddr, Option<u16>),
    /// The source is this address.
    From(IpAddr),
    /// The source is the address of the link that the packet leaves by.
    Masquerade,
}

fn rule(matches: impl Into<Vec<Match>>, verdict: PacketVerdict) -> FilterRule {
    FilterRule { matches: matches.into(), counter: None, verdict }
}

fn counted(matches: impl Into<Vec<Match>>, verdict: PacketVerdict, counter: impl Into<String>) -> FilterRule {
    FilterRule { matches: matches.into(), counter: Some(counter.into()), verdict }
}

use Match::*;
use PacketVerdict::*;

/// Nothing but the machine's talk with itself.
pub fn closed() -> Ruleset {
    let input = vec![rule([Loopback], Accept), rule([], Drop)];
    let output = vec![rule([ToLoopback], Accept), rule([], Drop)];
    let (prerouting, postrouting) = (Vec::new(), Vec::new());
    Ruleset { input, forward: vec![rule([], Drop)], output: Some(output), prerouting, postrouting }
}

/// The recipe's rules.
pub fn ruleset(recipe: &Recipe) -> Ruleset {
    let firewall = &recipe.firewall;
    let mut input = vec![
        rule([Established], Accept),
        counted([Invalid], Drop, "input_invalid"),
        rule([Loopback], Accept),
        rule([NeighbourDiscovery], Accept),
        rule([ListenerQuery], Accept),
        rule([Icmp], Accept),
        rule([Icmpv6], Accept),
    ];
    let (dhcpv4, dhcpv6) = dhcp(recipe);
    input.extend(dhcpv4.then(|| rule([Dhcpv4], Accept)));
    input.extend(dhcpv6.then(|| rule([Dhcpv6], Accept)));
    let mut forward = tunnels::only_through(recipe);
    forward.extend([rule([Established], Accept), counted([Invalid], Drop, "forward_invalid")]);
    let publishes = recipe.containers.values().flat_map(|c| &c.publish).filter(|p| !p.local);
    let published: BTreeSet<(Protocol, u16)> = publishes.map(|p| (p.protocol, p.host)).collect();
    input.extend(served(recipe).map(|(question, _, group)| rule([InGroup(vec![group]), question], Accept)));
    for allow in &firewall.allow {
        let Traffic::Ports { protocol, first, last } = allow.what else {
            admit(recipe, allow, about(&allow.what), "input", &mut input);
            continue;
        };
        let outside = |port: &u16| published.contains(&(protocol, *port));
        let own = ranges((first..=last).filter(|p| !outside(p)));
        let translated = ranges((first..=last).filter(outside));
        if !own.is_empty() {
            admit(recipe, allow, Some(Port(protocol, own)), "input", &mut input);
        }
        if !translated.is_empty() {
            admit(recipe, allow, Some(PublishedPort(protocol, translated)), "forward", &mut forward);
        }
    }
    routing::pass(recipe, &mut forward);
    let output = match firewall.egress.policy {
        Policy::Accept => {
            let containers = !recipe.containers.is_empty();
            if containers {
                forward.push(counted([FromContainers], Accept, "forward_from_containers"));
            }
            let passes = containers || !firewall.forward.is_empty() || !firewall.nat.is_empty();
            let own = tunnels::own_only_through(recipe);
            let redirect = passes.then(|| rule([Redirect], Drop));
            (passes || !own.is_empty()).then(|| own.into_iter().chain(redirect).chain([rule([], Accept)]).collect())
        }
        Policy::Drop => Some(egress(recipe, &mut forward)),
    };
    // Containers ask the machine for names: aardvark-dns on the bridges of declared networks, the resolver on podman's own.
    let bridges = recipe.container_bridges();
    for (internal, from) in [(false, FromContainers), (true, FromInternal)] {
        let ask = |protocol| rule([from.clone(), Port(protocol, vec![(53, 53)])], Accept);
        let there = bridges.iter().any(|b| b.internal == internal);
        input.extend(there.then(|| [Protocol::Udp, Protocol::Tcp].map(ask)).into_iter().flatten());
    }
    input.push(counted([], Drop, "input_dropped"));
    forward.push(counted([], Drop, "forward_dropped"));
    Ruleset { input, forward, output, prerouting: routing::destinations(recipe), postrouting: routing::sources(recipe) }
}

/// The condition that this is what a packet is about; none when it may be anything.
fn about(what: &Traffic) -> Option<Match> {
    match what {
        Traffic::Ports { protocol, first, last } => Some(Port(*protocol, vec![(*first, *last)])),
        Traffic::Icmp { v6, kind } => Some(Message(*v6, *kind)),
        Traffic::Other(number) => Some(IpProtocol(*number)),
        Traffic::Any => None,
    }
}

/// What links serve to others: the question, the answer, and the link's group.
fn served(recipe: &Recipe) -> impl Iterator<Item = (Match, Match, u32)> {
    recipe.network.values().flat_map(|link| {
        let dhcp = link.dhcp_server.as_ref().map(|_| (DhcpQuestion, DhcpReply));
        let advertise = link.advertise.as_ref().map(|_| (RouterSolicitation, RouterAdvertisement));
        let both = dhcp.into_iter().chain(advertise);
        both.filter_map(|(question, answer)| Some((question, answer, link.group?))).collect::<Vec<_>>()
    })
}

/// The groups of these links.
fn groups(recipe: &Recipe, links: &[String]) -> Vec<u32> {
    links.iter().filter_map(|name| recipe.network.get(name)?.group).collect()
}

/// May answers of DHCPv4 and DHCPv6 servers be expected? A cloud-init drive may want either.
fn dhcp(recipe: &Recipe) -> (bool, bool) {
    let any = |asks: fn(&Link) -> bool| recipe.nocloud() || recipe.network.values().any(asks);
    (any(|l| l.dhcp_ipv4), any(|l| l.dhcp_ipv6))
}

/// Seconds after which the most patient limit forgets; nft(8) takes no more than 49 days.
const LONGEST: u64 = 30 * 86_400;

/// One entry of what may come in: those over their rate are dropped, the others pass.
fn admit(recipe: &Recipe, allow: &Allow, about: Option<Match>, chain: &str, rules: &mut Vec<FilterRule>) {
    let id = allow.id();
    let families = families(&recipe.firewall, &allow.from, &allow.what);
    let links = (!allow.links.is_empty()).then(|| InGroup(groups(recipe, &allow.links)));
    let conditions = |from: Option<Match>| links.clone().into_iter().chain(from).chain(about.clone());
    if let Some(rate) = allow.rate {
        // Who may come from anywhere is still counted family by family.
        let any = || [true, false].map(|ipv4| Addresses { ipv4, networks: Vec::new() }).to_vec();
        for addresses in families.clone().unwrap_or_else(any) {
            let full = (rate.per.seconds() * u64::from(rate.burst)).div_ceil(rate.connections.into());
            let forget = full.clamp(60, LONGEST);
            let limit = Limit { id: id.clone(), ipv4: addresses.ipv4, forget };
            let matches: Vec<Match> = conditions(Some(From(addresses))).chain([Over(limit, rate)]).collect();
            rules.push(counted(matches, Drop, format!("limited_{id}")));
        }
    }
    each(families, From, |from| {
        rules.push(counted(conditions(from).collect::<Vec<_>>(), Accept, format!("{chain}_{id}")));
    });
}

/// What the machine may begin when the policy is `drop`; what its containers may goes to `forward`.
fn egress(recipe: &Recipe, forward: &mut Vec<FilterRule>) -> Vec<FilterRule> {
    let firewall = &recipe.firewall;
    let mut output = tunnels::own_only_through(recipe);
    output.extend([
        rule([Established], Accept),
        rule([ToLoopback], Accept),
        rule([Discover], Accept),
        rule([ListenerReport], Accept),
    ]);
    let (dhcpv4, dhcpv6) = dhcp(recipe);
    output.extend(dhcpv4.then(|| rule([AskDhcpv4], Accept)));
    output.extend(dhcpv6.then(|| rule([AskDhcpv6], Accept)));
    output.extend(served(recipe).map(|(_, answer, group)| rule([OutGroup(vec![group]), answer], Accept)));
    let containers = !recipe.containers.is_empty();
    if containers {
        // They are on this machine: no word to them goes out.
        output.push(rule([ToContainers], Accept));
        forward.push(rule([FromContainers, ToContainers], Accept));
    }
    // RFC 1035 and, over TLS, RFC 7858. Containers ask the machine.
    for (protocol, port, tls) in [(Protocol::Udp, 53, false), (Protocol::Tcp, 53, false), (Protocol::Tcp, 853, true)] {
        for servers in name_servers(recipe, tls) {
            let to = servers.map(To).into_iter();
            let matches: Vec<Match> = to.chain([Port(protocol, vec![(port, port)])]).collect();
            output.push(counted(matches, Accept, "egress_dns"));
        }
    }
    for allow in &firewall.egress.allow {
        each(families(firewall, &allow.to, &allow.what), To, |to| {
            let matches: Vec<Match> = to.into_iter().chain(about(&allow.what)).collect();
            output.push(counted(matches.clone(), Accept, counter_out(allow)));
            if containers {
                forward.push(counted([vec![FromContainers], matches].concat(), Accept, counter_out(allow)));
            }
        });
    }
    // File servers, whom the machine alone asks. One whose address nobody knows before may be anywhere.
    for (name, mount) in &recipe.mounts {
        let Some((_, port)) = mount.server() else { continue };
        let addresses: Vec<Network> = mount.server_addresses(&recipe.hosts).into_iter().flat_map(host).collect();
        let to = (!addresses.is_empty()).then(|| by_family(&addresses));
        each(to, To, |to| {
            let matches: Vec<Match> = to.into_iter().chain([Port(Protocol::Tcp, vec![(port, port)])]).collect();
            output.push(counted(matches, Accept, format!("egress_mount_{}", name.replace('-', "_"))));
        });
    }
    tunnels::calls(recipe, &mut output);
    // The clock of a container is the machine's.
    output.push(counted([Port(Protocol::Udp, vec![(123, 123)])], Accept, "egress_ntp"));
    output.push(counted([], Drop, "output_dropped"));
    output
}

fn counter_out(allow: &AllowOut) -> String {
    format!("egress_{}", allow.id())
}

/// Where questions for names may go, those over TLS if asked for, by family; `None` when that is learned from the network
/// or a cloud-init drive and can be anywhere.
fn name_servers(recipe: &Recipe, tls: bool) -> Vec<Option<Addresses>> {
    let links = || recipe.network.values().filter(|l| !tls || l.dns_over_tls != DnsOverTls::No);
    let learns = |l: &Link| l.learn_dns && (l.dhcp_ipv4 || l.dhcp_ipv6 || l.router_advertisements);
    if links().any(|l| recipe.nocloud() || learns(l)) {
        return vec![None];
    }
    let address = |server: &String| server.split('#').next()?.parse().ok();
    let all = links().flat_map(|l| &l.dns).filter_map(address).flat_map(host);
    by_family(&all.collect::<BTreeSet<Network>>().into_iter().collect::<Vec<_>>()).into_iter().map(Some).collect()
}

/// The network of one address alone.
fn host(address: IpAddr) -> Vec<Network> {
    format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 }).parse().into_iter().collect()
}

/// The networks of these peers by family, those of the other family than the traffic's left out; `None` when there is no
/// restriction.
fn families(firewall: &Firewall, peers: &[Peer], what: &Traffic) -> Option<Vec<Addresses>> {
    let all = match (peers, what) {
        ([], Traffic::Other(_)) => what.family().map(|ipv4| vec![Addresses { ipv4, networks: Vec::new() }]),
        ([], _) => None,
        _ => Some(by_family(&firewall.networks(peers))),
    };
    all.map(|all| all.into_iter().filter(|a| what.family().is_none_or(|ipv4| ipv4 == a.ipv4)).collect())
}

fn by_family(networks: &[Network]) -> Vec<Addresses> {
    let of = |ipv4| Addresses { ipv4, networks: networks.iter().filter(|n| n.is_ipv4() == ipv4).copied().collect() };
    [of(true), of(false)].into_iter().filter(|a| !a.networks.is_empty()).collect()
}

/// Calls once for each family with its condition, or once without one.
fn each(families: Option<Vec<Addresses>>, condition: fn(Addresses) -> Match, mut call: impl FnMut(Option<Match>)) {
    match families {
        None => call(None),
        Some(families) => families.into_iter().for_each(|a| call(Some(condition(a)))),
    }
}

/// Ascending ports as ranges.
fn ranges(ports: impl Iterator<Item = u16>) -> Vec<Ports> {
    let mut all: Vec<Ports> = Vec::new();
    for port in ports {
        match all.last_mut() {
            Some((_, last)) if *last + 1 == port => *last = port,
            _ => all.push((port, port)),
        }
    }
    all
}
