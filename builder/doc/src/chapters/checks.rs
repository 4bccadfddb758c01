//! What was measured: every check with what it saw, and the profile's own checks.

use crate::content::{Block, Cell, DocumentSection, DocumentTable};
use crate::context::DocumentContext;

/// So much of what a check saw is shown.
const SEEN: usize = 240;

pub(super) fn section(c: &DocumentContext) -> DocumentSection {
    let language = c.language;
    let mut blocks = vec![Block::Text(language.checks_about(c.profile).into())];
    if !c.settings.checks.is_empty() {
        let own = c.settings.checks.iter().map(|check| {
            let id = format!("own-{}", check.name);
            // One that is asked in each family has an id for each.
            let rests = ["", "-ipv4", "-ipv6"];
            let proof = c.evidence.matching(|i| i.strip_prefix(&id).is_some_and(|rest| rests.contains(&rest)));
            Cell::code(&*check.name).then(format!(" ({}): ", check.ask.kind())).then(proof)
        });
        blocks.extend([Block::Heading(language.own_checks()), Block::List(own.collect())]);
    }
    if let Ok(report) = c.evidence.report() {
        let mut table = DocumentTable::new([language.check(), language.what_was_seen(), language.verdict()]);
        for check in &report.checks {
            let seen: String = check.seen.chars().take(SEEN).collect();
            table.row([
                Cell::lines([Cell::code(&*check.id), Cell::from(check.what.as_str())]),
                Cell::soft(seen),
                c.evidence.verdict(check.verdict),
            ]);
            table.ids.push(format!("check-{}", check.id));
        }
        blocks.extend([Block::Heading(language.all_checks()), Block::Table(table)]);
    }
    DocumentSection { id: "checks", title: language.chapter_checks(), blocks }
}
