//! The Debian security tracker's whole-archive JSON: `{ SOURCE: { CVE: { releases: { SUITE: { status, fixed_version, … }}}}}`.
//! It has 75 MB; what is not wanted is passed over while it is read.

use super::advisory::{Advisory, AffectedRange};
use super::files::{AdvisoryScope, no_json, refused};
use diorite_model::Result;
use diorite_model::deb_version::{compare, is_valid};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

#[derive(Deserialize)]
struct TrackerIssue {
    description: Option<String>,
    releases: TrackerReleases,
}

/// Releases by name. Where there are none, a file may have an empty list (as grype's tests have seen it).
struct TrackerReleases(BTreeMap<String, TrackerRelease>);

impl<'de> Deserialize<'de> for TrackerReleases {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ReleasesOrNone;
        impl<'de> Visitor<'de> for ReleasesOrNone {
            type Value = TrackerReleases;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object by release")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TrackerReleases, A::Error> {
                Deserialize::deserialize(MapAccessDeserializer::new(map)).map(TrackerReleases)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<TrackerReleases, A::Error> {
                match list.next_element::<IgnoredAny>()? {
                    None => Ok(TrackerReleases(BTreeMap::new())),
                    Some(_) => Err(A::Error::custom("the releases are a list")),
                }
            }
        }
        deserializer.deserialize_any(ReleasesOrNone)
    }
}

#[derive(Deserialize)]
struct TrackerRelease {
    status: String,
    #[serde(default)]
    repositories: BTreeMap<String, String>,
    fixed_version: Option<String>,
    urgency: Option<String>,
    nodsa: Option<String>,
}

type Issues = BTreeMap<String, TrackerIssue>;

/// Reads the file; whether it says anything of the release.
///
/// # Errors
/// It is not such a file.
pub(super) fn read(
    place: &str,
    bytes: &[u8],
    scope: &AdvisoryScope,
    by_source: &mut BTreeMap<String, Vec<Advisory>>,
) -> Result<bool> {
    let found = archive(place, bytes, Some(scope.sources), scope.suite)?;
    for (source, issues) in found.issues {
        let list = by_source.entry(source.clone()).or_default();
        for (id, issue) in issues {
            if let Some(release) = issue.releases.0.get(scope.suite) {
                let wrong = |cause: String| refused(&format!("{place}: {source}, {id}"), cause);
                list.push(advisory(id.clone(), issue.description, release).map_err(wrong)?);
            }
        }
    }
    // Packages without a vulnerability do not say whether the file knows the release.
    Ok(found.knows_release || archive(place, bytes, None, scope.suite)?.knows_release)
}

fn advisory(id: String, description: Option<String>, release: &TrackerRelease) -> Result<Advisory, String> {
    let fixed = release.fixed_version.as_deref().filter(|version| !version.is_empty());
    let (undetermined, affected) = match (release.status.as_str(), fixed) {
        ("undetermined", _) => (true, Vec::new()),
        ("open", _) => (false, vec![AffectedRange::default()]),
        // The package never had it.
        ("resolved", Some("0")) => (false, Vec::new()),
        ("resolved", Some(version)) if is_valid(version) => {
            let offers = |there: &String| compare(there, version) != Ordering::Less;
            let offered = release.repositories.is_empty() || release.repositories.values().any(offers);
            (false, vec![AffectedRange { fixed: Some(version.to_owned()), offered, ..AffectedRange::default() }])
        }
        ("resolved", Some(version)) => return Err(format!("`{version}` is no version")),
        ("resolved", None) => return Err("it is resolved, and no version is named".into()),
        (status, _) => return Err(format!("its status `{status}` is not known")),
    };
    let summary = match (&release.nodsa, description) {
        (Some(why), Some(text)) => format!("{text} (Debian: {why})"),
        (Some(why), None) => format!("Debian: {why}"),
        (None, text) => text.unwrap_or_default(),
    };
    let urgency = release.urgency.clone().unwrap_or_default();
    Ok(Advisory { id, summary, urgency, undetermined, affected, versions: Vec::new() })
}

/// What was found in a file.
struct TrackerArchive {
    issues: BTreeMap<String, Issues>,
    knows_release: bool,
}

/// Reads the file, and keeps the issues of some source packages.
fn archive(place: &str, bytes: &[u8], sources: Option<&BTreeSet<&str>>, suite: &str) -> Result<TrackerArchive> {
    let mut text = serde_json::Deserializer::from_slice(bytes);
    let found = WholeArchive { sources, suite }.deserialize(&mut text).map_err(|e| no_json(place, &e))?;
    text.end().map_err(|e| no_json(place, &e))?;
    Ok(found)
}

/// Reads source package by source package.
struct WholeArchive<'a> {
    /// Those whose issues are kept; none: no issue is kept, and all are looked at.
    sources: Option<&'a BTreeSet<&'a str>>,
    suite: &'a str,
}

impl<'de> DeserializeSeed<'de> for WholeArchive<'_> {
    type Value = TrackerArchive;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for WholeArchive<'_> {
    type Value = TrackerArchive;
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object by source package")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = TrackerArchive { issues: BTreeMap::new(), knows_release: false };
        while let Some(source) = map.next_key::<String>()? {
            if self.sources.is_some_and(|wanted| !wanted.contains(source.as_str())) {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let issues: Issues = map.next_value()?;
            found.knows_release |= issues.values().any(|issue| issue.releases.0.contains_key(self.suite));
            if self.sources.is_some() && found.issues.insert(source.clone(), issues).is_some() {
                return Err(A::Error::custom(format!("source package `{source}` is there twice")));
            }
        }
        Ok(found)
    }
}
