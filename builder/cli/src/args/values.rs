//! Values of options that clap has no parser for.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use diorite_checks::Forward;
use diorite_image::format::{self, Format};
use diorite_model::policy;
use diorite_model::report::Shard;

/// `6f9619ff-8b86-4d11-b42d-00c04fc964ff`, in lower case.
pub fn uuid(text: &str) -> Result<String, String> {
    let parts: Vec<_> = text.split('-').map(str::len).collect();
    match parts == [8, 4, 4, 4, 12] && text.chars().all(|c| c == '-' || c.is_ascii_hexdigit()) {
        true => Ok(text.to_lowercase()),
        false => Err("a UUID is 32 hexadecimal digits, as in 6f9619ff-8b86-4d11-b42d-00c04fc964ff".into()),
    }
}

/// The name of a profile, and of its image.
pub fn profile_name(text: &str) -> Result<String, String> {
    crate::init::valid_name(text).map(|()| text.to_owned())
}

/// `8080:80`.
pub fn forward(text: &str) -> Result<Forward, String> {
    let parts = text.split_once(':').and_then(|(h, g)| Some((h.parse().ok()?, g.parse().ok()?)));
    match parts {
        Some((host, guest)) if guest > 0 => Ok(Forward { host, guest }),
        _ => Err("give a host port and a guest port: `8080:80`, or `0:80`".into()),
    }
}

/// `2/3`.
pub fn shard(text: &str) -> Result<Shard, String> {
    let number = |part: &str| part.parse::<usize>().ok().filter(|n| part == n.to_string());
    let parts = text.split_once('/').and_then(|(i, n)| Some((number(i)?, number(n)?)));
    match parts {
        Some((index, count)) if (1..=count).contains(&index) => Ok(Shard { index, count }),
        _ => Err("give two numbers, the first from 1 to the second: `2/3`".into()),
    }
}

/// A URI: a scheme, a colon, and something behind it.
pub fn uri(text: &str) -> Result<String, String> {
    let scheme = text.split_once(':').filter(|(_, rest)| !rest.is_empty()).map_or("", |(scheme, _)| scheme);
    let right = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        && text.chars().all(|c| c.is_ascii_graphic());
    match right {
        true => Ok(text.to_owned()),
        false => Err("give a URI: `https://ci.example.org/images`, `urn:example:ci`".into()),
    }
}

/// The name of a kind of statement.
pub fn statement_kind() -> impl TypedValueParser<Value = String> {
    PossibleValuesParser::new(policy::KINDS)
}

/// The name of a disk format.
pub fn format() -> impl TypedValueParser<Value = Format> {
    let names = format::ALL.iter().map(|format| format.name);
    PossibleValuesParser::new(names).map(|name| Format::named(&name).expect("one of the names"))
}

/// A name in a certificate.
pub fn owner(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == ' ' || c == '-' || c == '.';
    match (1..=40).contains(&text.len()) && text.trim() == text && text.chars().all(plain) {
        true => Ok(text.to_owned()),
        false => Err("up to 40 ASCII letters, digits, spaces, `-` and `.`".into()),
    }
}

/// A day, in days since 1970: `2026-12-31`.
pub fn day(text: &str) -> Result<u64, String> {
    let day = diorite_model::date::day(text).filter(|_| text.len() == 10);
    day.ok_or_else(|| "give a day of the calendar: `2026-12-31`".into())
}
