//! An instance → its config drive: its own values as credentials, signed, in an ISO image.

use crate::project::Project;
use diorite_host::secret::SecretRequest;
use diorite_model::instance::{self, Instance, SecretSource};
use diorite_model::recipe::ConfigDrive;
use diorite_model::{Error, Result};
use ssh_key::{HashAlg, LineEnding, PrivateKey};
use std::collections::BTreeMap;

/// Most bytes of one credential, systemd.exec(5).
const CREDENTIAL: usize = 1 << 20;
/// Most bytes of all of them together: in Base64 they fit the 1 MiB that systemd accepts.
const CREDENTIALS: usize = 700 << 10;
/// Most bytes of a private key's file.
const KEY: usize = 16 << 10;

/// A key that signs config drives.
pub struct Signer {
    key: PrivateKey,
}

impl Signer {
    /// Fetches a private key whose signatures the image accepts. `place`: which setting says where the key is.
    ///
    /// # Errors
    /// It is missing, not a key of the right kind, encrypted, or not one of the image's signers.
    pub fn fetch(source: &SecretSource, of: &str, place: &str, takes: &ConfigDrive) -> Result<Self> {
        let noun = "key that signs config drives";
        let sought = SecretRequest { noun, of, place, longest: KEY, taken: "all of it" };
        let text = sought.read(source, &|name| std::env::var(name).ok())?;
        let wrong = |why: String| {
            Error::input(format!("the {noun} of {of} cannot be used"))
                .at(source.words())
                .because(why)
                .hint("make one: ssh-keygen -t ed25519 -N '' -f config-drive-key")
        };
        let key = PrivateKey::from_openssh(&text).map_err(|e| wrong(e.to_string()))?;
        if key.is_encrypted() {
            return Err(wrong("it is protected by a passphrase".into()));
        }
        if key.algorithm() != ssh_key::Algorithm::Ed25519 {
            return Err(wrong(format!("it is of type {}; only ssh-ed25519 is supported", key.algorithm())));
        }
        let own = key.public_key().to_openssh().map_err(|e| wrong(e.to_string()))?;
        let bare = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
        if !takes.signers.iter().any(|signer| bare(signer) == bare(&own)) {
            return Err(Error::input(format!("the image does not accept the {noun}"))
                .at(source.words())
                .because(format!("{} is not in `config_drive.signers` of the profile", bare(&own)))
                .hint("sign with another key, or add this one to the profile, and build and verify again"));
        }
        Ok(Self { key })
    }

    fn sign(&self, text: &str) -> Result<String> {
        let failed = |e: ssh_key::Error| Error::bug("a config drive cannot be signed").because(e);
        let signature = self.key.sign(instance::NAMESPACE, HashAlg::Sha512, text.as_bytes()).map_err(failed)?;
        signature.to_pem(LineEnding::LF).map_err(failed)
    }
}

/// The credentials of an instance: its name, its network links, and its secrets.
pub fn credentials(project: &Project, name: &str, instance: &Instance) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut all = BTreeMap::from([("system.hostname".to_owned(), name.as_bytes().to_vec())]);
    if let Some(links) = &instance.network {
        all.extend(diorite_rootfs::guest::network::credentials(links)?);
    }
    for (credential, source) in &instance.credentials {
        let place = format!("instances.{name}.credentials.{credential}");
        let of = format!("instance `{name}`");
        let noun = format!("credential `{credential}`");
        let sought = SecretRequest { noun: &noun, of: &of, place: &place, longest: CREDENTIAL, taken: "all of it" };
        let source = match source {
            SecretSource::File(file) => SecretSource::File(project.beside(file)),
            other => other.clone(),
        };
        let mut value = sought.read(&source, &|name| std::env::var(name).ok())?;
        // A program prints lines.
        if matches!(source, SecretSource::Command(_)) && value.ends_with(b"\n") {
            value.pop();
        }
        all.insert(credential.clone(), value);
    }
    let bytes: usize = all.values().map(Vec::len).sum();
    if bytes > CREDENTIALS {
        return Err(Error::input(format!("the credentials of instance `{name}` are too large"))
            .at(format!("instances.{name}.credentials"))
            .because(format!("{bytes} bytes; a machine takes {CREDENTIALS}"))
            .hint("keep what is large on /var, or fetch it from the network"));
    }
    Ok(all)
}

/// The config drive of the machine whose firmware has this UUID. The same inputs give the same bytes.
pub fn iso(machine: &str, credentials: &BTreeMap<String, Vec<u8>>, signer: &Signer) -> Result<Vec<u8>> {
    let values = instance::values(machine, credentials);
    let signature = signer.sign(&values)?;
    let files = [(instance::VALUES, values.as_bytes()), (instance::SIGNATURE, signature.as_bytes())];
    diorite_image::iso::disc(instance::LABEL, &files)
}
