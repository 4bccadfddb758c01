//! Tunnels against the rest of the profile: keys and networks that two peers share, peers that nobody can reach, routes
//! that would take away the machine's own network or its administrators' way in, and what may leave by one tunnel alone.

use super::rules;
use crate::listeners::SSH;
use crate::recipe::{Flavour, Link, Network, Peer, Protocol, Recipe, TunnelPeer, Wireguard};
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
    for (name, link) in recipe.tunnels() {
        listens(recipe, name, link, places)?;
        for (key, network) in link.behind() {
            // Without routes nothing is led into the tunnel.
            if link.routes.iter().any(|r| r.to == network.to_string()) {
                swallowed(recipe, name, &network, &format!("vpn.{name}.{key}"), places)?;
            }
        }
    }
    recipe.tunnels().try_for_each(|(name, link)| only_through(recipe, name, link, places))?;
    let mut all = Vec::new();
    for (name, _, wireguard) in recipe.wireguard_tunnels() {
        for (peer_name, peer) in &wireguard.peers {
            let one = OnePeer { path: format!("vpn.{name}.peers.{peer_name}"), tunnel: name, peer };
            reached(&one, wireguard, places)?;
            all.push(one);
        }
    }
    gateways(recipe, places)?;
    kernel(recipe, places)?;
    keys(&all, places)?;
    shared(recipe, places)
}

/// A rule of the profile's own for a port that a tunnel has admitted already.
fn listens(recipe: &Recipe, name: &str, link: &Link, places: &Places) -> Result<()> {
    for rule in rules(name, link) {
        let Some(port) = rule.what.ports(Protocol::Udp).map(|ports| *ports.start()) else { continue };
        let same = |a: &&crate::recipe::Allow| a.what.is_port(Protocol::Udp, port);
        if let Some((i, _)) = recipe.firewall.allow.iter().enumerate().find(|(_, a)| same(a)) {
            let what = format!("port {port} is admitted by `vpn.{name}` already");
            let (one, other) = (format!("firewall.allow.{i}.port"), format!("vpn.{name}.port"));
            let error = places.between(&one, what, &other, "the tunnel's port");
            return Err(error.hint(format!("list the sources in `vpn.{name}.from`, and remove the rule")));
        }
    }
    Ok(())
}

/// The way to a gateway must not lead through its own tunnel.
fn gateways(recipe: &Recipe, places: &Places) -> Result<()> {
    for call in recipe.tunnel_calls() {
        let Some(link) = recipe.network.get(call.tunnel) else { continue };
        let only = link.only_through.iter().enumerate().map(|(i, n)| (format!("only_through.{i}"), *n));
        for address in call.addresses(&recipe.hosts) {
            if let Some((key, network)) =
                link.behind().into_iter().chain(only.clone()).find(|(_, n)| n.contains(address))
            {
                // Peers of WireGuard have an error of their own.
                let (at, other) = (format!("vpn.{}.gateway", call.tunnel), format!("vpn.{}.{key}", call.tunnel));
                let what =
                    format!("the way to this gateway would lead through its own tunnel: {address} is in {network}");
                let error = places.between(&at, what, &other, "what is reached through it");
                return Err(error.hint("name narrower networks"));
            }
        }
    }
    Ok(())
}

/// Debian's kernel for clouds has no PPP.
fn kernel(recipe: &Recipe, places: &Places) -> Result<()> {
    let Some((name, ..)) = recipe.fortinet_ssl_tunnels().next() else { return Ok(()) };
    if recipe.kernel.package.is_some() || recipe.kernel.flavour != Flavour::Cloud {
        return Ok(());
    }
    let what = format!("tunnel `{name}` needs a kernel with PPP");
    let at = format!("vpn.{name}.type");
    let error = places.between(&at, what, "kernel.flavour", "Debian's kernel for clouds has none");
    Err(error.hint("write `flavour = \"generic\"` in `[kernel]`"))
}

/// Networks that may leave by this tunnel alone: something of each is reached through it, and none is a way that the machine
/// or its administrators need.
fn only_through(recipe: &Recipe, name: &str, link: &Link, places: &Places) -> Result<()> {
    for (i, network) in link.only_through.iter().enumerate() {
        let at = format!("vpn.{name}.only_through.{i}");
        if !link.behind().iter().any(|(_, behind)| network.covers(behind) || behind.covers(network)) {
            let error = places.finding(&at, format!("nothing of {network} is reached through `{name}`"));
            return Err(error
                .because("it would be reached by no way at all")
                .hint("name networks that are at the other end of this tunnel"));
        }
        swallowed(recipe, name, network, &at, places)?;
        for (other, link) in recipe.tunnels().filter(|(other, _)| *other != name) {
            if let Some((key, behind)) = link.behind().iter().find(|(_, b)| network.covers(b) || b.covers(network)) {
                let what = format!("{network} leaves by `{name}` alone, and {behind} is reached through `{other}`");
                let error = places.between(&at, what, &format!("vpn.{other}.{key}"), "the other tunnel");
                return Err(error.hint("name narrower networks"));
            }
        }
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
fn swallowed(recipe: &Recipe, name: &str, network: &Network, at: &str, places: &Places) -> Result<()> {
    if network.length() <= 1 {
        let error = places.finding(at, format!("{network} would lead every connection into the tunnel"));
        return Err(error
            .because("answers to administrators who come by another link would go there, too")
            .hint("allow the networks behind the peer; or write `routes = false` and routes of your own"));
    }
    let others = recipe.network.iter().filter(|(_, link)| !link.kind.is_tunnel());
    for (other, link) in others {
        if let Some(error) = own_network(other, link, network, at, places) {
            return Err(error);
        }
    }
    let Some(tunnel) = recipe.network.get(name) else { return Ok(()) };
    let inside = |n: &Network| tunnel.addresses.iter().map(|a| Subnet::of(a)).any(|s| s.contains(n.address()));
    for (i, allow) in recipe.firewall.allow.iter().enumerate().filter(|(_, a)| a.what.is_port(Protocol::Tcp, SSH)) {
        if allow.links.iter().any(|link| link == name) {
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
                name
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
fn keys(all: &[OnePeer], places: &Places) -> Result<()> {
    let mut keys: BTreeMap<&str, &OnePeer> = BTreeMap::new();
    for one in all {
        if let Some(first) = keys.insert(&one.peer.public_key, one) {
            let (at, other) = (format!("{}.public_key", one.path), format!("{}.public_key", first.path));
            let error = places.between(&at, "two peers have the same key", &other, "the other one");
            return Err(error.hint("each peer has a key of its own: `wg genkey | tee private | wg pubkey`"));
        }
    }
    Ok(())
}

/// A network that is reached by two ways.
fn shared(recipe: &Recipe, places: &Places) -> Result<()> {
    let mut networks: BTreeMap<Network, String> = BTreeMap::new();
    for (name, link) in recipe.tunnels() {
        for (key, network) in link.behind() {
            let at = format!("vpn.{name}.{key}");
            if let Some(first) = networks.insert(network, at.clone()) {
                let what = format!("{network} is reached through two peers");
                let error = places.between(&at, what, &first, "the other one");
                return Err(error.hint("a network is reached through one peer; remove it from the other one"));
            }
        }
    }
    Ok(())
}
