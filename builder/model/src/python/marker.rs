//! Environment markers, PEP 508: for which interpreters a requirement counts.

use super::{Python, Specifiers, Version, normalized};
use std::fmt;

/// A condition, such as `python_version < "3.11" and sys_platform != "win32"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// In one spelling: double quotes, one blank between words.
    text: String,
    condition: Condition,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    Both(Box<Condition>, Box<Condition>),
    Either(Box<Condition>, Box<Condition>),
    Compare { left: Operand, operator: &'static str, right: Operand },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Operand {
    Text(String),
    Variable(&'static str),
}

/// Names of variables, and older spellings of them behind the equals sign of each.
const VARIABLES: [(&str, &str); 17] = [
    ("os_name", "os_name"),
    ("os.name", "os_name"),
    ("sys_platform", "sys_platform"),
    ("sys.platform", "sys_platform"),
    ("platform_machine", "platform_machine"),
    ("platform.machine", "platform_machine"),
    ("platform_python_implementation", "platform_python_implementation"),
    ("platform.python_implementation", "platform_python_implementation"),
    ("python_implementation", "platform_python_implementation"),
    ("platform_release", "platform_release"),
    ("platform_system", "platform_system"),
    ("platform_version", "platform_version"),
    ("python_version", "python_version"),
    ("python_full_version", "python_full_version"),
    ("implementation_name", "implementation_name"),
    ("implementation_version", "implementation_version"),
    ("extra", "extra"),
];
const OPERATORS: [&str; 8] = ["===", "~=", "==", "!=", "<=", ">=", "<", ">"];
/// Conditions inside each other: more than anybody writes.
const DEEPEST: usize = 32;

impl Marker {
    /// Reads one. Error: a cause in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser { words: words(text)?, at: 0 };
        let condition = parser.either(0)?;
        match parser.words.get(parser.at) {
            None => {
                let words: Vec<String> = parser.words.iter().map(Word::spelled).collect();
                Ok(Self { text: words.join(" "), condition })
            }
            Some(more) => Err(format!("the marker goes on with `{}` where it should end", more.spelled())),
        }
    }

    /// Whether it is true of this interpreter, and of this extra of the distribution that requires something; an empty
    /// one: of none. Error: a cause in words, where the answer is not known before the machine runs.
    pub fn is_true(&self, python: &Python, extra: &str) -> Result<bool, String> {
        self.condition.is_true(python, extra)
    }

    /// Whether it asks for a variable of this name.
    pub fn asks_for(&self, variable: &str) -> bool {
        self.condition.asks_for(variable)
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Condition {
    fn is_true(&self, python: &Python, extra: &str) -> Result<bool, String> {
        match self {
            Self::Both(one, other) => Ok(one.is_true(python, extra)? && other.is_true(python, extra)?),
            Self::Either(one, other) => Ok(one.is_true(python, extra)? || other.is_true(python, extra)?),
            Self::Compare { left, operator, right } => {
                let (a, b) = (left.value(python, extra)?, right.value(python, extra)?);
                if [left, right].iter().any(|o| **o == Operand::Variable("extra")) {
                    let same = |a: &str, b: &str| normalized(a).ok() == normalized(b).ok();
                    return match *operator {
                        "==" | "===" => Ok(same(&a, &b)),
                        "!=" => Ok(!same(&a, &b)),
                        _ => Err(format!("`extra` cannot be compared by `{operator}`")),
                    };
                }
                compare(&a, operator, &b)
            }
        }
    }

    fn asks_for(&self, variable: &str) -> bool {
        match self {
            Self::Both(one, other) | Self::Either(one, other) => one.asks_for(variable) || other.asks_for(variable),
            Self::Compare { left, right, .. } => {
                [left, right].iter().any(|o| matches!(o, Operand::Variable(name) if *name == variable))
            }
        }
    }
}

/// As versions where both can be one, else as texts.
fn compare(a: &str, operator: &str, b: &str) -> Result<bool, String> {
    match operator {
        "in" => return Ok(b.contains(a)),
        "not in" => return Ok(!b.contains(a)),
        _ => {}
    }
    if let (Ok(clause), Ok(version)) = (Specifiers::one(operator, b), Version::parse(a)) {
        return Ok(clause.contain(&version));
    }
    match operator {
        "==" | "===" => Ok(a == b),
        "!=" => Ok(a != b),
        "<" => Ok(a < b),
        "<=" => Ok(a <= b),
        ">" => Ok(a > b),
        ">=" => Ok(a >= b),
        other => Err(format!("`{}` cannot be compared with `{}` by `{other}`", a.escape_debug(), b.escape_debug())),
    }
}

impl Operand {
    fn value(&self, python: &Python, extra: &str) -> Result<String, String> {
        Ok(match self {
            Self::Text(text) => text.clone(),
            Self::Variable(name) => match *name {
                "os_name" => "posix".into(),
                "sys_platform" => "linux".into(),
                "platform_machine" => "x86_64".into(),
                "platform_python_implementation" => "CPython".into(),
                "platform_system" => "Linux".into(),
                "implementation_name" => "cpython".into(),
                "python_version" => python.short(),
                "python_full_version" | "implementation_version" => python.full.clone(),
                "extra" => extra.to_owned(),
                kernel => {
                    return Err(format!(
                        "`{kernel}` depends on the kernel, which is not known before the machine runs"
                    ));
                }
            },
        })
    }
}

/// A word of a marker.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    Open,
    Close,
    And,
    Or,
    Operator(&'static str),
    Operand(Operand),
}

impl Word {
    fn spelled(&self) -> String {
        match self {
            Self::Open => "(".into(),
            Self::Close => ")".into(),
            Self::And => "and".into(),
            Self::Or => "or".into(),
            Self::Operator(word) | Self::Operand(Operand::Variable(word)) => (*word).into(),
            Self::Operand(Operand::Text(text)) if text.contains('"') => format!("'{text}'"),
            Self::Operand(Operand::Text(text)) => format!("\"{text}\""),
        }
    }
}

fn words(text: &str) -> Result<Vec<Word>, String> {
    let mut all = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, length) = match first {
            '(' => (Word::Open, 1),
            ')' => (Word::Close, 1),
            '"' | '\'' => {
                let end = rest[1..].find(first).ok_or("a quotation mark in the marker is not closed")?;
                let quoted = &rest[1..=end];
                if quoted.contains(|c: char| c.is_control() || c == '\\') {
                    return Err("a text in the marker holds a backslash or a control character".into());
                }
                (Word::Operand(Operand::Text(quoted.to_owned())), end + 2)
            }
            c if "<>=!~".contains(c) => {
                let operator = OPERATORS.into_iter().find(|o| rest.starts_with(o));
                let operator = operator.ok_or_else(|| format!("`{c}` is no comparison in a marker"))?;
                (Word::Operator(operator), operator.len())
            }
            c if c.is_ascii_alphabetic() => {
                let inside = |c: char| c.is_ascii_alphanumeric() || "_.".contains(c);
                let end = rest.find(|c: char| !inside(c)).unwrap_or(rest.len());
                let name = &rest[..end];
                match name {
                    "and" => (Word::And, end),
                    "or" => (Word::Or, end),
                    "in" => (Word::Operator("in"), end),
                    "not" => {
                        let behind = rest[end..].trim_start();
                        let is_in = behind.strip_prefix("in").filter(|b| !b.starts_with(inside));
                        let behind = is_in.ok_or("`not` in a marker is followed by `in`")?;
                        (Word::Operator("not in"), rest.len() - behind.len())
                    }
                    name => {
                        let known = VARIABLES.iter().find(|(said, _)| *said == name);
                        let (_, name) = known.ok_or_else(|| format!("`{name}` is no variable of a marker"))?;
                        (Word::Operand(Operand::Variable(name)), end)
                    }
                }
            }
            c => return Err(format!("`{}` has no place in a marker", c.escape_debug())),
        };
        all.push(word);
        rest = rest[length..].trim_start();
    }
    Ok(all)
}

