//! Report → [`VerifiedImage`]: a report vouches for a disk only where disk, recipe and checks are all those it was made with.

use super::{Report, Verdict};
use crate::{Digest, verify::OwnCheck};
use std::fmt;

/// What a report has to be about before it vouches for a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    /// SHA-256 of the raw disk.
    pub disk_sha256: Digest,
    /// Digest of the recipe it was made from.
    pub recipe_digest: Digest,
    /// [`plan_digest`] of the checks that a verification would run today.
    pub plan_digest: Digest,
}

/// The digest of a plan of checks: the id of every check in order, and the profile's own checks in full. The id of a derived
/// check stands for all of it, because it follows from the recipe, which has a digest of its own; the id of a check in
/// `[[verify.check]]` does not say what the check expects.
pub fn plan_digest<'a>(ids: impl IntoIterator<Item = &'a str>, own: &[OwnCheck]) -> Digest {
    Digest::of_json(&(ids.into_iter().collect::<Vec<_>>(), own))
}

/// A disk image with a report about these very bytes in which every check was run and passed. Only [`Report::accept`] makes
/// one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedImage {
    disk_sha256: Digest,
}

impl VerifiedImage {
    /// The digest that was verified.
    pub fn disk_sha256(&self) -> Digest {
        self.disk_sha256
    }
}

/// A disk image that is used without a passing report. It is a type of its own so that it cannot be mistaken for a
/// [`VerifiedImage`].
#[derive(Debug, Clone)]
pub struct UnverifiedImage {
    /// Its digest.
    pub disk_sha256: Digest,
}

/// Why a report does not vouch for a disk. Its text completes "the report is not accepted because".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The report has another version of the format.
    Schema(u32),
    /// The report is about the disk with this digest.
    OtherDisk(Digest),
    /// The recipe has changed since.
    OtherRecipe,
    /// A version of Diorite that did not record the plan of checks has written it.
    NoPlan,
    /// The profile's own checks, or those that this version derives, have changed since.
    OtherPlan,
    /// The run ended early, for this reason.
    Ended(String),
    /// Only some of the checks were run.
    Partial,
    /// So many checks did not pass; 0: there are no checks in it.
    NotPassed(usize),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Schema(schema) => write!(f, "it has schema {schema}, and this version reads {}", Report::SCHEMA),
            Self::OtherDisk(sha256) => write!(f, "it is about another disk, sha256 {}", sha256.short(12)),
            Self::OtherRecipe => f.write_str("it was made with another recipe: the profile has changed since"),
            Self::NoPlan => {
                f.write_str("it does not record which checks were planned: an older version of Diorite has written it")
            }
            Self::OtherPlan => f.write_str("the checks have changed since: `[[verify.check]]`, or Diorite's own"),
            Self::Ended(what) => write!(f, "the run ended early: {what}"),
            Self::Partial => f.write_str("only some of the checks were run"),
            Self::NotPassed(0) => f.write_str("there are no checks in it"),
            Self::NotPassed(1) => f.write_str("1 check did not pass"),
            Self::NotPassed(count) => write!(f, "{count} checks did not pass"),
        }
    }
}

impl Report {
    /// Accepts the image when this report is about this disk, recipe and plan of checks, every check was run, and every one
    /// passed.
    ///
    /// # Errors
    /// The first reason why not.
    pub fn accept(&self, subject: &Subject) -> Result<VerifiedImage, Refusal> {
        self.is_about(subject)?;
        if let Some(ended) = &self.ended {
            return Err(Refusal::Ended(ended.what.clone()));
        }
        if self.partial() {
            return Err(Refusal::Partial);
        }
        if !self.passed() {
            return Err(Refusal::NotPassed(self.checks.len() - self.count(Verdict::Pass)));
        }
        Ok(VerifiedImage { disk_sha256: subject.disk_sha256 })
    }

