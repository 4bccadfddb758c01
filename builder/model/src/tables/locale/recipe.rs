//! Language of programs.

use serde::{Deserialize, Serialize};

/// The name of the locale that the C library always has.
pub const C_UTF8: &str = "C.UTF-8";

/// Language of programs, locale(7). Its encoding is always UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Locale {
    /// LANG of every program: `C.UTF-8`, `de_AT.UTF-8`.
    pub lang: String,
    /// Further locales that programs can be told to use.
    pub more: Vec<String>,
}

impl Locale {
    /// The locales that must be compiled, sorted.
    pub fn compiled(&self) -> Vec<String> {
        let all = std::iter::once(&self.lang).chain(&self.more).filter(|name| *name != C_UTF8);
        let all: std::collections::BTreeSet<&String> = all.collect();
        all.into_iter().cloned().collect()
    }
}
