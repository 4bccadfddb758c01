//! The language → a JSON Schema for editors (draft 2020-12) and the reference page, docs/reference/profile.md.

use super::field::{Absent, Field, Holds};
use super::values::{Form, Look};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// A JSON Schema of profiles. What it accepts may still be refused by [`parse`](super::parse), which knows each form
/// in full; what it refuses is always refused. Keys that must be there are demanded only inside lists: everywhere else
/// they may come from the profile that is extended.
pub fn json_schema() -> Value {
    let mut schema = table(super::language(), false);
    let object = schema.as_object_mut().expect("a table's schema is an object");
    object.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
    object.insert("title".into(), "Diorite profile".into());
    schema
}

fn table(fields: &[Field], whole: bool) -> Value {
    let properties: Map<String, Value> = fields.iter().map(|f| (f.name.to_owned(), key(f))).collect();
    let mut schema = json!({ "type": "object", "additionalProperties": false, "properties": properties });
    let needed: Vec<_> = fields.iter().filter(|f| matches!(f.absent, Absent::Refused)).map(|f| f.name).collect();
    if whole && !needed.is_empty() {
        schema["required"] = json!(needed);
    }
    schema
}

fn key(field: &Field) -> Value {
    let mut schema = match field.holds {
        Holds::Text(form) => text(form),
        Holds::Choice(words) => {
            let one = |(word, about): &(&str, &str)| json!({ "const": word, "description": about });
            json!({ "type": "string", "oneOf": words.iter().map(one).collect::<Vec<_>>() })
        }
        Holds::Texts(form) => json!({ "type": "array", "items": text(form), "uniqueItems": true }),
        Holds::Words(form) => json!({ "type": "array", "items": text(form) }),
        Holds::Boolean => json!({ "type": "boolean" }),
        Holds::Integer(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Holds::Integers(least, most) => {
            json!({ "type": "array", "items": { "type": "integer", "minimum": least, "maximum": most } })
        }
        Holds::Table(fields) => table(fields, false),
        Holds::Tables(fields) => json!({ "type": "array", "items": table(fields, true) }),
        Holds::Named(name, fields) => named(name, table(fields, false)),
        Holds::Mapping(name, form) => named(name, text(form)),
    };
    let mut about = field.about.to_owned();
    match field.absent {
        Absent::Nothing => {}
        Absent::Refused => about += "; must be given",
        Absent::Text(default) => schema["default"] = default.into(),
        Absent::Boolean(default) => schema["default"] = default.into(),
        Absent::Integer(default) => schema["default"] = default.into(),
        Absent::Said(words) => {
            let _ = write!(about, "; by default {words}");
        }
    }
    schema["description"] = about.into();
    schema
}

fn named(name: &Form, value: Value) -> Value {
    let names = json!({ "maxLength": name.longest, "description": name.allowed, "pattern": ONE_LINE });
    json!({ "type": "object", "propertyNames": names, "additionalProperties": value })
}

/// No control character.
const ONE_LINE: &str = "^[^\\u0000-\\u001f\\u007f]*$";
/// None but the line break.
const LINES: &str = "^[^\\u0000-\\u0009\\u000b-\\u001f\\u007f]*$";

fn text(form: &Form) -> Value {
    let pattern = if form.look == Look::Certificate { LINES } else { ONE_LINE };
    json!({ "type": "string", "maxLength": form.longest, "pattern": pattern, "description": form.allowed })
}

/// The reference page, in Markdown: a section for each table, a line for each key.
pub fn reference() -> String {
    pages(
        "# Profile reference\n\n\
         Generated from the declarations the profile reader itself follows: `make reference` writes it anew. A key that\n\
         is not listed is refused. `NAME` is a name of your choice; `[]` marks a list of tables. How the tables are meant\n\
         is told in the [guide](../guide/README.md).\n",
        "The profile itself",
        super::language(),
    )
}

/// A page that begins with `head`: a section for each table of a language.
pub(super) fn pages(head: &str, about: &str, fields: &[Field]) -> String {
    let mut page = String::from(head);
    section(&mut page, "", about, fields);
    page
}

fn section(page: &mut String, path: &str, about: &str, fields: &[Field]) {
    let title = if path.is_empty() { "Top level".into() } else { format!("`{path}`") };
    let _ = write!(
        page,
        "\n## {title}\n\n{}.\n\n| key | holds | default | meaning |\n|---|---|---|---|\n",
        sentence(about)
    );
    for field in fields {
        let holds = match field.holds {
            Holds::Table(_) => "a table, below".into(),
            Holds::Tables(_) => "a list of tables, below".into(),
            Holds::Named(form, _) => format!("tables by name, below; a name: {}", form.allowed),
            _ => field.holds.words(),
        };
        let default = match field.absent {
            Absent::Nothing => "–".into(),
            Absent::Refused => "must be given".into(),
            Absent::Text(text) => format!("`\"{text}\"`"),
            Absent::Boolean(value) => format!("`{value}`"),
            Absent::Integer(value) => format!("`{value}`"),
            Absent::Said(words) => words.into(),
        };
        let mut about = field.about.to_owned();
        if let Holds::Choice(words) = field.holds {
            let words: Vec<_> = words.iter().map(|(word, about)| format!("`{word}`: {about}")).collect();
            let _ = write!(about, " ({})", words.join("; "));
        }
        let cell = |text: &str| text.replace('|', "\\|");
        let _ = writeln!(page, "| `{}` | {} | {} | {} |", field.name, cell(&holds), cell(&default), cell(&about));
    }
    for field in fields {
        let below = if path.is_empty() { field.name.to_owned() } else { format!("{path}.{}", field.name) };
        match field.holds {
            Holds::Table(fields) => section(page, &below, field.about, fields),
            Holds::Tables(fields) => section(page, &format!("{below}[]"), field.about, fields),
            Holds::Named(_, fields) => section(page, &format!("{below}.NAME"), field.about, fields),
            _ => {}
        }
    }
}

/// With a capital letter at the front, unless it begins with code.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}
