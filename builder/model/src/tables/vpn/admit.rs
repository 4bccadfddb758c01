//! What the firewall admits for tunnels: those who come to this machine.

use crate::recipe::{Allow, Ipsec, Link, LinkKind, Peer, Protocol, Recipe};

/// Name of the rule that admits the peers of a tunnel.
fn rule(tunnel: &str) -> String {
    format!("vpn-{tunnel}")
}

/// The rules of one tunnel.
pub(crate) fn rules(name: &str, link: &Link) -> Vec<Allow> {
    let one = |name: String, port: u16, from: &[Peer]| Allow {
        name: Some(name),
        from: from.to_vec(),
        ..Allow::port(port, Protocol::Udp)
    };
    match &link.kind {
        LinkKind::Wireguard(wireguard) => {
            wireguard.listen.iter().map(|listen| one(rule(name), listen.port, &listen.from)).collect()
        }
        LinkKind::Ipsec(ipsec) if ipsec.gateway.is_none() => {
            Ipsec::PORTS.map(|port| one(format!("{}-{port}", rule(name)), port, &ipsec.from)).into()
        }
        _ => Vec::new(),
    }
}

fn all(recipe: &Recipe) -> Vec<Allow> {
    recipe.tunnels().flat_map(|(name, link)| rules(name, link)).collect()
}

/// Peers must get through the firewall; nobody has to say it twice.
pub(crate) fn admit(recipe: &mut Recipe) {
    let all = all(recipe);
    recipe.firewall.allow.extend(all);
}

/// Takes the rules of [`admit`] out again.
pub(crate) fn unadmit(recipe: &mut Recipe) {
    for rule in all(recipe).iter().rev() {
        if recipe.firewall.allow.last().is_some_and(|a| a.name == rule.name) {
            recipe.firewall.allow.pop();
        }
    }
}
