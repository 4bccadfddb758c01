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
        let key = tunnel_key(&name, &recipe.image.name);
        Credential::new(name, key)
    });
    plain.chain(passwords).chain(keys).collect()
}

/// The value of a credential of this name.
pub fn value(credential: &str) -> String {
    format!("stands in for {credential}: 100% $x")
}

/// A key of a tunnel, 32 bytes in Base64. A private one is each image's own, so that images of a scenario can know each other's
/// public keys; what two share is the same everywhere.
fn tunnel_key(credential: &str, image: &str) -> String {
    let of = match credential.starts_with("network.wireguard.private.") {
        true => format!("{credential} of {image}"),
        false => "a key that two share".to_owned(),
    };
    base64::encode(&Digest::of(of.as_bytes()).0)
}
