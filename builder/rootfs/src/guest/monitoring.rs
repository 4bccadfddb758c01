//! Monitoring: node-exporter behind a fence of its own, and what the image says of itself: a small script writes it to
//! memory every half minute, and node-exporter's textfile collector shows it.
//!
//! The script runs in dash with mawk, which every Debian system has, and translates nft's list of counters. node-exporter
//! itself could not: reading counters takes CAP_NET_ADMIN, which nobody who answers on a port should have.

use super::Guest;
use super::ini::Ini;
use super::nft;
use diorite_model::{Recipe, Result};

const UNIT: &str = "prometheus-node-exporter.service";
const SCRIPT: &str = "usr/lib/diorite/metrics";
const WRITER: &str = "diorite-metrics.service";
const TIMER: &str = "diorite-metrics.timer";
/// Below /run.
const FOLDER: &str = "diorite-metrics";

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

/// What the writer of metrics may do that the exporter may not, and the other way round.
const WRITER_FENCE: [(&str, &str); 5] = [
    // nft(8) reads counters.
    ("CapabilityBoundingSet", "CAP_NET_ADMIN"),
    ("RestrictAddressFamilies", "AF_UNIX AF_NETLINK"),
    ("IPAddressDeny", "any"),
    ("ProtectProc", "invisible"),
    ("UMask", "0022"),
];

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    if recipe.monitoring.node_exporter.is_none() {
        return Ok(());
    }
    let fenced = FENCE
        .iter()
        .fold(Ini::new().section("Service"), |ini, (key, value)| ini.set(key, *value))
        .set("ExecStart", "")
        .set(
            "ExecStart",
            format!("/usr/bin/prometheus-node-exporter --collector.textfile.directory=/run/{FOLDER} $ARGS"),
        );
    guest.drop_in(UNIT, &fenced)?;
    guest.enable(UNIT)?;
    guest.file(SCRIPT, 0o755, include_bytes!("metrics.sh").to_vec())?;
    guest.unit(WRITER, &writer(recipe))?;
    let timer = Ini::new()
        .section("Unit")
        .set("Description", "What the image says of itself, every half minute")
        .section("Timer")
        .set("OnActiveSec", "0")
        .set("OnUnitInactiveSec", "30")
        .set("AccuracySec", "1")
        .section("Install")
        .set("WantedBy", "timers.target");
    guest.unit(TIMER, &timer)?;
    guest.enable(TIMER)
}

fn writer(recipe: &Recipe) -> Ini {
    let units: String = recipe.containers.keys().map(|name| format!(" {name}.service")).collect();
    let own = |key: &str| WRITER_FENCE.iter().find(|(k, _)| *k == key);
    let unit = Ini::new()
        .section("Unit")
        .set("Description", "What the image says of itself, for node-exporter")
        .set("After", nft::UNIT)
        .section("Service")
        .set("Type", "oneshot")
        .set("ExecStart", format!("/{SCRIPT} /run/{FOLDER}{units}"))
        .set("RuntimeDirectory", FOLDER)
        .set("RuntimeDirectoryPreserve", "yes")
        .set("TimeoutStartSec", "120");
    let shared = FENCE.iter().filter(|(key, _)| own(key).is_none());
    shared.chain(&WRITER_FENCE).fold(unit, |ini, (key, value)| ini.set(key, *value))
}
