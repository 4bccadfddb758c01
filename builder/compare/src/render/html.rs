//! Comparison → one HTML page that stands alone.

use super::sections;
use crate::Comparison;
use diorite_page::Page;

/// The whole page.
pub fn html(c: &Comparison) -> String {
    let title = format!("{} → {}", sections::side(&c.a), sections::side(&c.b));
    let mut page = Page::begin("en", &title);
    page.element("h1", &[], &title).raw("\n");
    let (class, word) = if c.equal { ("verdict good", "equal") } else { ("verdict warn", "different") };
    page.element("p", &[("class", &class)], word).raw("\n");
    for (which, side) in [("before", &c.a), ("after", &c.b)] {
        if let Some(hash) = &side.root_hash {
            page.element("p", &[("class", &"mono soft")], format!("root hash {which}: {hash}")).raw("\n");
        }
    }
    for section in sections::of(c) {
        page.element("h2", &[], section.title).raw("\n<div class=\"scroll\"><table><tr>");
        for head in section.head {
            page.element("th", &[], head);
        }
        page.raw("</tr>\n");
        for row in &section.rows {
            page.raw("<tr>");
            for (i, cell) in row.iter().enumerate() {
                let class = if i == 0 { "mono" } else { "" };
                page.element("td", &[("class", &class)], cell);
            }
            page.raw("</tr>\n");
        }
        page.raw("</table></div>\n");
        if section.more > 0 {
            page.element("p", &[("class", &"soft")], format!("… and {} more", section.more)).raw("\n");
        }
    }
    for (head, lines) in sections::entries(c) {
        page.element("h3", &[], head).raw("\n");
        page.element("pre", &[], lines.join("\n")).raw("\n");
    }
    for missing in &c.not_compared {
        page.element("p", &[("class", &"remark")], format!("Not compared: {missing}")).raw("\n");
    }
    page.end()
}
