//! What a run of a scenario saw, step by step. Its form is told in docs/guide/scenarios.md.

use super::{CheckResult, Ended, Verdict};
use crate::Digest;
use serde::{Deserialize, Serialize};

/// `out/scenarios/NAME/report.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScenarioReport {
    /// Version of this format: [`ScenarioReport::SCHEMA`].
    pub schema: u32,
    /// The scenario's name.
    pub name: String,
    /// What it proves.
    pub about: String,
    /// What all chance in the lab followed from.
    pub seed: u64,
    /// The machines it is about.
    pub machines: Vec<ScenarioMachine>,
    /// `kvm` or `tcg`.
    pub accelerator: String,
    /// Why that accelerator.
    pub accelerator_reason: String,
    /// When it began, seconds since 1970.
    pub begun: u64,
    /// Seconds it took.
    pub seconds: f64,
    /// Why it ended before every step was done.
    pub ended: Option<Ended>,
    /// Runs that the host spoilt, and that were made again.
    pub retried: Vec<Ended>,
    /// How many whole runs this report is about.
    pub runs: u32,
    /// The steps in their order; `at` counts from the scenario's begin.
    pub steps: Vec<CheckResult>,
}

/// A machine of a scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScenarioMachine {
    /// Its name.
    pub name: String,
    /// IMAGE_ID.
    pub image: String,
    /// IMAGE_VERSION.
    pub version: String,
    /// The disk that was booted.
    pub disk_sha256: Digest,
}

impl ScenarioReport {
    /// The version of this format.
    pub const SCHEMA: u32 = 1;

    /// Every step was as it must be.
    pub fn passed(&self) -> bool {
        self.ended.is_none() && self.steps.iter().all(|s| s.verdict == Verdict::Pass) && !self.steps.is_empty()
    }
    /// How many steps got this verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.steps.iter().filter(|s| s.verdict == verdict).count()
    }
}
