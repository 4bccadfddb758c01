//! Values whose name says that they are secret, in what a person wrote: an environment variable, a key.

use super::text::{names_one, userinfo};
use std::net::IpAddr;
use std::ops::Range;

/// Ends of variables' names that only a secret has, beside those of every name.
const VARIABLES: [&str; 3] = ["_pass", "_pwd", "_secret_key_base"];

/// Is this value, under this name, a secret? A path to one, a switch, an address and a placeholder are none.
pub fn holds_one(name: &str, value: &str) -> bool {
    let lower = format!("_{}", name.to_ascii_lowercase().replace('-', "_"));
    (names_one(name) || VARIABLES.iter().any(|end| lower.ends_with(end))) && !harmless(value)
}

fn harmless(value: &str) -> bool {
    const SWITCHES: [&str; 8] = ["yes", "no", "true", "false", "on", "off", "0", "1"];
    let variable = |name: &str| {
        let name = name.strip_prefix('{').and_then(|n| n.strip_suffix('}')).unwrap_or(name);
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    };
    value.is_empty()
        || value.starts_with('/')
        || SWITCHES.contains(&value.to_ascii_lowercase().as_str())
        || value.parse::<IpAddr>().is_ok()
        || value.strip_prefix('$').is_some_and(variable)
        || (value.starts_with('<') && value.ends_with('>'))
}

/// What of a line is not shown to anybody: the values of such names, quoted or not, and who is named in a URL. The line
/// need not be TOML.
pub fn hidden(line: &str) -> Vec<Range<usize>> {
    let values = line.match_indices(['=', ':']).filter_map(|(at, _)| {
        let before = line[..at].trim_end().trim_end_matches(['"', '\'']);
        let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let name = &before[before.trim_end_matches(part).len()..];
        let rest = line[at + 1..].trim_start();
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
        let value = match quote {
            Some(quote) => {
                let value = rest.trim_start_matches(quote);
                &value[..end(value, quote)]
            }
            None => &rest[..rest.find([' ', '\t', ',', '}', ']', '"', '\'']).unwrap_or(rest.len())],
        };
        let start = value.as_ptr() as usize - line.as_ptr() as usize;
        let table = quote.is_none() && value.starts_with(['{', '[']);
        (holds_one(name, value) && !table).then_some(start..start + value.len())
    });
    values.chain(userinfo(line)).collect()
}

/// Where a quoted text ends: at its quote, unless a backslash stands before that.
fn end(text: &str, quote: char) -> usize {
    let mut escaped = false;
    text.find(|c| {
        let ends = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })
    .unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_a_value_make_a_secret() {
        for (name, value) in [
            ("POSTGRES_PASSWORD", "hunter2"),
            ("API_TOKEN", "x"),
            ("smtp-pass", "a b"),
            ("MYSQL_PWD", "$ecret"),
            ("SECRET_KEY_BASE", "12345678"),
        ] {
            assert!(holds_one(name, value), "{name}={value}");
        }
        for (name, value) in [
            ("POSTGRES_PASSWORD_FILE", "/run/secrets/db"),
            ("POSTGRES_PASSWORD", ""),
            ("POSTGRES_PASSWORD", "/run/secrets/db"),
            ("MYSQL_ALLOW_EMPTY_PASSWORD", "yes"),
            ("DB_PASSWORD", "${OTHER}"),
            ("token", "::53"),
            ("OLDPWD", "home"),
            ("COMPASS", "north"),
            ("MAX_TOKENS", "4096"),
        ] {
            assert!(!holds_one(name, value), "{name}={value}");
        }
    }

    #[test]
    fn a_line_is_shown_without_its_secrets() {
        let shown = |line: &str| {
            let mut shown = line.to_owned();
            for at in hidden(line).into_iter().rev() {
                shown.replace_range(at, "•");
            }
            shown
        };
        for (line, without) in [
            ("A = { PASSWORD = \"hunter2\", X = \"1\" }", "A = { PASSWORD = \"•\", X = \"1\" }"),
            ("\"DB_PASSWORD\" = 'a \" b'", "\"DB_PASSWORD\" = '•'"),
            ("password = \"a\\\"b\" # x", "password = \"•\" # x"),
            ("password = \"\"\"hunter2", "password = \"\"\"•"),
            ("password = hunter2", "password = •"),
            ("command = [\"--token=hunter2\"]", "command = [\"--token=•\"]"),
            ("x = [\"https://u:p@a/\", \"s://t@b\"]", "x = [\"https://•@a/\", \"s://•@b\"]"),
            ("secrets.password = { file = \"/run/x\" }", "secrets.password = { file = \"/run/x\" }"),
            ("token = \"::53\"", "token = \"::53\""),
        ] {
            assert_eq!(shown(line), without);
        }
    }
}
