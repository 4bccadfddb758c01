//! The table `[time]`: time zone, as localtime(5), and time servers, timesyncd.conf(5) or chrony.conf(5).

use super::Guest;
use super::ini::Ini;
use diorite_model::recipe::TimeDaemon;
use diorite_model::{Error, Recipe, Result};
use std::collections::BTreeSet;

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
    match time.daemon {
        TimeDaemon::Timesyncd => timesyncd(guest, recipe),
        TimeDaemon::Chrony => chrony(guest, recipe),
        TimeDaemon::None => Ok(()),
    }
}

fn timesyncd(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    let time = &recipe.time;
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

/// The whole of chrony's configuration: what Debian's says, with the profile's servers, and without a port for commands,
/// which chronyc(1) does not need.
fn chrony(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    let time = &recipe.time;
    let named: BTreeSet<&String> = time.ntp.iter().chain(recipe.network.values().flat_map(|link| &link.ntp)).collect();
    let servers: Vec<String> = match (named.is_empty(), &time.fallback_ntp) {
        (false, _) => named.iter().map(|server| format!("server {server} iburst")).collect(),
        (true, Some(fallback)) => fallback.iter().map(|server| format!("server {server} iburst")).collect(),
        (true, None) => {
            let shipped = guest.read("usr/share/chrony/chrony.conf").unwrap_or_default();
            let text = String::from_utf8_lossy(&shipped);
            text.lines()
                .filter(|line| line.starts_with("pool ") || line.starts_with("server "))
                .map(str::to_owned)
                .collect()
        }
    };
    if servers.iter().flat_map(|line| line.chars()).any(char::is_control) {
        return Err(Error::bug(format!("{servers:?} would not stay on its own lines")));
    }
    let servers: String = servers.iter().map(|line| format!("{line}\n")).collect();
    let text = format!(
        "# From [time] of the profile.\n{servers}confdir /etc/chrony/conf.d\nkeyfile /etc/chrony/chrony.keys\n\
         driftfile /var/lib/chrony/chrony.drift\nntsdumpdir /var/lib/chrony\nlogdir /var/log/chrony\n\
         maxupdateskew 100.0\nrtcsync\nmakestep 1 3\nleapseclist /usr/share/zoneinfo/leap-seconds.list\ncmdport 0\n"
    );
    guest.file("etc/chrony/chrony.conf", 0o644, text)?;
    guest.enable("chrony.service")
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
