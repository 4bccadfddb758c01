//! One table of a profile, read key by key as its fields are declared: what a key holds, its form and its default are
//! never said a second time by the one who reads.

use super::field::{Absent, Field, Holds};
use super::source::{Files, Kind, Span, Table, Value};
use super::values::{Form, Look};
use crate::{Error, Result, secret};
use std::collections::BTreeMap;

/// A value that was read, and where it stands.
#[derive(Debug, Clone)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Its bytes in the user's file.
    pub span: Span,
}

/// A table of which every key is known to be declared.
#[derive(Debug, Clone)]
pub struct Section<'a> {
    /// Where errors find the user's text.
    pub files: &'a Files,
    /// `firewall.allow`, as the user would write it; empty for the whole file.
    pub path: String,
    /// Where the table stands.
    pub span: Span,
    table: &'a Table,
    fields: &'static [Field],
}

impl<'a> Section<'a> {
    /// Refuses everything but a table with declared keys only, and with all that must be there.
    pub fn new(files: &'a Files, path: String, value: &'a Value, fields: &'static [Field]) -> Result<Self> {
        let table = open(files, &path, value)?;
        let section = Self { files, path, span: value.span, table, fields };
        let unknown = table.iter().filter(|(key, _)| !fields.iter().any(|f| f.name == key.as_str()));
        let unknown = unknown.map(|(key, (span, value))| section.unknown(key, *span, value)).collect();
        // What else is wrong with such a table may follow from it; the other tables of a file are read all the same.
        match Error::all(unknown) {
            Some(error) if section.path.is_empty() => files.go_on(error)?,
            Some(error) => return Err(error),
            None => {}
        }
        Ok(section)
    }

    /// The error of a key that is not declared.
    fn unknown(&self, key: &str, span: Span, value: &Value) -> Error {
        let whole = match self.path.as_str() {
            "" => format!("a {}", self.files.words.noun),
            path => format!("`{path}`"),
        };
        let holds_secret = match &value.kind {
            Kind::Text(text) => secret::holds_one(key, text),
            Kind::Integer(number) => secret::holds_one(key, &number.to_string()),
            _ => false,
        };
        // Whatever stands there is not shown.
        if holds_secret {
            return self.files.secret(value.span, format!("{whole} has no key `{}`", printable(key)));
        }
        let names: Vec<_> = self.fields.iter().map(|f| f.name).collect();
        let near = nearest(key, &names).map(|n| format!("did you mean `{n}`? ")).unwrap_or_default();
        let error = self.files.error(span, format!("{whole} has no key `{}`", printable(key)));
        error.hint(format!("{near}it can have: {}", names.join(", ")))
    }

    /// Reads one thing of this table. When mistakes are gathered, one in it does not keep the others from being read.
    pub fn part<T>(&self, read: impl FnOnce(&Self) -> Result<T>) -> Result<Option<T>> {
        match read(self) {
            Ok(value) => Ok(Some(value)),
            Err(error) => self.files.go_on(error).map(|()| None),
        }
    }

