//! `${VARIABLE:-default}` in a compose file: what docker compose takes from the shell that starts it, and an image cannot.

/// A text without variables, and those of them that had no default.
pub(crate) fn interpolated(text: &str) -> (String, Vec<String>) {
    let (mut out, mut missing, mut rest) = (String::new(), Vec::new(), text);
    while let Some(at) = rest.find('$') {
        out += &rest[..at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((inner, after)) = rest.strip_prefix('{').and_then(braces) {
            match default(inner) {
                Some(default) => out += &interpolated(default).0,
                None => missing.push(name(inner).to_owned()),
            }
            rest = after;
        } else {
            let word = name(rest);
            match word.is_empty() {
                true => out.push('$'),
                false => missing.push(word.to_owned()),
            }
            rest = &rest[word.len()..];
        }
    }
    (out + rest, missing)
}

/// What stands between braces that may hold others, and what is behind them.
fn braces(text: &str) -> Option<(&str, &str)> {
    let mut depth = 1;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((&text[..at], &text[at + 1..]));
        }
    }
    None
}

/// The name that a text begins with.
fn name(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// `default` of `NAME:-default` and `NAME-default`.
fn default(inner: &str) -> Option<&str> {
    let rest = &inner[name(inner).len()..];
    rest.strip_prefix(":-").or_else(|| rest.strip_prefix('-'))
}

#[cfg(test)]
mod tests {
    use super::interpolated;

    #[test]
    fn defaults_are_taken_and_what_has_none_is_named() {
        for (text, value, missing) in [
            ("plain", "plain", &[][..]),
            ("${PORT:-8080}:80", "8080:80", &[]),
            ("${A-x}$$HOME", "x$HOME", &[]),
            ("a${TOKEN}b$OTHER.c", "ab.c", &["TOKEN", "OTHER"]),
            ("${A:-${B:-c}}", "c", &[]),
            ("${A:?must be set}", "", &["A"]),
            ("5$ and ${", "5$ and ${", &[]),
        ] {
            let (seen, names) = interpolated(text);
            assert_eq!(
                (seen.as_str(), names.as_slice()),
                (value, &missing.iter().map(|m| (*m).to_owned()).collect::<Vec<_>>()[..]),
                "{text}"
            );
        }
    }
}
