//! Bytes that others published → what they say about the source packages of one image. Which of the two forms it is shows in
//! the bytes: the tracker's file is one object by source package, a record of OSV is an object with an `id`, or a list of them.

use super::advisory::Advisory;
use super::files::{AdvisoryFile, AdvisoryScope, LARGEST, refused};
use super::image::release_number;
use super::{osv, tracker};
use diorite_model::{Digest, Result, date};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Where the day of the data comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatedBy {
    /// The data itself: its latest record.
    Records,
    /// Whoever asked.
    Option,
    /// The file's time of change.
    File,
    /// The server's time of change.
    Server,
}

/// What is known of some source packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdvisoryData {
    /// Who published it, in words.
    pub publisher: &'static str,
    /// SHA-256 of the file; of several, of their names and digests.
    pub sha256: Digest,
    /// The latest day on which a record was changed, in days since 1970; the tracker's file has no date in it.
    pub changed: Option<u64>,
    /// Vulnerabilities by source package.
    pub by_source: BTreeMap<String, Vec<Advisory>>,
}

impl AdvisoryData {
    /// Reads what was published.
    ///
    /// # Errors
    /// It is no data of either form, is cut, too large or damaged, mixes the forms, or says nothing at all of the release.
    pub fn read(files: &[AdvisoryFile], scope: &AdvisoryScope) -> Result<Self> {
        let mut data = Self { publisher: "", sha256: digest(files), changed: None, by_source: BTreeMap::new() };
        let (mut forms, mut about_the_release) = (BTreeSet::new(), false);
        for file in files {
            if file.bytes.len() > LARGEST {
                let cause =
                    format!("it has {} bytes, and what is published has less than a tenth of that", file.bytes.len());
                return Err(refused(&file.name, cause));
            }
            if is_osv(&file.bytes) {
                forms.insert("records of OSV");
                let number = release_number(scope.suite).unwrap_or(scope.suite);
                let ecosystem = format!("Debian:{number}");
                for record in osv::records(&file.name, &file.bytes)? {
                    data.changed = data.changed.max(date::day(&record.modified));
                    about_the_release |= record.is_about(&ecosystem);
                    record.advisories(&file.name, &ecosystem, scope.sources, &mut data.by_source)?;
                }
            } else {
                forms.insert("the Debian security tracker");
                about_the_release |= tracker::read(&file.name, &file.bytes, scope, &mut data.by_source)?;
            }
        }
        let place = files.first().map_or_else(String::new, |file| file.name.clone());
        match forms.len() {
            0 => return Err(refused(&place, "there is no record in it")),
            1 => data.publisher = forms.first().copied().unwrap_or_default(),
            _ => return Err(refused(&place, "files of the tracker and records of OSV are mixed")),
        }
        if !about_the_release {
            return Err(refused(&place, format!("it says nothing of Debian's release `{}`", scope.suite)));
        }
        for list in data.by_source.values_mut() {
            settle(list);
        }
        Ok(data)
    }
}

impl AdvisoryData {
    /// The day it is of: as the caller says, else as its records say, else as the place it comes from says. All are days since
    /// 1970.
    ///
    /// # Errors
    /// Nobody says it; it is more than `most` days before `today`, or after it.
    pub fn dated(
        &self,
        place: &str,
        said: Option<u64>,
        outside: Option<(u64, DatedBy)>,
        today: u64,
        most: u32,
    ) -> Result<(u64, DatedBy)> {
        let said = said.map(|day| (day, DatedBy::Option));
        let records = self.changed.map(|day| (day, DatedBy::Records));
        let Some((day, by)) = said.or(records).or(outside) else {
            return Err(refused(place, "nothing says which day it is of").hint("say it: --data-day 2026-12-31"));
        };
        let (of, now) = (date::day_text(day), date::day_text(today));
        // Days begin at other times elsewhere.
        if day > today + 1 {
            let error = refused(place, format!("it is of {of}, and today is {now}"));
            return Err(error.hint("see whether this machine's clock is right"));
        }
        let age = today.saturating_sub(day);
        if age > u64::from(most) {
            let error =
                refused(place, format!("it is stale: of {of}, which is {age} days before {now}; {most} are allowed"));
            return Err(error.hint("fetch it again; --max-age DAYS, or `audit.max_age` in the profile, allows more"));
        }
        Ok((day, by))
    }
}

/// Of several records of one vulnerability (an advisory of Debian's and a CVE's own) the CVE's own counts, which comes first.
fn settle(list: &mut Vec<Advisory>) {
    list.sort_by(|a, b| a.id.cmp(&b.id));
    list.dedup_by(|later, first| later.id == first.id);
}

fn digest(files: &[AdvisoryFile]) -> Digest {
    match files {
        [one] => Digest::of(&one.bytes),
        many => {
            let lines: String = many.iter().map(|f| format!("{} {}\n", Digest::of(&f.bytes), f.name)).collect();
            Digest::of(lines.as_bytes())
        }
    }
}

/// Keys of a record (OSV schema 1.7.4) that are no names of source packages; files begin with one of them.
const KEYS: [&str; 15] = [
    "affected",
    "aliases",
    "credits",
    "database_specific",
    "details",
    "id",
    "modified",
    "published",
    "references",
    "related",
    "schema_version",
    "severity",
    "summary",
    "upstream",
    "withdrawn",
];

/// Whether the bytes begin as a record of OSV, or a list of them.
fn is_osv(bytes: &[u8]) -> bool {
    let start = bytes.trim_ascii_start();
    let Some(inside) = start.strip_prefix(b"{") else { return start.starts_with(b"[") };
    let key = inside.trim_ascii_start().strip_prefix(b"\"").and_then(|rest| rest.split(|b| *b == b'"').next());
    key.is_some_and(|key| KEYS.iter().any(|known| known.as_bytes() == key))
}
