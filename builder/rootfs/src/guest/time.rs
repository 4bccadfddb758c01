//! The table `[time]`: time zone, as localtime(5), and time servers, timesyncd.conf(5).

use super::Guest;
use super::ini::Ini;
use diorite_model::{Error, Recipe, Result};

const ZONES: &str = "usr/share/zoneinfo";

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    let (time, zone) = (&recipe.time, &recipe.time.timezone);
    // UTC is what the C library takes where there is no database.
    if zone != "UTC" && !guest.read(&format!("{ZONES}/{zone}")).is_some_and(|b| b.starts_with(b"TZif")) {
        return Err(unknown(guest, zone));
    }
    guest.link("etc/localtime", &format!("/{ZONES}/{zone}"))?;
    if guest.has("etc/timezone") {
        guest.file("etc/timezone", 0o644, format!("{zone}\n"))?;
    }
    let mut ini = Ini::new().section("Time");
    if !time.ntp.is_empty() {
        ini = ini.set("NTP", time.ntp.join(" "));
    }
    if let Some(fallback) = &time.fallback_ntp {
        ini = ini.set("FallbackNTP", fallback.join(" "));
    }
    if !time.ntp.is_empty() || time.fallback_ntp.is_some() {
        guest.file("etc/systemd/timesyncd.conf.d/10-diorite.conf", 0o644, ini.finish()?)?;
    }
    guest.enable("systemd-timesyncd.service")
}

/// The error of a zone that the database of this image does not have, with those that end alike.
fn unknown(guest: &Guest, zone: &str) -> Error {
    let place = zone.rsplit('/').next().unwrap_or(zone);
    let all =
        guest.tree.nodes.keys().filter_map(|p| std::str::from_utf8(p).ok()?.strip_prefix(ZONES)?.strip_prefix('/'));
    let alike = |name: &&str| {
        let regular = name.starts_with(|c: char| c.is_ascii_uppercase());
        regular && name.rsplit('/').next().is_some_and(|last| last.eq_ignore_ascii_case(place))
    };
    let near: Vec<String> = all.filter(alike).map(|n| format!("`{n}`")).collect();
    let near = if near.is_empty() { String::new() } else { format!("did you mean {}? ", near.join(" or ")) };
    Error::input(format!("there is no time zone `{zone}` in this image"))
        .at("time.timezone")
        .because("its time zone database (package `tzdata`) has no such name")
        .hint(format!("{near}names from before 1993, such as `US/Eastern`, are in the package `tzdata-legacy`"))
}
