//! The declaration of the language: every key of every table, what it holds, its default and its meaning. The reader
//! ([`super::section`]), the JSON Schema and the reference page all follow these declarations, so that they cannot differ.

use super::values::Form;

/// One declared key of a table.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Key.
    pub name: &'static str,
    /// What stands under it.
    pub holds: Holds,
    /// What is meant when it is absent.
    pub absent: Absent,
    /// Meaning, in a line of Markdown.
    pub about: &'static str,
}

/// What a key holds.
#[derive(Debug, Clone, Copy)]
pub enum Holds {
    /// A string of this form.
    Text(&'static Form),
    /// One of these words; each with its meaning.
    Choice(&'static [(&'static str, &'static str)]),
    /// A list of strings of this form, none of them twice.
    Texts(&'static Form),
    /// A list of strings of this form whose order carries meaning, so that one may come twice.
    Words(&'static Form),
    /// true or false.
    Boolean,
    /// An integer, both ends included.
    Integer(i64, i64),
    /// A list of integers, both ends included.
    Integers(i64, i64),
    /// A table.
    Table(&'static [Field]),
    /// A list of tables.
    Tables(&'static [Field]),
    /// Tables by names of the user's choice, of this form.
    Named(&'static Form, &'static [Field]),
    /// Strings of the second form by names of the first.
    Mapping(&'static Form, &'static Form),
}

/// What is meant when a key is absent.
#[derive(Debug, Clone, Copy)]
pub enum Absent {
    /// Nothing: no such thing.
    Nothing,
    /// It must be there.
    Refused,
    /// This string.
    Text(&'static str),
    /// This boolean.
    Boolean(bool),
    /// This integer.
    Integer(i64),
    /// What the words say; the reader of the table works it out.
    Said(&'static str),
}

const fn field(name: &'static str, holds: Holds, about: &'static str) -> Field {
    Field { name, holds, absent: Absent::Nothing, about }
}
/// A string.
pub const fn text(name: &'static str, form: &'static Form, about: &'static str) -> Field {
    field(name, Holds::Text(form), about)
}
/// One of some words.
pub const fn choice(name: &'static str, words: &'static [(&'static str, &'static str)], about: &'static str) -> Field {
    field(name, Holds::Choice(words), about)
}
/// A list of different strings.
pub const fn texts(name: &'static str, form: &'static Form, about: &'static str) -> Field {
    field(name, Holds::Texts(form), about)
}
/// A list of strings in order.
pub const fn words(name: &'static str, form: &'static Form, about: &'static str) -> Field {
    field(name, Holds::Words(form), about)
}
/// true or false.
pub const fn boolean(name: &'static str, about: &'static str) -> Field {
    field(name, Holds::Boolean, about)
}
/// An integer from the first to the second, both included.
pub const fn integer(name: &'static str, least: i64, most: i64, about: &'static str) -> Field {
    field(name, Holds::Integer(least, most), about)
}
/// A list of ports.
pub(super) const fn ports(name: &'static str, about: &'static str) -> Field {
    field(name, Holds::Integers(1, 65_535), about)
}
/// A port, 1 to 65535.
pub const fn port(name: &'static str, about: &'static str) -> Field {
    integer(name, 1, 65_535, about)
}
/// A table.
pub const fn table(name: &'static str, fields: &'static [Field], about: &'static str) -> Field {
    field(name, Holds::Table(fields), about)
}
/// A list of tables.
pub const fn tables(name: &'static str, fields: &'static [Field], about: &'static str) -> Field {
    field(name, Holds::Tables(fields), about)
}
/// Tables by the user's names.
pub const fn named(name: &'static str, form: &'static Form, fields: &'static [Field], about: &'static str) -> Field {
    field(name, Holds::Named(form, fields), about)
}
/// Strings by the user's names.
pub const fn mapping(name: &'static str, key: &'static Form, value: &'static Form, about: &'static str) -> Field {
    field(name, Holds::Mapping(key, value), about)
}

impl Field {
    const fn when_absent(self, absent: Absent) -> Self {
        Self { absent, ..self }
    }
    /// It must be there.
    pub const fn needed(self) -> Self {
        self.when_absent(Absent::Refused)
    }
    /// Its default, a string.
    pub const fn or_text(self, default: &'static str) -> Self {
        self.when_absent(Absent::Text(default))
    }
    /// Its default, a boolean.
    pub const fn or(self, default: bool) -> Self {
        self.when_absent(Absent::Boolean(default))
    }
    /// Its default, an integer.
    pub const fn or_number(self, default: i64) -> Self {
        self.when_absent(Absent::Integer(default))
    }
    /// Its default depends on other things: in words.
    pub const fn or_said(self, words: &'static str) -> Self {
        self.when_absent(Absent::Said(words))
    }
}
