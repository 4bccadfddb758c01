//! Where each table of the profile is documented, for those who want to change something.

use crate::content::{Block, Cell, Section, Table};
use crate::context::Context;
use crate::tables::TABLES;

/// `chapters`: id and title of each, in the order of the document.
pub(super) fn section(c: &Context, chapters: &[(&'static str, String)]) -> Section {
    let language = c.language;
    let mut table = Table::new([language.table_of_profile(), language.chapter()]);
    // Tables in a table are where their table is, or where a reader looks for them.
    for (name, place) in TABLES.iter().filter(|(name, _)| !name.contains('.')) {
        let chapter = chapters.iter().enumerate().find(|(_, (id, _))| Some(*id) == *place);
        if let Some((number, (_, title))) = chapter {
            table.row([Cell::code(*name), format!("{} {title}", number + 1).into()]);
        }
    }
    Section {
        id: "tables",
        title: language.chapter_tables(),
        blocks: vec![Block::Text(language.tables_about(c.profile).into()), Block::Table(table)],
    }
}
