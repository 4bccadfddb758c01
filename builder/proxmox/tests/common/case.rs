//! A machine called `web`, whose images differ in their version alone, at a simulator.

use super::{client_with, environment, limits};
use diorite_host::progress::Progress;
use diorite_model::machine::{Cluster, Machine as Hardware};
use diorite_model::recipe::Recipe;
use diorite_model::{Digest, Result};
use diorite_proxmox::Client;
use diorite_proxmox::deploy::{Deployer, Deployment};
use diorite_proxmox::desired::{self, ConfigDriveIso, Desired, ImageFile};
use diorite_proxmox::firewall;
use diorite_proxmox::fleet;
use diorite_proxmox::health::HealthProbe;
use diorite_proxmox::notes::{Generation, Notes};
use diorite_proxmox::plan::{Call, DeployStep};
use diorite_proxmox::run::DeployRun;
use diorite_proxmox::status::{MachineStatus, status};
use diorite_proxmox_simulator::{Simulator, VirtualMachine, World};
use std::path::PathBuf;
use std::time::Duration;

/// The machine's, where it has values of its own.
pub const UUID: &str = "6f9619ff-8b86-8d11-b42d-00c04fc964ff";

/// Bytes of every image's disk, and of them those that are not zero.
pub const DISK: u64 = 3 << 30;
pub const USED: u64 = 1 << 30;

/// One of each series that is supported.
pub const VERSIONS: [&str; 3] = ["8.4.14", "9.1.7", "9.2.11"];

pub struct Case {
    pub simulator: Simulator,
    pub client: Client,
    pub hardware: Hardware,
    pub probes: Vec<HealthProbe>,
    /// What the machine's disc says, where it has one.
    pub values: Option<String>,
    /// How its runs call themselves: by default by a process that is gone, as of a run that was killed.
    pub run: DeployRun,
    directory: tempfile::TempDir,
}

impl Case {
    pub fn new() -> Self {
        Self::of(World::new(), "")
    }

    pub fn of(world: World, more: &str) -> Self {
        let simulator = Simulator::http(world);
        let client = client_with(&simulator.url(), more, &environment, limits());
        let directory = tempfile::tempdir().expect("a directory");
        let run = DeployRun { process: u32::MAX, ..DeployRun::begin("deploy@pve!ci", Duration::from_secs(1)) };
        Self { simulator, client, hardware: Hardware::default(), probes: vec![], values: None, run, directory }
    }

    /// Another simulator in the state of this one.
    pub fn again(&self) -> Self {
        let world = self.simulator.world().clone();
        Self { hardware: self.hardware.clone(), values: self.values.clone(), ..Self::of(world, "") }
    }

    /// At a host of this version.
    pub fn on(version: &str) -> Self {
        Self::of(World::of_version(version), "")
    }

    /// On three nodes, with high availability and replication.
    pub fn clustered() -> Self {
        Self::clustered_on("9.1.7")
    }

    pub fn clustered_on(version: &str) -> Self {
        let mut world = spread(World::of_version(version));
        if version.starts_with('8') {
            world.grant("/storage", "Datastore.Allocate");
        }
        let mut case = Self::of(world, "");
        case.hardware.cluster = Cluster { ha: true, anti_affinity: true, replication: Some("*/15".into()) };
        case
    }

    /// The login may remove files.
    pub fn may_remove(self) -> Self {
        self.simulator.world().grant("/storage/local", "Datastore.Allocate");
        self
    }

    /// The bytes of a version's file.
    fn bytes(version: u32) -> Vec<u8> {
        format!("image {version}").into_bytes()
    }
    /// Digest of its file.
    pub fn digest(&self, version: u32) -> Digest {
        Digest::of(&Self::bytes(version))
    }
    /// Digest of its raw disk.
    pub fn raw(&self, version: u32) -> Digest {
        Digest::of(format!("raw {version}").as_bytes())
    }

