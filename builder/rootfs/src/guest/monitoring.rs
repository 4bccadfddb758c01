//! Monitoring: node-exporter behind a fence of its own.

use super::Guest;
use super::ini::Ini;
use diorite_model::{Recipe, Result};

const UNIT: &str = "prometheus-node-exporter.service";

/// systemd.exec(5). It reads /proc, /sys and the sizes of file systems, and answers on a port; nothing else.
const FENCE: [(&str, &str); 28] = [
    ("NoNewPrivileges", "yes"),
    ("CapabilityBoundingSet", ""),
    ("AmbientCapabilities", ""),
    ("ProtectSystem", "strict"),
    ("ProtectHome", "yes"),
    ("PrivateTmp", "yes"),
    ("PrivateDevices", "yes"),
    ("DevicePolicy", "closed"),
    ("ProtectClock", "yes"),
    ("ProtectControlGroups", "yes"),
    ("ProtectHostname", "yes"),
    ("ProtectKernelLogs", "yes"),
    ("ProtectKernelModules", "yes"),
    ("ProtectKernelTunables", "yes"),
    ("LockPersonality", "yes"),
    ("MemoryDenyWriteExecute", "yes"),
    ("RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX AF_NETLINK"),
    ("RestrictNamespaces", "yes"),
    ("RestrictRealtime", "yes"),
    ("RestrictSUIDSGID", "yes"),
    ("RemoveIPC", "yes"),
    ("KeyringMode", "private"),
    ("UMask", "0077"),
    ("SystemCallArchitectures", "native"),
    ("SystemCallFilter", "@system-service"),
    ("SystemCallFilter", "~@privileged @resources"),
    ("SystemCallErrorNumber", "EPERM"),
    ("TasksMax", "64"),
];

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    if recipe.monitoring.node_exporter.is_none() {
        return Ok(());
    }
    let fenced = FENCE.iter().fold(Ini::new().section("Service"), |ini, (key, value)| ini.set(key, *value));
    guest.drop_in(UNIT, &fenced)?;
    guest.enable(UNIT)
}
