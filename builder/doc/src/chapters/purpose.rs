//! What the machine is for, and who answers for it.

use crate::content::{Block, Cell, DocumentSection};
use crate::context::DocumentContext;

pub(super) fn section(c: &DocumentContext) -> DocumentSection {
    let (said, language) = (&c.settings.purpose, c.language);
    let unsaid = |key: &str| Cell::soft(language.not_stated(format!("[image] {key}")));
    let list = |all: &[String], key: &str| match all {
        [] => unsaid(key),
        all => Cell::lines(all.iter().map(|one| Cell::from(one.as_str()))),
    };
    let purpose = said.purpose.as_deref().map_or_else(|| unsaid("purpose"), Cell::from);
    let facts = vec![
        (language.purpose(), purpose),
        (language.owners(), list(&said.owners, "owners")),
        (language.contacts(), list(&said.contacts, "contacts")),
    ];
    DocumentSection {
        id: "purpose",
        title: language.chapter_purpose(),
        blocks: vec![Block::Facts(facts), Block::Text(language.about_this_document(c.profile).into())],
    }
}