    /// Tables under names of the user's choice, each read by the same reader.
    pub fn each<T>(&self, key: &str, read: impl Fn(&str, &Section<'a>) -> Result<T>) -> Result<BTreeMap<String, T>> {
        let mut all = BTreeMap::new();
        for (name, section) in self.entries(key)? {
            if let Some(value) = self.part(|_| read(&name, &section?))? {
                all.insert(name, value);
            }
        }
        Ok(all)
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn field(&self, key: &str) -> &'static Field {
        self.fields.iter().find(|f| f.name == key).unwrap_or_else(|| panic!("`{}` is declared", self.path_of(key)))
    }

    /// The value under a key, and its declaration; an error when it is absent and must be there.
    fn get(&self, key: &str) -> Result<(&'static Field, Option<&'a Value>)> {
        let field = self.field(key);
        match self.table.get(key) {
            Some((_, value)) => Ok((field, Some(value))),
            None if matches!(field.absent, Absent::Refused) => Err(self.missing(key)),
            None => Ok((field, None)),
        }
    }

    /// The keys that stand there.
    pub fn keys(&self) -> impl Iterator<Item = (&'a str, Span)> {
        self.table.iter().map(|(key, (span, _))| (key.as_str(), *span))
    }

    /// Where the key itself stands.
    pub fn key(&self, key: &str) -> Option<Span> {
        self.table.get(key).map(|(span, _)| *span)
    }

    /// The error of a key that must be there and is not.
    pub fn missing(&self, key: &str) -> Error {
        let whole = match self.path.as_str() {
            "" => format!("this {}", self.files.words.noun),
            path => format!("`{path}`"),
        };
        let field = self.field(key);
        let hint = format!("write `{key} = …`, {}: {}", self.field(key).about, field.holds.words());
        self.files.error(self.span, format!("{whole} needs `{key}`")).hint(hint)
    }

    /// A string, if it is there or has a default.
    pub fn text(&self, key: &str) -> Result<Option<At<String>>> {
        match self.get(key)? {
            (Field { absent: Absent::Text(default), .. }, None) => {
                Ok(Some(At { value: (*default).to_owned(), span: self.span }))
            }
            (_, None) => Ok(None),
            (Field { holds: Holds::Text(form), .. }, Some(value)) => {
                text(self.files, &self.path_of(key), value, form).map(Some)
            }
            (Field { holds: Holds::Choice(words), .. }, Some(value)) => {
                let (path, allowed) = (self.path_of(key), words_of(words));
                match &value.kind {
                    Kind::Text(t) if words.iter().any(|(w, _)| w == t) => {
                        Ok(Some(At { value: t.clone(), span: value.span }))
                    }
                    Kind::Text(t) => {
                        no_secret(self.files, value.span, &path, t)?;
                        let error = self.files.error(value.span, format!("`{path}` cannot be `{}`", printable(t)));
                        Err(error.hint(format!("allowed: {allowed}")))
                    }
                    _ => Err(wrong_kind(self.files, &path, value, "a string", &allowed)),
                }
            }
            (field, _) => panic!("`{}` holds {:?}", self.path_of(key), field.holds),
        }
    }

    /// A string that is declared as needed, or has a default.
    pub fn needed(&self, key: &str) -> Result<At<String>> {
        self.text(key)?.ok_or_else(|| self.missing(key))
    }

    /// A list of strings, empty when absent.
    pub fn texts(&self, key: &str) -> Result<Vec<At<String>>> {
        let path = self.path_of(key);
        let (field, value) = self.get(key)?;
        let (form, twice) = match field.holds {
            Holds::Texts(form) => (form, false),
            Holds::Words(form) => (form, true),
            holds => panic!("`{path}` holds {holds:?}"),
        };
        let mut list: Vec<At<String>> = Vec::new();
        for value in self.list(key, value)? {
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

    /// A list of strings without their places.
    pub fn plain(&self, key: &str) -> Result<Vec<String>> {
        Ok(self.texts(key)?.into_iter().map(|i| i.value).collect())
    }

    fn list(&self, key: &str, value: Option<&'a Value>) -> Result<&'a [Value]> {
        match value {
            None => Ok(&[]),
            Some(Value { kind: Kind::List(list), .. }) => Ok(list),
            Some(value) => {
                Err(wrong_kind(self.files, &self.path_of(key), value, "a list", &self.field(key).holds.words()))
            }
        }
    }

    /// Strings by the user's names, empty when absent.
    pub fn mapping(&self, key: &str) -> Result<Vec<(String, At<String>)>> {
        let path = self.path_of(key);
        let (field, value) = self.get(key)?;
        let Holds::Mapping(name, form) = field.holds else { panic!("`{path}` holds {:?}", field.holds) };
        let Some(value) = value else { return Ok(Vec::new()) };
        let mut all = Vec::new();
        for (user, (span, value)) in open(self.files, &path, value)? {
            judge(self.files, *span, &path, user, name)?;
            all.push((user.clone(), text(self.files, &format!("{path}.{user}"), value, form)?));
        }
        Ok(all)
    }

    /// Environment variables, of which none may be a secret; `instead` says where the secret of a variable belongs.
    pub fn environment(&self, key: &str, instead: impl Fn(&str) -> String) -> Result<BTreeMap<String, String>> {
        let path = self.path_of(key);
        // Before any other error could repeat a value.
        if let (_, Some(Value { kind: Kind::Table(table), .. })) = self.get(key)? {
            for (variable, (_, value)) in table {
                if let Kind::Text(text) = &value.kind
                    && secret::holds_one(variable, text)
                {
                    let what = format!("`{path}.{}` holds a secret, by its name", printable(variable));
                    return Err(self.files.secret(value.span, what).hint(instead(&printable(variable))));
                }
            }
        }
        Ok(self.mapping(key)?.into_iter().map(|(variable, value)| (variable, value.value)).collect())
    }

    /// A boolean, if it is there or has a default.
    pub fn boolean(&self, key: &str) -> Result<Option<bool>> {
        match self.get(key)? {
            (Field { absent: Absent::Boolean(default), .. }, None) => Ok(Some(*default)),
            (_, None) => Ok(None),
            (_, Some(Value { kind: Kind::Boolean(b), .. })) => Ok(Some(*b)),
            (_, Some(value)) => Err(wrong_kind(self.files, &self.path_of(key), value, "true or false", "")),
        }
    }

    /// A boolean with a declared default.
    pub fn flag(&self, key: &str) -> Result<bool> {
        Ok(self.boolean(key)?.expect("a default is declared"))
    }

    /// An integer, if it is there or has a default.
    pub fn integer(&self, key: &str) -> Result<Option<At<i64>>> {
        let (field, value) = self.get(key)?;
        let Holds::Integer(least, most) = field.holds else {
            panic!("`{}` holds {:?}", self.path_of(key), field.holds)
        };
        match value {
            None => match field.absent {
                Absent::Integer(value) => Ok(Some(At { value, span: self.span })),
                _ => Ok(None),
            },
            Some(Value { kind: Kind::Integer(n), span }) if (least..=most).contains(n) => {
                Ok(Some(At { value: *n, span: *span }))
            }
            Some(Value { kind: Kind::Integer(n), span }) => Err(self
                .files
                .error(*span, format!("`{}` cannot be {n}", self.path_of(key)))
                .hint(format!("allowed: {}", field.holds.words()))),
            Some(value) => Err(wrong_kind(self.files, &self.path_of(key), value, "an integer", &field.holds.words())),
        }
    }

    /// A list of integers of the size its declared range fits, empty when absent.
    pub fn numbers<N: TryFrom<i64>>(&self, key: &str) -> Result<Vec<N>> {
        let (field, value) = self.get(key)?;
        let Holds::Integers(least, most) = field.holds else {
            panic!("`{}` holds {:?}", self.path_of(key), field.holds)
        };
        let one = |value: &Value| match &value.kind {
            Kind::Integer(n) if (least..=most).contains(n) => {
                Ok(N::try_from(*n).ok().expect("the declared range fits"))
            }
            Kind::Integer(n) => Err(self
                .files
                .error(value.span, format!("`{}` cannot hold {n}", self.path_of(key)))
                .hint(format!("allowed: {}", field.holds.words()))),
            _ => Err(wrong_kind(self.files, &self.path_of(key), value, "integers", &field.holds.words())),
        };
        self.list(key, value)?.iter().map(one).collect()
    }

    /// An integer of the size its declared range fits, if it is there or has a default.
    pub fn number<N: TryFrom<i64>>(&self, key: &str) -> Result<Option<At<N>>> {
        let fit =
            |at: At<i64>| At { value: N::try_from(at.value).ok().expect("the declared range fits"), span: at.span };
        Ok(self.integer(key)?.map(fit))
    }

    /// An integer that is declared as needed, or has a default.
    pub fn needed_number<N: TryFrom<i64>>(&self, key: &str) -> Result<At<N>> {
        self.number(key)?.ok_or_else(|| self.missing(key))
    }

    /// A table under a key, if it is there.
    pub fn table(&self, key: &str) -> Result<Option<Section<'a>>> {
        let (field, value) = self.get(key)?;
        let Holds::Table(fields) = field.holds else { panic!("`{}` holds {:?}", self.path_of(key), field.holds) };
        value.map(|v| Section::new(self.files, self.path_of(key), v, fields)).transpose()
    }

    /// A table under a key; when it is absent, one in which every key is.
    pub fn table_or_empty(&self, key: &str) -> Result<Section<'a>> {
        static NONE: Table = Table::new();
        if let Some(section) = self.table(key)? {
            return Ok(section);
        }
        let Holds::Table(fields) = self.field(key).holds else { unreachable!("seen above") };
        Ok(Section { files: self.files, path: self.path_of(key), span: self.span, table: &NONE, fields })
    }

    /// A list of tables.
    pub fn tables(&self, key: &str) -> Result<Vec<Section<'a>>> {
        let path = self.path_of(key);
        let (field, value) = self.get(key)?;
        let Holds::Tables(fields) = field.holds else { panic!("`{path}` holds {:?}", field.holds) };
        self.list(key, value)?.iter().map(|v| Section::new(self.files, path.clone(), v, fields)).collect()
    }

    /// Tables under names of the user's choice, in the order of the names.
    pub fn named(&self, key: &str) -> Result<Vec<(String, Section<'a>)>> {
        self.entries(key)?.into_iter().map(|(name, section)| Ok((name, section?))).collect()
    }

    /// The same, each of them right or wrong by itself.
    fn entries(&self, key: &str) -> Result<Vec<(String, Result<Section<'a>>)>> {
        let path = self.path_of(key);
        let (field, value) = self.get(key)?;
        let Holds::Named(name, fields) = field.holds else { panic!("`{path}` holds {:?}", field.holds) };
        let Some(value) = value else { return Ok(Vec::new()) };
        let one = |(user, (span, value)): (&'a String, &'a (Span, Value))| {
            let section = judge(self.files, *span, &path, user, name)
                .and_then(|()| Section::new(self.files, format!("{path}.{user}"), value, fields))
                .map(|section| Section { span: *span, ..section });
            (user.clone(), section)
        };
        Ok(open(self.files, &path, value)?.iter().map(one).collect())
    }
}

impl Holds {
    /// What is allowed, in words.
    pub fn words(&self) -> String {
        let names = |fields: &[Field]| fields.iter().map(|f| f.name).collect::<Vec<_>>().join(", ");
        match self {
            Holds::Text(form) => form.allowed.into(),
            Holds::Choice(words) => words_of(words),
            Holds::Texts(form) | Holds::Words(form) => format!("a list of strings, each {}", form.allowed),
            Holds::Boolean => "true or false".into(),
            Holds::Integer(least, most) => format!("an integer from {least} to {most}"),
            Holds::Integers(least, most) => format!("a list of integers from {least} to {most}"),
            Holds::Table(fields) => format!("a table with: {}", names(fields)),
            Holds::Tables(fields) => format!("a list of tables with: {}", names(fields)),
            Holds::Named(form, fields) => format!("tables by name ({}) with: {}", form.allowed, names(fields)),
            Holds::Mapping(name, form) => format!("strings ({}) by name ({})", form.allowed, name.allowed),
        }
    }
}

fn words_of(words: &[(&str, &str)]) -> String {
    words.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

fn open<'a>(files: &Files, path: &str, value: &'a Value) -> Result<&'a Table> {
    match &value.kind {
        Kind::Table(table) => Ok(table),
        _ => Err(wrong_kind(files, path, value, "a table", "")),
    }
}

