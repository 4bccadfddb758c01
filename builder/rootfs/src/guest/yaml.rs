//! Writer of YAML 1.2, block style: every string in double quotes, escaped as in JSON, of which that part of YAML is a
//! superset. A value can neither end its line nor become another type.

use diorite_model::{Error, Result};
use serde_json::Value;

/// The text of a document whose top is a mapping.
///
/// # Errors
/// [`Exit::Bug`](diorite_model::Exit::Bug) for anything else at the top, and for a key that is no plain word.
pub fn document(value: &Value) -> Result<String> {
    let mut text = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => block(value, 0, &mut text)?,
        _ => return Err(Error::bug("a YAML document without a mapping")),
    }
    Ok(text)
}

/// What stands on the same line; none for what needs lines of its own.
fn inline(value: &Value) -> Option<String> {
    match value {
        Value::Object(map) if map.is_empty() => Some("{}".into()),
        Value::Array(list) if list.is_empty() => Some("[]".into()),
        Value::Object(_) | Value::Array(_) => None,
        scalar => Some(scalar.to_string()),
    }
}

fn block(value: &Value, indent: usize, text: &mut String) -> Result<()> {
    let blank = " ".repeat(indent);
    match value {
        Value::Object(map) => {
            for (key, below) in map {
                let plain = key.starts_with(|c: char| c.is_ascii_alphabetic())
                    && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
                if !plain {
                    return Err(Error::bug(format!("{key:?} is not a plain key")));
                }
                // Words that other readers take for truth values.
                let key = if ["y", "n", "yes", "no", "on", "off", "true", "false", "null"].contains(&key.as_str()) {
                    format!("\"{key}\"")
                } else {
                    key.clone()
                };
                match inline(below) {
                    Some(scalar) => *text += &format!("{blank}{key}: {scalar}\n"),
                    None => {
                        *text += &format!("{blank}{key}:\n");
                        block(below, indent + 2, text)?;
                    }
                }
            }
        }
        Value::Array(list) => {
            for item in list {
                match inline(item) {
                    Some(scalar) => *text += &format!("{blank}- {scalar}\n"),
                    None => {
                        let mut below = String::new();
                        block(item, indent + 2, &mut below)?;
                        // The dash takes the place of the first blanks.
                        *text += &format!("{blank}- {}", &below[indent + 2..]);
                    }
                }
            }
        }
        scalar => *text += &format!("{blank}{scalar}\n"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn blocks() {
        let value = json!({
            "a": 1, "b": "x: y\n- z", "c": [], "d": {}, "list": ["one", {"k": "v", "m": [true, [1]]}], "on": null
        });
        let text = document(&value).unwrap();
        let lines = "a: 1\nb: \"x: y\\n- z\"\nc: []\nd: {}\nlist:\n  - \"one\"\n  - k: \"v\"\n    m:\n      - true\n      \
                     - - 1\n\"on\": null\n";
        assert_eq!(text, lines);
        assert!(document(&json!([1])).is_err() && document(&json!({"a\nb": 1})).is_err());
    }
}
