//! Answers of `diff` and `whence`, for people and as JSON.

use diorite_compare::Comparison;
use diorite_compare::whence::Whence;

/// What differs, as one JSON value.
pub fn comparison(comparison: &Comparison) -> String {
    serde_json::to_string(comparison).expect("our own types serialize") + "\n"
}

/// Where a path comes from; `line` is that of the profile.
pub fn whence(found: &Whence, line: Option<&str>, as_json: bool) -> String {
    if as_json {
        let mut value = serde_json::to_value(found).expect("our own types serialize");
        value["line"] = line.into();
        return format!("{value}\n");
    }
    let mut text = format!("{}  ({})\n", found.path, found.kind);
    let mut fact = |what: &str, value: &str| text += &format!("  {what:<9} {value}\n");
    fact("from", &found.source);
    if let Some(package) = &found.package {
        fact("version", &format!("{} ({}, {})", package.version, package.architecture, package.release));
        fact("file", &package.path);
    }
    if let Some(overlay) = &found.overlay {
        fact("overlay", overlay);
    }
    match (line, &found.table) {
        (Some(line), _) => fact("profile", line),
        (None, Some(table)) => fact("profile", &format!("no line: what every image has, or the default of [{table}]")),
        _ => {}
    }
    if !found.scripts.is_empty() {
        fact("scripts", &format!("of {} speak of it", found.scripts.join(", ")));
    }
    if let Some((target, source)) = &found.leads_to {
        fact("leads to", &format!("{target}: {source}"));
    }
    if let Some(remark) = &found.remark {
        fact("remark", remark);
    }
    fact("step", &found.step);
    text
}