fn text(files: &Files, path: &str, value: &Value, form: &Form) -> Result<At<String>> {
    let Kind::Text(text) = &value.kind else {
        return Err(wrong_kind(files, path, value, "a string", form.allowed));
    };
    judge(files, value.span, path, text, form)?;
    Ok(At { value: text.clone(), span: value.span })
}

fn no_secret(files: &Files, span: Span, path: &str, text: &str) -> Result<()> {
    match secret::in_value(text) {
        Some(found) => Err(files.secret(span, format!("`{path}` holds what looks like {}", found.what))),
        None => Ok(()),
    }
}

fn judge(files: &Files, span: Span, path: &str, text: &str, form: &Form) -> Result<()> {
    if secret::userinfo(text).next().is_some() && (form.check)(text).is_err() {
        // Neither has a place here, and a credential would not help: the value is not repeated.
        return Err(files
            .secret(span, format!("`{path}` names a user or a password"))
            .hint(format!("allowed: {}; change the password, since it has been written down", form.allowed)));
    }
    let secret = match form.look {
        Look::Plain => true,
        Look::Random => (form.check)(text).is_err(),
        Look::Certificate => !text.trim_start().starts_with("-----BEGIN CERTIFICATE-----"),
    };
    if secret {
        no_secret(files, span, path, text)?;
    }
    // A value can never begin a line of its own in a file we write.
    let forbidden =
        |c: char| (c.is_control() && !(form.look == Look::Certificate && c == '\n')) || super::source::is_bidi(c);
    let cause = match text.chars().find(|&c| forbidden(c)) {
        Some(c) => Err(format!("it holds the control character U+{:04X}", c as u32)),
        None if text.len() > form.longest => Err(format!("it has {} bytes; at most {}", text.len(), form.longest)),
        None => (form.check)(text),
    };
    cause.map_err(|cause| ill_formed(files, span, path, text, &cause, form))
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
pub(super) fn printable(text: &str) -> String {
    let clean = |c: char| if c.is_control() || super::source::is_bidi(c) { '\u{fffd}' } else { c };
    let mut short: String = text.chars().take(60).map(clean).collect();
    if text.chars().nth(60).is_some() {
        short.push('…');
    }
    short
}

/// The known word with the smallest edit distance, if it is near enough to be meant.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
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
