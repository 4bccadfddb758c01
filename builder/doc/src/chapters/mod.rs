//! The chapters, in the order of the document.

mod checks;
mod containers;
mod credentials;
mod data;
mod index;
mod machine;
mod monitoring;
mod network;
mod operation;
mod packages;
mod people;
mod ports;
mod purpose;
mod services;

use crate::content::{Cell, Fact, ServerDocument};
use crate::context::DocumentContext;
use crate::evidence::Unmeasured;
use diorite_model::report::{Report, Verdict, date};

/// Everything.
pub(crate) fn document(c: &DocumentContext) -> ServerDocument {
    let (image, language) = (&c.recipe.image, c.language);
    let (standing, passed) = standing(c);
    let mut sections = vec![
        purpose::section(c),
        machine::section(c),
        network::section(c),
        ports::section(c),
        containers::section(c),
        people::section(c),
        services::section(c),
        monitoring::section(c),
        data::section(c),
        operation::section(c),
        credentials::section(c),
        packages::section(c),
        checks::section(c),
    ];
    let titles: Vec<_> = sections.iter().map(|section| (section.id, section.title.clone())).collect();
    sections.push(index::section(c, &titles));
    ServerDocument {
        title: image.hostname.clone(),
        subtitle: language.server_documentation(),
        standing,
        passed,
        facts: facts(c),
        sections,
    }
}

fn facts(c: &DocumentContext) -> Vec<Fact> {
    let (image, language) = (&c.recipe.image, c.language);
    let mut all = vec![
        (language.image(), Cell::from(language.image_and_version(&image.name, &image.version))),
        (language.profile(), Cell::code(format!("profiles/{}.toml", c.profile))),
    ];
    if let Ok(report) = c.evidence.report() {
        all.push((language.verified_on(), date(report.begun).into()));
    }
    let unknown = |words: String| Cell::soft(words);
    let disk = c.build.map_or_else(|| unknown(language.not_built()), |b| Cell::code(b.disk_sha256.to_string()));
    let root = c.build.map_or_else(|| unknown(language.not_built()), |b| Cell::code(b.root_hash.to_string()));
    let lock = c.lock.map_or_else(|| unknown(language.no_lock()), |l| Cell::code(l.digest().to_string()));
    all.push((language.disk_digest(), disk));
    all.push((language.root_hash(), root));
    all.push((language.recipe_digest(), Cell::code(c.recipe.digest().to_string())));
    all.push((language.lock_digest(), lock));
    all
}

/// What was measured of this very image, in a sentence, and whether that is good news.
fn standing(c: &DocumentContext) -> (Cell, Option<bool>) {
    let language = c.language;
    match c.evidence.report() {
        Ok(report) => {
            let passed = report.passed() && !report.partial();
            (counts(report, c).into(), Some(passed))
        }
        Err(why) => {
            let why = match why {
                Unmeasured::NoBuild => language.why_no_build(),
                Unmeasured::OtherBuild => language.why_other_build(),
                Unmeasured::NoReport => language.why_no_report(),
                Unmeasured::Other(refusal) => language.refusal(refusal),
            };
            (language.nothing_measured(why).into(), None)
        }
    }
}

fn counts(report: &Report, c: &DocumentContext) -> String {
    let count = |verdict| report.count(verdict);
    let (passed, failed, skipped) = (count(Verdict::Pass), count(Verdict::Fail), count(Verdict::Skip));
    let counts = c.language.measured(passed, failed, skipped);
    let rest = if report.ended.is_some() {
        c.language.ended_early()
    } else if report.partial() {
        c.language.only_some_checks()
    } else {
        return counts;
    };
    format!("{counts} {rest}")
}
