//! Relationship fields (Policy 7.1): `a (>= 1) | b:any [amd64 !i386] <!nocheck>, c`.
//!
//! Parsed from one stanza at a time, borrowing from the index. Restrictions by architecture and build profile appear in
//! source packages only, but control files of local packages have been seen with them: they are honoured the same way.

use crate::version;
use std::cmp::Ordering;
use std::fmt;

/// One alternative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relation<'a> {
    /// Package or virtual package.
    pub name: &'a str,
    /// `:any`, `:native` or an architecture.
    pub qualifier: Option<&'a str>,
    /// Versions that will do.
    pub version: Option<(Operator, &'a str)>,
}

/// Operators of Policy 7.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `<<`
    Earlier,
    /// `<=`, and the obsolete `<`
    EarlierEqual,
    /// `=`
    Equal,
    /// `>=`, and the obsolete `>`
    LaterEqual,
    /// `>>`
    Later,
}

impl Operator {
    /// Whether `left OPERATOR right`, by the order of deb-version(7).
    pub fn holds(self, left: &str, right: &str) -> bool {
        let order = version::compare(left, right);
        match self {
            Self::Earlier => order == Ordering::Less,
            Self::EarlierEqual => order != Ordering::Greater,
            Self::Equal => order == Ordering::Equal,
            Self::LaterEqual => order != Ordering::Less,
            Self::Later => order == Ordering::Greater,
        }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Earlier => "<<",
            Self::EarlierEqual => "<=",
            Self::Equal => "=",
            Self::LaterEqual => ">=",
            Self::Later => ">>",
        })
    }
}

impl fmt::Display for Relation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        if let Some(qualifier) = self.qualifier {
            write!(f, ":{qualifier}")?;
        }
        match self.version {
            Some((operator, version)) => write!(f, " ({operator} {version})"),
            None => Ok(()),
        }
    }
}

/// The groups of a field: every group must be met, by any of its alternatives. A group of which every alternative is
/// restricted to other architectures or to build profiles is left out. What breaks the syntax is an alternative nothing
/// can meet, so that a damaged field cannot loosen anything.
pub fn groups<'a>(field: &'a str, architecture: &str) -> impl Iterator<Item = Vec<Relation<'a>>> {
    field.split(',').map(str::trim).filter(|group| !group.is_empty()).filter_map(move |group| {
        let alternatives: Vec<_> = group.split('|').filter_map(|text| parse(text, architecture)).collect();
        (!alternatives.is_empty()).then_some(alternatives)
    })
}

/// One alternative; `None` when it is restricted to something else than this architecture without build profiles.
fn parse<'a>(text: &'a str, architecture: &str) -> Option<Relation<'a>> {
    let text = text.trim();
    let end = text.find(|c: char| c.is_whitespace() || "([<".contains(c)).unwrap_or(text.len());
    let (name, mut rest) = text.split_at(end);
    let (name, qualifier) = name.split_once(':').map_or((name, None), |(n, q)| (n, Some(q)));
    let broken = Relation { name: text, qualifier: None, version: Some((Operator::Earlier, "~~~")) };
    let mut relation = Relation { name, qualifier, version: None };
    if name.is_empty() {
        return Some(broken);
    }
    loop {
        rest = rest.trim_start();
        let Some(opening) = rest.chars().next() else { return Some(relation) };
        let closing = match opening {
            '(' => ')',
            '[' => ']',
            // A version operator never stands outside of parentheses, so this opens a build profile.
            '<' => '>',
            _ => return Some(broken),
        };
        let Some((inside, after)) = rest[1..].split_once(closing) else { return Some(broken) };
        rest = after;
        match opening {
            '(' => match constraint(inside) {
                Some(constraint) if relation.version.is_none() => relation.version = Some(constraint),
                _ => return Some(broken),
            },
            '[' if !covers(inside, architecture) => return None,
            // No build profile is ever active here, so `<!nocheck>` holds and `<stage1>` does not.
            '<' if !inside.split_ascii_whitespace().all(|p| p.starts_with('!')) => return None,
            _ => {}
        }
    }
}

