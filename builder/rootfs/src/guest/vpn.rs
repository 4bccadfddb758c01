//! The table `[vpn]`: a tunnel → its systemd.netdev(5). Keys that are secret are named, and networkd takes them from the
//! machine's credentials: what begins with `network.wireguard.` is imported by its unit.

use super::ini::Ini;
use diorite_model::recipe::{Wireguard, preshared_key, private_key};

/// The rest of the .netdev of a tunnel whose head is begun.
pub(super) fn device(head: Ini, name: &str, wireguard: &Wireguard) -> Ini {
    let ini = head.section("WireGuard").set("PrivateKey", format!("@{}", private_key(name)));
    let ini = ini.each("ListenPort", wireguard.listen.iter().map(|listen| listen.port.to_string()));
    wireguard.peers.iter().fold(ini, |ini, (peer, about)| {
        let shared = about.preshared_key.then(|| format!("@{}", preshared_key(name, peer)));
        ini.section("WireGuardPeer")
            .set("PublicKey", &*about.public_key)
            .each("PresharedKey", shared)
            .each("AllowedIPs", about.allowed.iter().map(ToString::to_string))
            .each("Endpoint", about.endpoint.iter().map(ToString::to_string))
            .each("PersistentKeepalive", about.keepalive.map(|seconds| seconds.to_string()))
    })
}
