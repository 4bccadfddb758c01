//! The canonical order of packages: base-files and base-passwd, the closure of Essential, then everything else after
//! what it depends on. Names decide between equals and cycles are cut where they close, so the order depends on nothing
//! but the set itself.

use crate::control::Paragraph;
use std::collections::{BTreeMap, BTreeSet};

/// Positions of packages in the order in which they are laid down.
pub struct Order {
    /// All positions of the input, each once.
    pub all: Vec<usize>,
    /// How many of them are the Essential closure: laid down before any script can run.
    pub essential: usize,
}

/// Orders packages by their control paragraphs.
pub fn order(packages: &[&Paragraph]) -> Order {
    let name = |i: usize| packages[i].get("Package").unwrap_or_default();
    let mut by_name: Vec<usize> = (0..packages.len()).collect();
    by_name.sort_by_key(|&i| (name(i), packages[i].get("Architecture")));
    let mut known: BTreeMap<&str, usize> = BTreeMap::new();
    let provided: Vec<_> = by_name.iter().map(|&i| (i, packages[i].relations("Provides"))).collect();
    for (i, groups) in &provided {
        for relation in groups.iter().flatten() {
            known.entry(&relation.name).or_insert(*i);
        }
    }
    for &i in by_name.iter().rev() {
        known.insert(name(i), i);
    }
    let needs: Vec<Vec<usize>> = packages
        .iter()
        .map(|package| {
            let mut needs = Vec::new();
            for group in package.relations("Pre-Depends").iter().chain(&package.relations("Depends")) {
                needs.extend(group.iter().find_map(|r| known.get(r.name.as_str()).copied()));
            }
            needs.sort_by_key(|&i| name(i));
            needs
        })
        .collect();

    let mut all = Vec::new();
    let mut seen = BTreeSet::new();
    let first: Vec<usize> = ["base-files", "base-passwd"].iter().filter_map(|n| known.get(n).copied()).collect();
    for &i in &first {
        seen.insert(i);
        all.push(i);
    }
    for &i in by_name.iter().filter(|&&i| packages[i].get("Essential") == Some("yes")) {
        visit(i, &needs, &mut seen, &mut all);
    }
    for &i in first.iter().flat_map(|&i| &needs[i]) {
        visit(i, &needs, &mut seen, &mut all);
    }
    let essential = all.len();
    for &i in &by_name {
        visit(i, &needs, &mut seen, &mut all);
    }
    Order { all, essential }
}

/// Depth first with a stack of our own: chains of dependencies are long.
fn visit(start: usize, needs: &[Vec<usize>], seen: &mut BTreeSet<usize>, all: &mut Vec<usize>) {
    if !seen.insert(start) {
        return;
    }
    let mut stack = vec![(start, 0)];
    while let Some((i, next)) = stack.pop() {
        match needs[i].get(next) {
            Some(&need) => {
                stack.push((i, next + 1));
                if seen.insert(need) {
                    stack.push((need, 0));
                }
            }
            None => all.push(i),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_come_first_and_the_input_order_does_not_matter() {
        let text = [
            "Package: z\nDepends: y | x",
            "Package: y\nDepends: z, virtual",
            "Package: a\nEssential: yes\nPre-Depends: c (>= 1)",
            "Package: c\nProvides: virtual (= 1)",
            "Package: base-passwd\nDepends: d",
            "Package: d",
            "Package: base-files\nEssential: yes",
        ];
        let mut packages: Vec<_> = text.iter().map(|t| Paragraph::parse(t.as_bytes(), "test").unwrap()).collect();
        let names = |packages: &[Paragraph]| {
            let refs: Vec<_> = packages.iter().collect();
            let o = order(&refs);
            let names: Vec<_> = o.all.iter().map(|&i| packages[i].get("Package").unwrap().to_owned()).collect();
            (names.join(" "), o.essential)
        };
        let expected = ("base-files base-passwd c a d z y".to_owned(), 5);
        // y and z need each other: the cycle is cut at y, which closes it.
        let got = names(&packages);
        assert_eq!(got.1, expected.1);
        packages.reverse();
        assert_eq!(names(&packages), got);
        assert!(got.0.starts_with("base-files base-passwd c a d"));
    }
}