    fn file(&self, version: u32) -> PathBuf {
        let file = self.directory.path().join(format!("{version}.qcow2"));
        std::fs::write(&file, Self::bytes(version)).expect("a file");
        file
    }

    pub fn desired(&self, version: u32) -> Desired {
        self.named("web", version)
    }

    /// The same as a machine of this name.
    pub fn named(&self, name: &str, version: u32) -> Desired {
        let target = self.client.target();
        Desired {
            name: name.into(),
            image: "server".into(),
            version: version.to_string(),
            sha256: self.raw(version),
            verified: true,
            file: Some(ImageFile {
                name: format!("diorite-server-{version}-{}.qcow2", self.raw(version).short(12)),
                size: Self::bytes(version).len() as u64,
                sha256: self.digest(version),
                disk: DISK,
                used: USED,
            }),
            hardware: Some(desired::hardware(name, &self.hardware, true, target)),
            state: self.hardware.state,
            tpm: false,
            firewall: Some(rules(version)),
            keep: Some(self.hardware.keep),
            config_drive: self.values.as_ref().map(|text| ConfigDriveIso::new(name, text.clone().into_bytes(), target)),
            uuid: self.values.as_ref().map(|_| UUID.to_owned()),
            node: None,
            cluster: Some(self.hardware.cluster.clone()),
            verdict: None,
            run: None,
        }
    }

    pub fn with<T>(&self, version: u32, act: impl FnOnce(&Deployer) -> Result<T>) -> Result<T> {
        self.with_run(self.run.clone(), version, act)
    }

    /// What `status` says of all VMs.
    pub fn status(&self) -> Result<Vec<MachineStatus>> {
        status(&self.client, &[], None, &Progress::quiet())
    }

    pub fn with_run<T>(&self, run: DeployRun, version: u32, act: impl FnOnce(&Deployer) -> Result<T>) -> Result<T> {
        let file = self.file(version);
        let progress = Progress::quiet();
        act(&Deployer {
            client: &self.client,
            file: Some(&file),
            probes: &self.probes,
            timeout: Duration::from_millis(60),
            run,
            progress: &progress,
        })
    }

    pub fn deploy(&self, version: u32) -> Result<Deployment> {
        self.with(version, |d| d.deploy(&self.desired(version)))
    }

    /// Machines of these names, so many at a time.
    pub fn roll(&self, names: &[&str], version: u32, at_once: usize) -> Result<()> {
        self.with(version, |d| {
            let mut placed = Vec::new();
            let mut all: Vec<_> = names.iter().map(|name| self.named(name, version)).collect();
            all.iter_mut().try_for_each(|desired| d.choose_node(desired, &mut placed).map(drop))?;
            fleet::roll(d, &all, at_once, &|_, _| Ok(()))
        })
    }

    pub fn plan(&self, version: u32) -> Result<Vec<(DeployStep, Option<Call>)>> {
        self.with(version, |d| d.plan(&self.desired(version), &Default::default()).map(|plan| plan.steps))
    }

    pub fn roll_back(&self, version: u32) -> Result<Deployment> {
        let generations = self.generations();
        let known = generations.into_iter().find(|g| g.sha256 == self.raw(version));
        let back = Desired::back("web", "server", &known.unwrap_or_else(|| self.desired(version).generation()));
        self.with(version, |d| d.roll_back(&back))
    }

    /// Requests that change something.
    pub fn changes(&self) -> usize {
        let reads = |path: &str| path.ends_with("/agent/ping");
        self.simulator.requests().iter().filter(|a| a.method != "GET" && !reads(&a.path)).count()
    }

