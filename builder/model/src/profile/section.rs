//! One table of a profile, read field by field: every key is declared, every value has a form.

use super::source::{Files, Kind, Span, Table, Value};
use super::values::Form;
use crate::{Error, Result};
use std::ops::RangeInclusive;

/// One declared key: its name and what it means, in a line.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Key.
    pub name: &'static str,
    /// Meaning, and the default where there is one.
    pub about: &'static str,
}

/// Short for the tables of fields.
pub(super) const fn field(name: &'static str, about: &'static str) -> Field {
    Field { name, about }
}

/// A value that was read, and where it stands.
#[derive(Debug, Clone)]
pub(super) struct At<T> {
    pub value: T,
    pub span: Span,
}

/// A table of which every key is known to be declared.
#[derive(Clone)]
pub(super) struct Section<'a> {
    pub files: &'a Files,
    /// `firewall.allow`, as the user would write it; empty for the whole profile.
    pub path: String,
    pub span: Span,
    table: &'a Table,
}

impl<'a> Section<'a> {
    /// Refuses everything but a table with declared keys only.
    pub fn new(files: &'a Files, path: String, value: &'a Value, fields: &[Field]) -> Result<Self> {
        let section = Self::open(files, path, value)?;
        for (key, (span, _)) in section.table {
            if !fields.iter().any(|f| f.name == key) {
                let whole = if section.path.is_empty() { "a profile".into() } else { format!("`{}`", section.path) };
                let names: Vec<_> = fields.iter().map(|f| f.name).collect();
                let near = nearest(key, &names).map(|n| format!("did you mean `{n}`? ")).unwrap_or_default();
                return Err(files
                    .error(*span, format!("{whole} has no key `{}`", printable(key)))
                    .hint(format!("{near}it can have: {}", names.join(", "))));
            }
        }
        Ok(section)
    }

    /// Refuses everything but a table; its keys are names the user chose.
    fn open(files: &'a Files, path: String, value: &'a Value) -> Result<Self> {
        match &value.kind {
            Kind::Table(table) => Ok(Self { files, path, span: value.span, table }),
            _ => Err(wrong_kind(files, &path, value, "a table", "")),
        }
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The value under a key.
    fn get(&self, key: &str) -> Option<&'a Value> {
        self.table.get(key).map(|(_, value)| value)
    }

    /// Where the key itself stands.
    pub fn key(&self, key: &str) -> Option<Span> {
        self.table.get(key).map(|(span, _)| *span)
    }

    /// The error of a key that must be there and is not.
    pub fn missing(&self, key: &str, form: &str) -> Error {
        let whole = if self.path.is_empty() { "this profile".into() } else { format!("`{}`", self.path) };
        let hint = format!("write `{key} = …`: {form}");
        self.files.error(self.span, format!("{whole} needs `{key}`")).hint(hint)
    }

    /// A string of this form, if it is there.
    pub fn text(&self, key: &str, form: &Form) -> Result<Option<At<String>>> {
        self.get(key).map(|value| text(self.files, &self.path_of(key), value, form)).transpose()
    }

    /// A string of this form that must be there.
    pub fn needed(&self, key: &str, form: &Form) -> Result<At<String>> {
        self.text(key, form)?.ok_or_else(|| self.missing(key, form.allowed))
    }

    /// A list of strings of this form, empty when absent; none twice unless the order carries meaning.
    pub fn texts(&self, key: &str, form: &Form, twice: bool) -> Result<Vec<At<String>>> {
        let path = self.path_of(key);
        let mut list: Vec<At<String>> = Vec::new();
        for value in self.list(key, &format!("a list of strings, each {}", form.allowed))? {
            let item = text(self.files, &path, value, form)?;
            if let Some(first) = list.iter().find(|i| i.value == item.value)
                && !twice
            {
                return Err(self
                    .files
                    .error(item.span, format!("`{path}` names `{}` twice", item.value))
                    .because(format!("it already stands at {}", self.files.place(first.span)))
                    .hint("remove one of them"));
            }
            list.push(item);
        }
        Ok(list)
    }