    /// Whether this report is about this disk, recipe and plan of checks, whatever it says of them.
    ///
    /// # Errors
    /// The first reason why not.
    pub fn is_about(&self, subject: &Subject) -> Result<(), Refusal> {
        if self.schema != Self::SCHEMA {
            return Err(Refusal::Schema(self.schema));
        }
        if self.disk_sha256 != subject.disk_sha256 {
            return Err(Refusal::OtherDisk(self.disk_sha256));
        }
        if self.recipe_digest != subject.recipe_digest {
            return Err(Refusal::OtherRecipe);
        }
        match self.selection.plan_digest {
            None => Err(Refusal::NoPlan),
            Some(digest) if digest != subject.plan_digest => Err(Refusal::OtherPlan),
            Some(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::report;
    use super::super::{Class, Ended, Shard};
    use super::*;
    use crate::recipe::Protocol;
    use crate::verify::{Ask, Level, Port, PortState};

    fn subject() -> Subject {
        let plan_digest = plan_digest(["a"], &[]);
        Subject { disk_sha256: Digest::of(b"disk"), recipe_digest: Digest::of(b"recipe"), plan_digest }
    }

    #[test]
    fn only_a_whole_and_good_report_about_this_subject_is_accepted() {
        let good = report(&[Verdict::Pass; 2]);
        assert_eq!(good.accept(&subject()).map(|image| image.disk_sha256()), Ok(Digest::of(b"disk")));
        let other = Digest::of(b"another");
        let refused = [
            (Subject { disk_sha256: other, ..subject() }, Refusal::OtherDisk(good.disk_sha256)),
            (Subject { recipe_digest: other, ..subject() }, Refusal::OtherRecipe),
            (Subject { plan_digest: other, ..subject() }, Refusal::OtherPlan),
        ];
        for (subject, refusal) in refused {
            assert_eq!(good.accept(&subject), Err(refusal));
        }
        let ended = || Some(Ended { class: Class::Infra, what: "QEMU has ended".into(), cause: None, at: 0.0 });
        let changed = |change: &dyn Fn(&mut Report)| {
            let mut report = good.clone();
            change(&mut report);
            assert_ne!(report, good);
            report.accept(&subject()).expect_err("refused").to_string()
        };
        let refused = [
            changed(&|r| r.schema = 1),
            changed(&|r| r.disk_sha256 = other),
            changed(&|r| r.recipe_digest = other),
            changed(&|r| r.selection.plan_digest = None),
            changed(&|r| r.selection.plan_digest = Some(other)),
            changed(&|r| r.ended = ended()),
            changed(&|r| r.selection.only.push("port-*".into())),
            changed(&|r| r.selection.skip.push("port-*".into())),
            changed(&|r| r.selection.shard = Some(Shard { index: 1, count: 1 })),
            changed(&|r| r.selection.of = 3),
            changed(&|r| r.checks[1].verdict = Verdict::Fail),
            changed(&|r| r.checks.iter_mut().for_each(|c| c.verdict = Verdict::Skip)),
            changed(&|r| (r.checks, r.selection.of) = (vec![], 0)),
        ];
        insta::assert_snapshot!("refusals", refused.join("\n"));
    }

    /// What it says of an image counts only for that image, also where it does not vouch for it.
    #[test]
    fn a_report_with_failures_is_about_its_own_image_and_no_other() {
        let failed = report(&[Verdict::Pass, Verdict::Fail]);
        assert_eq!(failed.accept(&subject()), Err(Refusal::NotPassed(1)));
        assert_eq!(failed.is_about(&subject()), Ok(()));
        let other = Subject { disk_sha256: Digest::of(b"another disk"), ..subject() };
        assert_eq!(failed.is_about(&other), Err(Refusal::OtherDisk(Digest::of(b"disk"))));
    }

    #[test]
    fn a_report_of_an_older_version_is_read_and_vouches_for_nothing() {
        let mut json = serde_json::to_value(report(&[Verdict::Pass])).expect("JSON");
        json["selection"].as_object_mut().expect("a table").remove("plan_digest").expect("it was there");
        let older: Report = serde_json::from_value(json).expect("an older report");
        assert!(older.passed() && !older.partial());
        assert_eq!(older.accept(&subject()), Err(Refusal::NoPlan));
    }

    #[test]
    fn a_plan_is_its_ids_in_order_and_what_own_checks_expect() {
        let port = |port| OwnCheck {
            name: "web".into(),
            retry: 5,
            level: Level::Outside,
            ask: Ask::Port(Port { port, protocol: Protocol::Tcp, state: PortState::Open, family: None }),
        };
        let all = [
            plan_digest(["a", "own-web"], &[port(80)]),
            plan_digest(["own-web", "a"], &[port(80)]),
            plan_digest(["aown-web"], &[port(80)]),
            plan_digest(["a", "own-web"], &[port(81)]),
            plan_digest(["a", "own-web"], &[OwnCheck { retry: 6, ..port(80) }]),
            plan_digest(["a", "own-web"], &[]),
        ];
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
        assert_eq!(all[0], plan_digest(["a", "own-web"], &[port(80)]));
    }
}
