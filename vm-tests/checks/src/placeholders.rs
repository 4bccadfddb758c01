//! What stands in for the secrets of a recipe while its machine is verified.

use diorite_machine::credentials::Credential;
use diorite_model::{Digest, Recipe, base64, recipe::MountSource};
use std::collections::BTreeSet;

/// A credential for each secret: it serves for nothing else, and can be recognized.
pub fn credentials(recipe: &Recipe) -> Vec<Credential> {
    let secrets = recipe.containers.values().flat_map(|c| c.secrets.values());
    let watching = recipe.monitoring.credentials().into_values().flatten();
    let backup = recipe.backup.iter().map(|backup| backup.password.as_str());
    let names: BTreeSet<&str> = secrets.map(|s| s.credential.as_str()).chain(watching).chain(backup).collect();
    let servers = recipe.mounts.values().filter_map(|mount| match &mount.source {
        MountSource::Cifs(cifs) => Some(cifs.credential.as_str()),
        _ => None,
    });
    let passwords: BTreeSet<&str> = servers.collect();
    let password = |name: &str| format!("username=verify\npassword={}\n", value(name));
    let plain = names.difference(&passwords).map(|name| Credential::new(*name, value(name)));
    let passwords = passwords.iter().map(|name| Credential::new(*name, password(name)));
    let keys = recipe.tunnel_credentials().into_iter().map(|(name, _)| {
        let text = tunnel(&name, &recipe.image.name);
        Credential::new(name, text)
    });
    let updates = recipe.challenge_credentials().map(|(name, _)| Credential::new(name.as_str(), update_key(name)));
    plain.chain(passwords).chain(keys).chain(updates).collect()
}

/// The value of a credential of this name.
pub fn value(credential: &str) -> String {
    format!("stands in for {credential}: 100% $x")
}

/// The secret of a key of TSIG, the same wherever the credential has this name.
fn update_key(credential: &str) -> String {
    base64::encode(&Digest::of(credential.as_bytes()).0)
}

/// What a tunnel needs, by the credential's name.
fn tunnel(credential: &str, image: &str) -> String {
    if credential.starts_with("network.wireguard.") {
        return wireguard_key(credential, image);
    }
    let pem = |what: &str, encoded: &str| format!("-----BEGIN {what}-----\n{encoded}\n-----END {what}-----\n");
    match credential.split('.').nth(1) {
        Some("certificate") => pem("CERTIFICATE", CERTIFICATE),
        Some("key") => pem("PRIVATE KEY", KEY),
        _ => value(credential),
    }
}

/// A certificate of `CN=verify` for a hundred years, which nobody trusts, and its key (Ed25519), made by openssl-req(1).
const CERTIFICATE: &str = "\
MIIBNTCB6KADAgECAhRGmbx4HoRgU2hPxbfsVoPOvdii2zAFBgMrZXAwETEPMA0G
A1UEAwwGdmVyaWZ5MCAXDTI2MTEzMDAyMTE0OFoYDzIxMjYxMTA2MDIxMTQ4WjAR
MQ8wDQYDVQQDDAZ2ZXJpZnkwKjAFBgMrZXADIQB6yva03IbYristT4aVzIJYrujY
OqT5j31MPOibWsz5KaNQME4wHQYDVR0OBBYEFMRDkoY3oEiqY95Rj7OhkCjovTca
MB8GA1UdIwQYMBaAFMRDkoY3oEiqY95Rj7OhkCjovTcaMAwGA1UdEwEB/wQCMAAw
BQYDK2VwA0EACTxRg0VwkP7/OeMFA3YaVhA2MegKNxurE3/tArjB6iv41jZ7ex9x
JUALbQ0wMJODWxCcacPxIa+5whcBkmeXDg==";
const KEY: &str = "MC4CAQAwBQYDK2VwBCIEILtbVdsOZP8otTDd4gswWljTwxDVzT+5KvP9Ez8ty+Xp";

/// A key of a tunnel, 32 bytes in Base64. A private one is each image's own, so that images of a scenario can know each other's
/// public keys; what two share is the same everywhere.
fn wireguard_key(credential: &str, image: &str) -> String {
    let of = match credential.starts_with("network.wireguard.private.") {
        true => format!("{credential} of {image}"),
        false => "a key that two share".to_owned(),
    };
    base64::encode(&Digest::of(of.as_bytes()).0)
}
