//! Writer of systemd's file format, systemd.syntax(7). A value can neither end its line nor continue on the next.

use diorite_model::{Error, Result};

/// A file of sections and assignments, in the order they were given.
#[derive(Debug, Clone, Default)]
pub struct Ini {
    lines: Vec<Line>,
}

#[derive(Debug, Clone)]
enum Line {
    Section(String),
    Assignment(String, String),
}

impl Ini {
    /// An empty file.
    pub fn new() -> Self {
        Self::default()
    }
    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
    /// Begins a section.
    pub fn section(mut self, name: &str) -> Self {
        self.lines.push(Line::Section(name.to_owned()));
        self
    }
    /// Assigns a value; an empty one resets a list.
    pub fn set(mut self, key: &str, value: impl Into<String>) -> Self {
        self.lines.push(Line::Assignment(key.to_owned(), value.into()));
        self
    }
    /// Assigns a key once per value.
    pub fn each<T: Into<String>>(self, key: &str, values: impl IntoIterator<Item = T>) -> Self {
        values.into_iter().fold(self, |ini, value| ini.set(key, value))
    }
    /// A service that runs once, and whose failure ends the boot: the end of `[Unit]` and the beginning of `[Service]`.
    pub fn once_or_emergency(self) -> Self {
        self.set("OnFailure", "emergency.target")
            .set("OnFailureJobMode", "replace-irreversibly")
            .section("Service")
            .set("Type", "oneshot")
            .set("RemainAfterExit", "yes")
    }
    /// The text.
    ///
    /// # Errors
    /// [`Exit::Bug`](diorite_model::Exit::Bug) for a value that would not be read back as it is: a control character, a
    /// backslash at its end, white space around it. The profile's forms let none of these through.
    pub fn finish(&self) -> Result<Vec<u8>> {
        let mut text = String::new();
        for line in &self.lines {
            match line {
                Line::Section(name) => {
                    if !name.chars().all(|c| c.is_ascii_alphanumeric()) || name.is_empty() {
                        return Err(refused("section", name));
                    }
                    if !text.is_empty() {
                        text.push('\n');
                    }
                    text += &format!("[{name}]\n");
                }
                Line::Assignment(key, value) => {
                    if !key.chars().all(|c| c.is_ascii_alphanumeric()) || key.is_empty() || text.is_empty() {
                        return Err(refused("key", key));
                    }
                    if value.chars().any(char::is_control) || value.ends_with('\\') || value.trim() != value {
                        return Err(refused(key, value));
                    }
                    text += &format!("{key}={value}\n");
                }
            }
        }
        Ok(text.into_bytes())
    }
}

/// Text that holds no specifier when systemd.unit(5) has read it.
pub fn literal(text: &str) -> String {
    text.replace('%', "%%")
}

/// Text as part of a line that systemd, or podman's generator on its way there, expands like a command's: no specifier
/// and no variable is left in it.
pub fn unexpanded(text: &str) -> String {
    literal(text).replace('$', "$$")
}

/// One word of such a line, systemd.syntax(7) "Quoting": read back as this very text.
pub fn word(text: &str) -> String {
    format!("\"{}\"", unexpanded(text).replace('\\', "\\\\").replace('"', "\\\""))
}

fn refused(key: &str, value: &str) -> Error {
    Error::bug(format!("`{key}` cannot be written as {value:?}")).because("it would not stay on its own line")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_plain() {
        let ini = Ini::new().section("Unit").set("Description", "x").section("Service").set("ExecStart", "");
        assert_eq!(ini.finish().unwrap(), b"[Unit]\nDescription=x\n\n[Service]\nExecStart=\n");
    }

    #[test]
    fn words_are_quoted() {
        assert_eq!(word("a b"), r#""a b""#);
        assert_eq!(word(r#"50% of $HOME "x" c:\n"#), r#""50%% of $$HOME \"x\" c:\\n""#);
    }

    #[test]
    fn no_value_leaves_its_line() {
        for bad in ["a\nb", "a\rb", "a\0", "a\\", " a", "a ", "a\u{85}b", "\x1b[2J"] {
            assert!(Ini::new().section("Unit").set("Description", bad).finish().is_err(), "{bad:?}");
            assert!(Ini::new().section("Unit").set(bad, "x").finish().is_err(), "{bad:?}");
            assert!(Ini::new().section(bad).finish().is_err(), "{bad:?}");
        }
        assert!(Ini::new().set("Description", "without section").finish().is_err());
    }
}
