//! The one door: a recipe that comes from a file is read as if a person had written it. It is written as the profile that
//! says the same, and that text passes the reader with every form and check. What comes out must be what went in.

use super::{Files, section};
use crate::tables;
use crate::{Error, Recipe, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

impl Serialize for Recipe {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        // What serde has derived for the fields, by `remote = "Self"`.
        Recipe::serialize(self, to)
    }
}

impl<'de> Deserialize<'de> for Recipe {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        let recipe = Recipe::deserialize(from)?;
        match admit(&recipe) {
            Ok(()) => Ok(recipe),
            Err(Error { what, cause: Some(cause), .. }) => Err(serde::de::Error::custom(format!("{what}: {cause}"))),
            Err(error) => Err(serde::de::Error::custom(error.what)),
        }
    }
}

/// Refuses a recipe that no profile gives.
fn admit(recipe: &Recipe) -> Result<()> {
    let mut files = Files::default();
    let value = files.read("recipe", &tables::written(recipe).text())?;
    let (read, _) = tables::single(&files, &value)?;
    if read == *recipe {
        return Ok(());
    }
    let json = |recipe: &Recipe| serde_json::to_value(recipe).expect("our own types serialize");
    let path = difference(&json(&read), &json(recipe)).unwrap_or_default();
    Err(Error::input(format!(
        "`{}` has a value that this version of Diorite would not produce from a profile",
        section::printable(&path)
    )))
}

/// The path to the first value that differs.
fn difference(one: &Value, other: &Value) -> Option<String> {
    let below = |key: &str, a: &Value, b: &Value| {
        let inner = difference(a, b)?;
        Some(if inner.is_empty() { key.to_owned() } else { format!("{key}.{inner}") })
    };
    match (one, other) {
        (Value::Object(a), Value::Object(b)) => {
            let keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));
            let get = |map: &serde_json::Map<String, Value>, key: &str| map.get(key).cloned().unwrap_or_default();
            keys.into_iter().find_map(|key| below(key, &get(a, key), &get(b, key)))
        }
        _ if one == other => None,
        _ => Some(String::new()),
    }
}

#[cfg(test)]
mod tests;
