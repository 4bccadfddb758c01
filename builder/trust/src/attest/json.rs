//! JSON → a value, with no key twice in any object: two readers of such a text may believe different things.

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

/// Reads a whole text; nesting deeper than 128 is refused.
///
/// # Errors
/// What is wrong with it, and where, as a cause.
pub(super) fn read(text: &[u8]) -> Result<Value, String> {
    let mut from = serde_json::Deserializer::from_slice(text);
    let value = OnceEach.deserialize(&mut from).map_err(|e| e.to_string())?;
    from.end().map_err(|e| e.to_string())?;
    Ok(value)
}

struct OnceEach;

impl<'de> DeserializeSeed<'de> for OnceEach {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for OnceEach {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number is out of range"))
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element_seed(OnceEach)? {
            all.push(item);
        }
        Ok(Value::Array(all))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(OnceEach)?;
            if all.contains_key(&key) {
                return Err(de::Error::custom(format!("the key `{}` stands there twice", key.escape_debug())));
            }
            all.insert(key, value);
        }
        Ok(Value::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stands_once_in_each_object() {
        let good = br#"{"a":{"b":[1,-2,2.5,true,null,"x\u0000"]},"b":{"a":18446744073709551615}}"#;
        assert_eq!(read(good), serde_json::from_slice::<Value>(good).map_err(|e| e.to_string()));
        for wrong in [r#"{"a":1,"a":1}"#, r#"[{"x":{"a":1,"b":2,"\u0061":3}}]"#] {
            assert!(read(wrong.as_bytes()).unwrap_err().starts_with("the key `a` stands there twice at line 1"));
        }
        for wrong in [&b"{} {}"[..], b"", b"{\"a\":", b"\xff", "[".repeat(100_000).as_bytes(), b"1e999"] {
            assert!(read(wrong).is_err());
        }
    }
}
