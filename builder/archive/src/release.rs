//! Release files: their signature, which suite they are for, and the files whose digests they list.
//!
//! An InRelease file is a Release file in OpenPGP's cleartext signature framework (RFC 9580 section 7). Only the text
//! that the verifier returned is parsed, never the file: what stands before, between or after the signed part does not exist
//! for us. Older tools write the text, Release, and beside it a detached signature, Release.gpg, under the same policy. Policy (expiry, revocation, key flags, weak hashes) is sequoia's `StandardPolicy`.

use crate::checksum::{self, Checksum};
use crate::stanza;
use diorite_model::{Digest, Error, Result, date};
use openpgp::cert::CertParser;
use openpgp::parse::Parse;
use openpgp::parse::stream::{
    DetachedVerifierBuilder, MessageLayer, MessageStructure, VerificationError, VerificationHelper, VerifierBuilder,
};
use openpgp::policy::StandardPolicy;
use openpgp::{Cert, KeyHandle};
use sequoia_openpgp as openpgp;
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

/// A release dated further in the future than this many seconds is refused: then one of the two clocks is wrong.
const CLOCK_TOLERANCE: u64 = 600;

/// The Debian archive's signing keys, from the package debian-archive-keyring 2025.1.
const DEBIAN: [&[u8]; 6] = [
    include_bytes!("../keys/debian-archive-bookworm-automatic.gpg"),
    include_bytes!("../keys/debian-archive-bookworm-security-automatic.gpg"),
    include_bytes!("../keys/debian-archive-bookworm-stable.gpg"),
    include_bytes!("../keys/debian-archive-trixie-automatic.gpg"),
    include_bytes!("../keys/debian-archive-trixie-security-automatic.gpg"),
    include_bytes!("../keys/debian-archive-trixie-stable.gpg"),
];

/// The certificates that may sign a repository's release files.
#[derive(Clone)]
pub struct Keyring(Vec<Cert>);

impl Keyring {
    /// The keys of the Debian archive: they are part of this program.
    pub fn debian() -> Self {
        Self(DEBIAN.iter().flat_map(|bytes| parse_certificates(bytes).expect("our own files are keyrings")).collect())
    }

    /// A keyring file: certificates one after the other, binary or armoured, or several armoured texts. `place` names it in
    /// errors. At least one certificate must be in it.
    pub fn parse(bytes: &[u8], place: &str) -> Result<Self> {
        let wrong = |cause: String| {
            Error::input("this is not an OpenPGP keyring")
                .at(place)
                .because(cause)
                .hint("export the repository's public key, for example with `gpg --export KEY` or from its web page")
        };
        // The format of GnuPG's own keyrings: a magic number after eight bytes of header.
        if bytes.get(8..12) == Some(b"KBXf") {
            return Err(wrong("it is a keybox, GnuPG's own format".to_owned()).hint(
                "write the keys in it to another file: `gpg --no-default-keyring --keyring FILE --export > NEW`",
            ));
        }
        match armoured_texts(bytes)
            .into_iter()
            .map(parse_certificates)
            .collect::<Result<Vec<_>, _>>()
            .map(|l| l.concat())
        {
            Ok(certificates) if certificates.is_empty() => Err(wrong("no certificate is in it".to_owned())),
            Ok(certificates) => Ok(Self(certificates)),
            Err(cause) => Err(wrong(cause)),
        }
    }
}

/// A parser of armour ends with the first text, and people put one below the other.
fn armoured_texts(bytes: &[u8]) -> Vec<&[u8]> {
    const BEGIN: &[u8] = b"-----BEGIN PGP PUBLIC KEY BLOCK-----";
    let mut starts: Vec<usize> = (0..bytes.len()).filter(|&i| bytes[i..].starts_with(BEGIN)).collect();
    if starts.is_empty() {
        return vec![bytes];
    }
    starts.push(bytes.len());
    starts.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).collect()
}

fn parse_certificates(bytes: &[u8]) -> Result<Vec<Cert>, String> {
    let parser = CertParser::from_bytes(bytes).map_err(|e| e.to_string())?;
    parser.collect::<openpgp::Result<Vec<Cert>>>().map_err(|e| e.to_string())
}

/// What a release file must satisfy to be accepted.
pub struct ReleaseRequirements<'a> {
    /// Suite or codename that was asked for; `None` for a flat repository, which need not have one.
    pub suite: Option<&'a str>,
    /// A repository besides Debian's: it need not say which suite it is, there is no other mirror of it, and its keys are the
    /// profile's.
    pub extra: bool,
    /// Whose signatures count.
    pub keyring: &'a Keyring,
    /// Seconds since 1970.
    pub now: u64,
    /// Where the file is from, for errors.
    pub place: &'a str,
}

impl ReleaseRequirements<'_> {
    fn of(&self) -> String {
        self.suite.map_or_else(String::new, |suite| format!(" of `{suite}`"))
    }

    /// Whether a release file that calls itself so is the one asked for. As for apt, it may leave out the last part of a suite
    /// such as `bookworm/updates`.
    fn is_called(&self, names: &[&str]) -> bool {
        let Some(suite) = self.suite else { return true };
        let shorter = suite.rsplit_once('/').map_or(suite, |(before, _)| before);
        self.extra && names.is_empty() || names.iter().any(|name| [suite, shorter].contains(name))
    }
}

