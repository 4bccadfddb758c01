//! Links made of links: every part exists, is used once, and the links form no cycle.

use crate::recipe::{BondMode, Link, LinkKind, Recipe};
use crate::tables::places::Places;
use crate::{Result, profile::section::nearest};
use std::collections::BTreeMap;

pub(crate) fn check(recipe: &Recipe, places: &Places) -> Result<()> {
    let links = &recipe.network;
    if recipe.nocloud() {
        links.iter().try_for_each(|(name, link)| nocloud(name, link, places))?;
    }
    let mut owner: BTreeMap<&str, (&str, String)> = BTreeMap::new();
    let mut routed: BTreeMap<&str, (&str, String)> = BTreeMap::new();
    for (name, link) in links {
        for (at, below) in parts(name, link) {
            exists(links, below, &at, places)?;
            // Everything below is there or was refused above; a circle is longer than there are links.
            if circle(links, name, below) {
                let error = places.finding(&at, format!("`{name}` is part of itself: the links form a cycle"));
                return Err(match below == name {
                    true => error,
                    false => error.because(format!("it is made of `{below}`, which is made of `{name}`")),
                });
            }
            let parts = match &link.kind {
                LinkKind::Vrf(_) => &mut routed,
                LinkKind::Bond(_) | LinkKind::Bridge(_) => &mut owner,
                _ => continue,
            };
            if let Some((first, other)) = parts.insert(below, (name, at.clone())) {
                let what = format!("`{below}` is part of both `{first}` and `{name}`");
                return Err(places
                    .between(&at, what, &other, "the first one")
                    .hint("a link belongs to one bond or bridge, and to one VRF"));
            }
        }
        bond(links, name, link, places)?;
    }
    for (name, (vrf, at)) in &routed {
        let cause = match (owner.get(name), links.get(*name).map(|l| &l.kind)) {
            (Some((owner, _)), _) => format!("it is part of `{owner}`, which has its addresses"),
            (_, Some(LinkKind::Vrf(_))) => "it is a VRF itself".to_owned(),
            _ => continue,
        };
        return Err(places.finding(at, format!("`{name}` cannot be routed by `{vrf}`")).because(cause));
    }
    routing_tables(links, &routed, places)?;
    for (name, link) in links {
        if let LinkKind::Vlan(vlan) = &link.kind {
            if let Some((owner, at)) = owner.get(vlan.parent.as_str()) {
                let what = format!("`{}` carries no VLAN of its own: it is part of `{owner}`", vlan.parent);
                let error = places.between(&format!("network.{name}.vlan.parent"), what, at, "its membership");
                return Err(error.hint(format!("write `parent = \"{owner}\"`")));
            }
            let same = |o: &Link| matches!(&o.kind, LinkKind::Vlan(v) if v == vlan);
            if let Some((other, _)) = links.iter().find(|(o, l)| *o < name && same(l)) {
                let (one, two) = (format!("network.{name}.vlan.id"), format!("network.{other}.vlan.id"));
                let what = format!("`{}` carries VLAN {} twice", vlan.parent, vlan.id);
                return Err(places.between(&one, what, &two, "the other one"));
            }
        }
        if let Some((owner, at)) = owner.get(name.as_str()) {
            alone(name, link, owner, at, places)?;
        }
    }
    Ok(())
}

/// A VRF has a routing table for itself, and its links have none beside it. `routed`: links by their VRF.
fn routing_tables(
    links: &BTreeMap<String, Link>,
    routed: &BTreeMap<&str, (&str, String)>,
    places: &Places,
) -> Result<()> {
    let mut tables: BTreeMap<u32, &String> = BTreeMap::new();
    for (name, link) in links {
        let LinkKind::Vrf(vrf) = &link.kind else { continue };
        let at = format!("network.{name}.vrf.table");
        if (253..=255).contains(&vrf.table) {
            let error = places.finding(&at, format!("`{name}` cannot have table {}", vrf.table));
            return Err(error.because("253, 254 and 255 are the kernel's own tables: default, main and local"));
        }
        if let Some(other) = tables.insert(vrf.table, name) {
            let what = format!("`{other}` and `{name}` have the same table, {}", vrf.table);
            let error = places.between(&at, what, &format!("network.{other}.vrf.table"), "the other one");
            return Err(error.hint("give each VRF a table of its own"));
        }
    }
    for (name, (vrf, at)) in routed {
        if links.get(*name).is_some_and(|link| link.table.is_some()) {
            let what = format!("`{name}` has a table of its own, and belongs to the VRF `{vrf}`");
            let error = places.between(&format!("network.{name}.table"), what, at, "its membership");
            let why = "the kernel puts the routes of a VRF's links into the VRF's table";
            return Err(error.because(why).hint("remove `table`"));
        }
    }
    Ok(())
}