struct Parser {
    words: Vec<Word>,
    at: usize,
}

impl Parser {
    fn next_is(&mut self, word: &Word) -> bool {
        let found = self.words.get(self.at) == Some(word);
        self.at += usize::from(found);
        found
    }

    fn either(&mut self, depth: usize) -> Result<Condition, String> {
        let mut all = self.both(depth)?;
        while self.next_is(&Word::Or) {
            all = Condition::Either(Box::new(all), Box::new(self.both(depth)?));
        }
        Ok(all)
    }

    fn both(&mut self, depth: usize) -> Result<Condition, String> {
        let mut all = self.single(depth)?;
        while self.next_is(&Word::And) {
            all = Condition::Both(Box::new(all), Box::new(self.single(depth)?));
        }
        Ok(all)
    }

    fn single(&mut self, depth: usize) -> Result<Condition, String> {
        if depth > DEEPEST || self.words.len() > 1000 {
            return Err("the marker has too many conditions".into());
        }
        if self.next_is(&Word::Open) {
            let inner = self.either(depth + 1)?;
            return if self.next_is(&Word::Close) { Ok(inner) } else { Err("`)` is missing in the marker".into()) };
        }
        let left = self.operand()?;
        let operator = match self.words.get(self.at) {
            Some(Word::Operator(operator)) => *operator,
            _ => return Err("a comparison is missing in the marker".into()),
        };
        self.at += 1;
        let right = self.operand()?;
        let variable = |o: &Operand| matches!(o, Operand::Variable(_));
        if !variable(&left) && !variable(&right) {
            return Err("a comparison in the marker has no variable".into());
        }
        Ok(Condition::Compare { left, operator, right })
    }

