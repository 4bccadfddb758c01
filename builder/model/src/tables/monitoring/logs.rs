//! `[monitoring.logs]`: where the journal goes.

use crate::Result;
use crate::profile::{field::*, section::Section, values, written::Written};
use crate::recipe::*;
use crate::tables::places::Places;

pub(crate) const LOGS: &[Field] = &[
    text(
        "url",
        &values::URL,
        "a server that runs systemd-journal-remote, such as `https://logs.example.org:19532`; `/upload` is added",
    )
    .needed(),
    text("authority", &values::NAME, "the authority of `[trust]` that must have signed the server's certificate")
        .or_said("any authority that the machine trusts"),
    text(
        "credential",
        &values::CREDENTIAL,
        "the systemd credential with the certificate that the machine shows there, and its key, in PEM",
    )
    .or_said("it shows none"),
];

pub(super) fn logs(t: &Section) -> Result<Logs> {
    let url = t.needed("url")?;
    if url.value.starts_with("http://") {
        let error = t.files.error(url.span, format!("`{}` would send the journal in clear", t.path));
        return Err(error.hint("write `https://`"));
    }
    if url.value.contains('?') {
        let error = t.files.error(url.span, format!("`{}.url` cannot have a query", t.path));
        return Err(error.because("systemd-journal-upload adds `/upload` to it").hint("remove what begins with `?`"));
    }
    Ok(Logs {
        url: url.value,
        authority: t.text("authority")?.map(|a| a.value),
        credential: t.text("credential")?.map(|c| c.value),
    })
}

pub(super) fn check(recipe: &Recipe, places: &Places) -> Result<()> {
    let Some(authority) = recipe.monitoring.logs.as_ref().and_then(|logs| logs.authority.as_ref()) else {
        return Ok(());
    };
    if recipe.trust.contains_key(authority) {
        return Ok(());
    }
    let what = format!("there is no authority `{authority}` in `[trust]`");
    let there: Vec<&str> = recipe.trust.keys().map(String::as_str).collect();
    let hint = if there.is_empty() { "it has none".to_owned() } else { format!("there is {}", there.join(", ")) };
    Err(places.finding("monitoring.logs.authority", what).hint(hint))
}

/// The table that says this.
pub(super) fn written(logs: &Logs) -> Written {
    Written::default()
        .with("url", &*logs.url)
        .maybe("authority", logs.authority.as_deref())
        .maybe("credential", logs.credential.as_deref())
}
