//! Values as the API gives them: booleans and numbers also as strings, tables of any of them.

use serde_json::Value;
use std::collections::BTreeMap;

/// Booleans come as 1, "1", true.
pub(crate) fn truth(value: &Value) -> bool {
    match value {
        Value::Bool(b) => *b,
        Value::Number(n) => n.as_u64() != Some(0),
        Value::String(s) => !matches!(s.as_str(), "" | "0"),
        _ => false,
    }
}

/// Numbers come as such, or as strings.
pub(crate) fn number(value: Option<&Value>) -> Option<u64> {
    value.and_then(|v| v.as_u64().or_else(|| v.as_str()?.parse().ok()))
}

/// A string under a key; empty where there is none.
pub(crate) fn text<'v>(entry: &'v Value, key: &str) -> &'v str {
    entry.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The entries of a list; none where it is no list.
pub(crate) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A table of strings; numbers and booleans are written out.
pub(crate) fn keys(value: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(u8::from(*yes).to_string()),
        _ => None,
    };
    value.as_object().into_iter().flatten().filter_map(|(key, value)| Some((key.clone(), text(value)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lenient_values() {
        use serde_json::json;
        assert!([json!(1), json!("1"), json!(true), json!(2)].iter().all(truth));
        assert!(![json!(0), json!("0"), json!(false), json!(null), json!("")].iter().any(truth));
        assert_eq!(number(Some(&json!("102"))), Some(102));
    }
}
