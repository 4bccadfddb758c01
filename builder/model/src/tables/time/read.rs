//! `[time]`.

use crate::Result;
use crate::profile::{field::*, section::Section, values, written::Written};
use crate::recipe::*;

pub(crate) const TIME: &[Field] = &[
    text("timezone", &values::TIME_ZONE, "name in the time zone database").or_text("UTC"),
    texts("ntp", &values::SERVER, "time servers, asked when no link has any of its own"),
    texts("fallback_ntp", &values::SERVER, "time servers when nobody named any; an empty list: none")
        .or_said("those that Debian's systemd-timesyncd is built with"),
];
pub(crate) fn time(top: &Section) -> Result<Time> {
    let t = top.table_or_empty("time")?;
    let fallback = t.plain("fallback_ntp")?;
    Ok(Time {
        timezone: t.needed("timezone")?.value,
        ntp: t.plain("ntp")?,
        fallback_ntp: t.key("fallback_ntp").map(|_| fallback),
    })
}

/// The table that says this.
pub(crate) fn written(time: &Time) -> Written {
    Written::default()
        .with("timezone", &*time.timezone)
        .list("ntp", &time.ntp)
        .maybe("fallback_ntp", time.fallback_ntp.clone())
}
