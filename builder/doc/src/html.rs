//! Document → HTML: one page that stands alone.

use crate::content::{Block, Cell, DocumentSection, DocumentTable, Fact, ServerDocument, TextSpan};
use crate::evidence::sign;
use crate::language::Language;
use crate::plan;
use diorite_model::report::Verdict;
use diorite_page::Page;

/// The whole page.
pub(crate) fn html(document: &ServerDocument, language: Language) -> String {
    let mut page = Page::begin(language.tag(), &document.title);
    page.raw("<header>");
    page.element("p", &[("class", &"soft")], &document.subtitle);
    page.element("h1", &[], &document.title);
    let class = match document.passed {
        Some(true) => "standing good",
        Some(false) => "standing bad",
        None => "standing warn",
    };
    page.open("p", &[("class", &class)]);
    cell(&mut page, &document.standing);
    page.raw("</p>");
    facts(&mut page, &document.facts);
    page.raw("</header>\n");
    contents(&mut page, document, language);
    for (number, part) in document.sections.iter().enumerate() {
        section(&mut page, number + 1, part);
    }
    page.end()
}

fn contents(page: &mut Page, document: &ServerDocument, language: Language) {
    page.raw("<section class=\"contents\">").element("h2", &[], language.contents()).raw("<ol>\n");
    for part in &document.sections {
        page.raw("<li>").element("a", &[("href", &format!("#{}", part.id))], &part.title).raw("</li>\n");
    }
    page.raw("</ol></section>\n");
}

fn section(page: &mut Page, number: usize, part: &DocumentSection) {
    // Which begin a sheet when it is printed.
    let sheets = ["machine", "network", "containers", "services", "operation", "packages", "checks"];
    page.raw(if sheets.contains(&part.id) {
        "<section class=\"chapter sheet\">"
    } else {
        "<section class=\"chapter\">"
    });
    page.element("h2", &[("id", &part.id)], format!("{number} {}", part.title)).raw("\n");
    for block in &part.blocks {
        write(page, block);
    }
    page.raw("</section>\n");
}

fn write(page: &mut Page, block: &Block) {
    match block {
        Block::Heading(text) => drop(page.element("h3", &[], text)),
        Block::Text(text) => paragraph(page, "", text),
        Block::Remark(text) => paragraph(page, "remark", text),
        Block::Facts(all) => facts(page, all),
        Block::Table(all) => table(page, all),
        Block::List(all) => {
            page.raw("<ul>\n");
            for item in all {
                page.raw("<li>");
                cell(page, item);
                page.raw("</li>\n");
            }
            page.raw("</ul>");
        }
        Block::Commands(all) => drop(page.element("pre", &[], all.join("\n"))),
        Block::Plan(plan) => {
            page.raw("<div class=\"scroll\">");
            plan::draw::draw(page, plan);
            page.raw("</div>");
        }
    }
    page.raw("\n");
}

fn paragraph(page: &mut Page, class: &'static str, text: &Cell) {
    match class {
        "" => page.raw("<p>"),
        class => page.open("p", &[("class", &class)]),
    };
    cell(page, text);
    page.raw("</p>");
}

fn facts(page: &mut Page, all: &[Fact]) {
    page.raw("<dl>\n");
    for (name, said) in all {
        page.element("dt", &[], name).raw("<dd>");
        cell(page, said);
        page.raw("</dd>\n");
    }
    page.raw("</dl>\n");
}

fn table(page: &mut Page, table: &DocumentTable) {
    page.raw("<div class=\"scroll\"><table><thead><tr>");
    for name in &table.head {
        page.element("th", &[], name);
    }
    page.raw("</tr></thead><tbody>\n");
    for (number, row) in table.rows.iter().enumerate() {
        match table.ids.get(number) {
            Some(id) => page.open("tr", &[("id", id)]),
            None => page.raw("<tr>"),
        };
        for said in row {
            page.raw("<td>");
            cell(page, said);
            page.raw("</td>");
        }
        page.raw("</tr>\n");
    }
    page.raw("</tbody></table></div>\n");
}

fn cell(page: &mut Page, cell: &Cell) {
    for span in &cell.0 {
        match span {
            TextSpan::Plain(text) => page.text(text),
            TextSpan::Code(text) => page.element("code", &[], text),
            TextSpan::Soft(text) => page.element("span", &[("class", &"soft")], text),
            TextSpan::Break => page.raw("<br/>"),
            TextSpan::Proof { id, verdict, words } => {
                let (class, sign) = (class(*verdict), sign(*verdict));
                page.open("span", &[("class", &format!("proof {class}"))]).text(format!("{sign} {words}: "));
                page.element("a", &[("href", &format!("#check-{id}"))], id).raw("</span>")
            }
        };
    }
}

fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "good",
        Verdict::Fail => "bad",
        Verdict::Skip => "warn",
    }
}
