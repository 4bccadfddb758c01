//! `[vpn.NAME]` of type `ipsec`.

use super::parts::{authority, networks, some_networks};
use crate::profile::{section::Section, written::Written};
use crate::recipe::*;
use crate::tables::firewall::parts::{peers, peers_written, string};
use crate::tables::network::subnet::Subnet;
use crate::{Error, Result, certificate};

/// What it has besides what every tunnel has.
pub(super) const KEYS: &[&str] = &[
    "addresses",
    "learn_address",
    "gateway",
    "from",
    "auth",
    "id",
    "peer_id",
    "ca",
    "user",
    "local",
    "remote",
    "proposals",
    "esp_proposals",
    "mtu",
];
pub(super) const AUTH: &[(&str, &str)] = &[
    ("psk", "by a key that both have: the credential `vpn.psk.NAME`"),
    ("certificate", "by certificates; this machine's are the credentials `vpn.certificate.NAME` and `vpn.key.NAME`"),
    (
        "eap-mschapv2",
        "this machine by `user` and password; the gateway by a certificate of `ca`, or by a key that both have",
    ),
];

/// What is offered when the profile says nothing: each is among those that a FortiGate offers by itself or can be told.
const PROPOSALS: [&str; 4] = [
    "aes256gcm16-prfsha384-ecp384-ecp256-modp3072-modp2048",
    "aes256-sha256-ecp384-ecp256-modp3072-modp2048",
    "aes128gcm16-prfsha256-ecp384-ecp256-modp3072-modp2048",
    "aes128-sha256-ecp384-ecp256-modp3072-modp2048",
];
const ESP_PROPOSALS: [&str; 4] = [
    "aes256gcm16-ecp384-ecp256-modp3072-modp2048",
    "aes256-sha256-ecp384-ecp256-modp3072-modp2048",
    "aes128gcm16-ecp384-ecp256-modp3072-modp2048",
    "aes128-sha256-ecp384-ecp256-modp3072-modp2048",
];

pub(super) fn read(t: &Section, addresses: &[String]) -> Result<Ipsec> {
    let gateway = string(t, "gateway")?;
    if let (Some(_), Some(span)) = (&gateway, t.key("from")) {
        let error = t.files.error(span, format!("`{}` says who may come, and calls its gateway itself", t.path));
        return Err(error.hint("remove `from`, or `gateway` when the other end comes to this machine"));
    }
    let peer_id = match (string(t, "peer_id")?, &gateway) {
        (Some(id), _) => id,
        (None, Some(gateway)) => gateway.clone(),
        (None, None) => return Err(t.missing("peer_id")),
    };
    let (proposals, esp_proposals) = (t.plain("proposals")?, t.plain("esp_proposals")?);
    let or = |list: Vec<String>, default: &[&str]| match list.is_empty() {
        true => default.iter().map(|p| (*p).to_owned()).collect(),
        false => list,
    };
    Ok(Ipsec {
        // Numbered when all of them have been read.
        interface: 0,
        from: peers(t, "from")?,
        auth: auth(t, gateway.is_some())?,
        id: string(t, "id")?,
        peer_id,
        local: local(t, addresses, gateway.is_some())?,
        remote: some_networks(t, "remote")?,
        gateway,
        proposals: or(proposals, &PROPOSALS),
        esp_proposals: or(esp_proposals, &ESP_PROPOSALS),
    })
}

fn auth(t: &Section, calls: bool) -> Result<IpsecAuth> {
    let (word, ca, user) = (t.needed("auth")?, authority(t)?, string(t, "user")?);
    let surplus = |key: &str| -> Error {
        let span = t.key(key).unwrap_or(t.span);
        let error = t.files.error(span, format!("`{}` has `{key}`, and `auth` is `{}`", t.path, word.value));
        error.hint(format!("remove `{key}`, or say another `auth`"))
    };
    match word.value.as_str() {
        "psk" if ca.is_some() => Err(surplus("ca")),
        "psk" | "certificate" if user.is_some() => Err(surplus("user")),
        "psk" => Ok(IpsecAuth::Psk),
        "certificate" => Ok(IpsecAuth::Certificate { ca: ca.ok_or_else(|| t.missing("ca"))? }),
        _ if !calls => {
            let what = format!("`{}` logs in as a user, and has no gateway", t.path);
            Err(t.files.error(word.span, what).hint("write `gateway`, or `auth = \"certificate\"`"))
        }
        _ => Ok(IpsecAuth::Eap { user: user.ok_or_else(|| t.missing("user"))?, ca }),
    }
}

/// The networks at this end. What the machine sends comes from its address in the tunnel, which must lie in one of them.
fn local(t: &Section, addresses: &[String], calls: bool) -> Result<Vec<Network>> {
    let (named, learn) = (networks(t, "local")?, t.flag("learn_address")?);
    if learn {
        if !calls {
            let error = t.files.error(t.key("learn_address").unwrap_or(t.span), "no gateway can give an address");
            return Err(error.because(format!("`{}` has no `gateway`", t.path)).hint("write `gateway`"));
        }
        if let Some((key, span)) = ["addresses", "local"].into_iter().find_map(|key| Some((key, t.key(key)?))) {
            let what = format!("`{}` has `{key}`, and learns its address", t.path);
            return Err(t.files.error(span, what).hint(format!("remove `{key}` or `learn_address`")));
        }
        return Ok(Vec::new());
    }
    if addresses.is_empty() {
        let hint = "write `addresses = [\"10.97.0.1/32\"]`, or `learn_address = true` when the gateway gives it one";
        return Err(t.missing("addresses").hint(hint));
    }
    let alone = |a: &String| {
        let Subnet { address, .. } = Subnet::of(a);
        format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 }).parse().expect("an address is a network")
    };
    if named.is_empty() {
        return Ok(addresses.iter().map(alone).collect());
    }
    for address in t.texts("addresses")? {
        let one: Network = alone(&address.value);
        if !named.iter().any(|network| network.covers(&one)) {
            let error = t.files.error(address.span, format!("{} is in none of `{}.local`", one.address(), t.path));
            return Err(error
                .because("what the machine sends from it would not be let into the tunnel")
                .hint("give it an address in one of them, or name its network there, too"));
        }
    }
    Ok(named)
}

/// The keys that say this.
pub(super) fn written(t: Written, addresses: &[String], ipsec: &Ipsec) -> Written {
    let strings = |list: &[Network]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    let (auth, user) = match &ipsec.auth {
        IpsecAuth::Psk => ("psk", None),
        IpsecAuth::Certificate { .. } => ("certificate", None),
        IpsecAuth::Eap { user, .. } => ("eap-mschapv2", Some(user.as_str())),
    };
    let t = t
        .with("type", "ipsec")
        .maybe("gateway", ipsec.gateway.as_deref())
        .with("auth", auth)
        .maybe("user", user)
        .maybe("ca", ipsec.ca().map(|ca| certificate::pem(ca).unwrap_or_default()))
        .maybe("id", ipsec.id.as_deref())
        .with("peer_id", &*ipsec.peer_id)
        .list("remote", &strings(&ipsec.remote))
        .list("proposals", &ipsec.proposals)
        .list("esp_proposals", &ipsec.esp_proposals);
    let t = if ipsec.from.is_empty() { t } else { t.with("from", peers_written(&ipsec.from)) };
    match ipsec.learns_address() {
        true => t.with("learn_address", true),
        false => t.list("addresses", addresses).list("local", &strings(&ipsec.local)),
    }
}