/// A release file whose signature was good.
#[derive(Debug, Clone)]
pub struct SignedRelease {
    /// The signed text.
    text: String,
    /// SHA-256 of the whole InRelease file, or of Release where the signature is in a file of its own.
    pub sha256: Digest,
    /// Its Date, seconds since 1970.
    pub date: u64,
    /// Its Valid-Until, seconds since 1970; Debian's stable suites have none.
    pub valid_until: Option<u64>,
}

/// A file that a release lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReleaseEntry {
    /// The size of the file in bytes.
    pub size: u64,
    /// Its digest.
    pub checksum: Checksum,
}

impl SignedRelease {
    /// Verifies an InRelease file and reads what its signature covers.
    pub fn verify(in_release: &[u8], expected: &ReleaseRequirements<'_>) -> Result<Self> {
        let time = UNIX_EPOCH + Duration::from_secs(expected.now);
        let text = signed_text(expected, |policy, helper| {
            let mut verifier = VerifierBuilder::from_bytes(in_release)?.with_policy(policy, Some(time), helper)?;
            let mut text = Vec::with_capacity(in_release.len());
            verifier.read_to_end(&mut text)?;
            Ok(text)
        })?;
        Self::read(text, Digest::of(in_release), expected)
    }

    /// Verifies a Release file by the signature that stands in Release.gpg, armoured or binary.
    pub fn verify_detached(release: &[u8], signature: &[u8], expected: &ReleaseRequirements<'_>) -> Result<Self> {
        let time = UNIX_EPOCH + Duration::from_secs(expected.now);
        let text = signed_text(expected, |policy, helper| {
            let verifier = DetachedVerifierBuilder::from_bytes(signature)?;
            verifier.with_policy(policy, Some(time), helper)?.verify_bytes(release)?;
            Ok(release.to_owned())
        })?;
        Self::read(text, Digest::of(release), expected)
    }

    /// Reads what a signature covers.
    fn read(bytes: Vec<u8>, sha256: Digest, expected: &ReleaseRequirements<'_>) -> Result<Self> {
        let bad = |what: &str, cause: String| Error::remote(what.to_owned()).at(expected.place).because(cause);
        let text = String::from_utf8(bytes)
            .map_err(|e| bad("the release file cannot be read", format!("its signed text is not UTF-8: {e}")))?;
        let field = |name: &str| stanza::field(&text, name);

        let names: Vec<&str> = ["Suite", "Codename"].into_iter().filter_map(field).collect();
        if let Some(suite) = expected.suite
            && !expected.is_called(&names)
        {
            return Err(bad(
                &format!("the release file is not that of `{suite}`"),
                format!("it says that it belongs to {}", quoted(&names)),
            )
            .hint(match expected.extra {
                true => {
                    "write `suite` as the repository calls it; if it does so already, the file was replaced in transit, or its \
                     vendor must mend it"
                }
                false => {
                    "the mirror serves another suite under this name, or the file was replaced in transit: try another mirror"
                }
            }));
        }

        let when = |name: &str| match field(name) {
            None => Ok(None),
            Some(value) => date::parse(value).map(Some).ok_or_else(|| {
                bad("the release file cannot be read", format!("its {name} `{value}` is not a date in UTC"))
            }),
        };
        let date = when("Date")?.ok_or_else(|| {
            bad("the release file cannot be read", "it has no Date, so its age cannot be told".to_owned())
        })?;
        let valid_until = when("Valid-Until")?;
        let now = expected.now;
        if date > now.saturating_add(CLOCK_TOLERANCE) {
            return Err(bad(
                &format!("the release file{} is from the future", expected.of()),
                format!("it is dated {}, and this machine's clock says {}", date::rfc3339(date), date::rfc3339(now)),
            )
            .hint("set this machine's clock"));
        }
        if let Some(end) = valid_until.filter(|&end| end < now) {
            return Err(bad(
                &format!("the release file{} has expired", expected.of()),
                format!(
                    "it was valid until {}, and this machine's clock says {}",
                    date::rfc3339(end),
                    date::rfc3339(now)
                ),
            )
            .hint(match expected.extra {
                true => "its vendor has not signed it again in time (or this machine's clock is wrong): ask there",
                false => {
                    "the mirror is out of date (or this machine's clock is wrong): name another one with DIORITE_MIRROR"
                }
            }));
        }
        Ok(Self { sha256, date, valid_until, text })
    }

    /// A field of the signed text.
    pub fn field(&self, name: &str) -> Option<&str> {
        stanza::field(&self.text, name)
    }

    /// Whether a field of yes or no says yes.
    pub fn says_yes(&self, name: &str) -> bool {
        self.field(name).is_some_and(|value| value.eq_ignore_ascii_case("yes"))
    }

