//! `[vpn.NAME]` of type `wireguard`.

use crate::Result;
use crate::profile::{field::*, section::Section, values, written::Written};
use crate::recipe::*;
use crate::tables::firewall::parts::{peers, peers_written};
use std::collections::BTreeMap;

/// What it has besides what every tunnel has.
pub(super) const KEYS: &[&str] = &["addresses", "port", "from", "mtu", "peers"];
pub(super) const PEER: &[Field] = &[
    text("public_key", &values::WIREGUARD_KEY, "its public key, as `wg pubkey` prints it").needed(),
    texts("allowed", &values::NETWORK, "networks that are reached through it, and that it may send from").needed(),
    text("endpoint", &values::ENDPOINT, "where it is reached").or_said("it comes to this machine"),
    integer("keepalive", 1, 65_535, "seconds between two empty packets, for a NAT on the way").or_said("none is sent"),
    boolean("preshared_key", "the two share a further key: the credential `network.wireguard.psk.NAME.PEER`").or(false),
];

pub(super) fn read(t: &Section) -> Result<Wireguard> {
    if t.plain("addresses")?.is_empty() {
        return Err(t.missing("addresses"));
    }
    let from = peers(t, "from")?;
    let listen = t.number("port")?.map(|port| Listen { port: port.value, from: from.clone() });
    if let (None, Some(span)) = (&listen, t.key("from")) {
        let error = t.files.error(span, format!("`{}` says who may reach a port, and has none", t.path));
        return Err(error.hint("write `port`, or remove `from`"));
    }
    let mut others = BTreeMap::new();
    for (name, p) in t.named("peers")? {
        let allowed = p.plain("allowed")?;
        if allowed.is_empty() {
            return Err(p.missing("allowed"));
        }
        let endpoint = p.text("endpoint")?.map(|e| Endpoint::try_from(e.value).expect("its form was checked"));
        others.insert(
            name,
            TunnelPeer {
                public_key: p.needed("public_key")?.value,
                allowed: allowed.iter().map(|n| n.parse().expect("its form was checked")).collect(),
                endpoint,
                keepalive: p.number("keepalive")?.map(|k| k.value),
                preshared_key: p.flag("preshared_key")?,
            },
        );
    }
    Ok(Wireguard { listen, peers: others })
}

/// The keys that say this.
pub(super) fn written(t: Written, wireguard: &Wireguard) -> Written {
    let peer = |p: &TunnelPeer| {
        let allowed: Vec<String> = p.allowed.iter().map(ToString::to_string).collect();
        Written::default()
            .with("public_key", &*p.public_key)
            .list("allowed", &allowed)
            .maybe("endpoint", p.endpoint.as_ref().map(ToString::to_string))
            .maybe("keepalive", p.keepalive.map(u32::from))
            .with("preshared_key", p.preshared_key)
    };
    let t = t.with("type", "wireguard");
    let t = match &wireguard.listen {
        None => t,
        Some(listen) if listen.from.is_empty() => t.with("port", u32::from(listen.port)),
        Some(listen) => t.with("port", u32::from(listen.port)).with("from", peers_written(&listen.from)),
    };
    t.named("peers", &wireguard.peers, peer)
}
