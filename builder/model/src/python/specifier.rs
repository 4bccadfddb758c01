//! Which versions will do: PEP 440, "Version specifiers".

use super::Version;
use std::fmt;

/// Clauses that must all be true, `>=1.2,!=1.5.*`; none: any version will do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Specifiers(Vec<Clause>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Clause {
    operator: &'static str,
    /// As it was written, for `===`.
    text: String,
    /// None for an arbitrary text behind `===`.
    version: Option<Version>,
    /// It ends in `.*`.
    prefix: bool,
}

/// Longer ones first, so that `==` is not read as the beginning of `===`.
const OPERATORS: [&str; 8] = ["===", "~=", "==", "!=", "<=", ">=", "<", ">"];

impl Specifiers {
    /// Reads clauses between commas. Error: a cause in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let clauses = text.split(',').map(str::trim).filter(|clause| !clause.is_empty());
        clauses.map(Clause::parse).collect::<Result<_, _>>().map(Self)
    }

    /// One clause, of an operator and a version.
    pub(super) fn one(operator: &str, version: &str) -> Result<Self, String> {
        Clause::parse(&format!("{operator}{version}")).map(|clause| Self(vec![clause]))
    }

    /// Whether this version, as it was written, will do. Versions before a release are not left out.
    pub fn contain(&self, version: &Version) -> bool {
        self.0.iter().all(|clause| clause.contains(version))
    }

    /// Whether there is no clause.
    pub fn is_any(&self) -> bool {
        self.0.is_empty()
    }

    /// The one version that `==` asks for, where that is all they say.
    pub(super) fn exactly(&self) -> Option<&Version> {
        match self.0.as_slice() {
            [Clause { operator: "==", prefix: false, version: Some(version), .. }] => Some(version),
            _ => None,
        }
    }
}

impl fmt::Display for Specifiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.0.iter().map(|c| format!("{}{}", c.operator, c.text)).collect();
        f.write_str(&all.join(","))
    }
}

impl Clause {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{}` is not a clause such as `>=1.2`", text.escape_debug());
        let operator = OPERATORS.into_iter().find(|o| text.starts_with(o)).ok_or_else(wrong)?;
        let version = text[operator.len()..].trim();
        let plain = |c: char| c.is_ascii_alphanumeric() || ".!+-_*".contains(c);
        if version.is_empty() || !version.chars().all(plain) {
            return Err(wrong());
        }
        let said = version.to_owned();
        if operator == "===" {
            return Ok(Self { operator, text: said, version: Version::parse(version).ok(), prefix: false });
        }
        let cut = version.strip_suffix(".*").filter(|_| matches!(operator, "==" | "!="));
        let read = Version::parse(cut.unwrap_or(version)).map_err(|_| wrong())?;
        if read.is_local() && !matches!(operator, "==" | "!=")
            || cut.is_some() && (read.is_local() || read != read.base())
        {
            return Err(wrong());
        }
        if operator == "~=" && read.release().len() < 2 {
            return Err(format!("`{}` needs two numbers at least", text.escape_debug()));
        }
        Ok(Self { operator, text: said, version: Some(read), prefix: cut.is_some() })
    }

    fn contains(&self, candidate: &Version) -> bool {
        let Some(version) = &self.version else { return false };
        let equal = || match self.prefix {
            true => candidate.first(version.release().len()) == version.base(),
            false if version.is_local() => candidate == version,
            false => candidate.public() == *version,
        };
        match self.operator {
            "===" => candidate.to_string() == version.to_string(),
            "==" => equal(),
            "!=" => !equal(),
            "<=" => candidate.public() <= *version,
            ">=" => candidate.public() >= *version,
            "<" => {
                let same = candidate.base() == version.base();
                candidate < version && !(same && candidate.is_before_release() && !version.is_before_release())
            }
            ">" => {
                // Neither a later edition of this very version, nor one that somebody built locally.
                let after = candidate.is_post() && candidate.before_post() == *version;
                candidate > version && !after && candidate.public() != *version
            }
            "~=" => {
                let numbers = version.release().len() - 1;
                candidate.public() >= *version && candidate.first(numbers) == version.first(numbers)
            }
            other => unreachable!("{other} is no operator"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clauses_are_judged_as_the_specification_says() {
        for (clauses, good, bad) in [
            ("", "1.0 2.0a1", ""),
            ("==1.1", "1.1 1.1.0 1.1+local", "1.1.post1 1.2"),
            ("==1.1+x", "1.1+x", "1.1 1.1+y"),
            ("==1.1.*", "1.1 1.1.post1 1.1.5 1.1a1", "1.2 1.10"),
            ("!=1.1.*", "1.2", "1.1.3"),
            ("~=2.2", "2.2 2.3", "2.1 3.0"),
            ("~=1.4.5", "1.4.5 1.4.9", "1.5 1.4.4"),
            ("~=2.2.post3", "2.2.post3 2.3", "2.2 3.0"),
            (">=1.2,<2", "1.2 1.9.9", "2.0 2.0a1 1.1"),
            (">1.7", "1.7.1 1.8", "1.7 1.7.0.post1 1.7+x"),
            (">1.7rc1", "1.7 1.7.post1 1.7+x", "1.7rc1 1.7rc1.post1 1.7b2"),
            (">1.7.post2", "1.7.post3 1.8", "1.7.post2 1.7"),
            ("<3.2", "3.1 3.1.9", "3.2 3.2rc1 3.2.dev1"),
            ("<3.2rc2", "3.2rc1", "3.2rc2"),
            ("===1.0", "1.0", "1.1"),
            (">=3.8,!=3.9.0", "3.8 3.9.1", "3.9 3.7"),
        ] {
            let all = Specifiers::parse(clauses).unwrap();
            assert_eq!(Specifiers::parse(&all.to_string()).unwrap(), all);
            for version in good.split_whitespace() {
                assert!(all.contain(&Version::parse(version).unwrap()), "{version} {clauses}");
            }
            for version in bad.split_whitespace() {
                assert!(!all.contain(&Version::parse(version).unwrap()), "{version} {clauses}");
            }
        }
        for bad in [">=1.0+x", "==1.0+x.*", "1.0", "=1.0", ">", ">=1.*", "~=1", "==1.0;x", "=>1", "== "] {
            assert!(Specifiers::parse(bad).is_err(), "{bad}");
        }
    }
}