    /// Components of the suite, without the `updates/` that Debian's security archive writes before them.
    pub fn components(&self) -> Vec<&str> {
        let words = self.field("Components").unwrap_or("").split_ascii_whitespace();
        words.map(|c| c.strip_prefix("updates/").unwrap_or(c)).collect()
    }

    /// What the release lists at this path below its own directory, by a digest that cannot be forged.
    pub fn file(&self, path: &str) -> Option<ReleaseEntry> {
        checksum::FIELDS.iter().find_map(|field| {
            let (digest, size) = self.listed(field, path)?;
            Some(ReleaseEntry { size: size.parse().ok()?, checksum: Checksum::parse(field, digest)? })
        })
    }

    /// Whether it lists this path, though only by digests that can be forged.
    pub fn is_forgeable(&self, path: &str) -> bool {
        self.file(path).is_none() && checksum::FORGEABLE.iter().any(|field| self.listed(field, path).is_some())
    }

    /// Digest and size in one of the lists. Some tools write the path as find(1) prints it, `./Packages`.
    fn listed(&self, field: &str, path: &str) -> Option<(&str, &str)> {
        self.field(field)?.lines().find_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let (digest, size, name) = (words.next()?, words.next()?, words.next()?);
            (name.strip_prefix("./").unwrap_or(name) == path).then_some((digest, size))
        })
    }
}

/// The text that at least one good signature of the keyring covers, as `read` gets it from a verifier.
fn signed_text<'k>(
    expected: &ReleaseRequirements<'k>,
    read: impl FnOnce(&StandardPolicy<'_>, Helper<'k>) -> openpgp::Result<Vec<u8>>,
) -> Result<Vec<u8>> {
    let reasons = Arc::new(Mutex::new(Vec::new()));
    let helper = Helper { keyring: expected.keyring, reasons: reasons.clone() };
    read(&StandardPolicy::new(), helper).map_err(|error| {
        let reasons = reasons.lock().map(|r| r.clone()).unwrap_or_default();
        let e = Error::remote(format!("the signature of the release file{} could not be verified", expected.of()))
            .at(expected.place);
        if reasons.is_empty() {
            return e.because(format!("it is not a signed release file ({error})")).hint(
                "a captive portal or proxy may have answered in its place: open the address in a browser",
            );
        }
        e.detail(reasons.join("\n")).because("no signature is valid").hint(match expected.extra {
            true => {
                "get the key that signs it now from the repository's vendor, over another way than the repository itself, and put \
                 it into the file that `keyring` names"
            }
            false => "try another mirror",
        })
    })
}

/// Gives the verifier the keyring and asks for one good signature; writes down why the others were not.
struct Helper<'a> {
    keyring: &'a Keyring,
    reasons: Arc<Mutex<Vec<String>>>,
}

impl VerificationHelper for Helper<'_> {
    fn get_certs(&mut self, _: &[KeyHandle]) -> openpgp::Result<Vec<Cert>> {
        Ok(self.keyring.0.clone())
    }

    fn check(&mut self, structure: MessageStructure) -> openpgp::Result<()> {
        let mut reasons = Vec::new();
        for layer in structure {
            let MessageLayer::SignatureGroup { results } = layer else { continue };
            for result in results {
                match result {
                    Ok(_) => return Ok(()),
                    Err(error) => reasons.push(reason(&error)),
                }
            }
        }
        if reasons.is_empty() {
            reasons.push("there is no signature".to_owned());
        }
        if let Ok(mut shared) = self.reasons.lock() {
            *shared = reasons;
        }
        Err(openpgp::Error::InvalidOperation("no good signature".to_owned()).into())
    }
}

/// Why one signature does not count.
fn reason(error: &VerificationError) -> String {
    let issuer = |sig: &openpgp::packet::Signature| {
        sig.get_issuers().first().map_or("an unnamed key".to_owned(), |handle| format!("key {handle:X}"))
    };
    /// The innermost cause is the one that says something.
    fn innermost(error: &impl std::ops::Deref<Target = dyn std::error::Error + Send + Sync>) -> String {
        let mut cause: &dyn std::error::Error = &**error;
        while let Some(next) = cause.source() {
            cause = next;
        }
        cause.to_string()
    }
    match error {
        VerificationError::MissingKey { sig } => format!("{}: not in the keyring", issuer(sig)),
        VerificationError::UnboundKey { sig, error, .. } => {
            format!("{}: not usable ({})", issuer(sig), innermost(error))
        }
        VerificationError::BadKey { sig, error, .. } => format!("{}: not usable ({})", issuer(sig), innermost(error)),
        VerificationError::BadSignature { sig, error, .. } => {
            format!("{}: bad signature ({})", issuer(sig), innermost(error))
        }
        VerificationError::MalformedSignature { sig, error, .. } => {
            format!("{}: malformed signature ({})", issuer(sig), innermost(error))
        }
        other => other.to_string(),
    }
}

fn quoted(names: &[&str]) -> String {
    if names.is_empty() {
        return "no suite at all".to_owned();
    }
    names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
impl Keyring {
    pub(crate) fn of(certificates: Vec<Cert>) -> Self {
        Self(certificates)
    }
}

#[cfg(test)]
pub(crate) mod tests;
