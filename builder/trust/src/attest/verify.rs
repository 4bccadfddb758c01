//! A file with an attestation, keys, a disk's digest → what is said of that disk, and by whom; or why nothing is.

use super::bundle::SignedStatement;
use super::statement::{ImageStatement, StatementOutcome};
use crate::keys::AttestationPublicKey;
use diorite_model::{Digest, Error, Exit, Result};

/// A key that is trusted, and where it is.
#[derive(Debug, Clone)]
pub struct TrustedKey {
    /// Its file, for people.
    pub name: String,
    /// The key.
    pub key: AttestationPublicKey,
}

/// A statement about the disk that was asked for, with a signature of a trusted key.
#[derive(Debug, Clone)]
pub struct HeldStatement {
    /// What is said.
    pub statement: ImageStatement,
    /// Place of the key among those that were given.
    pub key: usize,
    /// The file it is in.
    pub place: String,
}

/// Verifies an attestation; `place` is where it is, for errors. Its signature comes first: nothing else in it is looked at before.
///
/// # Errors
/// [`Exit::VerificationFailed`]: it is damaged; no key has signed it; it is about another disk, of an unknown kind, or says that
/// something was not as it must be.
pub fn verify(file: &[u8], place: &str, keys: &[TrustedKey], disk: Digest) -> Result<HeldStatement> {
    let fail = |what: &str, why: String| Error::new(Exit::VerificationFailed, what).at(place).because(why);
    let signed = SignedStatement::read(file, place)?;
    let key = keys.iter().position(|trusted| signed.by(&trusted.key)).ok_or_else(|| {
        let named: Vec<_> = keys.iter().map(|trusted| trusted.key.id().short(12)).collect();
        // Only by its own word; it may be a lie, and helps who took the wrong key.
        let hint: String = signed.hint.chars().filter(char::is_ascii_graphic).take(12).collect();
        let own = keys.iter().any(|trusted| trusted.key.id().to_string() == signed.hint);
        let why = match own {
            true => {
                format!("it names the key {hint}, whose signature it does not have: it was changed after it was signed")
            }
            false => format!("it names the key {hint}; given: {}", named.join(", ")),
        };
        fail("the attestation is not signed by a key that was given", why)
            .hint("`diorite attest show` prints what it says and of which key it says to be; believe neither")
    })?;
    let statement = ImageStatement::read(&signed.payload, place)?;
    if !statement.disks.contains(&disk) {
        let about: Vec<_> = statement.disks.iter().map(|digest| digest.short(12)).collect();
        let about = if about.is_empty() { "no disk".to_owned() } else { about.join(", ") };
        let why = format!("it is about {about}; this disk is {}", disk.short(12));
        return Err(fail("the attestation is about another disk", why)
            .hint("it was made for an earlier or a later build: sign this one with `diorite attest sign`"));
    }
    let kind = statement.kind.name();
    match statement.outcome {
        StatementOutcome::Passed => Ok(HeldStatement { statement, key, place: place.to_owned() }),
        StatementOutcome::Warned => Err(fail(
            "the attestation does not say that the image passed",
            format!("its {kind} is WARNED: some checks were not asked"),
        )
        .hint("`diorite attest show` names them; verify the whole image and sign again")),
        StatementOutcome::Failed => {
            Err(fail("the attestation says that the image failed", format!("its {kind} is FAILED"))
                .hint("`diorite attest show` prints what failed"))
        }
    }
}
