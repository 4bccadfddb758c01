//! The table `[firewall]` → nftables rules, nft(8), in a table of our own and nowhere else.
//!
//! Rules are values of types that cannot hold text ([`rules`]); one module renders them ([`mod@render`]). The file replaces
//! the table in one transaction, so a reload never leaves a moment without rules, and a file that does not load changes
//! nothing. Before it, at boot, a table is loaded that lets nothing through: whatever happens to the declared rules, the
//! machine is closed until they are loaded.

mod render;
mod rules;

pub use render::render;
pub use rules::{Addresses, FilterRule, Limit, Match, NatRule, PacketVerdict, Ruleset, Translation, closed, ruleset};

use crate::guest::Guest;
use crate::guest::ini::Ini;
use diorite_model::{Recipe, Result};

/// Where the rules are in the image.
pub const RULES: &str = "etc/diorite/firewall.nft";
/// Where the rules are that let nothing through.
pub const CLOSED: &str = "etc/diorite/firewall-closed.nft";
/// The unit that loads them.
pub const UNIT: &str = "diorite-firewall.service";

/// The rules, the unit that loads them before there is a network, and the network's dependence on it.
pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    guest.file(RULES, 0o644, render(&ruleset(recipe))?)?;
    guest.file(CLOSED, 0o644, render(&closed())?)?;
    guest.unit(UNIT, &unit())?;
    guest.enable(UNIT)?;
    forwarding(guest, recipe)?;
    // Without rules there is no network.
    let network = Ini::new().section("Unit").set("Requires", UNIT).set("After", UNIT);
    guest.drop_in("systemd-networkd.service", &network)?;
    // Debian's own unit flushes the whole ruleset when it is stopped.
    guest.mask("nftables.service")
}

/// The kernel passes packets on only where something is declared that may pass: of both families, of which each has its
/// rules. A container's traffic is podman's matter, which does this by itself.
fn forwarding(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    let firewall = &recipe.firewall;
    if firewall.forward.is_empty() && firewall.nat.is_empty() {
        return Ok(());
    }
    let both = Ini::new().section("Network").set("IPv4Forwarding", "yes").set("IPv6Forwarding", "yes");
    guest.file("etc/systemd/networkd.conf.d/10-diorite.conf", 0o644, both.finish()?)
}

fn unit() -> Ini {
    let load = |file: &str| format!("/usr/sbin/nft -f /{file}");
    Ini::new()
        .section("Unit")
        .set("Description", "Packet filter")
        .set("DefaultDependencies", "no")
        .set("After", "systemd-modules-load.service")
        .set("Before", "network-pre.target systemd-networkd.service shutdown.target")
        .set("Wants", "network-pre.target")
        .set("Conflicts", "shutdown.target")
        .section("Service")
        .set("Type", "oneshot")
        .set("RemainAfterExit", "yes")
        // There is no ExecStop: stopping the unit leaves the rules where they are.
        .each("ExecStart", [load(CLOSED), load(RULES)])
        .set("ExecReload", load(RULES))
        .each("CapabilityBoundingSet", ["CAP_NET_ADMIN"])
        // The kernel loads its modules by itself: nft needs no right to.
        .set("ProtectSystem", "strict")
        .set("ProtectHome", "yes")
        .set("PrivateDevices", "yes")
        .set("DevicePolicy", "closed")
        .set("ProtectProc", "invisible")
        .set("ProcSubset", "pid")
        .set("ProtectClock", "yes")
        .set("ProtectControlGroups", "yes")
        .set("ProtectHostname", "yes")
        .set("ProtectKernelLogs", "yes")
        .set("ProtectKernelModules", "yes")
        .set("ProtectKernelTunables", "yes")
        .set("NoNewPrivileges", "yes")
        .set("LockPersonality", "yes")
        .set("MemoryDenyWriteExecute", "yes")
        .set("RestrictAddressFamilies", "AF_NETLINK")
        .set("RestrictNamespaces", "yes")
        .set("RestrictRealtime", "yes")
        .set("RestrictSUIDSGID", "yes")
        .set("KeyringMode", "private")
        .set("UMask", "0077")
        .set("SystemCallArchitectures", "native")
        .set("SystemCallFilter", "@system-service")
        .section("Install")
        .set("WantedBy", "sysinit.target")
}

#[cfg(test)]
mod tests;
