//! Links that rules name are told apart by the number of a group: a card's name is known only on the machine, and
//! networkd puts whatever is the link into its group (`Group=`, systemd.network(5)).

use crate::recipe::{Link, Recipe};
use std::collections::BTreeSet;

/// Gives every link that a rule names a number of its own, from 1 in the order of the names. It depends on the rules
/// alone, so that a machine with links of its own has the numbers of its image.
pub(crate) fn assign(recipe: &mut Recipe) {
    let named: BTreeSet<String> = named(recipe).into_iter().map(|(_, name)| name).collect();
    for (name, group) in named.iter().zip(1..) {
        if let Some(link) = recipe.network.get_mut(name) {
            link.group = Some(group);
        }
    }
}

/// Says of every link that serves others whether it is their gateway, where the profile does not: when something may be
/// begun from it through the machine.
pub(crate) fn gateways(recipe: &mut Recipe) {
    let forward = &recipe.firewall.forward;
    for (name, link) in &mut recipe.network {
        let passes = forward.iter().any(|f| f.input.contains(name));
        let Link { dhcp_server, advertise, .. } = link;
        if let Some(server) = dhcp_server {
            server.router.get_or_insert(passes);
        }
        if let Some(advertise) = advertise {
            advertise.router.get_or_insert(passes);
        }
    }
}

/// The path and name of every link that something in the profile tells apart from others.
pub(crate) fn named(recipe: &Recipe) -> Vec<(String, String)> {
    let firewall = &recipe.firewall;
    let mut all = Vec::new();
    let mut add = |path: String, links: &[String]| {
        all.extend(links.iter().enumerate().map(|(i, name)| (format!("{path}.{i}"), name.clone())));
    };
    for (i, allow) in firewall.allow.iter().enumerate() {
        add(format!("firewall.allow.{i}.in"), &allow.links);
    }
    for (i, forward) in firewall.forward.iter().enumerate() {
        add(format!("firewall.forward.allow.{i}.in"), &forward.input);
        add(format!("firewall.forward.allow.{i}.out"), &forward.output);
    }
    for (i, masquerade) in firewall.nat.masquerade.iter().enumerate() {
        add(format!("firewall.nat.masquerade.{i}.out"), &masquerade.output);
    }
    for (i, ports) in firewall.nat.ports.iter().enumerate() {
        add(format!("firewall.nat.ports.{i}.in"), &ports.input);
    }
    let apart = recipe.network.iter().filter(|(_, link)| !link.only_through.is_empty());
    all.extend(apart.map(|(name, _)| (format!("vpn.{name}.only_through"), name.clone())));
    let serves = recipe.network.iter().filter(|(_, link)| link.dhcp_server.is_some() || link.advertise.is_some());
    all.extend(serves.map(|(name, _)| (format!("network.{name}"), name.clone())));
    all
}
