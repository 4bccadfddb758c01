//! in-toto Statement v1 about a disk image: its digest, the kind of the statement, and what it says of the image.
//! <https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md>
//!
//! A Test Result may be of any tests: which ones is the first entry of its configuration, [`VERIFY`] or [`REBUILD`].

use super::json;
use diorite_model::{Digest, Error, Exit, Result, date};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const PROVENANCE: &str = "https://slsa.dev/provenance/v1";
const TEST_RESULT: &str = "https://in-toto.io/attestation/test-result/v0.1";
const SUMMARY: &str = "https://slsa.dev/verification_summary/v1";

/// What `build` does, and with which parameters: docs/guide/attest.md.
pub(super) const BUILD: &str = "urn:diorite:build:1";
/// The tests of `verify`.
pub(super) const VERIFY: &str = "urn:diorite:verify:1";
/// The test of `rebuild`.
pub(super) const REBUILD: &str = "urn:diorite:rebuild:1";
/// Field of a Test Result that is beyond its specification.
pub(super) const MORE: &str = "urn:diorite:seen";
/// The algorithm of a digest that is made of an overlay's paths, modes and contents.
pub(super) const OVERLAY: &str = "dioriteOverlay";
/// The algorithm of a root hash.
pub(super) const VERITY: &str = "dmVerity";

/// What is said of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StatementKind {
    /// SLSA provenance v1: what it was built from, and by what.
    Provenance,
    /// in-toto Test Result: what `verify` saw.
    TestResult,
    /// SLSA Verification Summary v1: whether that report vouches for it.
    Vsa,
    /// in-toto Test Result: a rebuild has made the same bytes.
    Rebuild,
}

impl StatementKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Provenance, Self::TestResult, Self::Vsa, Self::Rebuild];

    /// `provenance`, `test-result`, `vsa`, `rebuild`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Provenance => "provenance",
            Self::TestResult => "test-result",
            Self::Vsa => "vsa",
            Self::Rebuild => "rebuild",
        }
    }
    /// The kind of this name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
    /// Name of its file: `provenance.sigstore.json`.
    pub fn file(self) -> String {
        format!("{}.sigstore.json", self.name())
    }
    fn predicate_type(self) -> &'static str {
        match self {
            Self::Provenance => PROVENANCE,
            Self::TestResult | Self::Rebuild => TEST_RESULT,
            Self::Vsa => SUMMARY,
        }
    }
}

/// How it came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementOutcome {
    /// Everything was as it must be; of a provenance: it says what was done.
    Passed,
    /// Something could not be asked.
    Warned,
    /// Something was not as it must be.
    Failed,
}

/// A reference to something by digest: ResourceDescriptor of in-toto.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Resource {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digest: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, Value>,
}

