//! deb822 text (deb-control(5), "syntax of control files" in Debian Policy 5.1): stanzas and their fields, without copying.
//!
//! An index of Debian's main component has seventy thousand stanzas, so nothing is allocated per field: a stanza is a
//! piece of the text, and a field is found by walking its lines.

/// The stanzas of a text: maximal runs of lines that are not empty.
pub fn stanzas(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(['\n', '\r']);
        if rest.is_empty() {
            return None;
        }
        let end = end_of_stanza(rest);
        let (stanza, after) = rest.split_at(end);
        rest = after;
        Some(stanza)
    })
}

/// Position just after the newline that ends the stanza's last line.
fn end_of_stanza(text: &str) -> usize {
    let mut from = 0;
    while let Some(found) = text[from..].find('\n') {
        let next = from + found + 1;
        match text.as_bytes().get(next) {
            None | Some(b'\n') => return next,
            Some(b'\r') if text.as_bytes().get(next + 1) == Some(&b'\n') => return next,
            _ => from = next,
        }
    }
    text.len()
}

/// The fields of a stanza, in order: name and value. A value of several lines is given as it stands, its continuation
/// lines with their leading space; lines that are neither field nor continuation are passed over.
pub fn fields(stanza: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = stanza;
    std::iter::from_fn(move || {
        loop {
            if rest.is_empty() {
                return None;
            }
            let mut end = rest.find('\n').unwrap_or(rest.len());
            while matches!(rest.as_bytes().get(end + 1), Some(b' ' | b'\t')) {
                end = rest[end + 1..].find('\n').map_or(rest.len(), |n| end + 1 + n);
            }
            let line = &rest[..end];
            rest = rest.get(end + 1..).unwrap_or("");
            if let Some((name, value)) = line.split_once(':')
                && !name.contains([' ', '\t', '\n', '#'])
            {
                return Some((name, value.trim()));
            }
        }
    })
}

/// The value of one field; names are compared without regard to case (Policy 5.1).
pub fn field<'a>(stanza: &'a str, name: &str) -> Option<&'a str> {
    fields(stanza).find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stanzas_end_at_empty_lines() {
        let found: Vec<_> = stanzas("\n\nA: 1\nB: 2\n\n\nC: 3\r\n\r\nD: 4").collect();
        assert_eq!(found, ["A: 1\nB: 2\n", "C: 3\r\n", "D: 4"]);
        assert_eq!(stanzas("").count(), 0);
        assert_eq!(stanzas("\n\n").count(), 0);
    }

    #[test]
    fn fields_keep_their_continuation_lines() {
        let text = "Package: a\nTag: one,\n two\n\tthree\n# a comment: x\nEmpty:\nSize: 5";
        let found: Vec<_> = fields(text).collect();
        assert_eq!(found, [("Package", "a"), ("Tag", "one,\n two\n\tthree"), ("Empty", ""), ("Size", "5")]);
        assert_eq!(field(text, "size"), Some("5"));
        assert_eq!(field(text, "two"), None);
    }

    #[test]
    fn odd_lines_do_no_harm() {
        assert_eq!(fields("no colon\n continued: x\nA: b\n").collect::<Vec<_>>(), [("A", "b")]);
        assert_eq!(fields(" leading: x\nA: b").collect::<Vec<_>>(), [("A", "b")]);
    }
}
