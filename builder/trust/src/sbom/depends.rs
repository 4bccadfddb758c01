//! `Depends` and `Pre-Depends` of installed packages → who needs whom.
//!
//! Of alternatives the first that is installed counts, under its own name before one that another package provides. Versions
//! are not compared: who chose the packages did.

use super::debian::InstalledPackage;
use std::collections::BTreeMap;

/// Pairs of ids, the first needing the second.
pub fn pairs(packages: &[InstalledPackage]) -> Vec<(String, String)> {
    let mut named: BTreeMap<&str, Vec<&InstalledPackage>> = BTreeMap::new();
    let mut provided: BTreeMap<String, Vec<&InstalledPackage>> = BTreeMap::new();
    for package in packages {
        named.entry(&package.component.name).or_default().push(package);
        for name in names(package.control.get("Provides").unwrap_or_default()).into_iter().flatten() {
            provided.entry(name).or_default().push(package);
        }
    }
    let mut pairs = Vec::new();
    for package in packages {
        for field in ["Pre-Depends", "Depends"] {
            for alternatives in names(package.control.get(field).unwrap_or_default()) {
                let own = || alternatives.iter().find_map(|name| named.get(name.as_str()));
                let found = own().or_else(|| alternatives.iter().find_map(|name| provided.get(name)));
                let Some(found) = found else { continue };
                // Of several architectures the package's own.
                let same = |p: &&&InstalledPackage| p.component.architecture == package.component.architecture;
                let Some(chosen) = found.iter().find(same).or_else(|| found.first()) else { continue };
                pairs.push((package.component.id(), chosen.component.id()));
            }
        }
    }
    pairs
}

/// The names of a relation field: all of the outer list, one of each inner list.
fn names(value: &str) -> Vec<Vec<String>> {
    let name = |text: &str| {
        let end = |c: char| c.is_whitespace() || "([<:".contains(c);
        let name = text.trim().split(end).next().unwrap_or_default();
        (!name.is_empty()).then(|| name.to_owned())
    };
    value.split(',').map(|group| group.split('|').filter_map(name).collect()).collect()
}
