//! What runs at a target: the VMs, their images, and where they differ from what a profile declares.

use crate::client::{Client, Method, Parameters, Path};
use crate::desired::{self, CONFIG_DRIVE, Desired, SYSTEM};
use crate::firewall::{self, comparable};
use crate::health;
use crate::inspector::Inspector;
use crate::metrics::{self, ImageMetrics};
use crate::notes::Generation;
use crate::observed::Vm;
use crate::run::DeployRun;
use diorite_host::progress::Progress;
use diorite_model::{Digest, Result};
use serde::Serialize;
use std::collections::BTreeSet;

/// A VM of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MachineStatus {
    /// Its name.
    pub name: String,
    /// Its number.
    pub id: u32,
    /// The node it is on.
    pub node: String,
    /// Whether it runs.
    pub running: bool,
    /// Whether its guest agent answers; none when it is said to have none, or does not run.
    pub agent: Option<bool>,
    /// Whether its configuration is changed by the next start.
    pub waits: bool,
    /// What the cluster does with it, where it is under high availability: `started`.
    pub ha: Option<String>,
    /// IMAGE_ID; none when its notes are not ours.
    pub image: Option<String>,
    /// The deployment that is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<DeployRun>,
    /// Its system disks, the latest first.
    pub disks: Vec<DiskStatus>,
    /// What it says of itself.
    pub says: Option<ImageMetrics>,
    /// Why its metrics cannot be read. Neither where no profile asks for them.
    pub unheard: Option<String>,
    /// What is not as its profile declares. Empty when no profile was named.
    pub drift: Vec<String>,
    /// The firewall, side by side. Empty when no profile was asked for.
    pub firewall: Vec<FirewallLine>,
    /// What the guest's own filter does and the hypervisor's cannot.
    pub unsaid: Vec<String>,
}

impl MachineStatus {
    /// Whether anything is not as its profile declares.
    pub fn differs(&self) -> bool {
        !self.drift.is_empty() || self.firewall.iter().any(|line| line.guest != line.hypervisor)
    }
}

/// A system disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiskStatus {
    /// What the notes say of it.
    #[serde(flatten)]
    pub generation: Generation,
    /// Whether the VM runs from it now.
    pub runs: bool,
    /// Its volume is not on the storage any more: somebody deleted it there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub missing: bool,
}

/// A line of the firewall.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FirewallLine {
    /// For people.
    pub what: String,
    /// The profile declares it, so that the guest's own filter has it.
    pub guest: bool,
    /// The hypervisor has it.
    pub hypervisor: bool,
}

/// How machines can be asked what they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricsSource {
    /// Port of their node-exporter.
    pub port: u16,
    /// Root hash of the image as it was built.
    pub root_hash: Digest,
}

/// Every machine of ours at a target; with `desired` also where those differ from what they must be.
///
/// # Errors
/// As of any call.
pub fn status(
    client: &Client,
    desired: &[Desired],
    metrics: Option<MetricsSource>,
    progress: &Progress,
) -> Result<Vec<MachineStatus>> {
    let inspector = Inspector { client, progress, used_ids: BTreeSet::new() };
    let mut all = Vec::new();
    for listed in inspector.ours()? {
        let Some(vm) = inspector.vm(listed.id, &listed.node)? else { continue };
        let volumes = inspector.volumes(&vm)?;
        let mut machine = of(client, &vm, listed.ha, &volumes);
        if let Some(desired) = desired.iter().find(|desired| desired.name.eq_ignore_ascii_case(&machine.name)) {
            machine.drift = drift(desired, &vm);
            if let Some(metrics) = metrics.filter(|_| machine.agent == Some(true)) {
                match heard(client, &vm, metrics) {
                    Ok(said) => {
                        machine.drift.extend(other(&said, &machine, desired, metrics));
                        machine.says = Some(said);
                    }
                    Err(why) => machine.unheard = Some(why),
                }
            }
            if let Some(rules) = &desired.firewall {
                machine.firewall = side_by_side(rules, &vm.firewall);
                machine.unsaid.clone_from(&rules.unsaid);
            }
        }
        all.push(machine);
    }
    all.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
    Ok(all)
}

