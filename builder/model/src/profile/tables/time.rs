//! `[time]` and `[locale]`.

use super::*;

pub(super) const TIME: &[Field] = &[
    text("timezone", &values::TIME_ZONE, "name in the time zone database").or_text("UTC"),
    texts("ntp", &values::SERVER, "time servers, asked when no link has any of its own"),
    texts("fallback_ntp", &values::SERVER, "time servers when nobody named any; an empty list: none")
        .or_said("those that Debian's systemd-timesyncd is built with"),
];
pub(super) const LOCALE: &[Field] = &[
    text("lang", &values::LOCALE, "language of programs (`LANG`)").or_text(C_UTF8),
    texts("more", &values::LOCALE, "further locales that programs can be told to use"),
];

pub(super) fn time(top: &Section) -> Result<Time> {
    let t = top.table_or_empty("time")?;
    let fallback = t.plain("fallback_ntp")?;
    Ok(Time {
        timezone: t.needed("timezone")?.value,
        ntp: t.plain("ntp")?,
        fallback_ntp: t.key("fallback_ntp").map(|_| fallback),
    })
}

pub(super) fn locale(top: &Section) -> Result<Locale> {
    let t = top.table_or_empty("locale")?;
    Ok(Locale { lang: t.needed("lang")?.value, more: t.plain("more")? })
}

/// The table that says this.
pub(super) fn written(time: &Time) -> Written {
    Written::default()
        .with("timezone", &*time.timezone)
        .list("ntp", &time.ntp)
        .maybe("fallback_ntp", time.fallback_ntp.clone())
}

pub(super) fn locale_written(locale: &Locale) -> Written {
    Written::default().with("lang", &*locale.lang).list("more", &locale.more)
}
