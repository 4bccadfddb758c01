//! An image, what is known, what is put up with, and a day → the answer.

use super::advisory::{Advisory, Consequence};
use super::data::{AdvisoryData, DatedBy};
use super::image::{AuditedImage, AuditedPackage, NotJudged};
use diorite_model::audit::AuditPolicy;
use diorite_model::uuid::{self, Uuid};
use diorite_model::{Digest, Hasher, date};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The answer in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditVerdict {
    /// Nothing that could be mended is there.
    Passed,
    /// Something that the release has mended is there, and is not put up with; or a waiver has expired.
    Failed,
    /// There was no data.
    Unknown,
}

/// What was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditSource {
    /// Who published it.
    pub publisher: &'static str,
    /// SHA-256.
    pub sha256: Digest,
    /// The day it is of.
    pub date: String,
    /// Where that day comes from.
    pub dated_by: DatedBy,
    /// Days until the day of the audit.
    pub age: u64,
}

/// What a finding means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditStatus {
    /// The release has a version without it.
    Fixable,
    /// The release has none.
    Open,
    /// Nobody has found out whether the package has it.
    Undetermined,
    /// The package has it, and Debian holds that it does no harm.
    Unimportant,
}

/// A vulnerability that a source package of the image has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditFinding {
    /// `CVE-2025-1234`.
    pub id: String,
    /// What it means.
    pub status: AuditStatus,
    /// The source package.
    pub source: String,
    /// Its version in the image.
    pub version: String,
    /// The version without it.
    pub fixed: Option<String>,
    /// How pressing it is, in the data's words.
    pub urgency: String,
    /// What it is.
    pub summary: String,
    /// The packages that were built from it.
    pub packages: Vec<AuditedPackage>,
    /// Why it is put up with, and until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waived: Option<AppliedWaiver>,
}

/// What became of a waiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaiverState {
    /// A finding is put up with because of it.
    Used,
    /// Its last day is past.
    Expired,
    /// The image does not have what it is about.
    Unused,
}

/// A waiver of the profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AppliedWaiver {
    /// The vulnerability.
    pub id: String,
    /// The source package in which it is put up with; none: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// Why.
    pub reason: String,
    /// The last day.
    pub until: String,
    /// What became of it.
    pub state: WaiverState,
}

/// The whole answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// Version of this form.
    pub schema: u32,
    /// The answer in one word.
    pub verdict: AuditVerdict,
    /// Name and version of the image.
    pub image: String,
    /// Codename of the Debian release.
    pub suite: String,
    /// The day it is for.
    pub day: String,
    /// What was looked at; none: there was no data, and nothing is known.
    pub data: Option<AuditSource>,
    /// Packages that were, or would have been, judged.
    pub packages: usize,
    /// Source packages they were built from.
    pub sources: usize,
    /// Packages whose source package was taken from their path, because their files are not at hand.
    pub by_path: usize,
    /// Vulnerabilities, by what they mean and by name.
    pub findings: Vec<AuditFinding>,
    /// Waivers of the profile.
    pub waivers: Vec<AppliedWaiver>,
    /// What no data of Debian's can speak of.
    pub not_judged: Vec<NotJudged>,
}

impl Audit {
    /// Findings that make the audit fail.
    pub fn failing(&self) -> impl Iterator<Item = &AuditFinding> {
        self.findings.iter().filter(|f| f.status == AuditStatus::Fixable && f.waived.is_none())
    }
    /// Waivers in this state.
    pub fn waivers_that_are(&self, state: WaiverState) -> impl Iterator<Item = &AppliedWaiver> {
        self.waivers.iter().filter(move |waiver| waiver.state == state)
    }
}

/// A UUID for one form of an audit: another one for every other content.
pub(super) fn uuid(audit: &Audit, form: &str) -> Uuid {
    let mut hasher = Hasher::new();
    hasher.field(form.as_bytes());
    hasher.field(env!("CARGO_PKG_VERSION").as_bytes());
    hasher.field(&Digest::of_json(audit).0);
    uuid::derived(&hasher.finish())
}

