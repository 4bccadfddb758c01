//! Debian control data: paragraphs, relations between packages, versions (deb-control(5), deb-version(7)).

use diorite_model::{Error, Result};
use std::cmp::Ordering;

/// One paragraph of `Field: value` lines with its text as written.
#[derive(Debug, Clone)]
pub struct Paragraph {
    /// The text, ending in exactly one newline.
    pub text: String,
    fields: Vec<(String, String)>,
}

impl Paragraph {
    /// Parses one paragraph; `place` names the file in errors.
    pub fn parse(bytes: &[u8], place: &str) -> Result<Self> {
        let wrong = |why: &str| Error::input("a package's control file cannot be read").at(place).because(why);
        let text = std::str::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8"))?.trim_end_matches('\n');
        let mut fields: Vec<(String, String)> = Vec::new();
        for line in text.lines() {
            if line.starts_with([' ', '\t']) {
                let (_, value) = fields.last_mut().ok_or_else(|| wrong("it begins with a continuation line"))?;
                value.push('\n');
                value.push_str(line.trim_end());
            } else {
                let (name, value) = line.split_once(':').ok_or_else(|| wrong("a line has no colon"))?;
                fields.push((name.to_owned(), value.trim().to_owned()));
            }
        }
        Ok(Self { text: format!("{text}\n"), fields })
    }
    /// The value of a field; names are compared without case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }
    /// The alternatives of a relation field: all of the outer list, one of each inner list.
    pub fn relations(&self, name: &str) -> Vec<Vec<PackageRelation>> {
        let value = self.get(name).unwrap_or_default();
        value.split(',').map(|group| group.split('|').filter_map(PackageRelation::parse).collect()).collect()
    }
}

/// `name:arch (>= version)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageRelation {
    /// The package.
    pub name: String,
    /// Comparison and version.
    pub version: Option<(String, String)>,
}

impl PackageRelation {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (name, rest) = text.split_at(text.find([' ', '(', '[']).unwrap_or(text.len()));
        let name = name.split(':').next().filter(|n| !n.is_empty())?.to_owned();
        let version = rest.trim().strip_prefix('(').and_then(|r| r.split_once(')')).map(|(inner, _)| {
            let inner = inner.trim();
            let (op, version) = inner.split_at(inner.find(|c| !"<>=".contains(c)).unwrap_or(inner.len()));
            (op.to_owned(), version.trim().to_owned())
        });
        Some(Self { name, version })
    }
    /// Whether a real package of this version satisfies the comparison.
    pub fn admits(&self, version: &str) -> bool {
        let Some((op, wanted)) = &self.version else { return true };
        let order = compare(version, wanted);
        match op.as_str() {
            "<<" => order.is_lt(),
            "<=" | "<" => order.is_le(),
            "=" => order.is_eq(),
            ">=" | ">" => order.is_ge(),
            ">>" => order.is_gt(),
            _ => false,
        }
    }
}

/// Order of two versions by the algorithm of deb-version(7).
pub fn compare(a: &str, b: &str) -> Ordering {
    let split = |v: &str| {
        let (epoch, rest) = v.split_once(':').unwrap_or(("0", v));
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, "0"));
        (epoch.parse::<u64>().unwrap_or(0), upstream.to_owned(), revision.to_owned())
    };
    let (a, b) = (split(a), split(b));
    a.0.cmp(&b.0).then_with(|| part(a.1.as_bytes(), b.1.as_bytes())).then_with(|| part(a.2.as_bytes(), b.2.as_bytes()))
}

fn part(mut a: &[u8], mut b: &[u8]) -> Ordering {
    /// Tilde sorts before the end, letters before other characters.
    fn weight(byte: Option<u8>) -> i32 {
        match byte {
            Some(b'~') => -1,
            None => 0,
            Some(b) if b.is_ascii_digit() => 0,
            Some(b) if b.is_ascii_alphabetic() => b.into(),
            Some(b) => i32::from(b) + 256,
        }
    }
    let digits = |s: &[u8]| s.iter().position(|b| !b.is_ascii_digit()).unwrap_or(s.len());
    while !a.is_empty() || !b.is_empty() {
        while a.first().is_some_and(|c| !c.is_ascii_digit()) || b.first().is_some_and(|c| !c.is_ascii_digit()) {
            let order = weight(a.first().copied()).cmp(&weight(b.first().copied()));
            if order.is_ne() {
                return order;
            }
            a = a.get(1..).unwrap_or_default();
            b = b.get(1..).unwrap_or_default();
        }
        let (x, y) = (a.split_at(digits(a)), b.split_at(digits(b)));
        let strip = |s: &[u8]| s[s.iter().position(|&c| c != b'0').unwrap_or(s.len())..].to_vec();
        let (m, n) = (strip(x.0), strip(y.0));
        let order = m.len().cmp(&n.len()).then_with(|| m.cmp(&n));
        if order.is_ne() {
            return order;
        }
        (a, b) = (x.1, y.1);
    }
    Ordering::Equal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_follow_the_manual() {
        for (low, high) in [
            ("1.0~rc1", "1.0"),
            ("1.0", "1.0-1"),
            ("1.0-1", "1.0-1+b1"),
            ("1.9", "1.10"),
            ("9:1", "10:0"),
            ("1.0~~", "1.0~~a"),
            ("1.0a", "1.0+"),
            ("2.41.5-0+deb13u1", "2.41.10-0"),
            ("99", "1:0"),
        ] {
            assert_eq!(compare(low, high), Ordering::Less, "{low} {high}");
            assert_eq!(compare(high, low), Ordering::Greater);
        }
        assert_eq!(compare("1.00-0", "1.0"), Ordering::Equal);
    }

    #[test]
    fn relations_are_read() {
        let p = Paragraph::parse(b"Package: x\nReplaces: a (<< 2.0~), b:any (>= 1) | c\n", "x").unwrap();
        let r = p.relations("replaces");
        assert_eq!((r.len(), r[1].len()), (2, 2));
        assert!(r[0][0].admits("1.9") && !r[0][0].admits("2.0"));
        assert_eq!(r[1][0].name, "b");
        assert!(Paragraph::parse(b" x\n", "x").is_err());
    }
}
