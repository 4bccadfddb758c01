//! `import`: tables of a profile from another tool's file.

use crate::args::ImportVerb;
use crate::context::Context;
use crate::{out, textfile};
use diorite_import::{Imported, Note};
use diorite_model::{Exit, Result};
use serde_json::json;
use std::path::Path;

/// Prints the tables, and says what is not in them.
pub fn run(verb: &ImportVerb, context: &Context) -> Result<Exit> {
    let ImportVerb::Compose { file } = verb;
    let text = textfile::read_as(file, "compose file", "YAML")?;
    let imported = diorite_import::compose(&text, &file.display().to_string())?;
    match context.json {
        true => out::line(json(&imported))?,
        false => {
            out::print(&imported.profile)?;
            for note in &imported.notes {
                context.progress.say(said(note, file));
            }
        }
    }
    Ok(Exit::Done)
}

fn json(imported: &Imported) -> String {
    let note = |n: &Note| json!({ "line": n.line, "key": n.key, "what": n.what });
    let notes: Vec<_> = imported.notes.iter().map(note).collect();
    json!({ "schema": 1, "profile": imported.profile, "notes": notes }).to_string()
}

/// A note; one about the tables themselves has no line.
fn said(note: &Note, file: &Path) -> String {
    match note.line {
        0 => format!("in the tables: {}", note.what),
        line => format!("{}:{line}: {}: {}", file.display(), note.key, note.what),
    }
}
