//! Files of attestations and of policies → what they say, and whether it is enough for an image; statements → files.

use crate::results::Results;
use crate::{file, textfile};
use diorite_model::policy::WrittenPolicy;
use diorite_model::{Digest, Error, Result};
use diorite_trust::attest::{
    self, AttestationFile, AttestationPolicy, HeldStatement, LARGEST, StatementKind, TrustedKey,
};
use diorite_trust::keys::{AttestationPublicKey, AttestationSigner};
use std::fs;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Ending of a file with an attestation.
pub const ENDING: &str = ".sigstore.json";

/// What `attest sign` has written, and what not.
pub struct SignedFiles {
    /// The disk's digest.
    pub disk: Digest,
    /// The key's id.
    pub key: Digest,
    /// Kind and file of each statement.
    pub written: Vec<(StatementKind, PathBuf)>,
    /// Kind of each that cannot be made, and why.
    pub left_out: Vec<(StatementKind, String)>,
}

/// The attestations of a directory, by name; none where there is no directory.
///
/// # Errors
/// One cannot be read.
pub fn files(directory: &Path) -> Result<Vec<AttestationFile>> {
    let fail = |e| Error::io("the attestations cannot be read", directory, e);
    let mut paths: Vec<PathBuf> = match fs::read_dir(directory) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => {
            let entries: std::io::Result<Vec<_>> = entries.map_err(fail)?.collect();
            entries.map_err(fail)?.into_iter().map(|entry| entry.path()).collect()
        }
    };
    paths.retain(|path| path.to_string_lossy().ends_with(ENDING));
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

/// One attestation. Of one that is too large, enough is read to see that it is.
pub fn read(path: &Path) -> Result<AttestationFile> {
    let mut bytes = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(LARGEST as u64 + 1).read_to_end(&mut bytes))
        .map_err(|e| Error::io("the attestation cannot be read", path, e))?;
    Ok(AttestationFile { place: path.display().to_string(), bytes })
}

/// A public key in a file.
pub fn key(file: &Path) -> Result<TrustedKey> {
    let name = file.display().to_string();
    let text = textfile::read_as(file, "public key", "PEM")?;
    Ok(TrustedKey { key: AttestationPublicKey::read(text.as_bytes(), &name)?, name })
}

/// A policy in a file of its own.
pub fn policy_file(file: &Path) -> Result<AttestationPolicy> {
    let text = textfile::read(file, "policy")?;
    let home = std::env::var("HOME").ok();
    let directory = file.parent().unwrap_or(Path::new(""));
    policy(&WrittenPolicy::parse(&text, &file.display().to_string(), directory, home.as_deref())?)
}

/// A policy with its keys.
pub fn policy(written: &WrittenPolicy) -> Result<AttestationPolicy> {
    let named = |file: &PathBuf| key(file).map_err(|e| e.hint(format!("{} names this key", written.place)));
    Ok(AttestationPolicy {
        keys: written.keys.iter().map(named).collect::<Result<_>>()?,
        require: written.require.iter().filter_map(|name| StatementKind::of(name)).collect(),
        max_age_days: written.max_age_days,
        place: written.place.clone(),
    })
}

/// What fulfils a policy for a disk.
///
/// # Errors
/// [`diorite_model::Exit::VerificationFailed`], with what is missing.
pub fn judge(policy: &AttestationPolicy, directory: &Path, disk: Digest) -> Result<Vec<HeldStatement>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    policy.judge(&files(directory)?, disk, now)
}

/// Signs a statement and writes it beside the disk; its name and digest.
pub fn write(
    results: &Results,
    kind: StatementKind,
    statement: &[u8],
    signer: &dyn AttestationSigner,
    signed: &mut SignedFiles,
) -> Result<(String, Digest)> {
    let (directory, name) = (results.attestations(), kind.file());
    let bytes = attest::sign(statement, signer)?;
    fs::create_dir_all(&directory)
        .map_err(|e| Error::io("the directory for attestations cannot be made", &directory, e))?;
    let path = directory.join(&name);
    file::write(&path, &bytes)?;
    signed.written.push((kind, path));
    Ok((name, Digest::of(&bytes)))
}