/// Places and names of what a link is made of.
fn parts<'a>(name: &str, link: &'a Link) -> Vec<(String, &'a str)> {
    let list = |table: &str, members: &'a [String]| {
        let one = |(i, m): (usize, &'a String)| (format!("network.{name}.{table}.members.{i}"), m.as_str());
        members.iter().enumerate().map(one).collect()
    };
    match &link.kind {
        LinkKind::Vlan(vlan) => vec![(format!("network.{name}.vlan.parent"), vlan.parent.as_str())],
        LinkKind::Bond(bond) => list("bond", &bond.members),
        LinkKind::Bridge(bridge) => list("bridge", &bridge.members),
        LinkKind::Vrf(vrf) => list("vrf", &vrf.members),
        _ => Vec::new(),
    }
}

/// A cloud-init drive names cards by their hardware address, and knows of no others: which link one belongs to must be
/// plain from that alone, or a card would leave its bond, or get the settings of another link.
fn nocloud(name: &str, link: &Link, places: &Places) -> Result<()> {
    let what = match &link.kind {
        LinkKind::Card(m) if m.name.is_none() && m.driver.is_none() && m.order.is_none() => return Ok(()),
        // No drive says anything of a tunnel.
        kind if kind.is_tunnel() => return Ok(()),
        LinkKind::Card(_) => "is found by something else than its hardware address",
        _ => "is not a network card",
    };
    let path = format!("network.{name}");
    let what = format!("`nocloud` and link `{name}`, which {what}, do not go together");
    let error = places.between(&path, what, "config_drive.nocloud", "a cloud-init drive says what the cards are");
    Err(error.hint("match cards by `mac`, or let one link take them all; signed drives go with every kind of link"))
}

fn exists(links: &BTreeMap<String, Link>, name: &str, at: &str, places: &Places) -> Result<()> {
    if links.contains_key(name) {
        return Ok(());
    }
    let known: Vec<&str> = links.keys().map(String::as_str).collect();
    let near = nearest(name, &known).map(|n| format!("did you mean `{n}`? ")).unwrap_or_default();
    let error = places.finding(at, format!("there is no link `{name}`"));
    Err(error.hint(format!("{near}links of this profile: {}", known.join(", "))))
}

/// Whether going down from `below` leads to `name`.
fn circle(links: &BTreeMap<String, Link>, name: &str, below: &str) -> bool {
    let (mut open, mut seen) = (vec![below], std::collections::BTreeSet::new());
    while let Some(at) = open.pop() {
        if at == name {
            return true;
        }
        if seen.insert(at) {
            open.extend(links.get(at).map(Link::below).unwrap_or_default());
        }
    }
    false
}

fn bond(links: &BTreeMap<String, Link>, name: &str, link: &Link, places: &Places) -> Result<()> {
    let (members, table) = match &link.kind {
        LinkKind::Bond(bond) => (&bond.members, "bond"),
        LinkKind::Bridge(bridge) => (&bridge.members, "bridge"),
        _ => return Ok(()),
    };
    for (i, member) in members.iter().enumerate() {
        let kind = links.get(member).map(|l| &l.kind);
        let refused = match (&link.kind, kind) {
            (LinkKind::Bond(_), Some(LinkKind::Card(_))) | (_, None) => None,
            (_, Some(kind)) if kind.is_tunnel() => Some("a tunnel carries packets of IP, not of Ethernet"),
            (LinkKind::Bond(_), Some(_)) => Some("a bond is made of cards"),
            (_, Some(LinkKind::Bridge(_))) => Some("a bridge cannot be part of a bridge"),
            _ => None,
        };
        if let Some(cause) = refused {
            let at = format!("network.{name}.{table}.members.{i}");
            return Err(places.finding(&at, format!("`{member}` cannot be part of `{name}`")).because(cause));
        }
    }
    if let LinkKind::Bond(bond) = &link.kind
        && bond.mode == BondMode::Lacp
        && !bond.arp_targets.is_empty()
    {
        let error = places.finding(&format!("network.{name}.bond.arp_targets"), "LACP does not work with ARP targets");
        return Err(error
            .because("it watches its members by itself")
            .hint("remove `arp_targets`, or choose another mode"));
    }
    Ok(())
}

/// A member has nothing of its own: it all belongs to the bond or bridge.
fn alone(name: &str, link: &Link, owner: &str, at: &str, places: &Places) -> Result<()> {
    let own = [
        ("addresses", !link.addresses.is_empty()),
        ("gateways", !link.gateways.is_empty()),
        ("routes", !link.routes.is_empty()),
        ("dhcp", link.dhcp_ipv4 || link.dhcp_ipv6),
        ("router_advertisements", link.router_advertisements),
        ("dns", !link.dns.is_empty()),
        ("ntp", !link.ntp.is_empty()),
    ];
    let Some((key, _)) = own.into_iter().find(|(_, has)| *has) else { return Ok(()) };
    let what = format!("`{name}` is part of `{owner}` and cannot have `{key}`");
    let error = places.between(&format!("network.{name}.{key}"), what, at, "its membership");
    Err(error.hint(format!("write it in `[network.{owner}]`")))
}
