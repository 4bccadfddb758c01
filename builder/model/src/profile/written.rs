//! Recipe → the profile that says the same with every default written out. Only so can a recipe that comes from a file be
//! read by the same reader as what a person wrote.

use std::collections::BTreeMap;
use toml::{Table, Value};

/// One table of such a profile, key by key.
#[derive(Debug, Default)]
pub struct Written(Table);

impl Written {
    /// A key and its value.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.insert(key.to_owned(), value.into());
        self
    }

    /// A key that is left out where there is no value.
    pub fn maybe(self, key: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// A list of strings.
    pub fn list(self, key: &str, list: &[String]) -> Self {
        self.with(key, list.to_vec())
    }

    /// A list of tables.
    pub fn tables<T>(self, key: &str, list: &[T], table: impl Fn(&T) -> Written) -> Self {
        self.with(key, list.iter().map(|item| Value::Table(table(item).0)).collect::<Vec<_>>())
    }

    /// Tables or strings by name.
    pub fn named<T, V: Into<Value>>(self, key: &str, all: &BTreeMap<String, T>, one: impl Fn(&T) -> V) -> Self {
        let all: Table = all.iter().map(|(name, value)| (name.clone(), one(value).into())).collect();
        self.with(key, all)
    }

    /// The text of the profile.
    pub fn text(&self) -> String {
        self.0.to_string()
    }
}

impl From<Written> for Value {
    fn from(written: Written) -> Self {
        Value::Table(written.0)
    }
}

/// An amount in the unit of the profile. What is not in whole MiB comes out otherwise than it went in.
pub fn amount(bytes: u64) -> String {
    format!("{}M", bytes >> 20)
}

/// The word of a value that is one word in JSON: `active-backup`.
pub fn word<T: serde::Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        other => unreachable!("a choice is written as one word, not {other:?}"),
    }
}
