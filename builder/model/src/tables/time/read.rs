//! `[time]`.

use crate::Result;
use crate::profile::{
    field::*,
    section::Section,
    values,
    written::{Written, word},
};
use crate::recipe::*;

pub(crate) const TIME: &[Field] = &[
    choice("daemon", DAEMONS, "who sets the clock").or_text("timesyncd"),
    text("timezone", &values::TIME_ZONE, "name in the time zone database").or_text("UTC"),
    texts("ntp", &values::SERVER, "time servers, asked when no link has any of its own"),
    texts("fallback_ntp", &values::SERVER, "time servers when nobody named any; an empty list: none")
        .or_said("those that Debian's systemd-timesyncd is built with"),
];
const DAEMONS: &[(&str, &str)] = &[
    ("timesyncd", "systemd-timesyncd, which also asks the servers that a network names"),
    ("chrony", "chrony, for the servers of `ntp` and of links; those that a network names are not asked"),
    ("none", "nobody, or a package of `packages.include` with a configuration of its own"),
];

pub(crate) fn time(top: &Section) -> Result<Time> {
    let t = top.table_or_empty("time")?;
    let fallback = t.plain("fallback_ntp")?;
    let daemon = match t.needed("daemon")?.value.as_str() {
        "chrony" => TimeDaemon::Chrony,
        "none" => TimeDaemon::None,
        _ => TimeDaemon::Timesyncd,
    };
    Ok(Time {
        daemon,
        timezone: t.needed("timezone")?.value,
        ntp: t.plain("ntp")?,
        fallback_ntp: t.key("fallback_ntp").map(|_| fallback),
    })
}

/// The table that says this.
pub(crate) fn written(time: &Time) -> Written {
    Written::default()
        .with("daemon", word(&time.daemon))
        .with("timezone", &*time.timezone)
        .list("ntp", &time.ntp)
        .maybe("fallback_ntp", time.fallback_ntp.clone())
}
