//! Snapshot archive: where packages are that the mirrors no longer have. A template of a URL with `{timestamp}`, and
//! `{archive}` where main and security archive are kept apart. Such an archive answers a timestamp with the newest
//! state at or before it.

use crate::url;
use diorite_model::{Error, Result};

/// Hours added to a release file's date, in the order they are tried. A release file is dated when it is made; the
/// files it names reach a snapshot a little later, and stay for at least a day after they are replaced.
const OFFSETS: [i64; 3] = [12, 0, 36];

/// A checked template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot(String);

impl Snapshot {
    /// Checks a template; `place` is where it was written. Errors: no `{timestamp}`, unknown scheme or placeholder.
    pub fn new(template: &str, place: &str) -> Result<Self> {
        let wrong = |why: &str| {
            Err(Error::input(format!("`{}` is not a snapshot template", url::shown(template)))
                .at(place)
                .because(why)
                .hint("a URL with {timestamp}, and {archive} where it keeps debian and debian-security apart"))
        };
        if url::scheme(template).is_none() {
            return wrong("it does not begin with http:, https: or file:");
        }
        if !template.contains("{timestamp}") {
            return wrong("it does not contain {timestamp}");
        }
        if template.replace("{timestamp}", "").replace("{archive}", "").contains(['{', '}']) {
            return wrong("it contains braces other than {timestamp} and {archive}");
        }
        Ok(Self(template.trim_end_matches('/').to_owned()))
    }

    /// The roots to try for a release file of this date (RFC 3339, UTC), nearest first.
    pub fn roots(&self, archive: &str, date: &str) -> Result<Vec<String>> {
        let seconds = seconds(date).ok_or_else(|| {
            Error::input(format!("`{date}` is not a date")).at("the lock's release table").hint("2026-01-31T12:00:00Z")
        })?;
        let root =
            |hours: &i64| self.0.replace("{timestamp}", &stamp(seconds + hours * 3600)).replace("{archive}", archive);
        Ok(OFFSETS.iter().map(root).collect())
    }
}

/// Seconds since 1970 of `YYYY-MM-DDTHH:MM:SSZ` (RFC 3339 in UTC).
fn seconds(date: &str) -> Option<i64> {
    let date = date.strip_suffix('Z').or_else(|| date.strip_suffix("+00:00"))?;
    let (day, time) = date.split_once(['T', ' '])?;
    let numbers = |text: &str, by: char| text.split(by).map(|n| n.parse::<i64>().ok()).collect::<Option<Vec<_>>>();
    let (day, time) = (numbers(day, '-')?, numbers(time, ':')?);
    let (&[year, month, day], &[hour, minute, second]) = (day.as_slice(), time.as_slice()) else { return None };
    let valid = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    let valid = valid && (0..24).contains(&hour) && (0..60).contains(&minute) && (0..=60).contains(&second);
    // Days since 1970-01-01 of the proleptic Gregorian calendar, counted from March so that leap days come last.
    let (y, m) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    valid.then_some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

/// `YYYYMMDDTHHMMSSZ`, as snapshot archives write it (ISO 8601, basic form).
fn stamp(seconds: i64) -> String {
    let (days, second) = (seconds.div_euclid(86_400) + 719_468, seconds.rem_euclid(86_400));
    let era = days.div_euclid(146_097);
    let day = days.rem_euclid(146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let in_year = day - (365 * year + year / 4 - year / 100);
    let m = (5 * in_year + 2) / 153;
    let (month, date) = (if m < 10 { m + 3 } else { m - 9 }, in_year - (153 * m + 2) / 5 + 1);
    let year = year + era * 400 + i64::from(month <= 2);
    format!("{year:04}{month:02}{date:02}T{:02}{:02}{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_become_timestamps() {
        for (date, expected) in [
            ("1970-01-01T00:00:00Z", "19700101T000000Z"),
            ("2000-02-29T23:59:59Z", "20000229T235959Z"),
            ("2026-11-22T20:15:31Z", "20261122T201531Z"),
            ("2027-01-01T00:00:00+00:00", "20270101T000000Z"),
        ] {
            assert_eq!(stamp(seconds(date).unwrap()), expected);
        }
        // date -u -d 2026-11-22T20:15:31Z +%s
        assert_eq!(seconds("2026-11-22T20:15:31Z"), Some(1_795_378_531));
        for wrong in ["", "2026-11-22", "2026-13-01T00:00:00Z", "Sat, 14 Nov 2026 10:00:00 UTC", "2026-11-22T20:15:31"]
        {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_day_of_four_centuries_survives_the_round_trip() {
        let mut previous = String::new();
        for day in 0..146_097 {
            let text = stamp(day * 86_400 + 3_661);
            assert!(text > previous, "{text} follows {previous}");
            let rfc = format!(
                "{}-{}-{}T{}:{}:{}Z",
                &text[..4],
                &text[4..6],
                &text[6..8],
                &text[9..11],
                &text[11..13],
                &text[13..15]
            );
            assert_eq!(seconds(&rfc), Some(day * 86_400 + 3_661));
            previous = text;
        }
    }

    #[test]
    fn a_template_gives_roots() {
        let snapshot =
            Snapshot::new("http://example.invalid/archive/{archive}/{timestamp}/", "DIORITE_SNAPSHOT").unwrap();
        assert_eq!(
            snapshot.roots("debian-security", "2026-12-31T18:00:00Z").unwrap(),
            [
                "http://example.invalid/archive/debian-security/20270101T060000Z",
                "http://example.invalid/archive/debian-security/20261231T180000Z",
                "http://example.invalid/archive/debian-security/20270102T060000Z",
            ]
        );
    }
}
