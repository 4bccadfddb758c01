//! Comparison → Markdown, for a comment below a pull request: a line that says all, then a table for each subject.

use super::sections;
use crate::Comparison;
use std::fmt::Write as _;

/// The whole comparison.
pub fn markdown(c: &Comparison) -> String {
    let mut text = format!("## {} → {}\n\n", cell(&sections::side(&c.a)), cell(&sections::side(&c.b)));
    let all = sections::of(c);
    if c.equal {
        text.push_str("Nothing differs.\n");
    } else {
        let words: Vec<String> =
            all.iter().map(|s| format!("{}: {}", s.title.to_lowercase(), s.rows.len() + s.more)).collect();
        let _ = writeln!(text, "{}.", words.join(", "));
    }
    for section in all {
        let long = section.rows.len() > 20;
        if long {
            let _ = write!(
                text,
                "\n<details><summary>{} ({})</summary>\n",
                section.title,
                section.rows.len() + section.more
            );
        } else {
            let _ = write!(text, "\n### {}\n", section.title);
        }
        let [what, before, after, how] = section.head;
        let _ = write!(text, "\n| {what} | {before} | {after} | {how} |\n|---|---|---|---|\n");
        for row in &section.rows {
            let _ = writeln!(text, "| {} |", row.iter().map(|c| cell(c)).collect::<Vec<_>>().join(" | "));
        }
        if section.more > 0 {
            let _ = writeln!(text, "\n… and {} more.", section.more);
        }
        if long {
            text.push_str("\n</details>\n");
        }
    }
    let entries = sections::entries(c);
    if !entries.is_empty() {
        let _ = write!(text, "\n<details><summary>What the changelogs say ({})</summary>\n", entries.len());
        for (head, lines) in entries {
            // Indented by four, so that nothing in it is markup.
            let _ = write!(text, "\n{}\n\n", cell(&head));
            lines.iter().for_each(|line| _ = writeln!(text, "    {line}"));
        }
        text.push_str("\n</details>\n");
    }
    for missing in &c.not_compared {
        let _ = writeln!(text, "\nNot compared: {}.", cell(missing));
    }
    text
}

/// Text that stays in its cell and cannot become markup.
fn cell(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' | '#' | '~' => out.extend(['\\', c]),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
