//! The table `[image]`, which image this is: os-release(5), hosts(5), an empty machine-id(5).

use super::Guest;
use diorite_model::{Error, Recipe, Result};

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    guest.file("etc/os-release", 0o644, os_release(guest, recipe)?)?;
    // Empty, not missing: PID 1 binds the firmware's identity over it, and this is no "first boot".
    guest.file("etc/machine-id", 0o444, "")?;
    guest.file("etc/hosts", 0o644, hosts(recipe)?)?;
    // hostname(5): a static name would be every copy's. The default one of os-release gives way to DHCP's and to the
    // credential `system.hostname`, so that two machines made from one image can have two names.
    guest.remove("etc/hostname");
    guest.link("etc/mtab", "../proc/self/mounts")
}

/// hosts(5): a line for each address of a name.
fn hosts(recipe: &Recipe) -> Result<String> {
    let mut text = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n".to_owned();
    for (name, addresses) in &recipe.hosts {
        if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b)) {
            return Err(Error::bug(format!("{name:?} cannot be a host's name")));
        }
        for address in addresses {
            text += &format!("{address} {name}\n");
        }
    }
    Ok(text)
}

/// Debian's own fields, and ours. base-files' file stays untouched below /usr/lib, so dpkg --verify agrees with it.
pub(super) fn os_release(guest: &Guest, recipe: &Recipe) -> Result<String> {
    let shipped = guest.read("usr/lib/os-release").and_then(|b| String::from_utf8(b).ok());
    let shipped = shipped.ok_or_else(|| Error::bug("the configured tree has no /usr/lib/os-release"))?;
    let ours = ["IMAGE_ID", "IMAGE_VERSION", "DEFAULT_HOSTNAME"];
    let keep = |line: &&str| !ours.iter().any(|key| line.split('=').next() == Some(*key));
    let mut text: String = shipped.lines().filter(keep).map(|l| format!("{l}\n")).collect();
    for (key, value) in ours.iter().zip([&recipe.image.name, &recipe.image.version, &recipe.image.hostname]) {
        if value.is_empty() || !value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.')) {
            return Err(Error::bug(format!("{key} cannot be {value:?}")));
        }
        text += &format!("{key}={value}\n");
    }
    Ok(text)
}