    fn list(&self, key: &str, form: &str) -> Result<&'a [Value]> {
        match self.get(key) {
            None => Ok(&[]),
            Some(Value { kind: Kind::List(list), .. }) => Ok(list),
            Some(value) => Err(wrong_kind(self.files, &self.path_of(key), value, "a list", form)),
        }
    }

    /// A boolean, or its default.
    pub fn boolean(&self, key: &str, default: bool) -> Result<bool> {
        match self.get(key) {
            None => Ok(default),
            Some(Value { kind: Kind::Boolean(b), .. }) => Ok(*b),
            Some(value) => Err(wrong_kind(self.files, &self.path_of(key), value, "true or false", "")),
        }
    }

    /// An integer in this range, if it is there.
    pub fn integer(&self, key: &str, range: RangeInclusive<i64>) -> Result<Option<At<i64>>> {
        let form = format!("an integer from {} to {}", range.start(), range.end());
        match self.get(key) {
            None => Ok(None),
            Some(Value { kind: Kind::Integer(n), span }) if range.contains(n) => {
                Ok(Some(At { value: *n, span: *span }))
            }
            Some(Value { kind: Kind::Integer(n), span }) => Err(self
                .files
                .error(*span, format!("`{}` cannot be {n}", self.path_of(key)))
                .hint(format!("allowed: {form}"))),
            Some(value) => Err(wrong_kind(self.files, &self.path_of(key), value, "an integer", &form)),
        }
    }

    /// A port that must be there.
    pub fn port(&self, key: &str) -> Result<At<u16>> {
        let port =
            self.integer(key, 1..=65535)?.ok_or_else(|| self.missing(key, "a port, an integer from 1 to 65535"))?;
        Ok(At { value: u16::try_from(port.value).expect("checked range"), span: port.span })
    }

    /// A table under a key, if it is there.
    pub fn table(&self, key: &str, fields: &[Field]) -> Result<Option<Section<'a>>> {
        self.get(key).map(|v| Section::new(self.files, self.path_of(key), v, fields)).transpose()
    }

    /// A list of tables.
    pub fn tables(&self, key: &str, fields: &[Field]) -> Result<Vec<Section<'a>>> {
        let names: Vec<_> = fields.iter().map(|f| f.name).collect();
        let form = format!("a list of tables with: {}", names.join(", "));
        let path = self.path_of(key);
        self.list(key, &form)?.iter().map(|v| Section::new(self.files, path.clone(), v, fields)).collect()
    }

    /// Tables under names of the user's choice, each name of this form.
    pub fn named(&self, key: &str, name: &Form, fields: &[Field]) -> Result<Vec<(String, Section<'a>)>> {
        let Some(value) = self.get(key) else { return Ok(Vec::new()) };
        let path = self.path_of(key);
        let outer = Section::open(self.files, path.clone(), value)?;
        let mut all = Vec::new();
        for (user, (span, value)) in outer.table {
            (name.check)(user).map_err(|cause| ill_formed(self.files, *span, &path, user, &cause, name))?;
            let mut section = Section::new(self.files, format!("{path}.{user}"), value, fields)?;
            section.span = *span;
            all.push((user.clone(), section));
        }
        Ok(all)
    }
}

fn text(files: &Files, path: &str, value: &Value, form: &Form) -> Result<At<String>> {
    let Kind::Text(text) = &value.kind else {
        return Err(wrong_kind(files, path, value, "a string", form.allowed));
    };
    // No form whatever lets these through: a value can never begin a line of its own in a file we write.
    let cause = match text.chars().find(|&c| c.is_control() || super::source::is_bidi(c)) {
        Some(c) => Err(format!("it holds the control character U+{:04X}", c as u32)),
        None if text.len() > form.longest => Err(format!("it has {} bytes; at most {}", text.len(), form.longest)),
        None => (form.check)(text),
    };
    cause.map_err(|cause| ill_formed(files, value.span, path, text, &cause, form))?;
    Ok(At { value: text.clone(), span: value.span })
}

fn ill_formed(files: &Files, span: Span, path: &str, text: &str, cause: &str, form: &Form) -> Error {
    files
        .error(span, format!("`{path}` cannot be `{}`", printable(text)))
        .because(cause)
        .hint(format!("allowed: {}", form.allowed))
}

fn wrong_kind(files: &Files, path: &str, value: &Value, wanted: &str, form: &str) -> Error {
    let error = files.error(value.span, format!("`{path}` must be {wanted}, not {}", value.kind.words()));
    if form.is_empty() { error } else { error.hint(format!("allowed: {form}")) }
}

/// At most sixty characters, none of which can move a cursor.
fn printable(text: &str) -> String {
    let clean = |c: char| if c.is_control() || super::source::is_bidi(c) { '\u{fffd}' } else { c };
    let mut short: String = text.chars().take(60).map(clean).collect();
    if text.chars().nth(60).is_some() {
        short.push('…');
    }
    short
}

/// The known word with the smallest edit distance, if it is near enough to be meant.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    if word.len() > 40 {
        return None;
    }
    let (distance, best) = known.iter().map(|k| (distance(word, k), *k)).min()?;
    (distance <= 1 + word.len().min(best.len()) / 4).then_some(best)
}

/// Edits (insert, delete, replace, swap neighbours) that turn one word into the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let mut cost = (rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1])).min(rows[i - 1][j] + 1);
            cost = cost.min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                cost = cost.min(rows[i - 2][j - 2] + 1);
            }
            row.push(cost);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_word_is_near() {
        assert_eq!(nearest("prot", &["port", "from", "protocol"]), Some("port"));
        assert_eq!(nearest("pakages", &["packages", "image"]), Some("packages"));
        assert_eq!(nearest("zzz", &["port", "from"]), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
