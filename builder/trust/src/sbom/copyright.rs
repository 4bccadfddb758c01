//! debian/copyright in its machine-readable form (version 1.0 of the specification, "DEP-5") → an expression of SPDX.
//!
//! What the file says about all files of the source package, joined by AND. Where one of its licences has no name in SPDX, or
//! the file is of another form, there is no expression: nothing is guessed.

use super::control::paragraphs;
use super::licences::spdx_name;
use std::collections::BTreeSet;

/// The licence of a source package, from its copyright file.
pub fn licence(bytes: &[u8]) -> Option<String> {
    let all = paragraphs(bytes);
    let format = all.first()?.line("Format")?;
    if !format.trim_end_matches('/').ends_with("copyright-format/1.0") {
        return None;
    }
    let mut parts = BTreeSet::new();
    let of_files = all.iter().skip(1).filter(|paragraph| paragraph.get("Files").is_some());
    for paragraph in of_files {
        match expression(paragraph.line("License")?)? {
            Expression::And(inside) => parts.extend(inside),
            part => drop(parts.insert(part)),
        }
    }
    Expression::joined(parts, Expression::And).map(|all| all.text())
}

/// What one `License` field says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Expression {
    One(String),
    And(BTreeSet<Expression>),
    Or(BTreeSet<Expression>),
}

impl Expression {
    fn text(&self) -> String {
        let join = |parts: &BTreeSet<Self>, word: &str| {
            let inner = |part: &Self| match part {
                Self::One(name) => name.clone(),
                part => format!("({})", part.text()),
            };
            parts.iter().map(inner).collect::<Vec<_>>().join(word)
        };
        match self {
            Self::One(name) => name.clone(),
            Self::And(parts) => join(parts, " AND "),
            Self::Or(parts) => join(parts, " OR "),
        }
    }
    /// Several as one, and one as itself; nothing of none.
    fn joined(parts: BTreeSet<Self>, join: fn(BTreeSet<Self>) -> Self) -> Option<Self> {
        if parts.len() < 2 { parts.into_iter().next() } else { Some(join(parts)) }
    }
}

/// `A or B, and C`: `and` binds more than `or`, and a comma before one of them binds less than both.
fn expression(line: &str) -> Option<Expression> {
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    let parse = |parts: Vec<&str>, inner: fn(&str) -> Option<Expression>| -> Option<BTreeSet<Expression>> {
        parts.into_iter().map(inner).collect()
    };
    match (line.contains(", and "), line.contains(", or ")) {
        (true, true) => None,
        (true, false) => Expression::joined(parse(line.split(", and ").collect(), without_commas)?, Expression::And),
        (false, true) => Expression::joined(parse(line.split(", or ").collect(), without_commas)?, Expression::Or),
        (false, false) => without_commas(&line),
    }
}

fn without_commas(text: &str) -> Option<Expression> {
    let all_of = |text: &str| -> Option<Expression> {
        let names: Option<BTreeSet<Expression>> =
            text.split(" and ").map(|name| Some(Expression::One(spdx_name(name)?))).collect();
        Expression::joined(names?, Expression::And)
    };
    let any: Option<BTreeSet<Expression>> = text.split(" or ").map(all_of).collect();
    Expression::joined(any?, Expression::Or)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(licences: &[&str]) -> Option<String> {
        let mut text =
            "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nSource: x\n".to_owned();
        for licence in licences {
            text += &format!("\nFiles: *\nCopyright: 2020 A\n B\nLicense: {licence}\n text\n .\n more\n");
        }
        text += "\nLicense: permissive\n Words that stand alone are the text of a name.\n";
        licence(text.as_bytes())
    }

    #[test]
    fn fields_become_expressions() {
        for (fields, expression) in [
            (&["GPL-2+"][..], "GPL-2.0-or-later"),
            (&["Expat", "GPL-2+", "Expat"], "GPL-2.0-or-later AND MIT"),
            (&["GPL-2+ or Expat"], "GPL-2.0-or-later OR MIT"),
            (&["GPL-2+ or Expat", "ISC"], "(GPL-2.0-or-later OR MIT) AND ISC"),
            (&["ISC and Expat", "ISC"], "ISC AND MIT"),
            (&["GPL-2+ or AFL-2.1, and Expat", "ISC"], "(GPL-2.0-or-later OR AFL-2.1) AND ISC AND MIT"),
            (&["ISC and Expat or GPL-3"], "GPL-3.0-only OR (ISC AND MIT)"),
        ] {
            let made = of(fields).unwrap();
            let sorted = |text: &str| {
                let mut words: Vec<String> =
                    text.split([' ', '(', ')']).filter(|w| !w.is_empty()).map(str::to_owned).collect();
                words.sort();
                words
            };
            assert_eq!(sorted(&made), sorted(expression), "{made}");
            assert_eq!(made.matches('(').count(), expression.matches('(').count(), "{made}");
        }
        assert_eq!(of(&["GPL-2+ or AFL-2.1, and Expat"]).unwrap(), "MIT AND (AFL-2.1 OR GPL-2.0-or-later)");
    }

    #[test]
    fn nothing_is_guessed() {
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["GPL-2+", "permissive"]), None);
        assert_eq!(of(&["GPL-2+ or public-domain"]), None);
        assert_eq!(of(&["GPL-2+, and ISC, or Expat"]), None);
        assert_eq!(of(&[""]), None);
        assert_eq!(licence(b"This is GPL-2+, see /usr/share/common-licenses/GPL-2\n"), None);
        assert_eq!(licence(b""), None);
        assert_eq!(licence(b"Format: http://dep.debian.net/deps/dep5\n\nFiles: *\nLicense: ISC\n"), None);
    }
}
