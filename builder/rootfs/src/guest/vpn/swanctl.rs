//! Writer of strongSwan's file format, strongswan.conf(5) and swanctl.conf(5): sections in sections, every value quoted.

use diorite_model::{Error, Result};

/// A section: what is assigned in it, and the sections in it, in the order they were given.
#[derive(Debug, Clone, Default)]
pub(super) struct Section(Vec<Entry>);

#[derive(Debug, Clone)]
enum Entry {
    Value(String, String),
    Section(String, Section),
}

impl Section {
    /// Assigns a value.
    pub(super) fn set(mut self, key: &str, value: impl Into<String>) -> Self {
        self.0.push(Entry::Value(key.to_owned(), value.into()));
        self
    }
    /// Assigns a value where there is one.
    pub(super) fn maybe(self, key: &str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.set(key, value),
            None => self,
        }
    }
    /// A section in this one.
    pub(super) fn section(mut self, name: &str, section: Section) -> Self {
        self.0.push(Entry::Section(name.to_owned(), section));
        self
    }
    /// The text.
    ///
    /// # Errors
    /// [`Exit::Bug`](diorite_model::Exit::Bug) for a name that is not one word, or a value with a control character: the
    /// profile's forms let none through.
    pub(super) fn finish(&self) -> Result<Vec<u8>> {
        let mut text = String::new();
        self.write(&mut text, 0)?;
        Ok(text.into_bytes())
    }

    fn write(&self, text: &mut String, depth: usize) -> Result<()> {
        let indent = "  ".repeat(depth);
        for entry in &self.0 {
            match entry {
                Entry::Value(key, value) => {
                    if value.chars().any(char::is_control) {
                        return Err(Error::bug(format!("`{key}` cannot be written as {value:?}")));
                    }
                    let value = value.replace('\\', "\\\\").replace('"', "\\\"");
                    *text += &format!("{indent}{} = \"{value}\"\n", name(key)?);
                }
                Entry::Section(key, section) => {
                    *text += &format!("{indent}{} {{\n", name(key)?);
                    section.write(text, depth + 1)?;
                    *text += &format!("{indent}}}\n");
                }
            }
        }
        Ok(())
    }
}

fn name(text: &str) -> Result<&str> {
    match !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) {
        true => Ok(text),
        false => Err(Error::bug(format!("{text:?} is not a valid name of a section"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_leaves_its_quotes() {
        let inner = Section::default().set("id", r#"a"b\c } # $x"#);
        let text = Section::default().section("x", inner).finish().unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), "x {\n  id = \"a\\\"b\\\\c } # $x\"\n}\n");
        for bad in ["a\nb", "a\0", "\x1b[2J", "a\r"] {
            assert!(Section::default().set("id", bad).finish().is_err(), "{bad:?}");
            assert!(Section::default().set(bad, "x").finish().is_err(), "{bad:?}");
        }
        assert!(Section::default().section("a b", Section::default()).finish().is_err());
    }
}
