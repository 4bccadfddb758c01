//! Report: what a verification saw, check by check, and how it ended. Its form is told in docs/reference/report.md.

mod accept;
mod boot;
mod scenario;
mod start;

pub use accept::{Refusal, Subject, UnverifiedImage, VerifiedImage, plan_digest};
pub use boot::{Boot, Declared, Lane, Moment, Port, Said, Seen};
pub use scenario::{ScenarioMachine, ScenarioReport};
pub use start::{Kept, Start, date};

use crate::Digest;
use serde::{Deserialize, Serialize};

/// `out/NAME/report.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Version of this format: [`Report::SCHEMA`].
    pub schema: u32,
    /// IMAGE_ID.
    pub name: String,
    /// IMAGE_VERSION.
    pub version: String,
    /// The disk that was booted.
    pub disk_sha256: Digest,
    /// The recipe that said what must be true.
    pub recipe_digest: Digest,
    /// `kvm` or `tcg`.
    pub accelerator: String,
    /// Why that accelerator.
    pub accelerator_reason: String,
    /// How the machine came to run. Not in older reports.
    #[serde(default)]
    pub start: Start,
    /// When the machine was switched on or put back, seconds since 1970.
    pub begun: u64,
    /// Seconds from then to the last check.
    pub seconds: f64,
    /// Which of the checks were wanted.
    pub selection: Selection,
    /// Why it ended before everything was asked.
    pub ended: Option<Ended>,
    /// Runs that the host spoilt, and that were made again.
    pub retried: Vec<Ended>,
    /// How many whole runs this report is about; each check then says in how many it passed.
    pub runs: u32,
    /// Everything asked, in order.
    pub checks: Vec<CheckResult>,
    /// What was seen of the boot besides.
    pub boot: Boot,
}

/// Whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Class {
    /// The image's.
    Product,
    /// The checks' own, or the lab's.
    Test,
    /// The host's: QEMU crashed, KVM does not work, the disk is full. Only such a run is made again, once.
    Infra,
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

/// Which of the checks were wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// How many checks there are for this image.
    pub of: usize,
    /// [`plan_digest`] of all of them. Not in reports of older versions, which vouch for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_digest: Option<Digest>,
    /// Patterns of their names; empty: every one.
    pub only: Vec<String>,
    /// Patterns of those that were left out.
    #[serde(default)]
    pub skip: Vec<String>,
    /// One part of several.
    pub shard: Option<Shard>,
}

/// One part of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Which one, from 1.
    pub index: usize,
    /// Of how many.
    pub count: usize,
}

/// Why a run ended before everything was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// Whose fault it was.
    pub class: Class,
    /// What happened.
    pub what: String,
    /// Why, as far as it is known.
    pub cause: Option<String>,
    /// Seconds after power-on.
    pub at: f64,
}

/// One thing that must be true.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckResult {
    /// Stable short name, `port-ipv4-tcp-22-open`.
    pub id: String,
    /// In words.
    pub what: String,
    /// Where the answer came from.
    pub evidence: Evidence,
    /// Asked only because a check that was wanted needs it.
    pub needed: bool,
    /// The answer.
    pub verdict: Verdict,
    /// Whose fault a failure is.
    pub class: Option<Class>,
    /// What was seen; for a skip the reason.
    pub seen: String,
    /// Seconds after power-on.
    pub at: f64,
    /// Seconds it took.
    pub seconds: f64,
    /// In how many of the report's runs it passed.
    pub passes: u32,
}

impl Report {
    /// The version of this format.
    pub const SCHEMA: u32 = 2;

    /// Nothing that was wanted failed or was skipped, and the run came to its end.
    pub fn passed(&self) -> bool {
        self.ended.is_none() && self.checks.iter().all(|c| c.verdict == Verdict::Pass) && !self.checks.is_empty()
    }
    /// How many checks got this verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.checks.iter().filter(|c| c.verdict == verdict).count()
    }
    /// Not every check was wanted.
    pub fn partial(&self) -> bool {
        !self.selection.is_whole() || self.checks.len() < self.selection.of
    }
    /// Checks that passed in some runs and not in others.
    pub fn flaky(&self) -> impl Iterator<Item = &CheckResult> {
        self.checks.iter().filter(|c| c.passes > 0 && c.passes < self.runs)
    }
}

impl Selection {
    /// The patterns, for people: `only a b, without c`.
    pub fn words(&self) -> String {
        let named =
            |word, patterns: &[String]| (!patterns.is_empty()).then(|| format!("{word} {}", patterns.join(" ")));
        let both = [named("only", &self.only), named("without", &self.skip)];
        both.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
    /// Every check.
    pub fn is_whole(&self) -> bool {
        self.only.is_empty() && self.skip.is_empty() && self.shard.is_none()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn report(verdicts: &[Verdict]) -> Report {
        let check = |verdict: &Verdict| CheckResult {
            id: "a".into(),
            what: "b".into(),
            evidence: Evidence::Outside,
            needed: false,
            verdict: *verdict,
            class: (*verdict == Verdict::Fail).then_some(Class::Product),
            seen: String::new(),
            at: 0.0,
            seconds: 0.0,
            passes: u32::from(*verdict == Verdict::Pass),
        };
        Report {
            schema: Report::SCHEMA,
            name: "x".into(),
            version: "1".into(),
            disk_sha256: Digest::of(b"disk"),
            recipe_digest: Digest::of(b"recipe"),
            accelerator: "tcg".into(),
            accelerator_reason: "a test".into(),
            start: Start::default(),
            begun: 0,
            seconds: 1.0,
            selection: Selection {
                of: verdicts.len(),
                plan_digest: Some(plan_digest(["a"], &[])),
                ..Selection::default()
            },
            ended: None,
            retried: vec![],
            runs: 1,
            checks: verdicts.iter().map(check).collect(),
            boot: Boot::default(),
        }
    }

    #[test]
    fn what_differs_between_runs_is_flaky() {
        let mut report = report(&[Verdict::Pass, Verdict::Fail, Verdict::Fail]);
        report.runs = 3;
        report.checks[0].passes = 3;
        report.checks[1].passes = 2;
        assert_eq!(report.flaky().count(), 1);
    }
}
