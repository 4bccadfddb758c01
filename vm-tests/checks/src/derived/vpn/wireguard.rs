//! Tunnels of WireGuard: the interface has its key and its declared peers.

use crate::{answer::Judged, check::Check, quote};
use diorite_machine::Output;
use diorite_model::recipe::{TunnelPeer, Wireguard};
use std::collections::BTreeMap;

/// The interface of a tunnel.
pub(super) fn check(name: &str, wireguard: &Wireguard) -> Check {
    let (id, what) = (format!("vpn-{name}"), format!("tunnel {name} has its key and the declared peers"));
    let (script, declared) = (script(name), wireguard.clone());
    Check::settling_script(id, what, script, move |said| judge(said, &declared))
}

/// What [`judge`] reads. No key that is secret is printed: of those, only whether there is one.
fn script(name: &str) -> String {
    let name = quote::word(name);
    format!(
        "wg show {name} public-key | sed 's/^/key:/'; wg show {name} listen-port | sed 's/^/port:/'; \
         wg show {name} allowed-ips | sed 's/^/allowed:/'; wg show {name} endpoints | sed 's/^/endpoint:/'; \
         wg show {name} persistent-keepalive | sed 's/^/keepalive:/'; \
         wg show {name} preshared-keys | awk '{{ print \"shared:\" $1 \"\\t\" ($2 == \"(none)\" ? \"no\" : \"yes\") }}'"
    )
}

/// Whether the kernel has what is declared, and no other peer.
fn judge(output: &Output, declared: &Wireguard) -> Judged {
    let of =
        |word: &str| output.text.lines().filter_map(|line| line.strip_prefix(word)).map(str::trim).collect::<Vec<_>>();
    // 32 zero bytes: no key was given.
    match of("key:")[..] {
        [] => return Err("there is no such tunnel".to_owned()),
        ["(none)"] | ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="] => return Err("it has no private key".to_owned()),
        _ => {}
    }
    if let Some(listen) = &declared.listen {
        let port = listen.port.to_string();
        if of("port:") != [port.as_str()] {
            return Err(format!("it listens on {}, not on {port}", of("port:").join(" ")));
        }
    }
    let by_key = |word: &str| -> BTreeMap<String, String> {
        let pairs = of(word).into_iter().filter_map(|line| line.split_once(['\t', ' ']));
        pairs.map(|(key, rest)| (key.to_owned(), rest.trim().to_owned())).collect()
    };
    let (allowed, endpoints) = (by_key("allowed:"), by_key("endpoint:"));
    let (keepalive, shared) = (by_key("keepalive:"), by_key("shared:"));
    let strangers = allowed.keys().filter(|key| !declared.peers.values().any(|p| p.public_key == **key)).count();
    if strangers > 0 {
        return Err(format!("{strangers} of its peers are not declared"));
    }
    for (name, peer) in &declared.peers {
        let get = |map: &BTreeMap<String, String>| map.get(&peer.public_key).cloned();
        let Some(networks) = get(&allowed) else { return Err(format!("peer {name} is missing")) };
        let mut networks: Vec<&str> = networks.split_whitespace().collect();
        let mut wanted: Vec<String> = peer.allowed.iter().map(ToString::to_string).collect();
        networks.sort_unstable();
        wanted.sort_unstable();
        if networks != wanted {
            return Err(format!("peer {name} is allowed {}", networks.join(" ")));
        }
        other(peer, get(&endpoints), get(&keepalive), get(&shared)).map_err(|e| format!("peer {name}: {e}"))?;
    }
    Ok(format!("{} peers, each as declared", declared.peers.len()))
}

/// What is wrong with a peer besides its networks.
fn other(
    peer: &TunnelPeer,
    endpoint: Option<String>,
    keepalive: Option<String>,
    shared: Option<String>,
) -> Result<(), String> {
    // A name is an address in the kernel, and a peer that moved has another one than it began with.
    let fixed = peer.endpoint.as_ref().filter(|e| e.address().is_some()).map(ToString::to_string);
    if let Some(wanted) = fixed.filter(|wanted| endpoint.as_ref() != Some(wanted)) {
        return Err(format!("its endpoint is {}, not {wanted}", endpoint.unwrap_or_default()));
    }
    let wanted = peer.keepalive.map_or("off".to_owned(), |seconds| seconds.to_string());
    if keepalive.as_ref() != Some(&wanted) {
        return Err(format!("its keepalive is {}, not {wanted}", keepalive.unwrap_or_default()));
    }
    let wanted = if peer.preshared_key { "yes" } else { "no" };
    if shared.as_deref() != Some(wanted) {
        return Err(format!("a preshared key: {}, not {wanted}", shared.unwrap_or_default()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::tests::recipe_of;

    const ONE: &str = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
    const TWO: &str = "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=";
    const TABLE: &str = "[network.lan]\ndhcp = true\n[vpn.office]\ntype = \"wireguard\"\naddresses = [\"10.99.0.1/24\"]\n\
        port = 51820\n[vpn.office.peers.school]\npublic_key = \"xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\"\n\
        allowed = [\"10.99.0.2/32\", \"10.60.0.0/16\"]\nendpoint = \"192.0.2.9:51820\"\nkeepalive = 25\npreshared_key = true\n";

    fn seen() -> String {
        format!(
            "key:{TWO}\nport:51820\nallowed:{ONE}\t10.99.0.2/32 10.60.0.0/16\nendpoint:{ONE}\t192.0.2.9:51820\n\
             keepalive:{ONE}\t25\nshared:{ONE}\tyes\n"
        )
    }

    #[test]
    fn a_tunnel_is_judged_by_every_key() {
        let recipe = recipe_of(TABLE);
        let (_, _, declared) = recipe.wireguard_tunnels().next().expect("it is one");
        let asked = |text: &str| judge(&Output { status: 0, text: text.to_owned() }, declared);
        assert_eq!(asked(&seen()), Ok("1 peers, each as declared".into()));
        for (from, to, said) in [
            ("port:51820", "port:51821", "it listens on 51821, not on 51820"),
            ("10.60.0.0/16", "10.0.0.0/8", "peer school is allowed 10.0.0.0/8 10.99.0.2/32"),
            (
                "192.0.2.9:51820\nkeep",
                "192.0.2.10:51820\nkeep",
                "peer school: its endpoint is 192.0.2.10:51820, not 192.0.2.9:51820",
            ),
            ("\t25", "\toff", "peer school: its keepalive is off, not 25"),
            ("\tyes", "\tno", "peer school: a preshared key: no, not yes"),
            (ONE, TWO, "1 of its peers are not declared"),
            (TWO, "(none)", "it has no private key"),
        ] {
            assert_eq!(asked(&seen().replace(from, to)), Err(said.to_owned()), "{to}");
        }
        assert_eq!(asked(""), Err("there is no such tunnel".into()));
        assert_eq!(asked(&format!("key:{TWO}\nport:51820\n")), Err("peer school is missing".into()));
    }
}
