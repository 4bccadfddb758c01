//! `[locale]`.

use crate::Result;
use crate::profile::{field::*, section::Section, values, written::Written};
use crate::recipe::*;

pub(crate) const LOCALE: &[Field] = &[
    text("lang", &values::LOCALE, "language of programs (`LANG`)").or_text(C_UTF8),
    texts("more", &values::LOCALE, "further locales that programs can be told to use"),
];

pub(crate) fn locale(top: &Section) -> Result<Locale> {
    let t = top.table_or_empty("locale")?;
    Ok(Locale { lang: t.needed("lang")?.value, more: t.plain("more")? })
}

/// The table that says this.
pub(crate) fn written(locale: &Locale) -> Written {
    Written::default().with("lang", &*locale.lang).list("more", &locale.more)
}
