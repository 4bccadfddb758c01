//! The table `[monitoring]`: Prometheus, the blackbox exporter, Alertmanager and what sends the journal have files of their own. Here is node-exporter
//! in a sandbox, and what the image says of itself: a small script writes it to memory every half minute, and
//! node-exporter's textfile collector shows it.
//!
//! The script runs in dash with mawk, which every Debian system has, and translates nft's list of counters. node-exporter
//! itself could not: reading counters takes CAP_NET_ADMIN, which no service that answers on a port should have.

mod alertmanager;
mod logs;
mod probes;
mod prometheus;
mod rules;

use super::Guest;
use super::ini::Ini;
use super::{firewall, sandbox};
use diorite_model::recipe::{Condition, NodeExporter};
use diorite_model::{Recipe, Result};

const UNIT: &str = NodeExporter::UNIT;
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

/// The kernel's clock is read with adjtimex(2), which is among the calls that set it; that takes a capability as well, and
/// the exporter has none.
const CLOCK: [(&str, &str); 4] = [
    ("ProtectClock", ""),
    ("SystemCallFilter", "@system-service"),
    ("SystemCallFilter", "~@privileged @resources"),
    ("SystemCallFilter", "adjtimex clock_adjtime"),
];

/// Prometheus and the programs beside it answer on a port and ask others.
const SERVER: [(&str, &str); 6] = [
    ("PrivateNetwork", ""),
    ("IPAddressDeny", ""),
    ("RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX"),
    ("ProtectProc", "invisible"),
    ("ProcSubset", "pid"),
    ("TasksMax", "256"),
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
    exporter(guest, recipe)?;
    prometheus::generate(guest, recipe)?;
    probes::generate(guest, recipe)?;
    alertmanager::generate(guest, recipe)?;
    logs::generate(guest, recipe)
}

/// The units of this table that a machine can do without while it is repaired: node-exporter is not among them.
pub(super) fn units(recipe: &Recipe) -> Vec<&'static str> {
    use diorite_model::recipe::{Alertmanager, Logs, Probe, Prometheus};
    let m = &recipe.monitoring;
    let all = [
        (m.prometheus.is_some(), Prometheus::UNIT),
        (!m.probes.is_empty(), Probe::UNIT),
        (m.alertmanager.is_some(), Alertmanager::UNIT),
        (m.logs.is_some(), Logs::UNIT),
    ];
    all.into_iter().filter(|(there, _)| *there).map(|(_, unit)| unit).collect()
}

/// Where a server listens.
fn listen(port: u16, public: bool) -> String {
    if public { format!(":{port}") } else { format!("127.0.0.1:{port}") }
}

/// The credentials that a unit reads; without one of them it does not start, and says which is missing.
fn credentials(ini: Ini, recipe: &Recipe, unit: &str) -> Ini {
    ini.each("LoadCredential", recipe.monitoring.credentials().remove(unit).unwrap_or_default())
}

/// Where a unit finds a credential, systemd.exec(5).
fn credential_file(unit: &str, credential: &str) -> String {
    format!("/run/credentials/{unit}/{credential}")
}

fn exporter(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    if recipe.monitoring.node_exporter.is_none() {
        return Ok(());
    }
    let clock = recipe.monitoring.alerts.values().any(|a| matches!(a.when, Condition::ClockOff { .. }));
    let open: Vec<_> = EXPORTER.iter().copied().chain(CLOCK.into_iter().filter(|_| clock)).collect();
    let fenced = sandbox::closed(Ini::new().section("Service"), &open).set("ExecStart", "").set(
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
    // `0`: there is no backup.
    let interval = recipe.backup.as_ref().map_or(0, |backup| backup.when.longest());
    let unit = Ini::new()
        .section("Unit")
        .set("Description", "What the image says of itself, for node-exporter")
        // Where the boot is still to be blessed, it waits for that: else the first metrics would be half a minute late.
        .set("After", format!("{} systemd-bless-boot.service", firewall::UNIT))
        .section("Service")
        .set("Type", "oneshot")
        .set("ExecStart", format!("/{SCRIPT} /run/{DIRECTORY} {interval}{units}"))
        .set("RuntimeDirectory", DIRECTORY)
        .set("RuntimeDirectoryPreserve", "yes")
        .set("TimeoutStartSec", "120");
    sandbox::closed(unit, WRITER_OPEN)
}
