//! What has to be said of an image before it is used, and by whom.

use super::statement::StatementKind;
use super::verify::{HeldStatement, TrustedKey, verify};
use diorite_model::{Digest, Error, Exit, Result, date};

/// Seconds by which the clock of who signed may be ahead.
const AHEAD: u64 = 24 * 60 * 60;

/// A policy.
#[derive(Debug, Clone)]
pub struct AttestationPolicy {
    /// Whose word counts.
    pub keys: Vec<TrustedKey>,
    /// What has to be said, each by any of the keys.
    pub require: Vec<StatementKind>,
    /// How old a test result and a summary may be.
    pub max_age_days: Option<u32>,
    /// Where the policy is written.
    pub place: String,
}

/// A file with an attestation.
#[derive(Debug, Clone)]
pub struct AttestationFile {
    /// Where it is.
    pub place: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl AttestationPolicy {
    /// What fulfils it, in the order of [`AttestationPolicy::require`]. Files that do not are no reason to refuse the image, where
    /// others do; `now` is seconds since 1970.
    ///
    /// # Errors
    /// [`Exit::VerificationFailed`], with every kind that is missing, and why each file is not it.
    pub fn judge(&self, files: &[AttestationFile], disk: Digest, now: u64) -> Result<Vec<HeldStatement>> {
        let one = |file: &AttestationFile| {
            let held = verify(&file.bytes, &file.place, &self.keys, disk)?;
            self.age(&held, now).map(|()| held)
        };
        let (mut held, mut refused) = (Vec::new(), Vec::new());
        for file in files {
            match one(file) {
                Ok(statement) => held.push(statement),
                Err(error) => refused.push(error),
            }
        }
        let by_kind = |kind: StatementKind| held.iter().find(|held| held.statement.kind == kind);
        let missing: Vec<_> =
            self.require.iter().filter(|kind| by_kind(**kind).is_none()).map(|kind| kind.name()).collect();
        if missing.is_empty() {
            return Ok(self.require.iter().filter_map(|kind| by_kind(*kind).cloned()).collect());
        }
        let reasons = refused.iter().map(|error| {
            let place = error.place.as_deref().unwrap_or_default();
            format!("{place}: {}: {}", error.what, error.cause.as_deref().unwrap_or_default())
        });
        let mut lines: Vec<_> =
            held.iter().map(|held| format!("{}: holds ({})", held.place, held.statement.kind.name())).collect();
        lines.extend(reasons);
        let because = match lines.is_empty() {
            true => format!("there is no attestation; required: {}", self.names()),
            false => format!("missing: {}", missing.join(", ")),
        };
        Err(Error::new(Exit::VerificationFailed, "the image does not have what the policy requires")
            .at(self.place.clone())
            .detail(lines.join("\n"))
            .because(because)
            .hint(format!("disk {}: have it signed by one of the policy's keys: `diorite attest sign`, `diorite rebuild --attest`", disk.short(12))))
    }

    fn names(&self) -> String {
        self.require.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ")
    }

    /// Whether a statement is young enough, and not of a time that has not come.
    fn age(&self, held: &HeldStatement, now: u64) -> Result<()> {
        let (Some(days), Some(time)) = (self.max_age_days, held.statement.time) else { return Ok(()) };
        let when = date::rfc3339(time);
        let fail = |what: &str, why: String| {
            Err(Error::new(Exit::VerificationFailed, what)
                .at(held.place.clone())
                .because(why)
                .hint("verify the image again, and sign"))
        };
        if time > now + AHEAD {
            return fail(
                "the attestation is of a time that has not come",
                format!("it says {when}; it is {}", date::rfc3339(now)),
            );
        }
        if now.saturating_sub(time) > u64::from(days) * 86_400 {
            return fail("the attestation has expired", format!("it is of {when}, and the policy takes {days} days"));
        }
        Ok(())
    }
}
