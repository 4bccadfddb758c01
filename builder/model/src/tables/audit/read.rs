//! `[audit]`.

use crate::Result;
use crate::audit::{AuditPolicy, MAX_AGE, Waiver};
use crate::profile::{field::*, section::Section, values};

pub(crate) const AUDIT: &[Field] = &[
    text("data", &values::ARCHIVE_URI, "where data about vulnerabilities is: the Debian security tracker's, or OSV's")
        .or_said("`DIORITE_AUDIT_DATA`"),
    integer("max_age", 1, 3650, "days after which that data is too old and refused").or_number(MAX_AGE as i64),
    named("waivers", &values::VULNERABILITY, WAIVER, "vulnerabilities that are put up with, by name"),
];
const WAIVER: &[Field] = &[
    text("reason", &values::REASON, "why").needed(),
    text("until", &values::DAY, "the last day on which it holds").needed(),
    text("package", &values::PACKAGE_NAME, "the source package in which it is put up with").or_said("every package"),
];

pub(crate) fn audit(top: &Section) -> Result<AuditPolicy> {
    let t = top.table_or_empty("audit")?;
    let waiver = |_: &str, w: &Section| {
        Ok(Waiver {
            reason: w.needed("reason")?.value,
            until: w.needed("until")?.value,
            package: w.text("package")?.map(|p| p.value),
        })
    };
    Ok(AuditPolicy {
        data: t.text("data")?.map(|d| d.value),
        max_age: t.needed_number("max_age")?.value,
        waivers: t.each("waivers", waiver)?,
    })
}
