//! What a simulated cluster has: nodes, storages, VMs, tasks, and who may do what.

use crate::hardware::Hardware;
use diorite_model::Digest;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// The API token that is accepted. Not a secret: it opens nothing but this simulator.
pub const TOKEN: &str = "deploy@pve!ci=00000000-0000-0000-0000-000000000000";
/// The user and the password that are accepted.
pub const USER: (&str, &str) = ("admin@pve", "correct horse");

/// A node.
#[derive(Debug, Clone, Default)]
pub struct ClusterNode {
    /// Whether it is there.
    pub online: bool,
    /// Bridges, and whether they are up.
    pub bridges: BTreeMap<String, bool>,
}

/// A storage that every node sees.
#[derive(Debug, Clone)]
pub struct Storage {
    /// `dir`, `zfspool`…
    pub kind: &'static str,
    /// `iso,import`.
    pub content: String,
    /// Bytes.
    pub total: u64,
    /// Bytes.
    pub free: u64,
    /// Whether it is active.
    pub active: bool,
    /// Whether every node sees the same, by its own word.
    pub shared: bool,
    /// Files by the part of their volume's name behind the colon: size and digest. The bytes themselves are not kept.
    pub files: BTreeMap<String, (u64, Digest)>,
}

/// A task.
#[derive(Debug, Clone)]
pub struct Task {
    /// `imgcopy`.
    pub kind: String,
    /// What it is about.
    pub id: String,
    /// Looks at its status that still find it running.
    pub looks: u32,
    /// How it ends: `OK`, `WARNINGS: 1`, or text.
    pub exit: String,
    /// Its log.
    pub log: Vec<String>,
}

/// A virtual machine.
#[derive(Debug, Clone, Default)]
pub struct VirtualMachine {
    /// The node it is on.
    pub node: String,
    /// The pool it is in.
    pub pool: Option<String>,
    /// Whether it runs.
    pub running: bool,
    /// What it runs with.
    pub config: BTreeMap<String, String>,
    /// What its next cold start changes: a value, or nothing at all.
    pub pending: BTreeMap<String, Option<String>>,
    /// Rules of its firewall, the first first: type, action, and the rest by name.
    pub rules: Vec<BTreeMap<String, String>>,
    /// Options of its firewall.
    pub options: BTreeMap<String, String>,
    /// Sets of its firewall, with their networks.
    pub sets: BTreeMap<String, BTreeSet<String>>,
    /// How often it was started.
    pub starts: u32,
    /// When it was created, by the simulator's clock. For ten seconds the list of all VMs does not know its name.
    pub created: Duration,
    /// Until then `qm cleanup` holds the lock of its configuration.
    pub locked_until: Duration,
}

/// Everything that is said of a cluster.
#[derive(Debug, Clone, Default)]
pub struct ClusterConfig {
    /// Machines under high availability, by their number.
    pub resources: BTreeMap<u64, BTreeMap<String, String>>,
    /// Rules by name; none before 9.
    pub rules: BTreeMap<String, BTreeMap<String, String>>,
    /// Groups by name; none since 9.
    pub groups: BTreeMap<String, BTreeMap<String, String>>,
    /// Jobs that copy disks: `100-0`.
    pub jobs: BTreeMap<String, BTreeMap<String, String>>,
}

/// What is to be fetched.
#[derive(Debug, Clone)]
pub(crate) struct Download {
    pub url: String,
    pub storage: String,
    /// `import/a.qcow2`.
    pub volume: String,
    pub checksum: Option<String>,
    pub upid: String,
}

/// The state of the simulated cluster.
#[derive(Debug, Clone)]
pub struct World {
    /// The simulator's own clock: nothing in a test waits for it. Each request takes a little of it, a lock that is waited
    /// for in vain ten seconds, a guest that ignores a shutdown its whole time-out.
    pub clock: Duration,
    /// How long `qm cleanup` holds a VM's lock after a stop.
    pub cleanup: Duration,
    /// Lists come in another order each time.
    pub(crate) answers: usize,
    /// `9.1.7`.
    pub version: String,
    /// Nodes by name.
    pub nodes: BTreeMap<String, ClusterNode>,
    /// Storages by name.
    pub storages: BTreeMap<String, Storage>,
    /// Pools.
    pub pools: BTreeSet<String>,
    /// Machines by number.
    pub machines: BTreeMap<u64, VirtualMachine>,
    /// Privileges by path; they reach what is below.
    pub grants: BTreeMap<String, BTreeSet<String>>,
    /// What stands behind the machines; without it they only say that they run.
    pub hardware: Option<Arc<dyn Hardware>>,
    /// Machines that are being stopped: orderly or not, and the task that says so.
    pub(crate) stopping: Vec<(u64, bool, String)>,
    /// Files that nodes are to fetch.
    pub(crate) downloads: Vec<Download>,
    /// Nodes have no way out: downloads never complete.
    pub cut_off: bool,
    /// The node goes down as soon as it has begun to create a VM.
    pub crash_during_create: bool,
    /// Images whose machines start, and whose guest agent never answers.
    pub unhealthy: BTreeSet<Digest>,
    /// The address of every machine's card, by its guest agent's word.
    pub address: String,
    /// Its address of IPv6, link-local unless a test says otherwise.
    pub address_ipv6: String,
    /// High availability and copies of disks.
    pub cluster: ClusterConfig,
    /// Whether the datacenter's firewall is on.
    pub firewall: bool,
    /// Whether the user has a second factor.
    pub second_factor: bool,
    /// Tickets that are still valid. Emptied, they have all expired.
    pub tickets: BTreeSet<String>,
    /// Tickets handed out.
    pub ticket: u64,
    /// Tasks by their number (UPID).
    pub tasks: BTreeMap<String, Task>,
    /// Machines whose lock goes with the end of a task.
    pub unlocks: BTreeMap<String, u64>,
    /// How long a refusal of a login, or of an upload, takes: three seconds in the real one.
    pub delay: Duration,
    /// When an idle connection is dropped: after five seconds in the real one.
    pub idle: Duration,
}

