//! Report → what was measured of this very image. A report about another disk, another recipe or another list of checks says
//! nothing about it.

use crate::content::{Cell, TextSpan};
use crate::language::Language;
use diorite_model::plan::Build;
use diorite_model::report::{CheckResult, Refusal, Report, Subject, Verdict};
use diorite_model::{Digest, Recipe};

/// What is known of the image by measurement.
pub(crate) struct ImageEvidence<'a> {
    language: Language,
    report: Result<&'a Report, Unmeasured>,
}

/// Why nothing is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unmeasured {
    /// It has not been built.
    NoBuild,
    /// It was built from another recipe than the profile's.
    OtherBuild,
    /// It has not been verified.
    NoReport,
    /// There is a report, and it is about something else.
    Other(Refusal),
}

impl<'a> ImageEvidence<'a> {
    /// `plan_digest`: of the checks that a verification would run today.
    pub(crate) fn of(
        report: Option<&'a Report>,
        build: Option<&Build>,
        recipe: &Recipe,
        plan_digest: Digest,
        language: Language,
    ) -> Self {
        let recipe_digest = recipe.digest();
        let report = match (build, report) {
            (None, _) => Err(Unmeasured::NoBuild),
            (Some(build), _) if build.recipe_digest != recipe_digest => Err(Unmeasured::OtherBuild),
            (Some(_), None) => Err(Unmeasured::NoReport),
            (Some(build), Some(report)) => {
                let subject = Subject { disk_sha256: build.disk_sha256, recipe_digest, plan_digest };
                report.is_about(&subject).map(|()| report).map_err(Unmeasured::Other)
            }
        };
        Self { language, report }
    }

    /// The report, where it is about this image.
    pub(crate) fn report(&self) -> Result<&'a Report, &Unmeasured> {
        self.report.as_ref().copied()
    }

    /// A check of this id.
    pub(crate) fn check(&self, id: &str) -> Option<&'a CheckResult> {
        self.report().ok()?.checks.iter().find(|check| check.id == id)
    }

    /// What these checks said.
    pub(crate) fn of_checks(&self, ids: &[&str]) -> Cell {
        self.matching(|id| ids.contains(&id))
    }

    /// What the checks said whose ids are wanted.
    pub(crate) fn matching(&self, wanted: impl Fn(&str) -> bool) -> Cell {
        let checks = self.report().map_or(&[][..], |report| &report.checks);
        let found = checks.iter().filter(|check| wanted(&check.id)).map(|check| self.proof(check));
        let cell = Cell::lines(found);
        if cell.0.is_empty() { Cell::soft(self.language.not_measured()) } else { cell }
    }

    /// A verdict in words, with its sign.
    pub(crate) fn verdict(&self, verdict: Verdict) -> Cell {
        format!("{} {}", sign(verdict), self.words(verdict)).into()
    }

    fn proof(&self, check: &CheckResult) -> Cell {
        Cell(vec![TextSpan::Proof { id: check.id.clone(), verdict: check.verdict, words: self.words(check.verdict) }])
    }

    fn words(&self, verdict: Verdict) -> String {
        match verdict {
            Verdict::Pass => self.language.passed(),
            Verdict::Fail => self.language.failed(),
            Verdict::Skip => self.language.not_measured(),
        }
    }
}

/// What stands before a verdict, for those who look and for printers without colours.
pub(crate) fn sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "✓",
        Verdict::Fail => "✗",
        Verdict::Skip => "–",
    }
}
