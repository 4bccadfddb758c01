//! The rest of a read-only system: units that would write to the image, the health gate, the recipe's own wishes.

use super::Guest;
use super::ini::Ini;
use super::{nft, sandbox};
use diorite_model::{Error, Recipe, Result};

/// Shipped by the packages of the image, and useless or harmful on a read-only root.
const DISABLED: [&str; 6] = [
    "e2scrub_all.timer",    // needs LVM
    "e2scrub_reap.service", // the same
    "getty@tty1.service",   // nobody has a password
    "netavark-dhcp-proxy.service",
    "netavark-dhcp-proxy.socket",
    "netavark-firewalld-reload.service",
];
const MASKED: [&str; 6] = [
    "apt-daily-upgrade.timer", // an image is replaced as a whole
    "apt-daily.timer",
    "dpkg-db-backup.timer",             // the database does not change
    "systemd-boot-random-seed.service", // waits for the boot partition, twenty seconds under emulation
    "systemd-boot-update.service",      // the boot manager belongs to the image
    "systemd-firstboot.service",        // asks on the console
];
/// A listener nobody declared, and login prompts for passwords nobody has.
const GENERATORS: [&str; 2] = ["systemd-ssh-generator", "systemd-getty-generator"];
const HEALTH: &str = "diorite-health.service";

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    guest.link("etc/systemd/system/default.target", "/usr/lib/systemd/system/multi-user.target")?;
    for unit in DISABLED {
        guest.disable(unit);
    }
    for unit in MASKED {
        guest.mask(unit)?;
    }
    for generator in GENERATORS {
        guest.link(&format!("etc/systemd/system-generators/{generator}"), "/dev/null")?;
    }
    let terminals = Ini::new().section("Login").set("NAutoVTs", "0").set("ReserveVT", "0");
    guest.file("etc/systemd/logind.conf.d/10-diorite.conf", 0o644, terminals.finish()?)?;
    if !recipe.kernel.modules.is_empty() {
        // modules-load.d(5): one name per line.
        let lines: String = recipe.kernel.modules.iter().map(|name| format!("{name}\n")).collect();
        if !recipe.kernel.modules.iter().all(|n| n.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))) {
            return Err(Error::bug("a module's name would not stay on its own line"));
        }
        guest.file("etc/modules-load.d/10-diorite.conf", 0o644, lines)?;
    }
    for unit in &recipe.services.disable {
        guest.disable(unit);
    }
    for unit in &recipe.services.enable {
        guest.enable(unit)?;
    }
    for unit in &recipe.services.mask {
        guest.mask(unit)?;
    }
    health(guest, recipe)
}

/// Units without which an image is no good.
fn vital(recipe: &Recipe) -> Vec<String> {
    let mut units: Vec<String> =
        [nft::UNIT, "ssh.service", "systemd-networkd.service", "systemd-resolved.service"].map(Into::into).into();
    units.extend(recipe.containers.keys().map(|name| format!("{name}.service")));
    if recipe.monitoring.node_exporter.is_some() {
        units.push("prometheus-node-exporter.service".into());
    }
    units
}

/// The gate between a boot and its blessing, systemd-bless-boot.service(8): while the entry still counts its tries, a
/// vital unit that is not active restarts the machine, and the boot loader takes the other slot when none is left.
fn health(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    const COUNTING: &str = "/sys/firmware/efi/efivars/LoaderBootCountPath-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
    let units = vital(recipe);
    let unit = Ini::new()
        .section("Unit")
        .set("Description", "Health of an image that is not yet blessed")
        .set("ConditionPathExists", COUNTING)
        .set("After", format!("multi-user.target {}", units.join(" ")))
        .set("Before", "boot-complete.target")
        .set("FailureAction", "reboot")
        .section("Service")
        .set("Type", "oneshot")
        .set("RemainAfterExit", "yes")
        .each("ExecStart", units.iter().map(|u| format!("/usr/bin/systemctl is-active {u}")))
        .set("TimeoutStartSec", "120");
    let unit = sandbox::closed(unit, &[]).section("Install").set("RequiredBy", "boot-complete.target");
    guest.unit(HEALTH, &unit)?;
    guest.enable(HEALTH)
}
