//! The rules of the firewall, line by line as nft(8) reads them: of images as they are in the root, of recipes as they would be
//! generated.

use super::text;
use crate::ValueChange;
use diorite_image::read::ImageReader;
use diorite_model::{Recipe, Result};
use diorite_rootfs::guest::firewall::{RULES, render, ruleset};
use std::collections::BTreeMap;

/// The lines of two roots that differ.
///
/// # Errors
/// A file is damaged.
pub fn of_images(a: &ImageReader, b: &ImageReader) -> Result<Vec<ValueChange>> {
    Ok(lines(&text(a, RULES)?, &text(b, RULES)?))
}

/// The lines of two recipes that differ.
///
/// # Errors
/// A recipe whose rules cannot be written.
pub fn of_recipes(a: &Recipe, b: &Recipe) -> Result<Vec<ValueChange>> {
    Ok(lines(&render(&ruleset(a))?, &render(&ruleset(b))?))
}

/// Lines that are on one side only, each by the chain it stands in. A line that is there as often on both is the same.
fn lines(before: &str, after: &str) -> Vec<ValueChange> {
    let (old, new) = (by_chain(before), by_chain(after));
    let mut changes = Vec::new();
    for (line, count) in &old {
        let left = count.saturating_sub(new.get(line).copied().unwrap_or(0));
        changes.extend((0..left).map(|_| (line.clone(), true)));
    }
    for (line, count) in &new {
        let left = count.saturating_sub(old.get(line).copied().unwrap_or(0));
        changes.extend((0..left).map(|_| (line.clone(), false)));
    }
    changes.sort();
    let one = |((chain, line), gone): ((String, String), bool)| match gone {
        true => ValueChange { what: chain, before: Some(line), after: None },
        false => ValueChange { what: chain, before: None, after: Some(line) },
    };
    changes.into_iter().map(one).collect()
}

fn by_chain(text: &str) -> BTreeMap<(String, String), usize> {
    let mut chain = String::new();
    let mut all = BTreeMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && *line != "}" && !line.starts_with('#')) {
        if let Some(block) = line.strip_suffix('{') {
            chain = block.trim().to_owned();
            continue;
        }
        *all.entry((chain.clone(), line.to_owned())).or_default() += 1;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_told_with_its_chain() {
        let before = "table inet x {\n\tchain input {\n\t\ttcp dport 22 accept\n\t\tdrop\n\t}\n}\n";
        let after = "table inet x {\n\tchain input {\n\t\ttcp dport { 22, 80 } accept\n\t\tdrop\n\t}\n}\n";
        let change = |before: Option<&str>, after: Option<&str>| ValueChange {
            what: "chain input".into(),
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
        };
        assert_eq!(
            lines(before, after),
            [change(Some("tcp dport 22 accept"), None), change(None, Some("tcp dport { 22, 80 } accept"))]
        );
        assert_eq!(lines(after, after), []);
    }
}
