//! Every value of two recipes, by its path: what no subject of its own tells.

use crate::{ValueChange, changes};
use diorite_model::Recipe;
use serde_json::Value;
use std::collections::BTreeMap;

/// The values that differ.
pub fn compare(a: &Recipe, b: &Recipe) -> Vec<ValueChange> {
    let of = |recipe: &Recipe| {
        let mut all = BTreeMap::new();
        flatten(&serde_json::to_value(recipe).expect("a recipe is JSON"), String::new(), &mut all);
        all
    };
    let all = changes(&of(a), &of(b));
    // An order is told where nothing else is said of the list.
    let elsewhere = |list: &str| all.iter().any(|change| change.what.starts_with(&format!("{list}: ")));
    let told = |change: &&ValueChange| change.what.strip_suffix(ORDER).is_none_or(|list| !elsewhere(list));
    all.iter().filter(told).cloned().collect()
}

/// Ends the name of a list as a whole.
const ORDER: &str = ", in this order";

/// Values by `table.key`; of a list each element has its own, `table.key: element`, and the whole has one for its order.
fn flatten(value: &Value, path: String, all: &mut BTreeMap<String, String>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| flatten(value, below(key), all)),
        Value::Array(list) => {
            let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let words: Vec<String> = list.iter().map(word).collect();
            all.extend(words.iter().map(|word| (format!("{path}: {word}"), "there".to_owned())));
            if words.len() > 1 {
                all.insert(format!("{path}{ORDER}"), words.join(", "));
            }
        }
        Value::Null => {}
        Value::String(text) => drop(all.insert(path, text.clone())),
        other => drop(all.insert(path, other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diorite_model::profile;

    fn recipe(more: &str) -> Recipe {
        let text = format!("[image]\nname = \"x\"\nversion = \"1\"\n{more}");
        profile::parse(&text, "x.toml", &mut |_| panic!("nothing is extended")).unwrap().0
    }

    fn said(a: &str, b: &str) -> Vec<String> {
        let word = |value: Option<String>| value.unwrap_or_else(|| "–".into());
        let all = compare(&recipe(a), &recipe(b)).into_iter();
        all.map(|c| format!("{}: {} → {}", c.what, word(c.before), word(c.after))).collect()
    }

    #[test]
    fn a_value_is_named_by_its_path() {
        let zone = said("", "[time]\ntimezone = \"Europe/Vienna\"\n");
        assert!(zone.contains(&"time.timezone: UTC → Europe/Vienna".to_owned()), "{zone:?}");
        assert_eq!(said("", ""), [""; 0]);
    }

    #[test]
    fn a_list_is_told_by_its_elements_and_an_order_alone() {
        let banner = |lines: &str| format!("[access]\nbanner = [{lines}]\n");
        let of = |a: &str, b: &str| said(&banner(a), &banner(b));
        assert_eq!(of("\"a\", \"b\"", "\"a\", \"c\""), ["access.banner: b: there → –", "access.banner: c: – → there"]);
        assert_eq!(of("\"a\", \"b\"", "\"b\", \"a\""), ["access.banner, in this order: a, b → b, a"]);
    }
}
