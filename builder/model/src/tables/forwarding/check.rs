//! Links that rules name, and what passes through the machine: rules that can never match, and translation of what
//! nothing lets through.

use super::groups::named;
use crate::listeners::Listener;
use crate::profile::section::nearest;
use crate::recipe::{Forward, Network, Peer, PortForward, Recipe};
use crate::tables::places::Places;
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::net::IpAddr;

pub(crate) fn check(recipe: &Recipe, places: &Places) -> Result<()> {
    links(recipe, places)?;
    let mut ids: BTreeMap<String, String> = BTreeMap::new();
    for (i, forward) in recipe.firewall.forward.iter().enumerate() {
        let path = format!("firewall.forward.allow.{i}");
        entry(recipe, i, forward, &path, places)?;
        once(&mut ids, forward.id(), path, places)?;
    }
    for (i, ports) in recipe.firewall.nat.ports.iter().enumerate() {
        let path = format!("firewall.nat.ports.{i}");
        port(recipe, i, ports, &path, places)?;
        once(&mut ids, ports.id(), path, places)?;
    }
    masquerade(recipe, places)
}

/// Every link that a rule names is there, and has packets of its own.
fn links(recipe: &Recipe, places: &Places) -> Result<()> {
    for (path, name) in named(recipe) {
        if recipe.nocloud() {
            let what = format!("`nocloud` and a rule for the link `{name}` do not go together");
            let why = "a cloud-init drive says what the cards are, and puts none into a group";
            let error = places.between(&path, what, "config_drive.nocloud", why);
            return Err(error.hint("name networks (`from`, `to`) instead of links, or use signed drives"));
        }
        if !recipe.network.contains_key(&name) {
            let known: Vec<&str> = recipe.network.keys().map(String::as_str).collect();
            let near = nearest(&name, &known).map(|n| format!("did you mean `{n}`? ")).unwrap_or_default();
            let error = places.finding(&path, format!("there is no link `{name}`"));
            return Err(error.hint(format!("{near}links of this profile: {}", known.join(", "))));
        }
        if let Some((owner, _)) = recipe.network.iter().find(|(_, link)| link.members().contains(&name)) {
            let what = format!("`{name}` is part of `{owner}`, and packets come and go by that");
            return Err(places.finding(&path, what).hint(format!("write `{owner}`")));
        }
    }
    Ok(())
}

/// A counter belongs to one rule.
fn once(ids: &mut BTreeMap<String, String>, id: String, path: String, places: &Places) -> Result<()> {
    let Some(other) = ids.insert(id.clone(), path.clone()) else { return Ok(()) };
    let error = places.between(&path, format!("two rules have the counter `{id}`"), &other, "the other one");
    Err(error.hint("give one of them another `name`"))
}

fn entry(recipe: &Recipe, i: usize, forward: &Forward, path: &str, places: &Places) -> Result<()> {
    let earlier = recipe.firewall.forward[..i].iter().position(|wide| covers(recipe, wide, forward));
    if let Some(earlier) = earlier {
        let other = format!("firewall.forward.allow.{earlier}");
        let error = places.between(path, "this rule can never match", &other, "it lets the same pass");
        return Err(error.hint("remove it"));
    }
    let families = |peers: &[Peer]| {
        let networks = recipe.firewall.networks(peers);
        [true, false].map(|four| peers.is_empty() || networks.iter().any(|n| n.is_ipv4() == four))
    };
    let (from, to) = (families(&forward.from), families(&forward.to));
    let own = |four: bool| forward.what.family().is_none_or(|f| f == four);
    if !(from[0] && to[0] && own(true) || from[1] && to[1] && own(false)) {
        let error =
            places.finding(path, "this rule can never match: its networks and protocol are of different families");
        return Err(error.hint("name IPv4 networks with IPv4 ones, and IPv6 with IPv6"));
    }
    Ok(())
}

