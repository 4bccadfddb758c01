//! The table `[monitoring]`: node-exporter in a sandbox of its own, and what the image says of itself: a small script writes it to
//! memory every half minute, and node-exporter's textfile collector shows it.
//!
//! The script runs in dash with mawk, which every Debian system has, and translates nft's list of counters. node-exporter
//! itself could not: reading counters takes CAP_NET_ADMIN, which no service that answers on a port should have.

use super::Guest;
use super::ini::Ini;
use super::{firewall, sandbox};
use diorite_model::{Recipe, Result};

const UNIT: &str = "prometheus-node-exporter.service";
const SCRIPT: &str = "usr/lib/diorite/metrics";
const WRITER: &str = "diorite-metrics.service";
const TIMER: &str = "diorite-metrics.timer";
/// Below /run.
const DIRECTORY: &str = "diorite-metrics";

/// The exporter reads /proc, /sys and the sizes of file systems, and answers on a port; nothing else.
const EXPORTER: &[(&str, &str)] = &[
    ("PrivateNetwork", ""),
    ("IPAddressDeny", ""),
    ("RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX AF_NETLINK"),
    ("TasksMax", "64"),
];

/// The writer of metrics asks nft(8) for the counters of the machine's own network, and others read what it writes.
const WRITER_OPEN: &[(&str, &str)] = &[
    ("CapabilityBoundingSet", "CAP_NET_ADMIN"),
    ("PrivateNetwork", ""),
    ("RestrictAddressFamilies", "AF_UNIX AF_NETLINK"),
    ("ProtectProc", "invisible"),
    ("UMask", "0022"),
    ("TasksMax", "64"),
];

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    if recipe.monitoring.node_exporter.is_none() {
        return Ok(());
    }
    let fenced = sandbox::closed(Ini::new().section("Service"), EXPORTER).set("ExecStart", "").set(
        "ExecStart",
        format!("/usr/bin/prometheus-node-exporter --collector.textfile.directory=/run/{DIRECTORY} $ARGS"),
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
    let unit = Ini::new()
        .section("Unit")
        .set("Description", "What the image says of itself, for node-exporter")
        // Where the boot is still to be blessed, it waits for that: else the first metrics would be half a minute late.
        .set("After", format!("{} systemd-bless-boot.service", firewall::UNIT))
        .section("Service")
        .set("Type", "oneshot")
        .set("ExecStart", format!("/{SCRIPT} /run/{DIRECTORY}{units}"))
        .set("RuntimeDirectory", DIRECTORY)
        .set("RuntimeDirectoryPreserve", "yes")
        .set("TimeoutStartSec", "120");
    sandbox::closed(unit, WRITER_OPEN)
}
