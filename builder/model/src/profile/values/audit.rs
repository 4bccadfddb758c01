//! Forms of `[audit]`: names of vulnerabilities, days, reasons.

use super::{Form, SENTENCE, form, only, starts};
use crate::date;

/// `CVE-2025-1234`; the security tracker also has `TEMP-0000000-0F1A2B`, and records of OSV any such name.
pub const VULNERABILITY: Form =
    form("the name of a vulnerability, `CVE-2025-1234`: capitals, digits and `-`, at most 48", 48, |text| {
        starts(text, |c| c.is_ascii_uppercase(), "a capital")?;
        only(text, |c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-')?;
        if text.contains('-') { Ok(()) } else { Err("a `-` is missing in it".into()) }
    });

/// A day, RFC 3339.
pub const DAY: Form =
    form("a day, `2026-12-31`", 10, |text| date::day(text).map(drop).ok_or_else(|| "there is no such day".to_owned()));

/// Why something is so, for whoever reads it next.
pub const REASON: Form =
    form("letters, digits, spaces and `-_.,:()/`, at most 200", 200, |text| (SENTENCE.check)(text));
