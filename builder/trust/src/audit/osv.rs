//! Records of OSV (ossf.github.io/osv-schema, 1.7) as they are published for Debian: `Debian:13` and a source package, with the
//! version that mended it.

use super::advisory::{Advisory, AffectedRange};
use super::files::{no_json, refused};
use diorite_model::Result;
use diorite_model::deb_version::is_valid;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// A record, as far as it is used.
#[derive(Deserialize)]
#[serde(expecting = "a record of OSV")]
pub(super) struct OsvRecord {
    id: String,
    /// When it was last changed, RFC 3339.
    pub modified: String,
    withdrawn: Option<String>,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    upstream: Vec<String>,
    summary: Option<String>,
    details: Option<String>,
    #[serde(default)]
    affected: Vec<OsvAffected>,
}

#[derive(Deserialize)]
struct OsvAffected {
    package: Option<OsvPackage>,
    ranges: Option<Vec<OsvRange>>,
    versions: Option<Vec<String>>,
    ecosystem_specific: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct OsvPackage {
    ecosystem: String,
    name: String,
}

#[derive(Deserialize)]
struct OsvRange {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    events: Vec<OsvEvent>,
}

#[derive(Deserialize)]
struct OsvEvent {
    introduced: Option<String>,
    fixed: Option<String>,
    last_affected: Option<String>,
}

/// The records of a file: one, or a list.
///
/// # Errors
/// They are none.
pub(super) fn records(place: &str, bytes: &[u8]) -> Result<Vec<OsvRecord>> {
    let list = bytes.trim_ascii_start().starts_with(b"[");
    let read =
        if list { serde_json::from_slice(bytes) } else { serde_json::from_slice(bytes).map(|record| vec![record]) };
    read.map_err(|e| no_json(place, &e))
}

impl OsvRecord {
    /// Whether it is about a package of this release.
    pub fn is_about(&self, ecosystem: &str) -> bool {
        self.affected.iter().any(|a| a.package.as_ref().is_some_and(|package| package.ecosystem == ecosystem))
    }

    /// What it says of these source packages in this release. One that was withdrawn says nothing.
    ///
    /// # Errors
    /// A version is none, or events are out of order.
    pub fn advisories(
        &self,
        place: &str,
        ecosystem: &str,
        sources: &BTreeSet<&str>,
        by_source: &mut BTreeMap<String, Vec<Advisory>>,
    ) -> Result<()> {
        if self.withdrawn.is_some() {
            return Ok(());
        }
        for affected in &self.affected {
            let Some(package) = affected.package.as_ref().filter(|p| p.ecosystem == ecosystem) else { continue };
            if !sources.contains(package.name.as_str()) {
                continue;
            }
            let wrong = |cause: String| refused(&format!("{place}: {}, {}", self.id, package.name), cause);
            let ranges = affected.ranges.iter().flatten().filter(|range| range.kind == "ECOSYSTEM");
            let ranges: Vec<_> = ranges.map(ranges_of).collect::<Result<Vec<_>, _>>().map_err(wrong)?;
            let list = by_source.entry(package.name.clone()).or_default();
            let (ids, own) = self.ids();
            for id in ids {
                let advisory = Advisory {
                    id,
                    summary: self.summary.clone().or_else(|| self.details.clone()).unwrap_or_default(),
                    urgency: affected.urgency(),
                    undetermined: false,
                    affected: ranges.iter().flatten().cloned().collect(),
                    versions: affected.versions.clone().unwrap_or_default(),
                };
                // Of two about the same, the CVE's own comes first and counts.
                if own { list.insert(0, advisory) } else { list.push(advisory) }
            }
        }
        Ok(())
    }

    /// The vulnerabilities that it is about, and whether it is the record of one alone: `DEBIAN-CVE-2025-1` is that of
    /// `CVE-2025-1`, `DSA-5000-1` is about those that it names, or stands for itself.
    fn ids(&self) -> (Vec<String>, bool) {
        let bare = self.id.strip_prefix("DEBIAN-").unwrap_or(&self.id);
        if bare.starts_with("CVE-") {
            return (vec![bare.to_owned()], true);
        }
        let named: BTreeSet<&String> =
            self.upstream.iter().chain(&self.aliases).filter(|id| id.starts_with("CVE-")).collect();
        let named: Vec<String> = named.into_iter().cloned().collect();
        (if named.is_empty() { vec![bare.to_owned()] } else { named }, false)
    }
}

impl OsvAffected {
    /// The tracker's word, which OSV passes on.
    fn urgency(&self) -> String {
        let urgency = self.ecosystem_specific.as_ref().and_then(|specific| specific["urgency"].as_str());
        urgency.unwrap_or_default().to_owned()
    }
}

/// A list of events is a list of ranges: each `introduced` begins one, what follows ends it.
fn ranges_of(range: &OsvRange) -> Result<Vec<AffectedRange>, String> {
    let mut all: Vec<AffectedRange> = Vec::new();
    let version =
        |text: &String| if is_valid(text) { Ok(text.clone()) } else { Err(format!("`{text}` is no version")) };
    for event in &range.events {
        if let Some(from) = &event.introduced {
            all.push(AffectedRange { from: Some(version(from)?), offered: true, ..AffectedRange::default() });
            continue;
        }
        let Some(open) = all.last_mut().filter(|range| range.fixed.is_none() && range.last.is_none()) else {
            return Err("a range ends that has not begun".into());
        };
        open.fixed = event.fixed.as_ref().map(version).transpose()?;
        open.last = event.last_affected.as_ref().map(version).transpose()?;
    }
    Ok(all)
}
