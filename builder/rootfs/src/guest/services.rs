//! The table `[services]`: units of the profile's own, each in a sandbox and with a timer where it has one; and units
//! switched on and off.

use super::ini::{Ini, literal, word};
use super::{Guest, sandbox};
use diorite_model::recipe::{Restart, Timer, Unit};
use diorite_model::{Error, Recipe, Result};

/// On top of what is closed everywhere: a service of the profile's own sees no process but its own.
const OWN: [(&str, &str); 4] =
    [("PrivateIPC", "yes"), ("ProtectProc", "invisible"), ("ProcSubset", "pid"), ("TasksMax", "256")];
/// With a network.
const NETWORK: [(&str, &str); 3] =
    [("PrivateNetwork", ""), ("IPAddressDeny", ""), ("RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX")];

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    for (name, unit) in &recipe.services.units {
        let service = format!("{name}.service");
        let taken = [format!("usr/lib/systemd/system/{service}"), format!("etc/systemd/system/{service}")];
        if taken.iter().any(|path| guest.has(path)) {
            return Err(Error::input(format!("a service cannot be called `{name}`"))
                .at(format!("services.units.{name}"))
                .because(format!("`{service}` is a unit of the system"))
                .hint("give it another name"));
        }
        if let Some(program) = unit.exec.first()
            && !guest.has(program.trim_start_matches('/'))
        {
            return Err(Error::input(format!("service `{name}` starts `{program}`, which this image does not have"))
                .at(format!("services.units.{name}.exec"))
                .hint("add the package or overlay that brings it"));
        }
        guest.unit(&service, &service_of(name, unit))?;
        match &unit.timer {
            None => guest.enable(&service)?,
            Some(timer) => {
                let file = format!("{name}.timer");
                guest.unit(&file, &timer_of(unit, timer))?;
                guest.enable(&file)?;
            }
        }
    }
    Ok(())
}

/// Switches units as the profile says. After all that enables any: the profile has the last word.
pub(super) fn switch(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    for unit in &recipe.services.disable {
        guest.disable(unit);
    }
    for unit in &recipe.services.enable {
        guest.enable(unit)?;
    }
    for unit in &recipe.services.mask {
        guest.mask(unit)?;
    }
    Ok(())
}

fn service_of(name: &str, unit: &Unit) -> Ini {
    let join = |list: &[String]| list.join(" ");
    let mut ini = Ini::new().section("Unit").set("Description", literal(&unit.description));
    if unit.network {
        ini = ini.set("Wants", "network-online.target").set("After", "network-online.target");
    }
    if !unit.requires.is_empty() {
        ini = ini.set("Requires", join(&unit.requires)).set("After", join(&unit.requires));
    }
    if !unit.after.is_empty() {
        ini = ini.set("After", join(&unit.after));
    }
    let words: Vec<String> = unit.exec.iter().map(|argument| word(argument)).collect();
    ini = ini
        .section("Service")
        .set("Type", if unit.timer.is_some() { "oneshot" } else { "exec" })
        .set("ExecStart", words.join(" "))
        .set(
            "Restart",
            match unit.restart {
                Restart::No => "no",
                Restart::OnFailure => "on-failure",
                Restart::Always => "always",
            },
        );
    ini = match unit.user.as_str() {
        "dynamic" => ini.set("DynamicUser", "yes").set("PrivateUsers", "yes"),
        "root" => ini,
        user => ini.set("User", user),
    };
    ini = ini.each("Environment", unit.environment.iter().map(|(n, v)| format!("\"{n}={}\"", literal(v))));
    ini = ini.each("ImportCredential", &unit.credentials);
    if unit.state {
        ini = ini.set("StateDirectory", name).set("StateDirectoryMode", "0700");
    }
    let open: Vec<_> = OWN.into_iter().chain(NETWORK.into_iter().filter(|_| unit.network)).collect();
    ini = sandbox::closed(ini, &open);
    match unit.timer {
        Some(_) => ini,
        None => ini.section("Install").set("WantedBy", "multi-user.target"),
    }
}

fn timer_of(unit: &Unit, timer: &Timer) -> Ini {
    let ini = Ini::new().section("Unit").set("Description", literal(&unit.description)).section("Timer");
    let ini = match timer {
        // From boot on, so that one that never ran does not wait for ever.
        Timer::Every(seconds) => {
            ini.set("OnActiveSec", "0").set("OnUnitActiveSec", format!("{seconds}s")).set("AccuracySec", "1s")
        }
        Timer::Calendar(event) => ini.set("OnCalendar", event.as_str()).set("Persistent", "yes"),
    };
    ini.section("Install").set("WantedBy", "timers.target")
}
