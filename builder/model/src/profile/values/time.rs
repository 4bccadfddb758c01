//! Forms of time and language.

use super::{Form, form, only, starts};

/// A name in the time zone database, whose parts are file names.
pub const TIME_ZONE: Form = form("`UTC` or a name of the time zone database: `Europe/Vienna`", 64, |text| {
    text.split('/').try_for_each(|part| {
        starts(part, |c| c.is_ascii_uppercase(), "a capital, in every part")?;
        only(part, |c| c.is_ascii_alphanumeric() || "-_+".contains(c))
    })
});

/// A locale's name with the one encoding there should be, locale(7).
pub const LOCALE: Form = form("`C.UTF-8` or language and country with `.UTF-8`: `de_AT.UTF-8`", 32, |text| {
    let (name, rest) = text.split_once(".UTF-8").ok_or("its encoding is not `.UTF-8`")?;
    let modifier =
        |m: &str| m.strip_prefix('@').is_some_and(|m| !m.is_empty() && m.chars().all(|c| c.is_ascii_lowercase()));
    if !rest.is_empty() && !modifier(rest) {
        return Err(format!("nothing may follow the encoding, but `{rest}` does"));
    }
    if name == "C" && rest.is_empty() {
        return Ok(());
    }
    let (language, country) = name.split_once('_').ok_or("the country is missing")?;
    let lower = |t: &str| t.chars().all(|c| c.is_ascii_lowercase());
    let upper = |t: &str| t.chars().all(|c| c.is_ascii_uppercase());
    if !matches!(language.len(), 2 | 3) || !lower(language) {
        return Err(format!("`{language}` is not a language of two or three letters"));
    }
    if country.len() != 2 || !upper(country) {
        return Err(format!("`{country}` is not a country of two capital letters"));
    }
    Ok(())
});

/// When a disk is copied: the two forms of Proxmox VE's calendar events (pvesr(1)) that people write.
pub const REPLICATION: Form = form("`*/15` for every fifteen minutes, `22:30` for once a day", 5, |text| {
    let number = |text: &str, most: u32| {
        let fine = !text.is_empty() && text.len() <= 2 && text.chars().all(|c| c.is_ascii_digit());
        text.parse().ok().filter(|n: &u32| fine && *n <= most).ok_or(format!("`{text}` is not a number up to {most}"))
    };
    match (text.strip_prefix("*/"), text.split_once(':')) {
        (Some(minutes), _) if number(minutes, 59)? == 0 => Err("it would never be done".into()),
        (Some(_), _) => Ok(()),
        (None, Some((hour, minute))) => number(hour, 23).and_then(|_| number(minute, 59)).map(drop),
        (None, None) => Err("it is neither".into()),
    }
});
