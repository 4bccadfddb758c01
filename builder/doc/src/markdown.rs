//! Document → Markdown (CommonMark, with GitHub's tables). Nothing that a profile says becomes markup.

use crate::content::{Block, Cell, DocumentTable, Fact, ServerDocument, TextSpan};
use crate::evidence::sign;
use crate::language::Language;
use crate::plan;

/// The whole text.
pub(crate) fn markdown(document: &ServerDocument, language: Language) -> String {
    let mut out = format!("# {}\n\n{}\n\n", escaped(&document.title), escaped(&document.subtitle));
    out += &format!("**{}**\n\n", cell(&document.standing, false));
    out += &facts(&document.facts);
    out += &format!("\n## {}\n\n", language.contents());
    for (number, part) in document.sections.iter().enumerate() {
        out += &format!("{}. [{}](#{})\n", number + 1, escaped(&part.title), part.id);
    }
    for (number, part) in document.sections.iter().enumerate() {
        out += &format!("\n<a id=\"{}\"></a>\n\n## {} {}\n", part.id, number + 1, escaped(&part.title));
        for block in &part.blocks {
            out += "\n";
            out += &write(block, language);
        }
    }
    out
}

fn write(block: &Block, language: Language) -> String {
    match block {
        Block::Heading(text) => format!("### {}\n", escaped(text)),
        Block::Text(text) => format!("{}\n", cell(text, false)),
        Block::Remark(text) => format!("> {}\n", cell(text, false)),
        Block::Facts(all) => facts(all),
        Block::Table(all) => table(all),
        Block::List(all) => all.iter().map(|item| format!("- {}\n", cell(item, false))).collect(),
        Block::Commands(all) => format!("```sh\n{}\n```\n", all.join("\n")),
        Block::Plan(plan) => plan::words(plan, language).iter().map(|line| format!("- {}\n", escaped(line))).collect(),
    }
}

fn facts(all: &[Fact]) -> String {
    all.iter().map(|(name, said)| format!("- **{}:** {}\n", escaped(name), cell(said, false))).collect()
}

fn table(table: &DocumentTable) -> String {
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut out = row(table.head.iter().map(|name| escaped(name)).collect());
    out += &format!("|{}\n", "---|".repeat(table.head.len()));
    for cells in &table.rows {
        out += &row(cells.iter().map(|said| cell(said, true)).collect());
    }
    out
}

fn cell(cell: &Cell, in_table: bool) -> String {
    let one = |span: &TextSpan| match span {
        TextSpan::Plain(text) | TextSpan::Soft(text) => escaped(text),
        TextSpan::Code(text) => code(text),
        TextSpan::Break if in_table => "<br>".to_owned(),
        TextSpan::Break => "; ".to_owned(),
        TextSpan::Proof { id, verdict, words } => {
            format!("{} {words}: {}", sign(*verdict), code(id))
        }
    };
    cell.0.iter().map(one).collect()
}

/// Every character of ASCII that can begin markup, behind a backslash (CommonMark 2.4). What cannot be shown is shown as such.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|' | '~' | '&' | '!' => out.extend(['\\', c]),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Letter by letter. Where a code span cannot carry it, as escaped text.
fn code(text: &str) -> String {
    let plain = |c: char| !c.is_control() && !"`|<>\\&".contains(c);
    match !text.is_empty() && text.trim() == text && text.chars().all(plain) {
        true => format!("`{text}`"),
        false => escaped(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_becomes_markup() {
        assert_eq!(escaped("<b>*x* | [a](b) `c` & \\"), "\\<b\\>\\*x\\* \\| \\[a\\](b) \\`c\\` \\& \\\\");
        assert_eq!(code("a|b"), "a\\|b");
        assert_eq!(code("ssh.service"), "`ssh.service`");
        assert_eq!(code("`x`"), "\\`x\\`");
        assert_eq!(code("\u{1b}[2J"), "\u{fffd}\\[2J");
    }
}
