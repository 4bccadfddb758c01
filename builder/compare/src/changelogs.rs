//! Packages that were raised → what their changelogs say between the two versions, and the vulnerabilities they name. Debian
//! keeps one changelog for each source package, in the newer package; nothing is fetched for it.

use crate::{ComparedSide, Comparison};
use diorite_archive::{deb, version};
use diorite_model::{LockedPackage, Result};
use serde::Serialize;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What the changelog of one source package says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PackageChangelog {
    /// The source package.
    pub source: String,
    /// The older version.
    pub before: String,
    /// The newer version.
    pub after: String,
    /// Binary packages of it that were raised.
    pub packages: Vec<String>,
    /// Vulnerabilities that the entries name.
    pub cves: Vec<String>,
    /// Entries after the older version, the newest first.
    pub entries: Vec<ChangelogEntry>,
}

/// An entry of debian/changelog (deb-changelog(5)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangelogEntry {
    /// Its version.
    pub version: String,
    /// When it was made, as it stands there.
    pub date: String,
    /// What it says, without the spaces in front that all lines have.
    pub text: String,
}

/// A source package that was raised from one version to another, with the newer packages.
type Raised<'a> = BTreeMap<(&'a str, &'a str, &'a str), Vec<&'a LockedPackage>>;

impl Comparison {
    /// Adds what the changelogs say; `file` gives the file of a package where it is at hand. What is not at hand is named.
    ///
    /// # Errors
    /// A file is damaged.
    pub fn add_changelogs(
        &mut self,
        a: &ComparedSide,
        b: &ComparedSide,
        file: &dyn Fn(&LockedPackage) -> Option<PathBuf>,
    ) -> Result<()> {
        let (Some(before), Some(after)) = (&a.lock, &b.lock) else { return Ok(()) };
        let (old, new) = (crate::packages::lists(before, true), crate::packages::lists(after, true));
        let mut raised = Raised::new();
        for change in self.packages.iter().filter(|change| change.how == "raised") {
            let find = |side: &BTreeMap<String, &'_ [LockedPackage]>| {
                side.get(&change.place).and_then(|list| list.iter().position(|p| p.name == change.name))
            };
            let (Some(i), Some(j)) = (find(&old), find(&new)) else { continue };
            let (old, new) = (&old[&change.place][i], &new[&change.place][j]);
            if new.is_deb() {
                raised.entry((source(new), &old.version, &new.version)).or_default().push(new);
            }
        }
        let (mut missing, mut without) = (BTreeSet::new(), BTreeSet::new());
        for ((source, before, after), mut packages) in raised {
            packages.sort_by_key(|package| package.size);
            packages.dedup_by_key(|package| package.sha256);
            let files: Vec<_> = packages.iter().filter_map(|p| Some((p.name.as_str(), file(p)?))).collect();
            if files.is_empty() {
                missing.insert(source);
                continue;
            }
            let mut found = None;
            for (name, path) in files {
                found = deb::changelog(&path, name)?;
                if found.is_some() {
                    break;
                }
            }
            match found {
                Some(text) => self.changelogs.push(said(source, before, after, &packages, &text)),
                None => _ = without.insert(source),
            }
        }
        let names = |sources: BTreeSet<&str>| sources.into_iter().collect::<Vec<_>>().join(", ");
        if !missing.is_empty() {
            let hint = "(`diorite fetch` brings them)";
            self.not_compared
                .push(format!("changelogs of packages that are not in the store {hint}: {}", names(missing)));
        }
        if !without.is_empty() {
            self.not_compared.push(format!("changelogs, which these packages do not have: {}", names(without)));
        }
        Ok(())
    }
}

/// The source package, which is the directory in the archive; else the package itself.
fn source(package: &LockedPackage) -> &str {
    let directory = package.path.rsplit('/').nth(1).filter(|_| package.path.starts_with("pool/"));
    directory.unwrap_or(&package.name)
}

fn said(source: &str, before: &str, after: &str, packages: &[&LockedPackage], text: &[u8]) -> PackageChangelog {
    // `linux-signed-amd64 (6.12.118+1)` signs 6.12.118-1, which its packages are called.
    let signed = |version: &str| match version.rsplit_once('+').filter(|_| source.contains("-signed")) {
        Some((upstream, revision)) => format!("{upstream}-{revision}"),
        None => version.to_owned(),
    };
    let later = |entry: &ChangelogEntry| version::compare(&signed(&entry.version), before) == Ordering::Greater;
    let entries: Vec<_> = entries(&String::from_utf8_lossy(text)).into_iter().take_while(later).collect();
    let cves: BTreeSet<String> = entries.iter().flat_map(|entry| cves(&entry.text)).collect();
    PackageChangelog {
        source: source.to_owned(),
        before: before.to_owned(),
        after: after.to_owned(),
        packages: packages.iter().map(|p| p.name.clone()).collect::<BTreeSet<_>>().into_iter().collect(),
        cves: cves.into_iter().collect(),
        entries,
    }
}

