//! The user's text with the place of every key and value, read from TOML and joined along `extends`.

use crate::{Error, Result};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Most mistakes that are shown at once.
const MOST: usize = 20;

/// Largest profile we read, in bytes: a thousand times more than a person writes.
pub const LARGEST: usize = 1 << 20;

/// Bytes `start..end` of file number `file`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Which file, in the order of reading.
    pub file: usize,
    /// First byte.
    pub start: usize,
    /// Behind the last byte.
    pub end: usize,
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub struct Value {
    /// Its bytes in the user's file.
    pub span: Span,
    /// The value itself.
    pub kind: Kind,
}

/// What a profile can hold; floats and dates are kept only to be refused by name.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A string.
    Text(String),
    /// An integer.
    Integer(i64),
    /// true or false.
    Boolean(bool),
    /// A list.
    List(Vec<Value>),
    /// A table.
    Table(Table),
    /// Something that no key holds, in words.
    Other(&'static str),
}

/// Keys with their own places.
pub type Table = BTreeMap<String, (Span, Value)>;

impl Kind {
    /// The kind in a person's words.
    pub fn words(&self) -> &'static str {
        match self {
            Kind::Text(_) => "a string",
            Kind::Integer(_) => "an integer",
            Kind::Boolean(_) => "a boolean",
            Kind::List(_) => "a list",
            Kind::Table(_) => "a table",
            Kind::Other(words) => words,
        }
    }
}

/// What kind of file is read, in the words of the errors about it.
#[derive(Debug, Clone, Copy)]
pub struct Words {
    /// `profile`.
    pub noun: &'static str,
    /// Why a secret has no place in it.
    pub no_secret: &'static str,
    /// Where the secret belongs instead.
    pub instead: &'static str,
}

impl Default for Words {
    fn default() -> Self {
        Self {
            noun: "profile",
            no_secret: "a profile names credentials, never values: many read it, and its recipe, and the image",
            instead: "give it to the machine as a systemd credential and name that here; change it as well, \
                      since it has been written down",
        }
    }
}

/// Every file read so far.
#[derive(Debug, Default)]
pub struct Files {
    files: Vec<(String, String)>,
    /// Files that are no profiles, by the path that a profile names: their places in `files`.
    attached: BTreeMap<String, usize>,
    pub(super) words: Words,
    /// Where mistakes are gathered: see [`Files::gather`].
    gathered: Mutex<Option<Vec<Error>>>,
}

impl Files {
    /// Files that are not profiles.
    pub fn called(words: Words) -> Self {
        Self { words, ..Self::default() }
    }

    /// Keeps the text of a file that is no profile, by the path that a profile names it by.
    pub(super) fn attach(&mut self, path: &str, name: &str, text: &str) -> Result<()> {
        if text.len() > LARGEST {
            return Err(Error::input("this file is too large to be read by a person")
                .at(name)
                .because(format!("it has more than {LARGEST} bytes")));
        }
        let file = self.files.len();
        self.files.push((name.to_owned(), text.to_owned()));
        if let Some(found) = crate::secret::find(text.as_bytes()).into_iter().next() {
            let span = Span { file, start: found.at.start, end: found.at.end };
            return Err(self.secret(span, format!("this file holds what looks like {}", found.what)));
        }
        self.attached.insert(path.to_owned(), file);
        Ok(())
    }

    /// Whether there is such a file.
    pub(super) fn has(&self, path: &str) -> bool {
        self.attached.contains_key(path)
    }

    /// The text of such a file, and its number for [`Span::file`].
    pub(crate) fn attached(&self, path: &str) -> Option<(usize, &str)> {
        let file = *self.attached.get(path)?;
        Some((file, &self.files[file].1))
    }

