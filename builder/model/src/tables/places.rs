//! Where things of a recipe stand in the user's files: a finding of a check shows both lines.

use crate::Error;
use crate::profile::source::{Files, Kind, Span, Value};

/// Where things of a recipe stand in the user's files.
pub(crate) struct Places<'a> {
    pub files: &'a Files,
    /// The profile with all it extends.
    pub value: &'a Value,
}

impl Places<'_> {
    /// The place of `containers.web.publish.0.host`: keys and, in lists, numbers, each joined by a dot. What is not
    /// written, a default, has the place of the nearest thing around it that is.
    fn of(&self, path: &str) -> Span {
        let mut value = self.value;
        let mut span = value.span;
        for key in path.split('.') {
            match &value.kind {
                Kind::Table(table) if let Some((place, below)) = table.get(key) => {
                    // A key that names a table shows the table's name, any other the value itself.
                    span = if matches!(below.kind, Kind::Table(_)) { *place } else { below.span };
                    value = below;
                }
                Kind::List(list) if let Some(below) = key.parse().ok().and_then(|i: usize| list.get(i)) => {
                    span = below.span;
                    value = below;
                }
                _ => break,
            }
        }
        span
    }

    /// A finding at one path.
    pub(crate) fn finding(&self, path: &str, what: impl Into<String>) -> Error {
        self.files.error(self.of(path), what)
    }

    /// A finding about two paths: shows the first line, and below it the second with what it has to do with it.
    pub(crate) fn between(&self, path: &str, what: impl Into<String>, other: &str, why: &str) -> Error {
        let (one, two) = (self.of(path), self.of(other));
        let second = format!("{why} at {}\n{}", self.files.place(two), self.files.show(two));
        self.files.error(one, what).detail(format!("{}\n{second}", self.files.show(one)))
    }
}
