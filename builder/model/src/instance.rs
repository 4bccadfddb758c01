//! One of several machines made from one image: `[instances.NAME]`. No byte of the image depends on any of it: a machine
//! is given its own values from outside, on its config drive, as systemd credentials.

use crate::base64;
use crate::recipe::Link;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The line that a config drive's values begin with: what they are, and the version of their form.
pub const FORM: &str = "diorite-config-drive 1";
/// Namespace of the signature (OpenSSH, PROTOCOL.sshsig): one made for something else is none.
pub const NAMESPACE: &str = "diorite-config-drive";
/// Volume label of a config drive.
pub const LABEL: &str = "DIORITE";
/// File of its values.
pub const VALUES: &str = "values";
/// File of their signature.
pub const SIGNATURE: &str = "values.sig";

/// What one machine has of its own. Its name is its host name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Instance {
    /// All links as they are on this machine, where it says anything about them.
    pub network: Option<BTreeMap<String, Link>>,
    /// Hardware address of its network card.
    pub mac: Option<String>,
    /// Where the values of its credentials are, by their names.
    pub credentials: BTreeMap<String, SecretSource>,
}

/// Where a secret is that stands in no file of the project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretSource {
    /// In this environment variable.
    Environment(String),
    /// In this file, which nobody else may read.
    File(PathBuf),
    /// In what this program prints; no shell reads the words.
    Command(Vec<String>),
}

impl SecretSource {
    /// Where, in words: `environment variable PVE_TOKEN`.
    pub fn words(&self) -> String {
        match self {
            SecretSource::Environment(name) => format!("environment variable {name}"),
            SecretSource::File(file) => format!("file {}", file.display()),
            SecretSource::Command(words) => format!("program `{}`", words.join(" ")),
        }
    }
}

/// What a config drive says, before its signature: the machine it is for (UUID of its firmware), and credentials with
/// their values, a line each.
///
/// ```text
/// diorite-config-drive 1
/// machine 6f9619ff-8b86-4d11-b42d-00c04fc964ff
/// credential system.hostname d2ViLTE=
/// ```
pub fn values(machine: &str, credentials: &BTreeMap<String, Vec<u8>>) -> String {
    let mut text = format!("{FORM}\nmachine {}\n", machine.to_lowercase());
    for (name, value) in credentials {
        text += &format!("credential {name} {}\n", base64::encode(value));
    }
    text
}