    /// The volume of a machine's system disk.
    pub fn system<'m>(&self, machine: &'m VirtualMachine) -> &'m str {
        machine.config["scsi0"].split(',').next().unwrap_or_default()
    }

    /// The version whose image the machine runs.
    pub fn runs(&self) -> u32 {
        let world = self.simulator.world();
        let found = world.content(self.system(&world.machines[&9000]));
        (1..9).find(|v| Some(self.digest(*v)) == found).expect("one of ours")
    }

    /// What its notes say.
    pub fn generations(&self) -> Vec<Generation> {
        let world = self.simulator.world();
        match Notes::parse(&world.machines[&9000].config["description"]) {
            Some(Notes::Machine(machine)) => machine.generations,
            other => panic!("{other:?}"),
        }
    }

    /// Everything that must be the same, however it came to be: names of volumes may differ.
    pub fn picture(&self) -> String {
        let world = self.simulator.world();
        let mut text = String::new();
        for (id, machine) in &world.machines {
            text += &format!("{id} {} {:?}\n", machine.running, machine.pending);
            for (key, value) in
                machine.config.iter().filter(|(key, _)| !key.starts_with("unused") && *key != "description")
            {
                let content = world.content(value.split(',').next().unwrap_or_default());
                let rest = value.split_once(',').map_or("", |(_, rest)| rest);
                text += &match content {
                    Some(content) => format!("{key} {content} {rest}\n"),
                    None => format!("{key} {value}\n"),
                };
            }
            let aside: std::collections::BTreeSet<_> = machine
                .config
                .iter()
                .filter(|(key, _)| key.starts_with("unused"))
                .map(|(_, volume)| world.content(volume).map(|d| d.to_string()))
                .collect();
            text += &format!("aside {aside:?}\n{:#?}\n{:?}\n{:?}\n", machine.rules, machine.sets, machine.options);
        }
        let discs = world.storages["local"].files.keys().filter(|name| name.starts_with("iso/"));
        text += &format!("{:?}\n{:#?}\n", discs.collect::<Vec<_>>(), world.cluster);
        drop(world);
        for g in self.generations() {
            text += &format!("{} {} {:?} {}\n", g.version, g.sha256, g.proven, g.verified);
        }
        text
    }
}

/// A cluster of three nodes, and a login that may use what it does.
pub fn three_nodes() -> World {
    spread(World::new())
}

fn spread(mut world: World) -> World {
    for name in ["pve2", "pve3"] {
        world.nodes.insert(name.into(), world.nodes["pve1"].clone());
    }
    world.grant("/", "Sys.Console");
    world.grant("/pool/school", "VM.Replicate");
    world
}

/// A firewall that differs from version to version; of the even ones the addresses are known.
fn rules(version: u32) -> firewall::FirewallRules {
    let fixed = format!("[network.ethernet]\nrouter_advertisements = false\naddresses = [\"10.0.0.{version}/24\"]\n");
    let fixed = if version.is_multiple_of(2) { fixed } else { String::new() };
    let text = format!(
        "[image]\nname = \"server\"\nversion = \"{version}\"\n[firewall]\nallow = [{{ port = 443, listener = \"nginx\" }}, \
         {{ port = {}, from = [\"admins\"], listener = \"nginx\" }}]\n[firewall.sets.admins]\nnetworks = [\"10.{version}.0.0/16\", \
         \"192.0.2.7/32\"]\n{fixed}",
        1000 + version
    );
    let recipe = recipe(&text);
    firewall::of(&recipe, &recipe.network)
}

/// A profile's recipe.
pub fn recipe(text: &str) -> Recipe {
    let mut none = |name: &str| Err(diorite_model::Error::input(name.to_owned()));
    diorite_model::profile::parse(text, "web.toml", &mut none).unwrap_or_else(|e| panic!("{e}")).0
}

/// Steps without what only the hypervisor can know beforehand.
pub fn describe(steps: &[DeployStep]) -> Vec<String> {
    steps
        .iter()
        .map(|step| match step {
            DeployStep::WriteNotes { id, .. } => format!("notes {id}"),
            other => other.to_string(),
        })
        .collect()
}
