//! Tunnels against the rest of the profile: keys and networks that two peers share, peers that nobody can reach, and routes
//! that would take away the machine's own network or its administrators' way in.

use crate::listeners::SSH;
use crate::recipe::{Link, LinkKind, Network, Peer, Protocol, Recipe, TunnelPeer, Wireguard};
use crate::tables::network::subnet::Subnet;
use crate::tables::places::Places;
use crate::{Error, Result};
use std::collections::BTreeMap;

/// One peer, where it stands, and the tunnel it is in.
struct OnePeer<'a> {
    path: String,
    tunnel: &'a str,
    peer: &'a TunnelPeer,
}

pub(crate) fn check(recipe: &Recipe, places: &Places) -> Result<()> {
    let mut all = Vec::new();
    for (name, link, wireguard) in recipe.tunnels() {
        listens(recipe, name, wireguard, places)?;
        for (peer_name, peer) in &wireguard.peers {
            let path = format!("vpn.{name}.peers.{peer_name}");
            let one = OnePeer { path, tunnel: name, peer };
            reached(&one, wireguard, places)?;
            for (i, network) in peer.allowed.iter().enumerate() {
                let at = format!("{}.allowed.{i}", one.path);
                // Without routes nothing is led into the tunnel.
                if link.routes.iter().any(|r| r.to == network.to_string()) {
                    swallowed(recipe, &one, network, &at, places)?;
                }
            }
            all.push(one);
        }
    }
    shared(&all, places)
}

/// A rule of the profile's own for a port that a tunnel has admitted already.
fn listens(recipe: &Recipe, name: &str, wireguard: &Wireguard, places: &Places) -> Result<()> {
    let Some(listen) = &wireguard.listen else { return Ok(()) };
    let same = |a: &&crate::recipe::Allow| a.what.is_port(Protocol::Udp, listen.port);
    if let Some((i, _)) = recipe.firewall.allow.iter().enumerate().find(|(_, a)| same(a)) {
        let what = format!("port {} is admitted by `vpn.{name}` already", listen.port);
        let (one, other) = (format!("firewall.allow.{i}.port"), format!("vpn.{name}.port"));
        let error = places.between(&one, what, &other, "the tunnel's port");
        return Err(error.hint(format!("list the sources in `vpn.{name}.from`, and remove the rule")));
    }
    Ok(())
}

/// One of the two must know where the other is.
fn reached(one: &OnePeer, wireguard: &Wireguard, places: &Places) -> Result<()> {
    if one.peer.endpoint.is_none() && wireguard.listen.is_none() {
        let error = places.finding(&one.path, "this peer and this machine cannot find each other");
        return Err(error
            .because(format!("the peer has no `endpoint`, and `vpn.{}` has no `port`", one.tunnel))
            .hint("say where the peer is, or at which port it reaches this machine"));
    }
    let Some(address) = one.peer.endpoint.as_ref().and_then(|e| e.address()) else { return Ok(()) };
    if let Some(i) = one.peer.allowed.iter().position(|n| n.contains(address)) {
        let what =
            format!("the way to this peer would lead through its own tunnel: {address} is in {}", one.peer.allowed[i]);
        let (at, other) = (format!("{}.endpoint", one.path), format!("{}.allowed.{i}", one.path));
        return Err(places.between(&at, what, &other, "what is reached through it").hint("allow narrower networks"));
    }
    Ok(())
}

/// A network that is led into a tunnel and must not be: a default route, the network of another link, or the networks that
/// administrators come from.
fn swallowed(recipe: &Recipe, one: &OnePeer, network: &Network, at: &str, places: &Places) -> Result<()> {
    if network.length() <= 1 {
        let error = places.finding(at, format!("{network} would lead every connection into the tunnel"));
        return Err(error
            .because("answers to administrators who come by another link would go there, too")
            .hint("allow the networks behind the peer; or write `routes = false` and routes of your own"));
    }
    let others = recipe.network.iter().filter(|(_, link)| !matches!(link.kind, LinkKind::Wireguard(_)));
    for (name, link) in others {
        if let Some(error) = own_network(name, link, network, at, places) {
            return Err(error);
        }
    }
    let Some(tunnel) = recipe.network.get(one.tunnel) else { return Ok(()) };
    let inside = |n: &Network| tunnel.addresses.iter().map(|a| Subnet::of(a)).any(|s| s.contains(n.address()));
    for (i, allow) in recipe.firewall.allow.iter().enumerate().filter(|(_, a)| a.what.is_port(Protocol::Tcp, SSH)) {
        if allow.links.iter().any(|link| link == one.tunnel) {
            continue;
        }
        let named = allow.from.iter().enumerate();
        let taken = named.flat_map(|(j, peer)| networks(recipe, peer).into_iter().map(move |n| (j, n)));
        if let Some((j, source)) = taken.filter(|(_, n)| !inside(n)).find(|(_, n)| network.covers(n)) {
            let what = format!(
                "{network} would take the administrators' way in: answers to {source} would go into the tunnel"
            );
            let other = format!("firewall.allow.{i}.from.{j}");
            let error = places.between(at, what, &other, "who may reach the secure shell");
            let hint = format!(
                "allow narrower networks; or, if they come through the tunnel, say so in that rule: `in = [\"{}\"]`",
                one.tunnel
            );
            return Err(error.hint(hint));
        }
    }
    Ok(())
}

fn networks(recipe: &Recipe, peer: &Peer) -> Vec<Network> {
    recipe.firewall.networks(std::slice::from_ref(peer))
}

/// What a link is in itself is not reached through a tunnel.
fn own_network(name: &str, link: &Link, network: &Network, at: &str, places: &Places) -> Option<Error> {
    let own = link.addresses.iter().map(|a| Subnet::of(a)).position(|subnet| {
        let within = network.length() >= subnet.prefix && subnet.contains(network.address());
        network.contains(subnet.address) || within
    });
    let gateway = link.gateways.iter().position(|g| g.parse().is_ok_and(|g| network.contains(g)));
    let (other, why) = match (own, gateway) {
        (Some(i), _) => (format!("network.{name}.addresses.{i}"), "the machine is in that network itself"),
        (None, Some(i)) => (format!("network.{name}.gateways.{i}"), "a gateway would be reached through the tunnel"),
        (None, None) => return None,
    };
    let error = places.between(at, format!("{network} overlaps the network of link `{name}`"), &other, why);
    Some(error.hint("allow only what is behind the peer"))
}

/// What two peers cannot both have.
fn shared(all: &[OnePeer], places: &Places) -> Result<()> {
    let mut keys: BTreeMap<&str, &OnePeer> = BTreeMap::new();
    let mut networks: BTreeMap<Network, String> = BTreeMap::new();
    for one in all {
        if let Some(first) = keys.insert(&one.peer.public_key, one) {
            let (at, other) = (format!("{}.public_key", one.path), format!("{}.public_key", first.path));
            let error = places.between(&at, "two peers have the same key", &other, "the other one");
            return Err(error.hint("each peer has a key of its own: `wg genkey | tee private | wg pubkey`"));
        }
        for (i, network) in one.peer.allowed.iter().enumerate() {
            let at = format!("{}.allowed.{i}", one.path);
            if let Some(first) = networks.insert(*network, at.clone()) {
                let what = format!("{network} is reached through two peers");
                let error = places.between(&at, what, &first, "the other one");
                return Err(error.hint("a network is reached through one peer; remove it from the other one"));
            }
        }
    }
    Ok(())
}