fn constraint(text: &str) -> Option<(Operator, &str)> {
    let text = text.trim();
    let end = text.find(|c| !"<>=".contains(c))?;
    let (operator, version) = text.split_at(end);
    let version = version.trim();
    let operator = match operator {
        "<<" => Operator::Earlier,
        "<=" | "<" => Operator::EarlierEqual,
        "=" => Operator::Equal,
        ">=" | ">" => Operator::LaterEqual,
        ">>" => Operator::Later,
        _ => return None,
    };
    (!version.is_empty() && !version.contains(char::is_whitespace)).then_some((operator, version))
}

/// Whether an architecture list (`amd64 arm64`, `!i386`, `linux-any`) covers this architecture.
fn covers(list: &str, architecture: &str) -> bool {
    let matches = |word: &str| {
        word == architecture
            || matches!(word, "any" | "linux-any")
            || word.strip_prefix("any-").or(word.strip_prefix("linux-")) == Some(architecture)
    };
    let mut words = list.split_ascii_whitespace().peekable();
    if words.peek().is_some_and(|w| w.starts_with('!')) {
        return words.all(|w| !matches(w.trim_start_matches('!')));
    }
    words.any(matches)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(field: &str) -> Vec<String> {
        let show = |group: Vec<Relation>| group.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ");
        groups(field, "amd64").map(show).collect()
    }

    #[test]
    fn fields_of_every_form() {
        for (field, expected) in [
            ("libc6 (>= 2.36), zlib1g", vec!["libc6 (>= 2.36)", "zlib1g"]),
            ("a|b (<<1)  |  c( = 2:1-1 )", vec!["a | b (<< 1) | c (= 2:1-1)"]),
            (
                "python3:any (>= 3.11~), perl:native, libx:amd64",
                vec!["python3:any (>= 3.11~)", "perl:native", "libx:amd64"],
            ),
            ("a (< 1), b (> 2)", vec!["a (<= 1)", "b (>= 2)"]),
            ("a [amd64], b [!amd64], c [i386 arm64], d [!i386], e [linux-any], f [any-arm64]", vec!["a", "d", "e"]),
            ("a [i386] | b", vec!["b"]),
            ("a <!nocheck>, b <stage1>, c <!nocheck> <!cross>", vec!["a", "c"]),
            ("a,\n b,\n\tc ,", vec!["a", "b", "c"]),
            ("", vec![]),
            (" , ,", vec![]),
        ] {
            assert_eq!(shown(field), expected, "{field}");
        }
    }

    #[test]
    fn a_broken_relation_is_met_by_nothing() {
        for field in [
            "a (1)",
            "a (>= )",
            "a (>= 1",
            "a b",
            "(>= 1)",
            "a (>= 1) (<< 2)",
            "a [amd64",
            "| |",
            "a (=> 1)",
            "a (>= 1 2)",
        ] {
            let group = groups(field, "amd64").next().unwrap();
            let (operator, version) = group[0].version.unwrap_or_else(|| panic!("{field}"));
            assert!(
                !operator.holds("~~~~", version) || group[0].name.contains([' ', '(', '[']) || group[0].name.is_empty(),
                "{field}"
            );
        }
    }

    #[test]
    fn operators() {
        for (left, operator, right, expected) in [
            ("1", Operator::Earlier, "2", true),
            ("1", Operator::Earlier, "1", false),
            ("1", Operator::EarlierEqual, "1", true),
            ("1-0", Operator::Equal, "1", true),
            ("1", Operator::LaterEqual, "1~rc1", true),
            ("1", Operator::Later, "1", false),
            ("1:0", Operator::Later, "9", true),
        ] {
            assert_eq!(operator.holds(left, right), expected, "{left} {operator} {right}");
        }
    }
}
