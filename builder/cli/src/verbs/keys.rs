//! `keys`: new keys in a directory of the user's.

use crate::args::KeysVerb;
use crate::context::Context;
use crate::out;
use diorite_host::file;
use diorite_model::{Error, Exit, Result};
use diorite_trust::keys::{AttestationAlgorithm, AttestationKey};
use diorite_trust::secure_boot::folder::{self, KeyFile, NewKeys};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Does what was asked for.
pub fn run(verb: &KeysVerb, context: &Context) -> Result<Exit> {
    match verb {
        KeysVerb::New { directory, name } => new(directory, name, context),
    }
}

/// The key of attestations, and its public half.
const ATTESTATION_KEY: &str = "attestation.key";
const ATTESTATION_PUBLIC: &str = "attestation.pub";

fn random(bytes: &mut [u8]) -> Result<()> {
    rustix::rand::getrandom(bytes, rustix::rand::GetRandomFlags::empty())
        .map(drop)
        .map_err(|e| Error::host("the system gives no random numbers").because(e))
}

/// All files, or none: they are written once every key is made.
fn new(directory: &Path, name: &str, context: &Context) -> Result<Exit> {
    let firmware = ["PK", "KEK", "db"].iter().flat_map(|v| ["key", "pem", "esl", "auth"].map(|e| format!("{v}.{e}")));
    for name in firmware.chain([ATTESTATION_KEY.into(), ATTESTATION_PUBLIC.into()]) {
        let file = directory.join(&name);
        if fs::symlink_metadata(&file).is_ok() {
            return Err(Error::input("there are keys already, and none is overwritten")
                .at(file.display().to_string())
                .hint("name another directory"));
        }
    }
    fs::create_dir_all(directory).map_err(|e| Error::io("the directory for keys cannot be made", directory, e))?;
    let mut bytes = [0; 64];
    random(&mut bytes)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs());
    let stage = context.progress.stage("keys");
    let mut files = folder::new(&NewKeys { name, now, random: bytes })?;
    // ECDSA, because that is what other verifiers of attestations take without being told.
    let attestation = AttestationKey::generate(AttestationAlgorithm::EcdsaP256, &mut |bytes| random(bytes))?;
    let file = |name: &str, text: String, secret| KeyFile { name: name.into(), content: text.into_bytes(), secret };
    files.push(file(ATTESTATION_KEY, attestation.pem(), true));
    files.push(file(ATTESTATION_PUBLIC, attestation.public().pem(), false));
    for made in &files {
        let file = directory.join(&made.name);
        let mode = if made.secret { 0o600 } else { 0o644 };
        file::write_whole(&file, &made.content, mode).map_err(|e| Error::io("a key cannot be written", &file, e))?;
    }
    stage.done(format!("{} files", files.len()));
    let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    if context.json {
        let answer = json!({ "schema": 1, "directory": directory, "files": names });
        out::line(serde_json::to_string_pretty(&answer).expect("JSON"))?;
    } else {
        out::line(format!("{}: {}", directory.display(), names.join(" ")))?;
        out::line("Keep PK.key and KEK.key away from every machine: a build needs db.key only, or none (--signer).")?;
    }
    Ok(Exit::Done)
}
