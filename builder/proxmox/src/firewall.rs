//! `[firewall]` → the hypervisor's firewall of one machine, and the calls that bring it there.
//!
//! The guest's own filter and this one say the same, so that an undeclared packet is dropped twice. What this one
//! cannot express is listed. While an image is on trial, what it and the image before it declare may come in and nothing
//! else; what the old one alone declares goes when the new one has shown that it works.

mod change;

pub use change::{FirewallChange, next, trial};

use diorite_model::Recipe;
use diorite_model::recipe::{Link, LinkKind, Peer, Policy, Protocol, Traffic};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The set of the addresses that the card may send from; that it is there switches the filter on (pve-firewall(8)).
pub const SOURCES: &str = "ipfilter-net0";
/// What our rules' comments begin with.
pub const MARK: &str = "diorite";

/// One rule: its fields by the API's names. Those that are at their defaults are left out.
pub type FirewallRule = BTreeMap<String, String>;

/// The firewall of one machine, as it must be or as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirewallRules {
    /// Options by name.
    pub options: BTreeMap<String, String>,
    /// Networks by the name of their set.
    pub sets: BTreeMap<String, BTreeSet<String>>,
    /// The first that fits a packet decides.
    pub rules: Vec<FirewallRule>,
    /// For people: what the guest's filter does and this one cannot.
    #[serde(skip)]
    pub unsaid: Vec<String>,
}

/// The recipe's firewall as rules of the hypervisor, for a VM with these links.
pub fn of(recipe: &Recipe, links: &BTreeMap<String, Link>) -> FirewallRules {
    let firewall = &recipe.firewall;
    let mut all = FirewallRules::default();
    // A cloud-init drive may ask for it.
    let dhcp = recipe.nocloud() || links.values().any(|l| l.dhcp_ipv4 || l.dhcp_ipv6);
    match sources(recipe, links) {
        Some(addresses) => drop(all.sets.insert(SOURCES.into(), addresses)),
        None => all.unsaid.push(
            "it may send from any address: the hypervisor can know them where all of one card are declared".into(),
        ),
    }
    let out = match firewall.egress.policy {
        Policy::Accept => "ACCEPT",
        Policy::Drop => "DROP",
    };
    // `ndp`: neighbour discovery, without which there is no IPv6. `radv`: a server announces no routers.
    for (name, value) in
        [("enable", "1"), ("policy_in", "DROP"), ("policy_out", out), ("ndp", "1"), ("radv", "0"), ("macfilter", "1")]
    {
        all.options.insert(name.into(), value.into());
    }
    all.options.insert("dhcp".into(), u8::from(dhcp).to_string());
    // As the guest: echo requests come in, and what belongs to a connection does anyway.
    for protocol in ["icmp", "ipv6-icmp"] {
        all.add("in", protocol, &[("icmp-type", "echo-request".into())], "echo");
    }
    for allow in &firewall.allow {
        let id = allow.id();
        let mut fields = about(&allow.what);
        if let Some(set) = all.set(firewall, &allow.from, &id) {
            fields.push(("source", set));
        }
        all.add("in", protocol(&allow.what), &fields, &id);
        if !allow.links.is_empty() {
            let links = allow.links.join(", ");
            all.unsaid.push(format!("`{id}`: on {links} only: this filter does not know the guest's links"));
        }
        if let Some(rate) = allow.rate {
            all.unsaid.push(format!(
                "`{id}`: {}/{} new connections for each source: only the guest's own filter counts",
                rate.connections,
                rate.per.name()
            ));
        }
    }
    if firewall.egress.policy == Policy::Drop {
        for protocol in [Protocol::Udp, Protocol::Tcp] {
            all.add("out", protocol.name(), &[("dport", "53".into())], "dns");
        }
        all.add("out", "udp", &[("dport", "123".into())], "ntp");
        all.unsaid
            .push("names may be asked of any server: only the guest's own filter knows which ones are meant".into());
        for allow in &firewall.egress.allow {
            let id = format!("out_{}", allow.id());
            let mut fields = about(&allow.what);
            if let Some(set) = all.set(firewall, &allow.to, &id) {
                fields.push(("dest", set));
            }
            all.add("out", protocol(&allow.what), &fields, &id);
        }
    }
    if !firewall.forward.is_empty() || !firewall.nat.is_empty() {
        all.unsaid.push("what the guest forwards: this filter drops it; switch it off on the cards of a router".into());
    }
    all
}

/// The word that the hypervisor has for a protocol (/etc/protocols).
fn protocol(what: &Traffic) -> String {
    match what {
        Traffic::Icmp { v6: true, .. } => "ipv6-icmp".to_owned(),
        _ => what.word(),
    }
}

/// What a rule says beside its protocol.
fn about(what: &Traffic) -> Vec<(&'static str, String)> {
    match what {
        Traffic::Ports { first, last, .. } => vec![("dport", ports(*first, *last))],
        Traffic::Icmp { kind: Some(kind), .. } => vec![("icmp-type", kind.to_string())],
        Traffic::Icmp { .. } | Traffic::Other(_) | Traffic::Any => Vec::new(),
    }
}

