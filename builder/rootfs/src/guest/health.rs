//! The health gate: whether a new image may stay.

use super::Guest;
use super::ini::Ini;
use super::{firewall, sandbox};
use diorite_model::{Recipe, Result};

const HEALTH: &str = "diorite-health.service";

/// Units that must be active for an image to be good.
fn vital(recipe: &Recipe) -> Vec<String> {
    let mut units: Vec<String> =
        [firewall::UNIT, "ssh.service", "systemd-networkd.service", "systemd-resolved.service"].map(Into::into).into();
    units.extend(recipe.containers.keys().map(|name| format!("{name}.service")));
    if recipe.monitoring.node_exporter.is_some() {
        units.push("prometheus-node-exporter.service".into());
    }
    units
}

/// The gate between a boot and its blessing, systemd-bless-boot.service(8): while the entry still counts its tries, a
/// vital unit that is not active restarts the machine, and the boot loader takes the other slot when none is left.
pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
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
