//! Comparison → lines for a terminal of 80 columns: one block for each change.

use super::sections;
use crate::Comparison;
use std::fmt::Write as _;

/// The whole comparison.
pub fn text(c: &Comparison) -> String {
    let mut text = format!("{} → {}\n", sections::side(&c.a), sections::side(&c.b));
    if c.equal {
        text.push_str("\nequal\n");
    }
    for section in sections::of(c) {
        let _ = writeln!(text, "\n{}", section.title);
        for [what, before, after, how] in &section.rows {
            let (before, after) = (short(before), short(after));
            let values = match (before.as_str(), after.as_str()) {
                ("–", "–") => String::new(),
                ("–", after) => after.to_owned(),
                (before, "–") => before.to_owned(),
                (before, after) => format!("{before} → {after}"),
            };
            let line = format!("  {what}: {how}");
            if values.is_empty() {
                let _ = writeln!(text, "{line}");
            } else if line.len() + values.len() < 78 {
                let _ = writeln!(text, "{line}, {values}");
            } else {
                let _ = writeln!(text, "{line}\n      {values}");
            }
        }
        if section.more > 0 {
            let _ = writeln!(text, "  … and {} more (--json has all)", section.more);
        }
    }
    for (head, lines) in sections::entries(c) {
        let _ = writeln!(text, "\n{head}");
        lines.iter().for_each(|line| _ = writeln!(text, "  {line}"));
    }
    for missing in &c.not_compared {
        let _ = writeln!(text, "\nnot compared: {missing}");
    }
    text
}

/// A value that leaves room for the other one.
fn short(value: &str) -> String {
    const LONGEST: usize = 64;
    match value.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}…", &value[..cut]),
        None => value.to_owned(),
    }
}
