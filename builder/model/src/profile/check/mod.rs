//! The profile checked against itself: what is well-formed in every field and still cannot be meant. Each finding
//! shows both lines.

mod access;
mod containers;
mod firewall;
mod hardening;
mod listeners;
mod network;
mod services;
mod state;
mod topology;
mod verify;

pub(super) use verify::check as own_checks;

use super::source::{Files, Kind, Span, Value};
use crate::{Error, Recipe, Result};

/// Where things of a recipe stand in the user's files.
pub(super) struct Places<'a> {
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
    fn finding(&self, path: &str, what: impl Into<String>) -> Error {
        self.files.error(self.of(path), what)
    }

    /// A finding about two paths: shows the first line, and below it the second with what it has to do with it.
    fn between(&self, path: &str, what: impl Into<String>, other: &str, why: &str) -> Error {
        let (one, two) = (self.of(path), self.of(other));
        let second = format!("{why} at {}\n{}", self.files.place(two), self.files.show(two));
        self.files.error(one, what).detail(format!("{}\n{second}", self.files.show(one)))
    }
}

/// Every check, in turn; the first finding is the answer.
pub(super) fn check(recipe: &Recipe, places: &Places) -> Result<()> {
    listeners::check(recipe, places)?;
    topology::check(recipe, places)?;
    network::check(recipe, places)?;
    containers::check(recipe, places)?;
    firewall::check(recipe, places)?;
    services::check(recipe, places)?;
    access::check(recipe, places)?;
    hardening::check(recipe, places)?;
    state::check(recipe, places)
}
