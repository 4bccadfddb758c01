//! The firewall against the rest of the profile: rules that say nothing, rules that admit to nobody, and names that
//! mean nothing.

use crate::listeners::Listener;
use crate::profile::section::nearest;
use crate::recipe::{Allow, Firewall, Link, Network, Peer, Policy, Protocol, Recipe, Traffic};
use crate::tables::places::Places;
use crate::tables::vpn;
use crate::{Error, Result};

pub(crate) fn check(recipe: &Recipe, places: &Places) -> Result<()> {
    sets(recipe, places)?;
    let watched = recipe.monitoring.watched();
    let all = recipe.listeners();
    let incoming: Vec<Rule> = recipe.firewall.allow.iter().enumerate().map(Rule::incoming).collect();
    for (entry, rule) in recipe.firewall.allow.iter().zip(&incoming) {
        if let Some(w) = watched.iter().find(|w| entry.what.is_port(Protocol::Tcp, w.port)) {
            let what = format!("port {} is admitted by `monitoring.{}` already", w.port, w.table);
            let other = format!("monitoring.{}.from", w.table);
            let hint = "list the sources there, and remove the port here";
            return Err(places.between(&format!("{}.port", rule.path), what, &other, "who may ask").hint(hint));
        }
        listens(entry, rule, &all, places)?;
        always(entry, rule, places)?;
        no_address_yet(entry, rule, places)?;
    }
    let mut taken = vec!["invalid".to_owned(), "dropped".to_owned(), "from_containers".to_owned()];
    taken.extend(watched.iter().map(|w| w.rule.replace('-', "_")));
    taken.extend(recipe.tunnels().flat_map(|(name, link)| vpn::rules(name, link)).map(|rule| rule.id()));
    rules(recipe, &incoming, &taken, "from", places)?;
    let egress = &recipe.firewall.egress;
    if let (Policy::Accept, Some(_)) = (egress.policy, egress.allow.first()) {
        let what = "`firewall.egress.allow` changes nothing: everything may go out";
        let error = places.finding("firewall.egress.allow.0", what);
        return Err(error.hint("say `policy = \"drop\"` in `[firewall.egress]`, or remove the list"));
    }
    let outgoing: Vec<Rule> = egress.allow.iter().enumerate().map(Rule::outgoing).collect();
    let mut taken = vec!["dropped".to_owned()];
    taken.extend(recipe.mounts.keys().map(|name| format!("mount_{}", name.replace('-', "_"))));
    taken.extend(recipe.tunnels().map(|(name, _)| format!("vpn_{}", name.replace('-', "_"))));
    rules(recipe, &outgoing, &taken, "to", places)
}

/// As much of an entry as decides what it matches.
struct Rule<'a> {
    path: String,
    id: String,
    what: &'a Traffic,
    links: &'a [String],
    peers: &'a [Peer],
}