    fn operand(&mut self) -> Result<Operand, String> {
        match self.words.get(self.at) {
            Some(Word::Operand(operand)) => {
                self.at += 1;
                Ok(operand.clone())
            }
            Some(other) => {
                let word = other.spelled();
                Err(format!("`{word}` stands in the marker where a variable or a text in quotes should"))
            }
            None => Err("the marker ends where a variable or a text in quotes should stand".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn python() -> Python {
        Python { minor: 13, full: "3.13.5".into(), glibc: 41 }
    }

    #[test]
    fn markers_are_evaluated_for_the_containers_interpreter() {
        for (text, meant) in [
            ("python_version < '3.8'", false),
            ("python_version >= \"3.10\"", true),
            ("python_version == '3.13.*'", true),
            ("'3.9' <= python_version", true),
            ("python_full_version < '3.13.6' and python_full_version > '3.13.4'", true),
            ("sys_platform == 'win32' or os_name == 'posix'", true),
            ("sys_platform == \"win32\" and python_version < \"3.8\" or platform_system == 'Linux'", true),
            ("sys_platform == \"win32\" and (python_version < \"3.8\" or platform_system == 'Linux')", false),
            ("platform_machine in 'x86_64 aarch64'", true),
            ("platform_machine not in 'arm64'", true),
            ("platform_python_implementation != 'PyPy'", true),
            ("python_implementation == 'CPython'", true),
            ("implementation_name == 'cpython' and extra == 'Async_IO'", true),
            ("extra == 'test'", false),
            ("extra != 'test'", true),
            ("sys.platform == 'linux'", true),
        ] {
            let marker = Marker::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(marker.is_true(&python(), "async-io"), Ok(meant), "{text}");
            assert_eq!(Marker::parse(&marker.to_string()).unwrap(), marker);
        }
        assert!(Marker::parse("extra == 'x'").unwrap().asks_for("extra"));
        assert!(!Marker::parse("os_name == 'extra'").unwrap().asks_for("extra"));
        let kernel = Marker::parse("platform_release > '6'").unwrap();
        assert!(kernel.is_true(&python(), "").unwrap_err().contains("depends on the kernel"));
    }

    #[test]
    fn what_is_no_marker_is_said() {
        let all = [
            "",
            "python_version",
            "python_version <",
            "python_version < 3.8",
            "python_version < '3.8",
            "(python_version < '3.8'",
            "python_version < '3.8')",
            "python_version < '3.8' and",
            "home == 'x'",
            "'a' == 'b'",
            "os_name not 'x'",
            "os_name = 'x'",
            "os_name == 'a\nb'",
            "os_name == 'x'; id",
            "os_name == 'x' sys_platform == 'y'",
        ];
        let said: Vec<String> = all.iter().map(|t| format!("{t:?}: {}", Marker::parse(t).unwrap_err())).collect();
        insta::assert_snapshot!(said.join("\n"));
        assert!(Marker::parse(&"(".repeat(5000)).is_err());
    }
}
