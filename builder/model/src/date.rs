//! Dates: RFC 5322 as an archive writes them, RFC 3339 as we write them. Seconds since 1970, UTC.

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `Sat, 12 Sep 2026 07:55:41 UTC` (also `GMT`, `Z`, `+0000`, and without the day's name) as seconds since 1970.
pub fn parse(text: &str) -> Option<u64> {
    let text = text.split_once(',').map_or(text, |(_, rest)| rest);
    let mut words = text.split_ascii_whitespace();
    let day: i64 = words.next()?.parse().ok()?;
    let name = words.next()?;
    let month = MONTHS.iter().position(|m| m.eq_ignore_ascii_case(name))? as i64 + 1;
    let year: i64 = words.next()?.parse().ok()?;
    let mut clock = words.next()?.splitn(3, ':').map(|n| n.parse::<i64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let zone_known = matches!(words.next()?, "UTC" | "GMT" | "Z" | "+0000") && words.next().is_none();
    let plausible = (1..=31).contains(&day)
        && (1970..=9999).contains(&year)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    let seconds = days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
    (zone_known && plausible).then_some(seconds as u64)
}

/// `2026-09-12T07:55:41Z` for seconds since 1970.
pub fn rfc3339(seconds: u64) -> String {
    let (mut year, mut left) = (1970i64, (seconds / 86400) as i64);
    while left >= days(year + 1, 1, 1) - days(year, 1, 1) {
        left -= days(year + 1, 1, 1) - days(year, 1, 1);
        year += 1;
    }
    let mut month = 1;
    while month < 12 && left >= days(year, month + 1, 1) - days(year, month, 1) {
        left -= days(year, month + 1, 1) - days(year, month, 1);
        month += 1;
    }
    let (h, m, s) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{:02}T{h:02}:{m:02}:{s:02}Z", left + 1)
}

/// Seconds since 1970 of `2026-09-12T07:55:41Z`; fractions of a second are left out. Other zones than `Z` are not read.
pub fn seconds(text: &str) -> Option<u64> {
    let (date, clock) = text.strip_suffix('Z')?.split_once('T')?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let parts = clock.split(':').map(|part| digits(part).then(|| part.parse().ok())?).collect::<Option<Vec<u64>>>()?;
    let [hour, minute, second] = parts[..].try_into().ok()?;
    let fits =
        date.len() == 10 && hour < 24 && minute < 60 && second <= 60 && fraction.bytes().all(|b| b.is_ascii_digit());
    let day = day(date)?;
    fits.then(|| day * 86400 + hour * 3600 + minute * 60 + second)
}

/// The first ten characters of RFC 3339, `2026-09-12`, as days since 1970-01-01; whatever follows is not looked at. `None` for
/// what is no day of the calendar between 1970 and 9999.
pub fn day(text: &str) -> Option<u64> {
    let bytes = text.as_bytes().get(..10)?;
    let shaped = bytes.iter().enumerate().all(|(i, b)| if i == 4 || i == 7 { *b == b'-' } else { b.is_ascii_digit() });
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = shaped.then(|| Some((number(0, 4)?, number(5, 7)?, number(8, 10)?)))??;
    let there = (1970..=9999).contains(&year) && (1..=12).contains(&month) && day >= 1;
    let after = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    (there && day <= days(after.0, after.1, 1) - days(year, month, 1)).then(|| days(year, month, day) as u64)
}

/// `2026-09-12` for days since 1970-01-01.
pub fn day_text(day: u64) -> String {
    rfc3339(day * 86400)[..10].to_owned()
}

/// Days from 1970-01-01 to a day of the Gregorian calendar (Richards' formula for the Julian day number).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let a = (14 - month) / 12;
    let (y, m) = (year + 4800 - a, month + 12 * a - 3);
    day + (153 * m + 2) / 5 + 365 * y + y / 4 - y / 100 + y / 400 - 32045 - 2_440_588
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_both_ways() {
        for (text, seconds, ours) in [
            ("Thu, 01 Jan 1970 00:00:00 UTC", 0, "1970-01-01T00:00:00Z"),
            ("Sat, 12 Sep 2026 07:55:41 UTC", 1_789_199_741, "2026-09-12T07:55:41Z"),
            ("Thu, 29 Feb 2024 23:59:59 +0000", 1_709_251_199, "2024-02-29T23:59:59Z"),
            ("Thu, 09 Oct 2025 08:53:20 Z", 1_760_000_000, "2025-10-09T08:53:20Z"),
            ("31 Dec 2099 00:00:00 GMT", 4_102_358_400, "2099-12-31T00:00:00Z"),
        ] {
            assert_eq!(parse(text), Some(seconds), "{text}");
            assert_eq!(rfc3339(seconds), ours);
            assert_eq!(super::seconds(ours), Some(seconds));
        }
        assert_eq!(seconds("2026-09-12T07:55:41.25Z"), Some(1_789_199_741));
        for wrong in [
            "2026-09-12 07:55:41Z",
            "2026-09-12T07:55:41",
            "2026-13-12T07:55:41Z",
            "+026-09-12T07:55:41Z",
            "T",
            "2026-09-12T07:55Z",
        ] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn days_both_ways() {
        for (text, number) in [("1970-01-01", 0), ("2024-02-29T23:59:59.9Z", 19_782), ("2026-12-31", 20_818)] {
            assert_eq!(day(text), Some(number), "{text}");
            assert_eq!(day_text(number), text[..10]);
        }
        for text in [
            "",
            "2026-1-01",
            "2025-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-04-31",
            "1969-12-31",
            "+026-01-01",
            "20260-1-1",
        ] {
            assert_eq!(day(text), None, "{text}");
        }
    }

    #[test]
    fn no_date_is_no_date() {
        for text in [
            "",
            "yesterday",
            "Sat, 12 Foo 2026 07:55:41 UTC",
            "Sat, 12 Sep 2026 07:55 UTC",
            "12 Sep 2026 25:00:00 UTC",
            "12 Sep 2026 07:55:41 CEST",
            "12 Sep 2026 07:55:41",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
