//! The tunnels among the links of a recipe.

use super::recipe::{Wireguard, preshared_key, private_key};
use crate::recipe::{Link, LinkKind, Recipe};

impl Recipe {
    /// Every tunnel with its link and name.
    pub fn tunnels(&self) -> impl Iterator<Item = (&String, &Link, &Wireguard)> {
        self.network.iter().filter_map(|(name, link)| match &link.kind {
            LinkKind::Wireguard(wireguard) => Some((name, link, wireguard)),
            _ => None,
        })
    }

    /// The credentials that tunnels need, each with its tunnel.
    pub fn tunnel_credentials(&self) -> Vec<(String, &String)> {
        let keys = |(name, _, wireguard)| {
            let (name, wireguard): (&String, &Wireguard) = (name, wireguard);
            let shared = wireguard.peers.iter().filter(|(_, peer)| peer.preshared_key);
            let shared = shared.map(|(peer, _)| preshared_key(name, peer));
            std::iter::once(private_key(name)).chain(shared).map(|key| (key, name)).collect::<Vec<_>>()
        };
        self.tunnels().flat_map(keys).collect()
    }
}
