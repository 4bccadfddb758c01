//! A policy of attestations as people write it: whose word about an image counts, and what has to be said before the image is
//! used. A table of a target, or a file of its own. Pure.
//!
//! ```toml
//! keys = ["keys/ci.pub", "keys/rebuilder.pub"]
//! require = ["provenance", "test-result", "rebuild"]
//! max_age_days = 90
//! ```

use crate::profile::reader::{Files, Section, Words, integer, texts};
use crate::profile::{Field, Form, Look};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// Kinds of statements, by name.
pub const KINDS: [&str; 4] = ["provenance", "test-result", "vsa", "rebuild"];

const KIND: Form = Form {
    allowed: "`provenance`, `test-result`, `vsa`, `rebuild`",
    longest: 20,
    look: Look::Plain,
    check: |text| if KINDS.contains(&text) { Ok(()) } else { Err("there is no such kind of statement".into()) },
};

const KEY: Form = Form {
    allowed: "a public key's file, `~/` being the home directory",
    longest: 400,
    look: Look::Plain,
    check: |text| match text.chars().find(|c| !c.is_ascii_alphanumeric() && !"/~._-+@ ".contains(*c)) {
        Some(c) => Err(format!("`{c}` is not allowed in it")),
        None if text.is_empty() => Err("it is empty".into()),
        None => Ok(()),
    },
};

/// The keys of the table.
pub const FIELDS: &[Field] = &[
    texts("keys", &KEY, "public keys whose signatures count").needed(),
    texts("require", &KIND, "what has to be said of an image, each by one of the keys").needed(),
    integer("max_age_days", 1, 3650, "how old what `verify` saw may be"),
];

const WORDS: Words = Words {
    noun: "policy",
    no_secret: "it names public keys: many read it",
    instead: "name the file of the public key",
};

/// A policy that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenPolicy {
    /// Files of public keys.
    pub keys: Vec<PathBuf>,
    /// Names out of [`KINDS`].
    pub require: Vec<String>,
    /// How old a test result and a summary may be.
    pub max_age_days: Option<u32>,
    /// Where it is written.
    pub place: String,
}

impl WrittenPolicy {
    /// Reads the table; its paths are relative to `directory`.
    ///
    /// # Errors
    /// With the user's line: no key, nothing required, an unknown kind.
    pub fn of(section: &Section, directory: &Path, home: Option<&str>) -> Result<Self> {
        let keys = section.plain("keys")?.into_iter().map(|file| match (file.strip_prefix("~/"), home) {
            (Some(rest), Some(home)) => Path::new(home).join(rest),
            _ => directory.join(&file),
        });
        let policy = Self {
            keys: keys.collect(),
            require: section.plain("require")?,
            max_age_days: section.number("max_age_days")?.map(|at| at.value),
            place: section.files.place(section.span),
        };
        let empty = |key: &str, why: &str| {
            let span = section.key(key).unwrap_or(section.span);
            let whole = if section.path.is_empty() { key.to_owned() } else { format!("{}.{key}", section.path) };
            Err(section.files.error(span, format!("`{whole}` is empty")).hint(why.to_owned()))
        };
        match (policy.keys.is_empty(), policy.require.is_empty()) {
            (true, _) => empty("keys", "name at least one public key; without a policy, leave the table out"),
            (_, true) => empty("require", "name what has to be said; without a policy, leave the table out"),
            _ => Ok(policy),
        }
    }

    /// Reads a file that is a policy. `file` is its name for people.
    ///
    /// # Errors
    /// With the user's line.
    pub fn parse(text: &str, file: &str, directory: &Path, home: Option<&str>) -> Result<Self> {
        let mut files = Files::called(WORDS);
        let value = files.read(file, text)?;
        let section = Section::new(&files, String::new(), &value, FIELDS)?;
        let policy = Self::of(&section, directory, home)
            .map_err(|e| Error { place: e.place.or_else(|| Some(file.to_owned())), ..e })?;
        Ok(Self { place: file.to_owned(), ..policy })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<WrittenPolicy> {
        WrittenPolicy::parse(text, "policy.toml", Path::new("here"), Some("/home/me"))
    }

    #[test]
    fn a_policy_is_read() {
        let policy = parse("keys = [\"~/ci.pub\", \"a/b.pub\"]\nrequire = [\"rebuild\"]\nmax_age_days = 30\n")
            .expect("a policy");
        assert_eq!(policy.keys, [PathBuf::from("/home/me/ci.pub"), PathBuf::from("here/a/b.pub")]);
        assert_eq!((policy.require.join(","), policy.max_age_days), ("rebuild".into(), Some(30)));
        assert_eq!(policy.place, "policy.toml");
    }

    #[test]
    fn what_is_wrong_is_shown() {
        let texts = [
            "",
            "keys = [\"ci.pub\"]\n",
            "keys = []\nrequire = [\"rebuild\"]\n",
            "keys = [\"ci.pub\"]\nrequire = []\n",
            "keys = [\"ci.pub\"]\nrequire = [\"provenence\"]\n",
            "keys = [\"ci.pub\", \"ci.pub\"]\nrequire = [\"rebuild\"]\n",
            "keys = [\"ci.pub\"]\nrequire = [\"rebuild\"]\nmax_age_days = 0\n",
            "keys = [\"ci.pub\"]\nrequire = [\"rebuild\"]\nmax_age = 3\n",
        ];
        let said: Vec<_> = texts.iter().map(|text| parse(text).expect_err(text).to_string()).collect();
        insta::assert_snapshot!(said.join("\n\n"));
    }
}