/// The entries of a changelog, in its order. What follows a line that is none (notes of editors, older forms) is left out.
fn entries(text: &str) -> Vec<ChangelogEntry> {
    let mut all: Vec<ChangelogEntry> = Vec::new();
    let mut open: Option<(String, Vec<&str>)> = None;
    for line in text.lines() {
        match &mut open {
            None if line.trim().is_empty() => {}
            None => match head(line) {
                Some(version) => open = Some((version.to_owned(), Vec::new())),
                None => break,
            },
            Some((version, lines)) => match line.strip_prefix(" -- ") {
                None => lines.push(line.strip_prefix("  ").unwrap_or(line)),
                Some(trailer) => {
                    let date = trailer.split_once("  ").map_or("", |(_, date)| date).trim().to_owned();
                    let text = lines.join("\n").trim().to_owned();
                    all.push(ChangelogEntry { version: std::mem::take(version), date, text });
                    open = None;
                }
            },
        }
    }
    all
}

/// `openssl (3.5.1-1+deb13u1) trixie-security; urgency=medium` → the version.
fn head(line: &str) -> Option<&str> {
    let (name, rest) = line.split_once(" (")?;
    let version = rest.split_once(')')?.0;
    (!name.is_empty() && !name.starts_with(' ') && version::is_valid(version)).then_some(version)
}

/// Every `CVE-2025-1234` of a text.
fn cves(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    for (at, _) in text.match_indices("CVE-") {
        let digits = |text: &str| text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let rest = &text[at + 4..];
        let Some(number) = rest.get(digits(rest)..).and_then(|rest| rest.strip_prefix('-')) else { continue };
        let (year, length) = (digits(rest), digits(number));
        if year == 4 && length >= 4 {
            all.push(text[at..at + 4 + year + 1 + length].to_owned());
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In the form of the changelog that Debian's openssl has.
    const CHANGELOG: &str = "openssl (3.5.1-1+deb13u2) trixie-security; urgency=medium\n\n  * CVE-2025-15467 (Stack overflow)\n    \
        and CVE-2025-11187, CVE-2025-1 are none of CVE-20251-1111.\n\n  [ Another ]\n  * More.\n\n -- A Person <a@example.org>  Sat, 24 Jan 2026 \
        12:00:00 +0100\n\nopenssl (3.5.1-1+deb13u1) trixie-security; urgency=medium\n\n  * CVE-2025-9230\n\n -- A Person \
        <a@example.org>  Fri, 26 Sep 2025 22:09:03 +0200\n\nopenssl (3.5.1-1) unstable; urgency=medium\n\n  * Import 3.5.1\n\n -- A \
        <a@example.org>  Tue, 01 Jul 2025 21:27:53 +0200\n\nLocal variables:\nmode: debian-changelog\n";

    #[test]
    fn entries_after_the_older_version() {
        let said = |before, after| said("openssl", before, after, &[], CHANGELOG.as_bytes());
        let both = said("3.5.1-1", "3.5.1-1+deb13u2");
        let versions: Vec<_> = both.entries.iter().map(|entry| entry.version.as_str()).collect();
        assert_eq!(versions, ["3.5.1-1+deb13u2", "3.5.1-1+deb13u1"]);
        assert_eq!(both.cves, ["CVE-2025-11187", "CVE-2025-15467", "CVE-2025-9230"]);
        assert_eq!(both.entries[1].text, "* CVE-2025-9230");
        assert_eq!(both.entries[1].date, "Fri, 26 Sep 2025 22:09:03 +0200");
        assert!(both.entries[0].text.ends_with("[ Another ]\n* More."), "{}", both.entries[0].text);
        assert_eq!(said("3.5.1-1+deb13u1", "3.5.1-1+deb13u2").cves, ["CVE-2025-11187", "CVE-2025-15467"]);
        assert_eq!(said("3.5.1-1+deb13u2", "3.5.1-1+deb13u2+b1").entries, [], "it was only built again");
        let kernel = CHANGELOG.replace("openssl", "linux-signed-amd64").replace("3.5.1-1+deb13u", "6.12.9+");
        let kernel = super::said("linux-signed-amd64", "6.12.9-1", "6.12.9-2", &[], kernel.as_bytes());
        assert_eq!(kernel.entries.iter().map(|e| e.version.as_str()).collect::<Vec<_>>(), ["6.12.9+2"]);
        assert_eq!(entries(CHANGELOG).len(), 3);
        assert_eq!(entries("no changelog\n").len(), 0);
    }
}