impl World {
    /// As [`World::new`], of this version: `8.4.14`, `9.1.7`, `9.2.11`. What differs between them follows from it.
    pub fn of_version(version: &str) -> Self {
        let mut world = Self { version: version.into(), ..Self::new() };
        if !world.is_at_least(9, 0) {
            world.revoke("/pool/school", "VM.GuestAgent.Audit");
            world.grant("/pool/school", "VM.Monitor");
        }
        world
    }

    /// Whether it is of this series, or of a later one.
    pub(crate) fn is_at_least(&self, major: u32, minor: u32) -> bool {
        let mut parts = self.version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= (major, minor)
    }

    /// A list in another order each time, as the real one gives those that come from hashes.
    pub(crate) fn any_order<T>(&mut self, mut list: Vec<T>) -> Vec<T> {
        self.answers += 1;
        let by = self.answers % list.len().max(1);
        list.rotate_left(by);
        list
    }

    /// One node with a file storage, a ZFS pool and a bridge, a pool of machines, and a login that may do all that a
    /// deployment into this pool needs, nothing at `/`, and see whether the firewall is on.
    pub fn new() -> Self {
        let storage = |kind, content: &str| Storage {
            kind,
            content: content.into(),
            total: 100_000_000_000,
            free: 60_000_000_000,
            active: true,
            shared: false,
            files: BTreeMap::new(),
        };
        let node = ClusterNode { online: true, bridges: BTreeMap::from([("vmbr0".into(), true)]) };
        let mut world = Self {
            clock: Duration::from_secs(1000),
            cleanup: Duration::from_secs(30),
            answers: 0,
            version: "9.1.7".into(),
            nodes: BTreeMap::from([("pve1".into(), node)]),
            storages: BTreeMap::from([
                ("local".into(), storage("dir", "iso,vztmpl,backup,import")),
                ("local-zfs".into(), storage("zfspool", "images,rootdir")),
            ]),
            pools: BTreeSet::from(["school".into()]),
            machines: BTreeMap::new(),
            grants: BTreeMap::new(),
            hardware: None,
            stopping: Vec::new(),
            downloads: Vec::new(),
            cut_off: false,
            crash_during_create: false,
            unhealthy: BTreeSet::new(),
            address: "127.0.0.1".into(),
            address_ipv6: "fe80::1".into(),
            cluster: ClusterConfig::default(),
            firewall: true,
            second_factor: false,
            tickets: BTreeSet::new(),
            ticket: 0,
            tasks: BTreeMap::new(),
            unlocks: BTreeMap::new(),
            delay: Duration::from_millis(30),
            idle: Duration::from_secs(5),
        };
        world.grant(
            "/pool/school",
            "VM.Allocate VM.Audit VM.Config.Disk VM.Config.CDROM VM.Config.CPU VM.Config.Memory VM.Config.Network \
             VM.Config.HWType VM.Config.Options VM.PowerMgmt VM.GuestAgent.Audit",
        );
        world.grant("/storage/local", "Datastore.AllocateTemplate Datastore.Audit");
        world.grant("/storage/local-zfs", "Datastore.AllocateSpace Datastore.Audit");
        world.grant("/sdn/zones/localnetwork/vmbr0", "SDN.Use");
        world.grant("/", "Sys.Audit");
        world
    }

    /// Grants privileges (text with spaces between them) at a path.
    pub fn grant(&mut self, path: &str, names: &str) {
        self.grants.entry(path.into()).or_default().extend(names.split_whitespace().map(str::to_owned));
    }

    /// Takes one away, where it was granted.
    pub fn revoke(&mut self, path: &str, name: &str) {
        assert!(self.grants.get_mut(path).is_some_and(|names| names.remove(name)), "{name} at {path}");
    }

    /// What may be done at a path: what is granted there or above, on a machine also what is granted on its pool.
    pub fn privileges(&self, path: &str) -> BTreeSet<String> {
        let above = |granted: &str| {
            granted == "/" || path == granted || path.strip_prefix(granted).is_some_and(|rest| rest.starts_with('/'))
        };
        let mut all: BTreeSet<_> =
            self.grants.iter().filter(|(at, _)| above(at)).flat_map(|(_, names)| names.iter().cloned()).collect();
        let machine = path.strip_prefix("/vms/").and_then(|id| self.machines.get(&id.parse().ok()?));
        if let Some(pool) = machine.and_then(|m| m.pool.as_ref()) {
            all.extend(self.privileges(&format!("/pool/{pool}")));
        }
        all
    }

    /// Begins a task, which is done at the second look.
    pub fn task(&mut self, node: &str, kind: &str, id: &str, who: &str) -> String {
        let number = self.tasks.len() + 1;
        let upid = format!("UPID:{node}:{number:08X}:{:08X}:65A1B2C3:{kind}:{id}:{who}:", 1000 + number);
        let task =
            Task { kind: kind.into(), id: id.into(), looks: 1, exit: "OK".into(), log: vec![format!("{kind} begins")] };
        self.tasks.insert(upid.clone(), task);
        upid
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}