impl Resource {
    /// Something with a name and a SHA-256.
    pub(super) fn file(name: impl Into<String>, sha256: Digest) -> Self {
        Self::named(name, "sha256", sha256)
    }
    /// Something with a name and a digest of another algorithm.
    pub(super) fn named(name: impl Into<String>, algorithm: &str, digest: Digest) -> Self {
        Self { name: Some(name.into()), digest: [(algorithm.to_owned(), digest.to_string())].into(), ..Self::default() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenStatement<'a, P: Serialize> {
    #[serde(rename = "_type")]
    kind: &'static str,
    subject: [Resource; 1],
    predicate_type: &'static str,
    predicate: &'a P,
}

/// The bytes of a statement about a disk.
pub(super) fn write<P: Serialize>(kind: StatementKind, disk: Digest, predicate: &P) -> Vec<u8> {
    let statement = WrittenStatement {
        kind: STATEMENT,
        subject: [Resource::file("disk.raw", disk)],
        predicate_type: kind.predicate_type(),
        predicate,
    };
    serde_json::to_vec(&statement).expect("our own types serialize")
}

/// A statement that was read. Only after its signature was verified does it mean anything.
#[derive(Debug, Clone)]
pub struct ImageStatement {
    /// Its kind.
    pub kind: StatementKind,
    /// How it came out.
    pub outcome: StatementOutcome,
    /// When that was, in seconds since 1970, where it says so.
    pub time: Option<u64>,
    /// Digests of the disks that it is about.
    pub disks: Vec<Digest>,
    /// Everything it says, as it was signed.
    pub predicate: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadStatement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Resource>,
    predicate_type: String,
    predicate: Value,
}

impl ImageStatement {
    /// Reads a payload; `place` is where its file is, for errors. Fields that are not known are passed over, as in-toto demands.
    ///
    /// # Errors
    /// [`Exit::VerificationFailed`]: it is no in-toto statement, one of an unknown kind, or it does not say how it came out.
    pub fn read(payload: &[u8], place: &str) -> Result<Self> {
        let fail = |what: &str, why: String| Error::new(Exit::VerificationFailed, what).at(place).because(why);
        let unreadable = |why: String| fail("the statement in the attestation cannot be read", why);
        let value = json::read(payload).map_err(unreadable)?;
        let statement: ReadStatement = serde_json::from_value(value).map_err(|e| unreadable(e.to_string()))?;
        if statement.kind != STATEMENT {
            return Err(unreadable(format!("its `_type` is `{}`", statement.kind.escape_debug())));
        }
        let disks: Result<Vec<Digest>> =
            statement.subject.iter().filter_map(|s| s.digest.get("sha256")).map(|d| d.parse()).collect();
        let disks = disks.map_err(|e| unreadable(format!("its `subject`: {}", e.what)))?;
        let predicate = statement.predicate;
        let kind = kind(&statement.predicate_type, &predicate).ok_or_else(|| {
            let kind = statement.predicate_type.escape_debug();
            let of = if statement.predicate_type == TEST_RESULT { ", of tests that are not Diorite's" } else { "" };
            fail("the statement is of an unknown kind", format!("its `predicateType` is `{kind}`{of}"))
                .hint("it is kept in vain: move it out of the directory of attestations")
        })?;
        let outcome = outcome(kind, &predicate).map_err(unreadable)?;
        let time = time(kind, &predicate).map_err(unreadable)?;
        Ok(Self { kind, outcome, time, disks, predicate })
    }
}

/// By the type of the predicate; of a Test Result also by whose tests they are.
fn kind(predicate_type: &str, predicate: &Value) -> Option<StatementKind> {
    match predicate_type {
        PROVENANCE => Some(StatementKind::Provenance),
        SUMMARY => Some(StatementKind::Vsa),
        TEST_RESULT => match predicate.pointer("/configuration/0/uri")?.as_str()? {
            VERIFY => Some(StatementKind::TestResult),
            REBUILD => Some(StatementKind::Rebuild),
            _ => None,
        },
        _ => None,
    }
}

fn outcome(kind: StatementKind, predicate: &Value) -> Result<StatementOutcome, String> {
    let field = match kind {
        StatementKind::Provenance => {
            let build = predicate.pointer("/buildDefinition/buildType").and_then(Value::as_str);
            return match build {
                Some(BUILD) => Ok(StatementOutcome::Passed),
                Some(other) => Err(format!("its `buildType` is `{}`", other.escape_debug())),
                None => Err("it has no `buildDefinition.buildType`".into()),
            };
        }
        StatementKind::Vsa => "verificationResult",
        StatementKind::TestResult | StatementKind::Rebuild => "result",
    };
    match predicate[field].as_str() {
        Some("PASSED") => Ok(StatementOutcome::Passed),
        Some("WARNED") if kind != StatementKind::Vsa => Ok(StatementOutcome::Warned),
        Some("FAILED") => Ok(StatementOutcome::Failed),
        Some(other) => Err(format!("its `{field}` is `{}`", other.escape_debug())),
        None => Err(format!("it has no `{field}`")),
    }
}

/// Seconds since 1970 of the time that a statement names.
fn time(kind: StatementKind, predicate: &Value) -> Result<Option<u64>, String> {
    let text = match kind {
        StatementKind::Vsa => predicate.get("timeVerified"),
        StatementKind::TestResult => predicate.get(MORE).and_then(|more| more.get("begun")),
        StatementKind::Provenance | StatementKind::Rebuild => None,
    };
    let Some(text) = text else { return Ok(None) };
    let text = text.as_str().ok_or("its time is no text")?;
    date::seconds(text).map(Some).ok_or_else(|| format!("its time is `{}`", text.escape_debug()))
}
