//! Files of attestations and of policies → what they say, and whether it is enough for an image; statements → files.

use crate::results::Results;
use crate::{file, textfile};
use diorite_model::policy::WrittenPolicy;
use diorite_model::{Digest, Error, Result};
use diorite_trust::attest::{
    self, AttestationFile, AttestationPolicy, HeldStatement, ImageStatement, LARGEST, SignedStatement, StatementKind,
    TrustedKey,
};
use diorite_trust::keys::{AttestationPublicKey, AttestationSigner};
use std::collections::{BTreeMap, BTreeSet};
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

/// The attestations for a disk: those of the directory, and those that were set aside for it while another disk was there.
///
/// # Errors
/// One cannot be read.
pub fn files_for(directory: &Path, disk: Digest) -> Result<Vec<AttestationFile>> {
    let mut all = files(directory)?;
    all.extend(files(&aside(directory, disk))?);
    Ok(all)
}

/// Where statements about a disk are while another one is in the directory of results.
pub fn aside(directory: &Path, disk: Digest) -> PathBuf {
    directory.join(disk.to_string())
}

/// Statements that say they are about other disks than this one go into a directory named by the digest of theirs: they stay
/// true, and a rollback may need them. What cannot be read stays, and `attest verify` tells why. The disks whose statements went.
///
/// # Errors
/// A file cannot be read or moved.
pub fn set_aside(results: &Results, disk: Digest) -> Result<BTreeSet<Digest>> {
    let (directory, mut gone) = (results.attestations(), BTreeSet::new());
    for file in files(&directory)? {
        let statement = SignedStatement::read(&file.bytes, &file.place)
            .and_then(|signed| ImageStatement::read(&signed.payload, &file.place));
        let Ok(statement) = statement else { continue };
        let Some(theirs) = statement.disks.first().filter(|_| !statement.disks.contains(&disk)) else { continue };
        let (from, to) = (Path::new(&file.place), aside(&directory, *theirs));
        let moved = fs::create_dir_all(&to)
            .and_then(|()| diorite_host::file::rename(from, to.join(from.file_name().unwrap_or_default())));
        moved.map_err(|e| Error::io("an attestation about another disk cannot be set aside", &to, e))?;
        gone.insert(*theirs);
    }
    Ok(gone)
}

/// Disks whose statements were set aside, and how many there are of each.
///
/// # Errors
/// A directory cannot be read.
pub fn set_aside_before(directory: &Path) -> Result<BTreeMap<Digest, usize>> {
    let fail = |e| Error::io("the attestations cannot be read", directory, e);
    let mut all = BTreeMap::new();
    let entries = match fs::read_dir(directory) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(all),
        entries => entries.map_err(fail)?,
    };
    for entry in entries {
        let name = entry.map_err(fail)?.file_name();
        let Some(disk) = name.to_str().and_then(|name| name.parse::<Digest>().ok()) else { continue };
        all.insert(disk, files(&aside(directory, disk))?.len());
    }
    all.retain(|_, count| *count > 0);
    Ok(all)
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
    policy.judge(&files_for(directory, disk)?, disk, now)
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

#[cfg(test)]
mod tests {
    use super::*;
    use diorite_model::plan::Build;
    use diorite_trust::attest::RebuildInputs;
    use diorite_trust::keys::{AttestationAlgorithm, AttestationKey};

    /// A signed statement about a disk.
    fn statement(disk: Digest) -> Vec<u8> {
        let build = Build {
            schema: Build::SCHEMA,
            name: "web".into(),
            version: "1".into(),
            disk_sha256: disk,
            root_hash: disk,
            recipe_digest: disk,
            lock_digest: disk,
            signing: None,
            tools: vec![],
            steps: vec![],
        };
        let key = AttestationKey::generate(AttestationAlgorithm::Ed25519, &mut |bytes| {
            bytes.fill(5);
            Ok(())
        });
        attest::sign(&attest::rebuild(&RebuildInputs { build: &build, changed: &[] }), &key.unwrap()).unwrap()
    }

    #[test]
    fn statements_about_another_disk_are_set_aside_and_found_again() {
        let directory = tempfile::tempdir().unwrap();
        let results = Results::in_directory(directory.path().to_owned());
        let (old, new) = (Digest::of(b"old"), Digest::of(b"new"));
        assert_eq!(set_aside(&results, new).unwrap(), BTreeSet::new(), "nothing is there");
        let all = results.attestations();
        fs::create_dir(&all).unwrap();
        for (name, bytes) in [("a", statement(old)), ("b", statement(new)), ("broken", b"{".to_vec())] {
            file::write(&all.join(format!("{name}{ENDING}")), &bytes).unwrap();
        }
        let names = |directory: &Path| {
            let all = files(directory).unwrap().into_iter();
            all.map(|file| Path::new(&file.place).file_name().unwrap().to_str().unwrap().replace(ENDING, ""))
                .collect::<Vec<_>>()
        };
        assert_eq!(set_aside(&results, new).unwrap(), BTreeSet::from([old]));
        assert_eq!((names(&all), names(&aside(&all, old))), (vec!["b".into(), "broken".into()], vec!["a".to_owned()]));
        assert_eq!(set_aside_before(&all).unwrap(), BTreeMap::from([(old, 1)]));
        assert_eq!(set_aside(&results, new).unwrap(), BTreeSet::new(), "once");
        let found = files_for(&all, old).unwrap();
        assert!(found.iter().any(|file| file.bytes == statement(old)), "the old disk still has its own");
        assert!(!files_for(&all, new).unwrap().iter().any(|file| file.bytes == statement(old)));
    }
}
