//! What passes through the machine from one link to another, and whose addresses are translated.

use super::Match::*;
use super::PacketVerdict::*;
use super::{Addresses, FilterRule, Match, NatRule, Translation, about, by_family, counted, families, groups};
use diorite_model::recipe::{Network, Recipe, Traffic};
use std::net::IpAddr;

/// What may be begun through the machine.
pub fn pass(recipe: &Recipe, rules: &mut Vec<FilterRule>) {
    for forward in &recipe.firewall.forward {
        let links = [InGroup(groups(recipe, &forward.input)), OutGroup(groups(recipe, &forward.output))];
        let sources = families(&recipe.firewall, &forward.from, &forward.what);
        let targets = families(&recipe.firewall, &forward.to, &forward.what);
        for (from, to) in pairs(sources, targets) {
            let addresses = from.map(From).into_iter().chain(to.map(To));
            let matches: Vec<Match> = links.iter().cloned().chain(addresses).chain(about(&forward.what)).collect();
            rules.push(counted(matches, Accept, format!("pass_{}", forward.id())));
        }
    }
    for ports in &recipe.firewall.nat.ports {
        let matches = [InGroup(groups(recipe, &ports.input)), Translated, To(one(ports.to))];
        let matches: Vec<Match> = matches.into_iter().chain(about(&ports.translated())).collect();
        rules.push(counted(matches, Accept, format!("pass_{}", ports.id())));
    }
}

/// Ports of the machine that lead to others.
pub fn destinations(recipe: &Recipe) -> Vec<NatRule> {
    let mut rules = Vec::new();
    for ports in &recipe.firewall.nat.ports {
        let family = ports.to.is_ipv4();
        let all = || vec![Addresses { ipv4: family, networks: Vec::new() }];
        let sources = families(&recipe.firewall, &ports.from, &Traffic::Any).unwrap_or_else(all);
        for from in sources.into_iter().filter(|a| a.ipv4 == family) {
            let matches = [InGroup(groups(recipe, &ports.input)), From(from), ToMachine];
            let matches: Vec<Match> = matches.into_iter().chain(about(&ports.what())).collect();
            let translation = Translation::To(ports.to, ports.to_port);
            rules.push(NatRule { matches, counter: format!("nat_{}", ports.id()), translation });
        }
    }
    rules
}

/// What leaves with the machine's address.
pub fn sources(recipe: &Recipe) -> Vec<NatRule> {
    let mut rules = Vec::new();
    for masquerade in &recipe.firewall.nat.masquerade {
        let ipv4 = || vec![Addresses { ipv4: true, networks: Vec::new() }];
        for from in families(&recipe.firewall, &masquerade.from, &Traffic::Any).unwrap_or_else(ipv4) {
            let matches = vec![OutGroup(groups(recipe, &masquerade.output)), From(from)];
            let translation = masquerade.address.map_or(Translation::Masquerade, Translation::From);
            rules.push(NatRule { matches, counter: format!("nat_{}", masquerade.id()), translation });
        }
    }
    rules
}

/// Sources and destinations of one family, each with each; either may be anything.
fn pairs(from: Option<Vec<Addresses>>, to: Option<Vec<Addresses>>) -> Vec<(Option<Addresses>, Option<Addresses>)> {
    match (from, to) {
        (None, None) => vec![(None, None)],
        (Some(from), None) => from.into_iter().map(|a| (Some(a), None)).collect(),
        (None, Some(to)) => to.into_iter().map(|a| (None, Some(a))).collect(),
        (Some(from), Some(to)) => {
            let matching = |a: Addresses| to.iter().find(|b| b.ipv4 == a.ipv4).map(|b| (Some(a), Some(b.clone())));
            from.into_iter().filter_map(matching).collect()
        }
    }
}

/// One address.
fn one(address: IpAddr) -> Addresses {
    let width = if address.is_ipv4() { 32 } else { 128 };
    let networks: Vec<Network> = format!("{address}/{width}").parse().into_iter().collect();
    by_family(&networks).pop().unwrap_or(Addresses { ipv4: address.is_ipv4(), networks })
}
