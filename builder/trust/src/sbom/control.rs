//! Debian's control data (deb822(5)) as others wrote it: paragraphs of `Field: value`, read without a complaint, because an
//! image of others may hold anything.

/// One paragraph.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ControlParagraph(Vec<(String, String)>);

impl ControlParagraph {
    /// The value of a field, its lines as written; names are compared without case.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }
    /// The first line of a field.
    pub fn line(&self, name: &str) -> Option<&str> {
        self.get(name)?.lines().next().map(str::trim).filter(|line| !line.is_empty())
    }
}

/// All paragraphs of a file. Bytes that are not UTF-8 are replaced; lines that are neither field nor continuation are passed
/// over.
pub fn paragraphs(bytes: &[u8]) -> Vec<ControlParagraph> {
    let text = String::from_utf8_lossy(bytes);
    let mut all = Vec::new();
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        if line.trim().is_empty() {
            if !fields.is_empty() {
                all.push(ControlParagraph(std::mem::take(&mut fields)));
            }
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push('\n');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':').filter(|_| !line.starts_with('#')) {
            fields.push((name.to_owned(), value.trim().to_owned()));
        }
    }
    if !fields.is_empty() {
        all.push(ControlParagraph(fields));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_read_whatever_they_hold() {
        let all =
            paragraphs(b"Package: a\nDescription: x\n more\n .\n\n\n stray\nno colon\n# note: no\nPackage: b\xff\n");
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].get("package"), Some("a"));
        assert_eq!(all[0].get("Description"), Some("x\nmore\n."));
        assert_eq!(all[0].line("Description"), Some("x"));
        assert_eq!(all[1].get("Package"), Some("b\u{fffd}"));
        assert_eq!(all[1].get("note"), None);
        assert_eq!(paragraphs(b""), []);
    }
}
