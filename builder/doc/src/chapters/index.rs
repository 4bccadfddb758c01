//! Where each table of the profile is documented, for those who want to change something.

use crate::content::{Block, Cell, DocumentSection, DocumentTable};
use crate::context::DocumentContext;
use crate::tables::TABLES;

/// `chapters`: id and title of each, in the order of the document.
pub(super) fn section(c: &DocumentContext, chapters: &[(&'static str, String)]) -> DocumentSection {
    let language = c.language;
    let mut table = DocumentTable::new([language.table_of_profile(), language.chapter()]);
    // Tables in a table are where their table is, or where a reader looks for them.
    for (name, place) in TABLES.iter().filter(|(name, _)| !name.contains('.')) {
        let chapter = chapters.iter().enumerate().find(|(_, (id, _))| Some(*id) == *place);
        if let Some((number, (_, title))) = chapter {
            table.row([Cell::code(*name), format!("{} {title}", number + 1).into()]);
        }
    }
    DocumentSection {
        id: "tables",
        title: language.chapter_tables(),
        blocks: vec![Block::Text(language.tables_about(c.profile).into()), Block::Table(table)],
    }
}