/// Judges an image for a day, in days since 1970. `data` comes with the day it is of.
pub fn judge(
    image: &AuditedImage,
    data: Option<(&AdvisoryData, u64, DatedBy)>,
    policy: &AuditPolicy,
    today: u64,
) -> Audit {
    let mut findings = data.map_or_else(Vec::new, |(data, ..)| findings(image, data));
    let waivers = waive(&mut findings, policy, today, data.is_some());
    let source = |(data, day, dated_by): (&AdvisoryData, u64, DatedBy)| AuditSource {
        publisher: data.publisher,
        sha256: data.sha256,
        date: date::day_text(day),
        dated_by,
        age: today.saturating_sub(day),
    };
    let mut audit = Audit {
        schema: 1,
        verdict: AuditVerdict::Unknown,
        image: image.name.clone(),
        suite: image.suite.clone(),
        day: date::day_text(today),
        data: data.map(source),
        packages: image.packages.len(),
        sources: image.sources().len(),
        by_path: image.packages.iter().filter(|package| !package.exact).count(),
        findings,
        waivers,
        not_judged: image.not_judged.clone(),
    };
    let bad = audit.failing().next().is_some() || audit.waivers_that_are(WaiverState::Expired).next().is_some();
    audit.verdict = match (audit.data.is_some(), bad) {
        (false, _) => AuditVerdict::Unknown,
        (true, true) => AuditVerdict::Failed,
        (true, false) => AuditVerdict::Passed,
    };
    audit
}

fn findings(image: &AuditedImage, data: &AdvisoryData) -> Vec<AuditFinding> {
    let mut built: BTreeMap<(&str, &str), Vec<AuditedPackage>> = BTreeMap::new();
    for package in &image.packages {
        built.entry((&package.source, &package.source_version)).or_default().push(package.clone());
    }
    let mut findings = Vec::new();
    for ((source, version), packages) in built {
        for advisory in data.by_source.get(source).into_iter().flatten() {
            let (status, fixed) = match advisory.consequence(version) {
                Consequence::None => continue,
                Consequence::Fixable(fixed) => (AuditStatus::Fixable, Some(fixed)),
                Consequence::Open => (AuditStatus::Open, None),
                Consequence::Undetermined => (AuditStatus::Undetermined, None),
            };
            let status = if advisory.urgency == "unimportant" { AuditStatus::Unimportant } else { status };
            findings.push(finding(advisory, status, fixed, source, version, &packages));
        }
    }
    findings.sort_by(|a, b| {
        (a.status, name(&a.id), &a.source, &a.version).cmp(&(b.status, name(&b.id), &b.source, &b.version))
    });
    findings
}

fn finding(
    advisory: &Advisory,
    status: AuditStatus,
    fixed: Option<String>,
    source: &str,
    version: &str,
    packages: &[AuditedPackage],
) -> AuditFinding {
    AuditFinding {
        id: advisory.id.clone(),
        status,
        source: source.to_owned(),
        version: version.to_owned(),
        fixed,
        urgency: advisory.urgency.clone(),
        summary: advisory.summary.clone(),
        packages: packages.to_vec(),
        waived: None,
    }
}

/// A name by its numbers: `CVE-2025-999` before `CVE-2025-10000`.
fn name(id: &str) -> Vec<(u64, &str)> {
    id.split('-').map(|part| (part.parse().unwrap_or(0), part)).collect()
}

/// Marks what is put up with, and says what became of each waiver. Without data only days can be judged.
fn waive(findings: &mut [AuditFinding], policy: &AuditPolicy, today: u64, data: bool) -> Vec<AppliedWaiver> {
    let mut applied = Vec::new();
    for (id, waiver) in &policy.waivers {
        let expired = date::day(&waiver.until).is_none_or(|last| today > last);
        let about =
            |f: &AuditFinding| f.id == *id && waiver.package.as_ref().is_none_or(|package| *package == f.source);
        let found: BTreeSet<usize> = (0..findings.len()).filter(|i| about(&findings[*i])).collect();
        let state = match (expired, found.is_empty() && data) {
            (true, _) => WaiverState::Expired,
            (false, true) => WaiverState::Unused,
            (false, false) => WaiverState::Used,
        };
        let one = AppliedWaiver {
            id: id.clone(),
            package: waiver.package.clone(),
            reason: waiver.reason.clone(),
            until: waiver.until.clone(),
            state,
        };
        if state == WaiverState::Used {
            found.into_iter().for_each(|i| findings[i].waived = Some(one.clone()));
        }
        applied.push(one);
    }
    applied
}
