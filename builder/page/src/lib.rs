//! Pages that are HTML and XML at once, and stand alone: nothing in them is fetched and nothing runs. What is not a constant
//! of this program goes in through [`Page::text`] or an attribute's value, and both escape it. All pages have one style.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

use std::fmt::Display;

/// The style of every page: screens wide and narrow, light and dark, and A4.
const STYLE: &str = include_str!("style.css");

/// A page as it grows.
#[derive(Debug, Default)]
pub struct Page(String);

/// Attributes of an element.
pub type Attributes<'a> = &'a [(&'static str, &'a dyn Display)];

impl Page {
    /// Markup of ours, as it is.
    pub fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }
    /// Anybody's text.
    pub fn text(&mut self, text: impl Display) -> &mut Self {
        escape(&mut self.0, &text.to_string());
        self
    }
    /// Begins an element.
    pub fn open(&mut self, tag: &'static str, attributes: Attributes<'_>) -> &mut Self {
        self.tag(tag, attributes);
        self.raw(">")
    }
    /// Ends one.
    pub fn close(&mut self, tag: &'static str) -> &mut Self {
        self.raw("</").raw(tag).raw(">")
    }
    /// An element with nothing in it.
    pub fn empty(&mut self, tag: &'static str, attributes: Attributes<'_>) -> &mut Self {
        self.tag(tag, attributes);
        self.raw("/>")
    }
    /// An element with a text in it.
    pub fn element(&mut self, tag: &'static str, attributes: Attributes<'_>, text: impl Display) -> &mut Self {
        self.open(tag, attributes).text(text).close(tag)
    }
    fn tag(&mut self, tag: &'static str, attributes: Attributes<'_>) {
        self.raw("<").raw(tag);
        for (name, value) in attributes {
            self.raw(" ").raw(name).raw("=\"").text(value).raw("\"");
        }
    }
    /// A page up to the beginning of its body; `language` as in BCP 47.
    pub fn begin(language: &'static str, title: impl Display) -> Self {
        let mut page = Self::default();
        page.raw("<!DOCTYPE html>\n")
            .open("html", &[("lang", &language), ("xmlns", &"http://www.w3.org/1999/xhtml")])
            .raw("<head><meta charset=\"utf-8\"/>\n")
            .raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n")
            .raw("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\"/>\n")
            .element("title", &[], title)
            .raw("<style>\n")
            .raw(STYLE)
            .raw("</style></head><body>\n");
        page
    }
    /// The whole text of a page that [`Self::begin`] began.
    pub fn end(mut self) -> String {
        self.raw("</body></html>\n");
        self.0
    }
    /// The whole text.
    pub fn finish(self) -> String {
        self.0
    }
}

/// For text and for attributes in double quotes. Characters that XML 1.0 §2.2 forbids, and those that turn the direction
/// of a line, are shown as what cannot be shown.
fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}' => {
                out.push('\u{fffd}')
            }
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_its_place() {
        let mut page = Page::default();
        page.element("p", &[("title", &"a\" onload=\"x"), ("class", &"it's")], "</p><script>\u{1b}[1m & \u{202e}");
        assert_eq!(
            page.finish(),
            "<p title=\"a&quot; onload=&quot;x\" class=\"it&#39;s\">&lt;/p&gt;&lt;script&gt;\u{fffd}[1m &amp; \u{fffd}</p>"
        );
    }
}
