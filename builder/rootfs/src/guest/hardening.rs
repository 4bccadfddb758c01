//! The table `[hardening]`: sysctl.d(5), modprobe.d(5), the sandboxes of units, and the exceptions a profile makes.

use super::Guest;
use super::ini::Ini;
use super::sandbox;
use diorite_model::hardening::DIRECTIVES;
use diorite_model::{Error, Recipe, Result};
use std::collections::BTreeMap;

/// Read after every package's, so that the last word is ours.
const SYSCTL: &str = "etc/sysctl.d/90-diorite.conf";
const MODULES: &str = "etc/modprobe.d/diorite.conf";

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    let hardening = &recipe.hardening;
    let word = |text: &str, more: &str| {
        let fine = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c) || more.contains(c);
        match !text.is_empty() && text.trim() == text && text.chars().all(fine) {
            true => Ok(()),
            false => Err(Error::bug(format!("{text:?} is not a valid kernel setting or module"))),
        }
    };
    let mut lines = String::new();
    for (name, value) in &hardening.sysctl {
        word(name, "./")?;
        word(value, "., ")?;
        lines += &format!("{name} = {value}\n");
    }
    guest.file(SYSCTL, 0o644, lines)?;
    let mut lines = String::new();
    for module in &hardening.blocked_modules {
        word(module, "")?;
        // A module on the list of `blacklist` still loads when it is named or needed; this one does not. `install` does
        // not count for a module with soft dependencies, of which the first line found here says that there are none.
        lines += &format!("softdep {module} pre:\ninstall {module} /usr/bin/false\n");
    }
    guest.file(MODULES, 0o644, lines)?;
    for (unit, fence) in [
        ("ssh.service", sandbox::SSH),
        ("dbus-broker.service", sandbox::MESSAGE_BUS),
        ("qemu-guest-agent.service", sandbox::GUEST_AGENT),
    ] {
        if guest.has(&format!("usr/lib/systemd/system/{unit}")) {
            fenced(guest, unit, fence)?;
        }
    }
    // One that is given capabilities is closed by podman alone: its unit must have what it hands on.
    for (name, _) in recipe.containers.iter().filter(|(_, c)| c.capabilities.is_empty()) {
        fenced(guest, &format!("{name}.service"), sandbox::CONTAINER)?;
    }
    exceptions(guest, recipe)
}

fn fenced(guest: &mut Guest, unit: &str, fence: &[(&str, &str)]) -> Result<()> {
    let ini = fence.iter().fold(Ini::new().section("Service"), |ini, (key, value)| ini.set(key, *value));
    guest.drop_in_named(unit, "20-sandbox", &ini)
}

/// Opens again what the profile says, whoever closed it: the last drop-in wins.
fn exceptions(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    let mut of: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for exception in &recipe.hardening.exceptions {
        let Some(unit) = &exception.unit else { continue };
        let known = DIRECTIVES.iter().find(|(name, _)| *name == exception.setting);
        let directive = known.ok_or_else(|| Error::bug(format!("`{}` is not a known directive", exception.setting)))?;
        let container = unit.strip_suffix(".service").is_some_and(|name| recipe.containers.contains_key(name));
        if !container && !guest.has_unit(unit) {
            return Err(Error::input(format!("unit `{unit}` does not exist in this image"))
                .at("hardening.exceptions")
                .hint("correct the name, or remove the exception"));
        }
        of.entry(unit).or_default().push(*directive);
    }
    for (unit, directives) in of {
        fenced_open(guest, unit, &directives)?;
    }
    Ok(())
}

fn fenced_open(guest: &mut Guest, unit: &str, directives: &[(&str, &str)]) -> Result<()> {
    let ini = directives.iter().fold(Ini::new().section("Service"), |ini, (key, value)| ini.set(key, *value));
    guest.drop_in_named(unit, "90-exceptions", &ini)
}
