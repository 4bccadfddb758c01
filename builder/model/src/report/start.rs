//! How the machine that was asked came to run: it was switched on, or put back to a moment of an earlier run.

use crate::Digest;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a machine's run began.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The moment that it was put back to; none: it was switched on.
    pub restored: Option<Kept>,
    /// Why it was switched on although only checks were wanted that a kept moment could have answered.
    pub why_booted: Option<String>,
}

/// A moment of an earlier run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its name: the digest of all that it belongs to, the disk, QEMU and what is around the machine.
    pub key: Digest,
    /// When it was kept, in seconds since 1970.
    pub kept: u64,
    /// How many seconds ago that was.
    pub age: u64,
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.restored, &self.why_booted) {
            (Some(k), _) => {
                write!(f, "restored from the snapshot {} of {}, {} ago", k.key.short(12), date(k.kept), span(k.age))
            }
            (None, Some(why)) => write!(f, "booted: {why}"),
            (None, None) => f.write_str("booted"),
        }
    }
}

/// Seconds in the largest unit that fits twice.
fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Seconds since 1970 as a date, by the calendar of RFC 3339: era, year of era, day of year counted from March.
pub fn date(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let in_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * in_year + 2) / 153;
    let (d, m) = (in_year - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let y = year + era * 400 + u64::from(m <= 2);
    format!("{y:04}-{m:02}-{d:02} {:02}:{:02}:{:02} UTC", rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(date(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(date(1_760_000_000), "2025-10-09 08:53:20 UTC");
        assert_eq!(date(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(date(4_102_444_799), "2099-12-31 23:59:59 UTC");
    }

    #[test]
    fn a_start_is_told_in_one_line() {
        let kept = |age| Kept { key: Digest::of(b""), kept: 1_760_000_000, age };
        let restored = |age| Start { restored: Some(kept(age)), why_booted: None }.to_string();
        assert_eq!(restored(7), "restored from the snapshot e3b0c44298fc of 2025-10-09 08:53:20 UTC, 7 s ago");
        assert!(restored(7_199).ends_with(", 119 min ago") && restored(7_200).ends_with(", 2 h ago"));
        assert!(restored(200_000).ends_with(", 2 days ago"));
        let why = Start { restored: None, why_booted: Some("no moment is kept".into()) };
        assert_eq!(
            (Start::default().to_string().as_str(), why.to_string().as_str()),
            ("booted", "booted: no moment is kept")
        );
        let older: Start = serde_json::from_str("{\"restored\":null,\"why_booted\":null}").expect("a start");
        assert_eq!(older, Start::default());
    }
}
