//! The table `[vpn]`. WireGuard is a device that networkd makes. IPsec is such a device, too, and a daemon that negotiates for
//! it. A tunnel to a FortiGate is a service whose pppd makes the device, and networkd gives it its routes and servers.
//! No secret is in a file of the image: each is a credential, which a unit takes.

mod fortinet_ssl;
mod ipsec;
mod swanctl;

use super::Guest;
use super::ini::Ini;
use diorite_model::recipe::{Ipsec, LinkKind, Wireguard, preshared_key, private_key};
use diorite_model::{Recipe, Result, certificate};

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    ipsec::generate(guest, recipe)?;
    fortinet_ssl::generate(guest, recipe)
}

/// The rest of the .netdev of a tunnel of WireGuard whose head is begun. networkd takes keys from the machine's credentials:
/// what begins with `network.wireguard.` is imported by its unit.
pub(super) fn wireguard(head: Ini, name: &str, wireguard: &Wireguard) -> Ini {
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

/// The same of a tunnel of IPsec. What is routed to the device and belongs to no security association is dropped.
pub(super) fn xfrm(head: Ini, ipsec: &Ipsec) -> Ini {
    head.section("Xfrm").set("InterfaceId", ipsec.interface.to_string()).set("Independent", "yes")
}

/// Whether another program than networkd gives the device its address, which networkd is to leave there.
pub(super) fn learns_address(kind: &LinkKind) -> bool {
    matches!(kind, LinkKind::FortinetSsl(_)) || matches!(kind, LinkKind::Ipsec(ipsec) if ipsec.learns_address())
}

/// The authority of the other end as a file, which nothing but this tunnel trusts.
fn authority(guest: &mut Guest, path: &str, ca: Option<&str>) -> Result<()> {
    match ca {
        Some(ca) => guest.file(path, 0o644, certificate::pem(ca)?),
        None => Ok(()),
    }
}
