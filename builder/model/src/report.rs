//! Report: what a verification saw, check by check.

use crate::Digest;
use serde::{Deserialize, Serialize};

/// `out/NAME/report.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Version of this format: 1.
    pub schema: u32,
    /// The disk that was booted.
    pub disk_sha256: Digest,
    /// `kvm` or `tcg`.
    pub accelerator: String,
    /// Why that accelerator.
    pub accelerator_reason: String,
    /// Seconds from power-on to the last check.
    pub seconds: f64,
    /// Everything asked, in order.
    pub checks: Vec<CheckResult>,
}

/// How a check was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it must be.
    Pass,
    /// Not as it must be.
    Fail,
    /// Could not be asked; never a pass.
    Skip,
}

/// Where the evidence comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// From the wire only.
    Outside,
    /// From the injected shell.
    Inside,
    /// From console or firmware.
    Console,
}

/// One thing that must be true.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckResult {
    /// Stable short name, `port-tcp-22-open`.
    pub id: String,
    /// In words.
    pub what: String,
    /// Where the answer came from.
    pub evidence: Evidence,
    /// The answer.
    pub verdict: Verdict,
    /// What was seen; for a skip the reason.
    pub seen: String,
    /// Seconds after power-on.
    pub at: f64,
}

impl Report {
    /// Nothing failed and nothing was skipped.
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|c| c.verdict == Verdict::Pass) && !self.checks.is_empty()
    }
    /// How many checks got this verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.checks.iter().filter(|c| c.verdict == verdict).count()
    }
}

/// A disk image whose report about these very bytes has no failure. Only [`Report::accept`] makes one.
#[derive(Debug, Clone)]
pub struct VerifiedImage {
    disk_sha256: Digest,
}

impl VerifiedImage {
    /// The digest that was verified.
    pub fn disk_sha256(&self) -> Digest {
        self.disk_sha256
    }
}

impl Report {
    /// Accepts the image with this digest when this report is about it and everything passed.
    pub fn accept(&self, disk_sha256: Digest) -> Option<VerifiedImage> {
        (self.disk_sha256 == disk_sha256 && self.passed()).then_some(VerifiedImage { disk_sha256 })
    }
}
