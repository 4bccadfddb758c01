//! What a profile asks for and excludes at once, and packages that another table speaks for.

use super::needs;
use crate::Result;
use crate::recipe::{Recipe, TimeDaemon};
use crate::tables::places::Places;

/// Packages that set the clock, of which Debian installs one: each conflicts with the others.
const TIME_DAEMONS: [&str; 4] = ["chrony", "ntpsec", "openntpd", "systemd-timesyncd"];

pub(crate) fn check(recipe: &Recipe, places: &Places) -> Result<()> {
    for (i, package) in recipe.packages.include.iter().enumerate() {
        let place = format!("packages.include.{i}");
        let name = package.split('=').next().unwrap_or(package);
        if let Some(excluded) = recipe.packages.exclude.iter().position(|e| e == name) {
            let what = format!("package `{name}` is asked for and excluded");
            let other = format!("packages.exclude.{excluded}");
            return Err(places.between(&place, what, &other, "excluded").hint("take one of them out"));
        }
        time_daemon(recipe, name, &place, places)?;
    }
    let needed = needs::needed(recipe);
    for (i, name) in recipe.packages.exclude.iter().enumerate() {
        if needed.iter().any(|n| n.split('=').next() == Some(name)) {
            let error =
                places.finding(&format!("packages.exclude.{i}"), format!("package `{name}` cannot be excluded"));
            return Err(error
                .because("the image itself, or another table of the profile, needs it")
                .hint("take it out of `packages.exclude`"));
        }
    }
    Ok(())
}

/// A second one that sets the clock.
fn time_daemon(recipe: &Recipe, name: &str, place: &str, places: &Places) -> Result<()> {
    let own = match recipe.time.daemon {
        TimeDaemon::Timesyncd => "systemd-timesyncd",
        TimeDaemon::Chrony => "chrony",
        TimeDaemon::None => return Ok(()),
    };
    if name == own || !TIME_DAEMONS.contains(&name) {
        return Ok(());
    }
    let hint = match name {
        "systemd-timesyncd" => "write `daemon = \"timesyncd\"` in `[time]`, and take it out here",
        "chrony" => "write `daemon = \"chrony\"` in `[time]`, and take it out here",
        _ => "write `daemon = \"none\"` in `[time]`, and bring its configuration with an overlay",
    };
    let error = places.finding(place, format!("`{name}` would be a second program that sets the clock"));
    Err(error.because(format!("`{own}` sets it, and Debian installs one of them")).hint(hint))
}