/// Does an entry let everything pass that the other one does?
fn covers(recipe: &Recipe, wide: &Forward, narrow: &Forward) -> bool {
    let within = |wide: &[Peer], narrow: &[Peer]| {
        let all: Vec<Network> = recipe.firewall.networks(wide);
        let one = |n: &Network| all.iter().any(|w| w.covers(n));
        wide.is_empty() || !narrow.is_empty() && recipe.firewall.networks(narrow).iter().all(one)
    };
    wide.what.covers(&narrow.what)
        && narrow.input.iter().all(|l| wide.input.contains(l))
        && narrow.output.iter().all(|l| wide.output.contains(l))
        && within(&wide.from, &narrow.from)
        && within(&wide.to, &narrow.to)
}

fn port(recipe: &Recipe, i: usize, ports: &PortForward, path: &str, places: &Places) -> Result<()> {
    let (first, word) = (ports.port, ports.protocol.name());
    let address = |text: &String| text.split('/').next().and_then(|a| a.parse::<IpAddr>().ok());
    if recipe.network.values().flat_map(|l| &l.addresses).any(|a| address(a) == Some(ports.to)) {
        let error = places.finding(&format!("{path}.to"), format!("{} is the machine itself", ports.to));
        return Err(error.hint("admit the port with `firewall.allow`, or name the machine behind it"));
    }
    if ports.to.is_unspecified() || ports.to.is_loopback() || ports.to.is_multicast() {
        return Err(places.finding(&format!("{path}.to"), format!("{} is no other machine", ports.to)));
    }
    let own = |l: &&Listener| l.is_published() && ports.what().is_port(l.protocol, l.port) && !l.local;
    if let Some(listener) = recipe.listeners().iter().find(own) {
        let what = format!("{word} port {} leads to {} and to {}", listener.port, ports.to, listener.owner);
        let other = listener.path().unwrap_or_default();
        let error = places.between(&format!("{path}.port"), what, &other, "the container's port");
        return Err(error.hint("publish another port of the machine, or forward another one"));
    }
    let same = |other: &&PortForward| {
        other.protocol == ports.protocol
            && other.port <= ports.last_port
            && first <= other.last_port
            && other.to.is_ipv4() == ports.to.is_ipv4()
            && other.input.iter().any(|l| ports.input.contains(l))
            && (other.from.is_empty() || ports.from.is_empty() || other.from == ports.from)
    };
    if let Some(earlier) = recipe.firewall.nat.ports[..i].iter().position(|other| same(&other)) {
        let what = format!("{word} port {first} of one link leads to two machines");
        let other = format!("firewall.nat.ports.{earlier}.port");
        let error = places.between(&format!("{path}.port"), what, &other, "the other one");
        return Err(error.hint("remove one of them, or name different links or sources"));
    }
    Ok(())
}

/// Translation of what passes through, where something does.
fn masquerade(recipe: &Recipe, places: &Places) -> Result<()> {
    for (i, masquerade) in recipe.firewall.nat.masquerade.iter().enumerate() {
        let path = format!("firewall.nat.masquerade.{i}");
        for (n, link) in masquerade.output.iter().enumerate() {
            if !recipe.firewall.forward.iter().any(|f| f.output.contains(link)) {
                let what = format!("address translation without forwarding: nothing may pass to `{link}`");
                return Err(needs_forwarding(places.finding(&format!("{path}.out.{n}"), what), link));
            }
        }
        let networks = recipe.firewall.networks(&masquerade.from);
        let four = masquerade.address.map(|a| a.is_ipv4());
        let fits = |n: &Network| four.is_none_or(|four| n.is_ipv4() == four);
        if let Some(other) = networks.iter().find(|n| !fits(n)) {
            let at = format!("{path}.address");
            let error = places.between(&at, format!("{other} cannot be translated to this address"), &path, "its rule");
            return Err(error.because("one is IPv4, the other IPv6"));
        }
        if masquerade.from.is_empty() && four == Some(false) {
            let error = places.finding(&format!("{path}.address"), "an IPv6 address for every IPv4 source");
            return Err(error.hint("name the IPv6 networks in `from`"));
        }
    }
    Ok(())
}

fn needs_forwarding(error: Error, link: &str) -> Error {
    error.hint(format!("add an entry to `firewall.forward.allow`: `{{ in = [\"…\"], out = [\"{link}\"] }}`"))
}