impl<'a> Rule<'a> {
    fn incoming((i, a): (usize, &'a Allow)) -> Self {
        let path = format!("firewall.allow.{i}");
        Self { path, id: a.id(), what: &a.what, links: &a.links, peers: &a.from }
    }
    fn outgoing((i, a): (usize, &'a crate::recipe::AllowOut)) -> Self {
        let path = format!("firewall.egress.allow.{i}");
        Self { path, id: a.id(), what: &a.what, links: &[], peers: &a.to }
    }
    /// Does it match everything that the other one matches?
    fn covers(&self, other: &Rule, firewall: &Firewall) -> bool {
        let within = |n: &Network| firewall.networks(self.peers).iter().any(|w| w.covers(n));
        let peers = self.peers.is_empty()
            || (!other.peers.is_empty() && firewall.networks(other.peers).iter().all(within))
            || (other.peers.is_empty() && ["0.0.0.0/0", "::/0"].iter().all(|n| within(&n.parse().expect("a network"))));
        let links =
            self.links.is_empty() || !other.links.is_empty() && other.links.iter().all(|l| self.links.contains(l));
        self.what.covers(other.what) && links && peers
    }
}

/// Rules of one direction beside each other: the first that matches decides.
fn rules(recipe: &Recipe, all: &[Rule], taken: &[String], peers: &str, places: &Places) -> Result<()> {
    let firewall = &recipe.firewall;
    for (i, rule) in all.iter().enumerate() {
        if let Some(wide) = all[..i].iter().find(|w| w.covers(rule, firewall)) {
            let same = rule.covers(wide, firewall);
            let what = if same { "duplicate rule" } else { "this rule can never match" };
            let why = if same { "the other one" } else { "everything it would match is decided before" };
            let hint = if same { "remove one of them" } else { "remove it, or put it before the wider one" };
            return Err(places.between(&rule.path, what, &wide.path, why).hint(hint));
        }
        if let Some(other) = all[..i].iter().find(|o| o.id == rule.id) {
            let what = format!("two rules have the counter `{}`", rule.id);
            let error = places.between(&rule.path, what, &other.path, "the other one");
            return Err(error.hint("give one of them another `name`"));
        }
        if taken.contains(&rule.id) {
            let error =
                places.finding(&format!("{}.name", rule.path), format!("a rule cannot be called `{}`", rule.id));
            return Err(error.because("the image has a counter of that name").hint("choose another `name`"));
        }
        family(recipe, rule, peers, places)?;
    }
    Ok(())
}

/// A rule all of whose networks are of a family that no link has.
fn family(recipe: &Recipe, rule: &Rule, peers: &str, places: &Places) -> Result<()> {
    let networks = recipe.firewall.networks(rule.peers);
    // Every link has an address of its own in here.
    let neighbours: Network = "fe80::/10".parse().expect("a network");
    let lives = |n: &Network| {
        recipe.network.values().any(|link| has(link, n.is_ipv4())) || (!n.is_ipv4() && neighbours.covers(n))
    };
    // What a cloud-init drive gives the links is not known here.
    let bound = rule.what.family();
    if bound.is_some_and(|four| !networks.is_empty() && networks.iter().all(|n| n.is_ipv4() != four)) {
        let what = format!("this rule can never match: `{}` is not of the family of its networks", rule.what.word());
        let error = places.finding(&format!("{}.{peers}", rule.path), what);
        return Err(error.hint("name networks of the protocol's family: `icmp` and `igmp` are IPv4, `icmpv6` is IPv6"));
    }
    if recipe.nocloud() || networks.is_empty() || networks.iter().any(lives) {
        return Ok(());
    }
    let words = if networks[0].is_ipv4() { "IPv4" } else { "IPv6" };
    let what = format!("this rule can never match: no link has {words}");
    let error = places.finding(&format!("{}.{peers}", rule.path), what);
    Err(error.hint(format!("name networks of the other family, or give a link an {words} address")))
}

/// Does a link have addresses of a family?
fn has(link: &Link, ipv4: bool) -> bool {
    let own = link.addresses.iter().any(|a| a.contains('.') == ipv4);
    own || if ipv4 { link.dhcp_ipv4 } else { link.dhcp_ipv6 || link.router_advertisements }
}

/// What every machine lets in needs no rule.
fn always(entry: &Allow, rule: &Rule, places: &Places) -> Result<()> {
    let Traffic::Icmp { v6, kind: Some(kind) } = entry.what else { return Ok(()) };
    let word = match (v6, kind) {
        (false, 8) | (true, 128) => "echo requests",
        (true, 130) => "listener queries of neighbours",
        (true, 134) => "router advertisements of neighbours",
        _ => return Ok(()),
    };
    let error = places.finding(&format!("{}.type", rule.path), format!("{word} are admitted always"));
    Err(error.hint("remove the rule"))
}

/// Who asks a DHCPv4 server for an address has none, and comes from 0.0.0.0 (RFC 2131 4.1).
fn no_address_yet(entry: &Allow, rule: &Rule, places: &Places) -> Result<()> {
    let nowhere: Network = "0.0.0.0/32".parse().expect("a network");
    let named = |peer: &Peer| matches!(peer, Peer::Network(n) if n.covers(&nowhere));
    if !entry.what.is_port(Protocol::Udp, 67) || entry.from.is_empty() || entry.from.iter().any(named) {
        return Ok(());
    }
    let what = "this rule admits no DHCP client that has no address yet";
    let error = places.finding(&format!("{}.from", rule.path), what);
    Err(error
        .because("such a client asks from 0.0.0.0, which is in none of these networks")
        .hint("name the link instead, `in = [\"lan\"]`, and remove `from`"))
}

/// Somebody must be there whom the rule lets others reach, and one only.
fn listens(entry: &Allow, rule: &Rule, all: &[Listener], places: &Places) -> Result<()> {
    let Traffic::Ports { protocol, first: port, last: last_port } = entry.what else { return Ok(()) };
    let fits = |l: &&Listener| entry.what.is_port(l.protocol, l.port);
    let mut known = all.iter().filter(|l| fits(l) && !l.local);
    let (first, single) = (known.next(), port == last_port);
    let name = protocol.name();
    match (&entry.listener, first) {
        (Some(stated), Some(known)) if single => {
            let what = format!("port {port} has two listeners: {} and {stated}", known.owner);
            Err(places
                .finding(&format!("{}.listener", rule.path), what)
                .hint("remove `listener`: another table already declares the service"))
        }
        (None, None) => {
            let ports = if single {
                format!("{name} port {port}")
            } else {
                format!("any {name} port from {port} to {last_port}")
            };
            let local = all.iter().find(|l| l.local && fits(l));
            let error = places.finding(&format!("{}.port", rule.path), format!("nothing listens on {ports}"));
            Err(match local {
                Some(l) if !l.is_published() => {
                    error.because(format!("{} listens on loopback only", l.owner)).hint("remove the rule")
                }
                Some(l) => error
                    .because(format!("{} publishes it for the machine itself: `local`", l.owner))
                    .hint("remove the rule, or `local = true`"),
                None => error
                    .because("no container publishes it, and no table brings a program that does")
                    .hint("remove the rule, or say who listens: `listener = \"nginx\"`"),
            })
        }
        _ => Ok(()),
    }
}

/// Sets that are named and not there, and sets that nobody names.
fn sets(recipe: &Recipe, places: &Places) -> Result<()> {
    let firewall = &recipe.firewall;
    let (incoming, outgoing) = (firewall.allow.iter(), firewall.egress.allow.iter());
    let mut uses: Vec<(String, &[Peer])> = Vec::new();
    uses.extend(incoming.enumerate().map(|(i, a)| (format!("firewall.allow.{i}.from"), &a.from[..])));
    uses.extend(outgoing.enumerate().map(|(i, a)| (format!("firewall.egress.allow.{i}.to"), &a.to[..])));
    for (i, f) in firewall.forward.iter().enumerate() {
        uses.push((format!("firewall.forward.allow.{i}.from"), &f.from));
        uses.push((format!("firewall.forward.allow.{i}.to"), &f.to));
    }
    let nat = &firewall.nat;
    uses.extend(
        nat.masquerade.iter().enumerate().map(|(i, m)| (format!("firewall.nat.masquerade.{i}.from"), &m.from[..])),
    );
    uses.extend(nat.ports.iter().enumerate().map(|(i, p)| (format!("firewall.nat.ports.{i}.from"), &p.from[..])));
    let watched = recipe.monitoring.watched();
    uses.extend(watched.iter().map(|w| (format!("monitoring.{}.from", w.table), w.from)));
    for (name, _, wireguard) in recipe.wireguard_tunnels() {
        uses.extend(wireguard.listen.iter().map(|listen| (format!("vpn.{name}.from"), &listen.from[..])));
    }
    uses.extend(recipe.ipsec_tunnels().map(|(name, _, ipsec)| (format!("vpn.{name}.from"), &ipsec.from[..])));
    let mut named = Vec::new();
    for (path, peers) in uses {
        for (i, peer) in peers.iter().enumerate() {
            let Peer::Set(name) = peer else { continue };
            if !firewall.sets.contains_key(name) {
                return Err(unknown(firewall, name, &format!("{path}.{i}"), places));
            }
            named.push(name);
        }
    }
    match firewall.sets.keys().find(|s| !named.contains(s)) {
        Some(unused) => {
            let error = places.finding(&format!("firewall.sets.{unused}"), format!("no rule names the set `{unused}`"));
            Err(error.hint("name it in a `from` or `to`, or remove it"))
        }
        None => Ok(()),
    }
}

fn unknown(firewall: &Firewall, name: &str, path: &str, places: &Places) -> Error {
    let known: Vec<&str> = firewall.sets.keys().map(String::as_str).collect();
    let near = nearest(name, &known).map(|n| format!("did you mean `{n}`? ")).unwrap_or_default();
    let there = if known.is_empty() { "there is none".into() } else { format!("there are: {}", known.join(", ")) };
    let error = places.finding(path, format!("there is no set `{name}`"));
    error.hint(format!("{near}sets are declared as `[firewall.sets.{name}]`; {there}"))
}
