//! Comparison → tables in the order in which people want to know them.

use super::{change, mib};
use crate::{Comparison, FieldChange, FileChange, SideName, ValueChange};
use diorite_rootfs::paths::{CARRIED, CONTAINER_STORE};
use std::collections::BTreeMap;

/// Rows of one table that are shown; JSON has all of them.
const MOST: usize = 200;

/// A table.
pub(super) struct ComparisonTable {
    pub title: &'static str,
    pub head: [&'static str; 4],
    pub rows: Vec<[String; 4]>,
    /// Rows that are not shown.
    pub more: usize,
}

/// `one.raw (image, server 1)`.
pub(super) fn side(side: &SideName) -> String {
    match &side.image {
        Some(image) => format!("{} ({}, {image})", side.name, side.kind),
        None => format!("{} ({})", side.name, side.kind),
    }
}

/// The tables that have rows.
pub(super) fn of(c: &Comparison) -> Vec<ComparisonTable> {
    let value = |title, what, list: &[ValueChange]| section(title, [what, "before", "after", ""], list.iter().map(row));
    let all = [
        section("Packages", ["package", "before", "after", "size of its file"], packages(c)),
        section("Changelogs", ["source package", "before", "after", "vulnerabilities it names"], changelogs(c)),
        section(
            "Sizes",
            ["what", "before", "after", "change"],
            c.sizes.iter().map(|s| [s.what.clone(), mib(s.before), mib(s.after), change(s.before, s.after)]),
        ),
        value("Accounts and groups", "who", &c.people),
        value("Units", "unit", &c.units),
        value("Listening ports", "port", &c.ports),
        value("Firewall", "chain", &c.firewall),
        value("Kernel", "what", &c.kernel),
        value("Settings", "key", &c.settings),
        section("Files", ["path", "before", "after", "what"], files(c)),
    ];
    all.into_iter().filter(|section| !section.rows.is_empty()).collect()
}

fn section(title: &'static str, head: [&'static str; 4], rows: impl Iterator<Item = [String; 4]>) -> ComparisonTable {
    let mut rows: Vec<_> = rows.collect();
    let more = rows.len().saturating_sub(MOST);
    rows.truncate(MOST);
    ComparisonTable { title, head, rows, more }
}

fn absent(value: &Option<String>) -> String {
    value.clone().unwrap_or_else(|| "–".into())
}

fn row(change: &ValueChange) -> [String; 4] {
    let how = match (&change.before, &change.after) {
        (None, _) => "added",
        (_, None) => "removed",
        _ => "changed",
    };
    [change.what.clone(), absent(&change.before), absent(&change.after), how.into()]
}

fn packages(c: &Comparison) -> impl Iterator<Item = [String; 4]> + use<'_> {
    c.packages.iter().map(|p| {
        let name = if p.place == "machine" { p.name.clone() } else { format!("{} ({})", p.name, p.place) };
        let size = format!("{}, {}", p.how, change(p.bytes_before, p.bytes_after));
        [name, absent(&p.before), absent(&p.after), size]
    })
}

fn changelogs(c: &Comparison) -> impl Iterator<Item = [String; 4]> + use<'_> {
    c.changelogs.iter().map(|changelog| {
        let entries = changelog.entries.len();
        let count = format!("{entries} {}", if entries == 1 { "entry" } else { "entries" });
        // A long list says no more; the entries below name all of them.
        let (shown, more) = changelog.cves.split_at(changelog.cves.len().min(5));
        let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
        let cves = if shown.is_empty() { count } else { format!("{count}: {}{more}", shown.join(", ")) };
        [changelog.source.clone(), changelog.before.clone(), changelog.after.clone(), cves]
    })
}

/// Lines of a changelog's entry that are shown; JSON has all of them.
const LINES: usize = 40;

/// What stands in the changelogs, as `nginx 1.26.3-4, DATE` and its lines.
pub(super) fn entries(c: &Comparison) -> Vec<(String, Vec<String>)> {
    let all = c.changelogs.iter().flat_map(|changelog| changelog.entries.iter().map(move |e| (&changelog.source, e)));
    let one = |(source, entry): (&String, &crate::ChangelogEntry)| {
        let plain = |line: &str| line.chars().filter(|c| !c.is_control()).collect::<String>();
        let mut lines: Vec<String> = entry.text.lines().take(LINES).map(plain).collect();
        let more = entry.text.lines().count().saturating_sub(LINES);
        lines.extend((more > 0).then(|| format!("… and {more} more lines")));
        (format!("{source} {}, {}", entry.version, entry.date), lines)
    };
    all.take(MOST).map(one).collect()
}

/// Files that a changed package explains are one row for each package; all others have rows of their own.
fn files(c: &Comparison) -> impl Iterator<Item = [String; 4]> {
    let changed: BTreeMap<&str, &crate::PackageChange> = c.packages.iter().map(|p| (p.name.as_str(), p)).collect();
    let mut folded: BTreeMap<String, [usize; 3]> = BTreeMap::new();
    let mut rows = Vec::new();
    for file in &c.files {
        let package = file.package.as_deref().filter(|package| changed.contains_key(package));
        let package = package.map(|package| format!("files of package {package}"));
        // The names in the store of container images are digests, and follow from what is in the containers.
        let store = file.path.starts_with(&format!("/{CONTAINER_STORE}/overlay"));
        let carried = file.path.starts_with(&format!("/{CARRIED}/"));
        let follows = match (store, carried) {
            (true, _) => Some("what the store of container images has of it".to_owned()),
            (_, true) => Some("what the image carries about itself".to_owned()),
            _ => None,
        };
        if let Some(which) = package.or(follows) {
            let counts = folded.entry(which).or_default();
            counts[kind(file)] += 1;
            continue;
        }
        rows.extend(file.fields.iter().map(|field| own_row(file, field)));
    }
    let counted = folded.into_iter().map(|(which, [changed, added, removed])| {
        [which, "–".into(), "–".into(), format!("{changed} changed, {added} added, {removed} removed")]
    });
    counted.collect::<Vec<_>>().into_iter().chain(rows)
}

/// Changed, added, removed.
fn kind(file: &FileChange) -> usize {
    match file.fields.first() {
        Some(field) if field.field == "exists" && field.before == "no" => 1,
        Some(field) if field.field == "exists" => 2,
        _ => 0,
    }
}

fn own_row(file: &FileChange, field: &FieldChange) -> [String; 4] {
    let (mut before, mut after, mut what) = (field.before.clone(), field.after.clone(), field.field.clone());
    if field.field == "exists" {
        what = if field.before == "no" { "added".into() } else { "removed".into() };
        (before, after) = ("–".into(), "–".into());
    }
    if let Some(inside) = &field.inside {
        what = format!("{what}: {}", inside.what);
        (before, after) = (inside.before.clone(), inside.after.clone());
    }
    if let Some(source) = file.source_after.as_ref().or(file.source_before.as_ref()) {
        what = format!("{what} ({source})");
    }
    [file.path.clone(), before, after, what]
}
