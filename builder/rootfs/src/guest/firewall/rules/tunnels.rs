//! Rules of tunnels: whom the machine calls, and what leaves by a tunnel or not at all.

use super::{FilterRule, Match, PacketVerdict, by_family, counted, each, host, rule};
use diorite_model::recipe::{Network, Recipe};

/// The other ends of tunnels. One whose address nobody knows before may be anywhere.
pub(super) fn calls(recipe: &Recipe, output: &mut Vec<FilterRule>) {
    for call in recipe.tunnel_calls() {
        let addresses: Vec<Network> = call.addresses(&recipe.hosts).into_iter().flat_map(host).collect();
        let to = (!addresses.is_empty()).then(|| by_family(&addresses));
        each(to, Match::To, |to| {
            let port = Match::Port(call.protocol, vec![(call.port, call.port)]);
            let matches: Vec<Match> = to.into_iter().chain([port]).collect();
            output.push(counted(matches, PacketVerdict::Accept, format!("egress_vpn_{}", counter(call.tunnel))));
        });
    }
}

/// What goes to a network that is reached through a tunnel alone, and does not leave by it: before every other rule, so that
/// connections which were begun another way end, too. A tunnel that is down has no interface, or one that drops.
pub(super) fn only_through(recipe: &Recipe) -> Vec<FilterRule> {
    let mut rules = Vec::new();
    for (name, link) in recipe.tunnels() {
        let Some(group) = link.group.filter(|_| !link.only_through.is_empty()) else { continue };
        for to in by_family(&link.only_through) {
            let matches = [Match::To(to), Match::NotOutGroup(group)];
            rules.push(counted(matches, PacketVerdict::Drop, format!("only_through_{}", counter(name))));
        }
    }
    rules
}

/// The same for packets of the machine itself, whose talk with itself leaves by no tunnel.
pub(super) fn own_only_through(recipe: &Recipe) -> Vec<FilterRule> {
    let rules = only_through(recipe);
    match rules.is_empty() {
        true => rules,
        false => [rule([Match::ToLoopback], PacketVerdict::Accept)].into_iter().chain(rules).collect(),
    }
}

fn counter(tunnel: &str) -> String {
    tunnel.replace('-', "_")
}
