//! Values as TOML, each in one line.

use std::fmt::Write;

/// A string in quotes, TOML 1.0 "Basic strings".
pub(crate) fn text(value: &str) -> String {
    let mut out = String::from('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{:04X}", c as u32);
            }
            c => out.push(c),
        }
    }
    out + "\""
}

/// A list of strings in one line.
pub(crate) fn list(values: &[String]) -> String {
    format!("[{}]", values.iter().map(|value| text(value)).collect::<Vec<_>>().join(", "))
}

/// A key, in quotes where it needs them.
pub(crate) fn key(name: &str) -> String {
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    if plain { name.to_owned() } else { text(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toml_reads_back_what_was_written() {
        for value in ["plain", "a \"b\" \\c", "x\ny\t\u{1b}\u{7f}", "ä", ""] {
            let table: toml::Table = format!("{} = {}\n", key(value), text(value)).parse().unwrap();
            assert_eq!(table[value].as_str(), Some(value));
        }
    }
}