    /// Reads one file into a table.
    pub fn read(&mut self, name: &str, text: &str) -> Result<Value> {
        if text.len() > LARGEST {
            let noun = self.words.noun;
            return Err(Error::input(format!("this {noun} is too large to be one"))
                .at(name)
                .because(format!("it has more than {LARGEST} bytes"))
                .hint(format!("a {noun} is a page or two: is this the right file?")));
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let file = self.files.len();
        self.files.push((name.to_owned(), text.to_owned()));
        // Comments and keys that do not exist are read by people as well.
        if let Some(found) = crate::secret::find(text.as_bytes()).into_iter().next() {
            let span = Span { file, start: found.at.start, end: found.at.end };
            return Err(self.secret(span, format!("this {} holds what looks like {}", self.words.noun, found.what)));
        }
        match DeTable::parse(text) {
            Ok(table) => {
                let span = Span { file, start: 0, end: 0 };
                let (_, kind) = (table.span(), Kind::Table(self.table(file, table.into_inner())?));
                Ok(Value { span, kind })
            }
            Err(e) => {
                let place = e.span().unwrap_or(0..0);
                let span = Span { file, start: place.start, end: place.end };
                Err(self.error(span, "this is not TOML").because(one_line(e.message())))
            }
        }
    }

    fn table(&self, file: usize, table: DeTable<'_>) -> Result<Table> {
        table
            .into_iter()
            .map(|(key, value)| {
                let place = Span { file, start: key.span().start, end: key.span().end };
                Ok((key.into_inner().into_owned(), (place, self.value(file, value)?)))
            })
            .collect()
    }

    fn value(&self, file: usize, value: Spanned<DeValue<'_>>) -> Result<Value> {
        let span = Span { file, start: value.span().start, end: value.span().end };
        let kind = match value.into_inner() {
            DeValue::String(text) => Kind::Text(text.into_owned()),
            DeValue::Integer(number) => {
                let wrong = || self.error(span, "this number does not fit in 64 bits");
                Kind::Integer(i64::from_str_radix(number.as_str(), number.radix()).map_err(|_| wrong())?)
            }
            DeValue::Boolean(b) => Kind::Boolean(b),
            DeValue::Float(_) => Kind::Other("a number with a fraction"),
            DeValue::Datetime(_) => Kind::Other("a date"),
            DeValue::Array(list) => {
                Kind::List(list.into_iter().map(|v| self.value(file, v)).collect::<Result<Vec<_>>>()?)
            }
            DeValue::Table(table) => Kind::Table(self.table(file, table)?),
        };
        Ok(Value { span, kind })
    }

    /// `FILE:LINE:COLUMN`.
    pub fn place(&self, span: Span) -> String {
        let (line, column, _) = self.line(span);
        format!("{}:{line}:{column}", self.files[span.file].0)
    }

    /// An error about these bytes that shows the user's own line with a caret under them.
    pub fn error(&self, span: Span, what: impl Into<String>) -> Error {
        Error::input(what).at(self.place(span)).detail(self.show(span))
    }

    /// From here on mistakes that do not keep anything else from being read are gathered, and the reading goes on. Whoever
    /// begins this asks for them with [`Files::gathered`].
    pub(crate) fn gather(&self) {
        *self.mistakes() = Some(Vec::new());
    }

    fn mistakes(&self) -> MutexGuard<'_, Option<Vec<Error>>> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every mistake since [`Files::gather`], in the order of their places, as one error.
    pub(crate) fn gathered(&self) -> Result<()> {
        let all = self.mistakes().take().unwrap_or_default();
        let mut all: Vec<Error> = all.into_iter().flat_map(Error::apart).collect();
        all.sort_by_cached_key(|error| {
            let mut words = error.place.as_deref().unwrap_or_default().rsplitn(3, ':');
            let mut number = || words.next().and_then(|word| word.parse::<usize>().ok());
            let (column, line) = (number(), number());
            (words.next().map(str::to_owned), line, column)
        });
        // A table that is read twice says so twice.
        all.dedup_by(|one, other| (&one.place, &one.what) == (&other.place, &other.what));
        if all.len() > MOST {
            let more = format!("{} further mistakes are not shown", all.len() - MOST);
            all.truncate(MOST);
            all.push(Error::input(more).hint("correct these first"));
        }
        Error::all(all).map_or(Ok(()), Err)
    }

    /// Keeps a mistake if mistakes are gathered, and lets the reader go on without what was wrong; else it is the answer.
    pub(super) fn go_on(&self, error: Error) -> Result<()> {
        match self.mistakes().as_mut() {
            Some(all) => all.push(error),
            None => return Err(error),
        }
        Ok(())
    }

    /// An error about a secret: the line is shown without it.
    pub fn secret(&self, span: Span, what: impl Into<String>) -> Error {
        Error::input(what)
            .at(self.place(span))
            .detail(self.line_shown(span, true))
            .because(self.words.no_secret)
            .hint(self.words.instead)
    }

    /// The line, from 1, the column in characters, from 1, and the line's bytes.
    fn line(&self, span: Span) -> (usize, usize, std::ops::Range<usize>) {
        let text = &self.files[span.file].1;
        let at = floor(text, span.start.min(text.len()));
        let start = text[..at].rfind('\n').map_or(0, |i| i + 1);
        let end = text[at..].find('\n').map_or(text.len(), |i| at + i);
        (text[..at].matches('\n').count() + 1, text[start..at].chars().count() + 1, start..end)
    }

    /// The line with a caret under the bytes; long lines are cut around them, control characters are not shown raw.
    pub fn show(&self, span: Span) -> String {
        self.line_shown(span, false)
    }

    /// Dots stand for what is secret by its name or in a URL; with `hidden`, for the bytes themselves as well.
    fn line_shown(&self, span: Span, hidden: bool) -> String {
        const WIDTH: usize = 96;
        let text = &self.files[span.file].1;
        let (number, column, line) = self.line(span);
        let secret = crate::secret::hidden(&text[line.clone()]);
        let mut shown: Vec<char> = text[line.clone()]
            .char_indices()
            .filter(|&(_, c)| c != '\r')
            .map(|(at, c)| match c {
                _ if secret.iter().any(|range| range.contains(&at)) => '•',
                c if c.is_control() || is_bidi(c) => '\u{fffd}',
                c => c,
            })
            .collect();
        let at = column - 1;
        let end = floor(text, span.end.clamp(span.start.min(line.end), line.end));
        let length = text[floor(text, span.start.min(line.end))..end].chars().count().max(1);
        if hidden {
            shown.iter_mut().skip(at).take(length).for_each(|c| *c = '•');
        }
        let from = at.saturating_sub(WIDTH * 2 / 3);
        let cut: String = shown.iter().skip(from).take(WIDTH).collect();
        let (before, after) = (if from > 0 { "…" } else { "" }, if shown.len() > from + WIDTH { "…" } else { "" });
        let margin = " ".repeat(number.to_string().len());
        let gap = " ".repeat(at - from + before.chars().count());
        let carets = "^".repeat(length.min(WIDTH - (at - from).min(WIDTH - 1)));
        format!("{margin} |\n{number} | {before}{}{after}\n{margin} | {gap}{carets}", cut.trim_end())
    }
}

fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Characters that turn the direction of what a person reads (Unicode UAX #9), used to disguise text.
pub fn is_bidi(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{061c}')
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join("; ")
}

/// Lays `over` on `base`: tables join key by key, lists of the machine itself grow (base first), everything else is
/// replaced. What stands in a thing with a name of the user's choice (a link, a container) is replaced, lists too.
pub fn join(base: Value, over: Value, depth: usize, named: bool) -> Value {
    let kind = match (base.kind, over.kind) {
        (Kind::Table(mut under), Kind::Table(above)) => {
            for (key, (place, value)) in above {
                let joined = match under.remove(&key) {
                    Some((_, old)) => {
                        let named = named
                            || (depth == 0
                                && matches!(
                                    key.as_str(),
                                    "network" | "containers" | "container_networks" | "instances" | "mounts"
                                ))
                            || matches!(key.as_str(), "administrators" | "extra" | "sets");
                        join(old, value, depth + 1, named)
                    }
                    None => value,
                };
                under.insert(key, (place, joined));
            }
            Kind::Table(under)
        }
        (Kind::List(mut under), Kind::List(above)) if !named => {
            under.extend(above);
            Kind::List(under)
        }
        (_, above) => above,
    };
    Value { span: over.span, kind }
}
