//! Profile text → [`Recipe`]: what people write becomes what is meant, with every default explicit. Pure.
//!
//! The text is parsed to values that know their place ([`source`]), joined with what it extends, and read table by
//! table ([`tables`]) against declared fields ([`field`], [`section`]) and forms ([`values`]), and checked against itself. Every error shows the user's own line.

mod admission;
pub(crate) mod field;
pub mod scenario;
mod schema;
pub(crate) mod section;
pub(crate) mod settings;
pub(crate) mod source;
mod ssh_key;
pub(crate) mod values;
pub(crate) mod written;

pub use field::{Absent, Field, Holds};
pub use schema::{json_schema, reference};
pub use settings::Settings;
pub use values::{Form, Look, size};

/// The reader itself, for other files that people write: declared fields, errors with the user's line.
pub mod reader {
    pub use super::field::{boolean, choice, integer, mapping, named, port, table, tables, text, texts, words};
    pub use super::section::{At, Section, nearest};
    pub use super::source::{Files, Kind, Span, Table, Value, Words};
}

/// Forms of values that other files of ours share with a profile.
pub(crate) mod forms {
    pub(crate) use super::values::{
        EXTRA_COMPONENT, EXTRA_SUITE, IMAGE_NAME, IMAGE_VERSION, NAME, PACKAGE_NAME, SUITE,
    };
}

use crate::{Error, Recipe, Result, tables};
use source::{Files, Kind, Span, Value};
use std::collections::BTreeMap;

/// Largest profile that is read, in bytes.
pub const LARGEST: usize = source::LARGEST;

/// A profile's text as some loader found it: the file's name for people, and its text.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Path as the user knows it.
    pub file: String,
    /// Contents.
    pub text: String,
}

/// Reads a profile. `load` finds the profile that `extends` names (the name is already checked: no slashes, no dots), and the
/// files that other keys name, as paths relative to the profile: what ends in `.txt` is a container's requirements.
///
/// # Errors
/// [`Exit::Input`](crate::Exit::Input) with the user's line for everything that is wrong in the text, an `extends`
/// cycle included; whatever `load` returns, with the line that asked for it.
pub fn parse(text: &str, file: &str, load: &mut dyn FnMut(&str) -> Result<Loaded>) -> Result<(Recipe, Settings)> {
    let (mut files, value) = joined(text, file, load)?;
    attach(&mut files, &value, load)?;
    tables::recipe(&files, &value)
}

/// Where tables of a profile and what is directly in them begin, as `profiles/server.toml:7:1`, by `table` and `table.key`: of a key
/// that several profiles have, the one that counts.
///
/// # Errors
/// As [`parse`], for what is wrong in the text as TOML.
pub fn places(
    text: &str,
    file: &str,
    load: &mut dyn FnMut(&str) -> Result<Loaded>,
) -> Result<BTreeMap<String, String>> {
    let (files, value) = joined(text, file, load)?;
    let mut places = BTreeMap::new();
    let Kind::Table(tables) = &value.kind else { return Ok(places) };
    for (name, (span, table)) in tables {
        places.insert(name.clone(), files.place(*span));
        if let Kind::Table(keys) = &table.kind {
            places.extend(keys.iter().map(|(key, (span, _))| (format!("{name}.{key}"), files.place(*span))));
        }
    }
    Ok(places)
}

/// The text joined with what it extends.
fn joined(text: &str, file: &str, load: &mut dyn FnMut(&str) -> Result<Loaded>) -> Result<(Files, Value)> {
    let mut files = Files::default();
    let mut value = files.read(file, text)?;
    let mut names: Vec<String> = vec![stem(file)];
    while let Some((name, span)) = take_extends(&files, &mut value)? {
        if names.contains(&name) {
            return Err(files
                .error(span, format!("profile `{name}` extends itself"))
                .because(format!("{} → {name}", names.join(" → ")))
                .hint("remove one `extends`"));
        }
        if names.len() > 8 {
            return Err(files.error(span, "more than eight profiles extend each other").because(names.join(" → ")));
        }
        let place = files.place(span);
        let loaded = load(&name).map_err(|e| pointed(e, &files, span, &place))?;
        let mut base = files.read(&loaded.file, &loaded.text)?;
        // The base's own `extends` is asked for in the next turn.
        let next = match &mut base.kind {
            Kind::Table(table) => table.remove("extends"),
            _ => None,
        };
        value = source::join(base, value, 0, false);
        if let (Some(next), Kind::Table(table)) = (next, &mut value.kind) {
            table.insert("extends".into(), next);
        }
        names.push(name);
    }
    Ok((files, value))
}

/// Finds the files of requirements that containers name. What is wrong with a name is said where it is read.
fn attach(files: &mut Files, value: &Value, load: &mut dyn FnMut(&str) -> Result<Loaded>) -> Result<()> {
    let below = |value: &Value, key: &str| match &value.kind {
        Kind::Table(table) => table.get(key).map(|(_, value)| value.clone()),
        _ => None,
    };
    let Some(Value { kind: Kind::Table(containers), .. }) = below(value, "containers") else { return Ok(()) };
    for (_, container) in containers.values() {
        let Some(Value { kind: Kind::Text(path), span }) = below(container, "wheels") else { continue };
        if files.has(&path) || (values::REQUIREMENTS_FILE.check)(&path).is_err() {
            continue;
        }
        let place = files.place(span);
        let loaded = load(&path).map_err(|e| pointed(e, files, span, &place))?;
        files.attach(&path, &loaded.file, &loaded.text)?;
    }
    Ok(())
}

/// The language: every key a profile can have.
pub fn language() -> &'static [Field] {
    tables::PROFILE
}

/// Removes `extends` from the profile's table and returns its checked value.
fn take_extends(files: &Files, value: &mut Value) -> Result<Option<(String, Span)>> {
    let one = Value { span: value.span, kind: Kind::Table(Default::default()) };
    let Kind::Table(table) = &mut value.kind else { return Ok(None) };
    let Some(entry) = table.remove("extends") else { return Ok(None) };
    let mut small = one;
    if let Kind::Table(t) = &mut small.kind {
        t.insert("extends".into(), entry);
    }
    const EXTENDS: &[Field] = &[tables::PROFILE[0]];
    let section = section::Section::new(files, String::new(), &small, EXTENDS)?;
    Ok(section.text("extends")?.map(|at| (at.value, at.span)))
}

/// A loader's error, with the line that asked.
fn pointed(mut error: Error, files: &Files, span: Span, place: &str) -> Error {
    error.detail.get_or_insert_with(|| files.show(span));
    error.place.get_or_insert_with(|| place.to_owned());
    error
}

/// `server` of `profiles/server.toml`.
fn stem(file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.strip_suffix(".toml").unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests;