/// The addresses of the machine's one card; none when it may have others than those that are declared. Its link-local
/// address by IPv6 is the hypervisor's own matter.
fn sources(recipe: &Recipe, links: &BTreeMap<String, Link>) -> Option<BTreeSet<String>> {
    let mut all = links.values();
    let (Some(link), None) = (all.next(), all.next()) else { return None };
    let learns = recipe.nocloud() || link.dhcp_ipv4 || link.dhcp_ipv6 || link.router_advertisements;
    let known = matches!(link.kind, LinkKind::Card(_)) && !learns && !link.addresses.is_empty();
    let bare = |address: &String| address.split('/').next().unwrap_or_default().to_owned();
    known.then(|| link.addresses.iter().map(bare).collect())
}

fn ports(first: u16, last: u16) -> String {
    // A colon between the two, as iptables(8) has it.
    if first == last { first.to_string() } else { format!("{first}:{last}") }
}

impl FirewallRules {
    fn add(&mut self, direction: &str, protocol: impl Into<String>, fields: &[(&str, String)], id: &str) {
        let comment = format!("{MARK}: {id}");
        let own = [
            ("type", direction.to_owned()),
            ("action", "ACCEPT".into()),
            ("proto", protocol.into()),
            // Without it a rule is made, and switched off.
            ("enable", "1".into()),
            ("comment", comment),
        ];
        let all = own.into_iter().chain(fields.iter().cloned());
        self.rules.push(all.map(|(name, value)| (name.to_owned(), value)).collect());
    }

    /// The set that these peers are, made where it is new; none when they are anybody.
    fn set(&mut self, firewall: &diorite_model::recipe::Firewall, peers: &[Peer], id: &str) -> Option<String> {
        let name = match peers {
            [] => return None,
            [Peer::Set(name)] => format!("set-{name}"),
            _ => format!("rule-{id}"),
        };
        let networks = firewall.networks(peers).iter().map(|n| plain(&n.to_string())).collect();
        self.sets.insert(name.clone(), networks);
        Some(format!("+guest/{name}"))
    }

    /// Those of the rules that bear our mark, with sets and options as they are: the best guess at what was declared where
    /// the notes do not say it.
    pub fn ours(&self) -> Self {
        let marked = |rule: &&FirewallRule| rule.get("comment").is_some_and(|comment| comment.starts_with(MARK));
        let rules = self.rules.iter().filter(marked).map(comparable).collect();
        Self { rules, ..self.clone() }
    }
}

/// A network as the hypervisor keeps it: one address has no length.
pub fn plain(network: &str) -> String {
    let end = if network.contains(':') { "/128" } else { "/32" };
    network.strip_suffix(end).unwrap_or(network).to_owned()
}

/// A rule as it is compared: without its place, and without what only the hypervisor says.
pub fn comparable(rule: &FirewallRule) -> FirewallRule {
    let said = ["pos", "digest", "ipversion"];
    let usual = |name: &str, value: &str| matches!((name, value), ("log", "nolog"));
    let kept = rule.iter().filter(|(name, value)| !said.contains(&name.as_str()) && !usual(name, value));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// A rule for people.
pub fn describe(rule: &FirewallRule) -> String {
    let of = |name: &str| rule.get(name).map(String::as_str);
    let mut text = format!("{} {}", of("type").unwrap_or("?").to_uppercase(), of("action").unwrap_or("?"));
    for (name, before) in
        [("proto", ""), ("icmp-type", ""), ("macro", ""), ("dport", "port "), ("source", "from "), ("dest", "to ")]
    {
        if let Some(value) = of(name) {
            text += &format!(" {before}{value}");
        }
    }
    if of("enable") != Some("1") {
        text += " (switched off)";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_card_may_send_from_and_ask_for_follows_from_the_machines_own_links() {
        let recipe = |network: &str| {
            let text = format!("[image]\nname = \"web\"\nversion = \"1\"\n{network}");
            let mut none = |name: &str| Err(diorite_model::Error::input(name.to_owned()));
            diorite_model::profile::parse(&text, "web.toml", &mut none).unwrap_or_else(|e| panic!("{e}")).0
        };
        let fixed =
            "[network.ethernet]\nrouter_advertisements = false\naddresses = [\"192.0.2.5/24\", \"2001:db8::5/64\"]\n";
        let (fixed, learns) = (recipe(fixed), recipe(""));
        let of = |recipe: &Recipe, links: &Recipe| {
            let rules = of(recipe, &links.network);
            (rules.options["dhcp"].clone(), rules.sets.get(SOURCES).cloned())
        };
        let own = BTreeSet::from(["192.0.2.5".to_owned(), "2001:db8::5".to_owned()]);
        assert_eq!(of(&fixed, &fixed), ("0".into(), Some(own.clone())));
        assert_eq!(of(&learns, &learns), ("1".into(), None));
        // One of several machines whose links are not the image's.
        assert_eq!(of(&learns, &fixed), ("0".into(), Some(own)));
        assert_eq!(of(&fixed, &learns), ("1".into(), None));
        let two = recipe(
            "[network.a]\nrouter_advertisements = false\naddresses = [\"192.0.2.5/24\"]\nmatch = { order = 1 }\n[network.b]\nmatch = { order = 2 }\n",
        );
        assert_eq!(of(&two, &two).1, None, "whose addresses are whose?");
        let announced = recipe("[network.ethernet]\naddresses = [\"192.0.2.5/24\"]\n");
        assert_eq!(of(&announced, &announced).1, None, "a router may give it more");
    }
}