fn of(client: &Client, vm: &Vm, ha: Option<String>, volumes: &BTreeSet<String>) -> MachineStatus {
    let path = Path::new(["nodes", &vm.node, "qemu", &vm.id.to_string(), "agent", "ping"]);
    let ping = || client.call(Method::Post, &path, &Parameters::none()).is_ok();
    let runs = |serial: &str| vm.running && vm.now.get(SYSTEM).is_some_and(|d| crate::observed::has_serial(d, serial));
    let missing = |g: &Generation| g.volume.as_ref().is_some_and(|volume| !volumes.contains(volume));
    let disk = |g: Generation| DiskStatus { runs: runs(&g.serial()), missing: missing(&g), generation: g };
    MachineStatus {
        name: vm.config.get("name").cloned().unwrap_or_default(),
        id: vm.id,
        node: vm.node.clone(),
        running: vm.running,
        agent: (vm.running && vm.has_agent()).then(ping),
        waits: vm.config != vm.now,
        ha,
        image: vm.machine().map(|m| m.image.clone()),
        disks: vm.generations().into_iter().map(disk).collect(),
        run: vm.machine().and_then(|m| m.run.clone()).filter(|run| !run.is_over()),
        says: None,
        unheard: None,
        drift: Vec::new(),
        firewall: Vec::new(),
        unsaid: Vec::new(),
    }
}

/// What a machine says of itself.
fn heard(client: &Client, vm: &Vm, metrics: MetricsSource) -> Result<ImageMetrics, String> {
    let path = Path::new(["nodes", &vm.node, "qemu", &vm.id.to_string(), "agent", "network-get-interfaces"]);
    let answer = client.get(&path, &Parameters::none()).map_err(|failure| failure.why)?;
    metrics::ask(&health::addresses(&answer, vm), metrics.port)
}

/// The notes and the machine itself disagree about what it runs.
fn other(said: &ImageMetrics, machine: &MachineStatus, desired: &Desired, metrics: MetricsSource) -> Option<String> {
    let runs = machine.disks.iter().any(|disk| disk.runs && disk.generation.sha256 == desired.sha256);
    let built = metrics.root_hash.to_string();
    (runs && said.root_hash != built)
        .then(|| format!("root hash: it reports {}; its notes name a disk with {built}", said.root_hash))
}

/// What is not as it must be.
fn drift(desired: &Desired, vm: &Vm) -> Vec<String> {
    let mut all = Vec::new();
    if !vm.boots_from(&crate::notes::serial(desired.sha256)) {
        let there = vm.machine().and_then(|m| m.generations.first());
        let there =
            there.map_or("no image of Diorite".to_owned(), |g| format!("{} (disk {})", g.version, g.sha256.short(12)));
        all.push(format!("image: {there}; built is {} (disk {})", desired.version, desired.sha256.short(12)));
    }
    if let Some(iso) = desired.config_drive.as_ref().filter(|iso| vm.volume(CONFIG_DRIVE) != Some(&iso.volume)) {
        all.push(format!("config drive: {}; declared is {}", vm.volume(CONFIG_DRIVE).unwrap_or("none"), iso.volume));
    }
    for (key, value) in desired.hardware.iter().flatten() {
        let there = vm.config.get(key);
        if desired::differs(key, there, value) {
            all.push(format!("{key}: {}; declared is {value}", there.map_or("nothing", String::as_str)));
        }
    }
    all
}

/// The rules, options and sets of both, each once.
fn side_by_side(declared: &firewall::FirewallRules, there: &firewall::FirewallRules) -> Vec<FirewallLine> {
    let lines = |rules: &firewall::FirewallRules| -> BTreeSet<String> {
        let all = rules.rules.iter().map(|rule| firewall::describe(&comparable(rule)));
        let sets = rules
            .sets
            .iter()
            .map(|(name, networks)| format!("set {name}: {}", networks.iter().cloned().collect::<Vec<_>>().join(", ")));
        all.chain(sets).collect()
    };
    let (guest, hypervisor) = (lines(declared), lines(there));
    let names: BTreeSet<&String> = guest.union(&hypervisor).collect();
    let mut all: Vec<FirewallLine> = Vec::new();
    for (name, value) in &declared.options {
        let has = there.options.get(name);
        let what = match has {
            Some(has) if has != value => format!("{name} {value} (the hypervisor has {has})"),
            _ => format!("{name} {value}"),
        };
        all.push(FirewallLine { what, guest: true, hypervisor: has == Some(value) });
    }
    all.extend(names.into_iter().map(|what| FirewallLine {
        what: what.clone(),
        guest: guest.contains(what),
        hypervisor: hypervisor.contains(what),
    }));
    all
}
