//! The looks: privileges, pool, firewall, nodes with their storages and bridges. Each adds what it found to the report;
//! only what concerns every look ends the check.

use super::findings::{FindingSeverity, NodeReport, StorageReport, TargetReport};
use super::requirements::{PrivilegeScope, REQUIRED, RequiredPrivilege, more};
use super::{local, may_fetch};
use crate::client::{CallError, CallErrorKind, Client, Parameters, Path};
use crate::json::{number, text, truth};
use diorite_host::progress::bytes;
use diorite_model::machine::Cluster as ClusterSpec;
use diorite_model::profile::reader::nearest;
use serde_json::Value;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// Below this a storage has hardly room for an image.
const LITTLE: u64 = 4 << 30;

pub(super) struct Inspection<'a> {
    pub client: &'a Client,
    pub series: (u32, u32),
    pub report: TargetReport,
}

fn list(names: &BTreeSet<String>) -> String {
    if names.is_empty() {
        "none visible".into()
    } else {
        format!("available: {}", names.iter().cloned().collect::<Vec<_>>().join(", "))
    }
}

/// The hint at names that are there, the nearest first.
fn known(name: &str, names: &BTreeSet<String>) -> String {
    let all: Vec<_> = names.iter().map(String::as_str).collect();
    let near = nearest(name, &all).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
    format!("{near}{}", list(names))
}

impl Inspection<'_> {
    fn ask(&self, names: &[&str], parameters: &Parameters) -> Result<Value, CallError> {
        self.client.get(&Path::new(names), parameters)
    }

    /// Every privilege that is needed, by name and path.
    pub fn privileges(&mut self, spec: &ClusterSpec) -> Result<(), CallError> {
        let (target, series) = (self.client.target(), self.series);
        let mut granted: BTreeMap<String, BTreeMap<String, bool>> = BTreeMap::new();
        let all: Vec<RequiredPrivilege> = REQUIRED.iter().copied().chain(more(spec, series)).collect();
        for needed in &all {
            let path = needed.at.path(target);
            if let Entry::Vacant(place) = granted.entry(path) {
                let found = self.client.privileges(place.key())?;
                place.insert(found);
            }
        }
        let mut missing: Vec<String> = Vec::new();
        let mut names = BTreeSet::new();
        for needed in &all {
            let (path, name) = (needed.at.path(target), needed.on(series));
            names.insert(name);
            // On /vms a grant counts only if it reaches the machines below.
            let fine = granted[&path].get(name).is_some_and(|below| *below || path != "/vms");
            let told = format!("{name} at {path}");
            if !fine && !missing.contains(&told) {
                let what = format!("privilege {told} is missing: {} cannot {}", self.client.who(), needed.to);
                self.report.add(FindingSeverity::Problem, "privilege", what, grant(self.client.who(), &path, name));
                missing.push(told);
            }
        }
        if missing.is_empty() {
            let paths: BTreeSet<_> = all.iter().map(|needed| needed.at.path(target)).collect();
            let paths = paths.into_iter().collect::<Vec<_>>().join(", ");
            let what = format!("all {} privileges are granted, at {paths}", names.len());
            self.report.add(FindingSeverity::Ok, "privilege", what, "");
        }
        if target.pool.is_none() {
            let what = "the target names no pool, so the login needs its rights on all machines (/vms)";
            self.report.add(
                FindingSeverity::Note,
                "pool",
                what,
                "make a pool for these machines, grant there, and write `pool = \"NAME\"`",
            );
        }
        if !granted[&PrivilegeScope::Import.path(target)].contains_key("Datastore.Allocate") {
            let what = format!("old images on storage `{}` cannot be removed by this login", target.import_storage);
            self.report.add(
                FindingSeverity::Note,
                "storage",
                what,
                "that needs Datastore.Allocate, which is an administrator's right; without it, remove them by hand",
            );
        }
        Ok(())
    }

    /// Whether the pool is there. Only who may look into it sees that.
    pub fn pool(&mut self) -> Result<(), CallError> {
        let Some(pool) = self.client.target().pool.clone() else { return Ok(()) };
        if !self.client.privileges(&format!("/pool/{pool}"))?.contains_key("Pool.Audit") {
            return Ok(());
        }
        match self.ask(&["pools"], &Parameters::none()) {
            Ok(answer) => {
                let pools: BTreeSet<_> =
                    answer.as_array().into_iter().flatten().map(|p| text(p, "poolid").to_owned()).collect();
                if !pools.contains(&pool) {
                    let hint = format!("{}; make it under Datacenter, Permissions, Pools", known(&pool, &pools));
                    self.report.add(FindingSeverity::Problem, "pool", format!("there is no pool `{pool}`"), hint);
                }
                Ok(())
            }
            Err(failure) if local(&failure) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// The firewall of the datacenter, without which none of a machine is in force.
    pub fn firewall(&mut self) -> Result<(), CallError> {
        if !self.client.target().firewall {
            let what = "the hypervisor's firewall is not looked at: `firewall = false`";
            self.report.add(FindingSeverity::Note, "firewall", what, "");
            return Ok(());
        }
        match self.ask(&["cluster", "firewall", "options"], &Parameters::none()) {
            Ok(options) if options.get("enable").is_some_and(truth) => {
                self.report.add(FindingSeverity::Ok, "firewall", "the datacenter's firewall is on", "");
            }
            Ok(_) => self.report.add(
                FindingSeverity::Problem,
                "firewall",
                "the datacenter's firewall is off: no rule of any machine is in force",
                "turn it on under Datacenter, Firewall, Options, after admitting your own way to the nodes (ports 8006 \
                 and 22); or write `firewall = false` to do without",
            ),
            Err(failure) if failure.kind == CallErrorKind::Forbidden => self.report.add(
                FindingSeverity::Note,
                "firewall",
                "whether the datacenter's firewall is on cannot be seen by this login",
                "that needs Sys.Audit at /; look under Datacenter, Firewall, Options yourself",
            ),
            Err(failure) if local(&failure) => {
                let what = format!("the datacenter's firewall cannot be asked: {}", failure.why);
                self.report.add(FindingSeverity::Problem, "firewall", what, "try again; is the cluster healthy?");
            }
            Err(failure) => return Err(failure),
        }
        Ok(())
    }

    /// The nodes that may be used, with what is on them.
    pub fn nodes(&mut self) -> Result<(), CallError> {
        let desired = self.client.target().nodes.clone();
        let answer = self.ask(&["nodes"], &Parameters::none())?;
        let all: BTreeMap<String, bool> = answer
            .as_array()
            .into_iter()
            .flatten()
            .map(|node| (text(node, "node").to_owned(), text(node, "status") == "online"))
            .collect();
        let names: BTreeSet<_> = all.keys().cloned().collect();
        for name in desired.iter().filter(|name| !all.contains_key(*name)) {
            self.report.add(
                FindingSeverity::Problem,
                "node",
                format!("there is no node `{name}`"),
                known(name, &names),
            );
        }
        if all.is_empty() && desired.is_empty() {
            self.report.add(
                FindingSeverity::Problem,
                "node",
                "no node is seen",
                "grant the login its privileges first",
            );
        }
        for (name, online) in all {
            let named = desired.contains(&name);
            if !named && !desired.is_empty() {
                continue;
            }
            let mut node = NodeReport { name: name.clone(), online, bridges: Vec::new() };
            if !online {
                let level = if named { FindingSeverity::Problem } else { FindingSeverity::Note };
                self.report.add(
                    level,
                    "node",
                    format!("node `{name}` is offline"),
                    "start it, or name others in `nodes`",
                );
            } else if let Err(failure) = self.node(&mut node) {
                if !local(&failure) {
                    return Err(failure);
                }
                let what = format!("node `{name}` does not say what it has: {}: {}", failure.call(), failure.why);
                self.report.add(
                    FindingSeverity::Problem,
                    "node",
                    what,
                    "is it healthy? (`systemctl status pveproxy pvedaemon` there)",
                );
            }
            self.report.nodes.push(node);
        }
        let said = self.report.problems().any(|problem| problem.about == "node");
        if !said && !self.report.nodes.iter().any(|node| node.online) {
            self.report.add(FindingSeverity::Problem, "node", "no usable node is online", "start one");
        }
        Ok(())
    }

    fn node(&mut self, node: &mut NodeReport) -> Result<(), CallError> {
        self.storages(&node.name)?;
        let answer =
            self.ask(&["nodes", &node.name, "network"], &Parameters::none().text("type", "any_local_bridge"))?;
        let bridges: BTreeMap<String, bool> = answer
            .as_array()
            .into_iter()
            .flatten()
            .map(|b| (text(b, "iface").to_owned(), b.get("active").is_some_and(truth)))
            .collect();
        let desired = &self.client.target().bridge;
        let names: BTreeSet<_> = bridges.keys().cloned().collect();
        match bridges.get(desired) {
            None => {
                let what =
                    format!("there is no bridge `{desired}` on node `{}`, or this login may not see it", node.name);
                self.report.add(FindingSeverity::Problem, "bridge", what, known(desired, &names));
            }
            Some(false) => {
                let what = format!("bridge `{desired}` of node `{}` is down", node.name);
                self.report.add(
                    FindingSeverity::Problem,
                    "bridge",
                    what,
                    "is its configuration applied? (node, System, Network)",
                );
            }
            Some(true) => {
                self.report.add(
                    FindingSeverity::Ok,
                    "bridge",
                    format!("bridge `{desired}` is up on node `{}`", node.name),
                    "",
                );
            }
        }
        node.bridges = names.into_iter().collect();
        self.fetching(&node.name)
    }

    /// Whether the node may fetch images from here, where the target says `serve`. Without it images are uploaded.
    fn fetching(&mut self, node: &str) -> Result<(), CallError> {
        if self.client.target().serve.is_none() {
            return Ok(());
        }
        let who = self.client.who();
        if may_fetch(self.client, node)? {
            self.report.add(
                FindingSeverity::Ok,
                "privilege",
                format!("node `{node}` may fetch images from this host"),
                "",
            );
        } else {
            let path = format!("/nodes/{node}");
            let name = "Sys.AccessNetwork";
            let what = format!(
                "privilege {name} at {path} is missing: {who} cannot have that node fetch images from this host \
                 (`serve`), so they are uploaded"
            );
            self.report.add(FindingSeverity::Note, "privilege", what, grant(who, &path, name));
        }
        Ok(())
    }

    fn storages(&mut self, node: &str) -> Result<(), CallError> {
        let answer = self.ask(&["nodes", node, "storage"], &Parameters::none())?;
        let entries: Vec<&Value> = answer.as_array().into_iter().flatten().collect();
        let names: BTreeSet<_> = entries.iter().map(|s| text(s, "storage").to_owned()).collect();
        let target = self.client.target();
        // Config drives are uploaded only where there is a key to sign them.
        let isos = target.signing_key.as_ref().map(|_| (&target.iso_storage, "iso", "iso"));
        let desired = [(&target.import_storage, "import", "import"), (&target.disk_storage, "images", "disks")]
            .into_iter()
            .chain(isos);
        for (name, content, purpose) in desired {
            match entries.iter().find(|s| text(s, "storage") == name) {
                Some(entry) => self.storage(node, name, entry, content, purpose),
                None => {
                    let what = format!("there is no storage `{name}` on node `{node}`, or this login may not see it");
                    self.report.add(FindingSeverity::Problem, "storage", what, known(name, &names));
                }
            }
        }
        let mut storages: Vec<_> = entries
            .iter()
            .map(|entry| StorageReport {
                name: text(entry, "storage").into(),
                node: node.into(),
                kind: text(entry, "type").into(),
                content: contents(entry),
                free: number(entry.get("avail")),
                total: number(entry.get("total")),
                shared: entry.get("shared").is_some_and(truth),
            })
            .collect();
        // They come in any order.
        storages.sort_by(|a, b| a.name.cmp(&b.name));
        self.report.storages.extend(storages);
        Ok(())
    }

    fn storage(&mut self, node: &str, name: &str, entry: &Value, desired: &str, purpose: &str) {
        let (kind, content) = (text(entry, "type"), contents(entry));
        let on = |key: &str| entry.get(key).is_none_or(truth);
        if !on("enabled") || !on("active") {
            let state = if on("enabled") { "not active" } else { "disabled" };
            let what = format!("storage `{name}` is {state} on node `{node}`");
            self.report.add(
                FindingSeverity::Problem,
                "storage",
                what,
                "look at it under Datacenter, Storage; is its server up?",
            );
        } else if !content.iter().any(|c| c == desired) {
            let what = format!(
                "storage `{name}` on node `{node}` does not take `{desired}` content, only {}",
                content.join(", ")
            );
            let hint = match (desired, kind) {
                ("import", "lvm" | "lvmthin" | "zfspool" | "zfs" | "rbd" | "iscsi" | "iscsidirect") => format!(
                    "a storage of type {kind} never does; name one that keeps files (Directory, NFS, CIFS, CephFS, \
                     BTRFS) under storage.{purpose}"
                ),
                _ => format!(
                    "add it under Datacenter, Storage, {name}, Content (`pvesm set {name} --content {},{desired}`)",
                    content.join(",")
                ),
            };
            self.report.add(FindingSeverity::Problem, "storage", what, hint);
        } else if let Some(free) = number(entry.get("avail")).filter(|free| *free < LITTLE) {
            let what = format!("storage `{name}` on node `{node}` has only {} left", bytes(free));
            self.report.add(
                FindingSeverity::Problem,
                "space",
                what,
                "remove old images or disks, or name another storage",
            );
        } else {
            let free = number(entry.get("avail")).map(|free| format!(", {} free", bytes(free))).unwrap_or_default();
            let what = format!("storage `{name}` on node `{node}` takes `{desired}` content{free}");
            self.report.add(FindingSeverity::Ok, "storage", what, "");
        }
    }
}

fn contents(entry: &Value) -> Vec<String> {
    let mut all: Vec<_> = text(entry, "content").split(',').filter(|c| !c.is_empty()).map(str::to_owned).collect();
    all.sort();
    all
}

/// How to grant it. A token has at most what its user has.
fn grant(who: &str, path: &str, name: &str) -> String {
    let (user, whose) = match who.split_once('!') {
        Some((user, _)) => (user, format!("--tokens '{who}'")),
        None => (who, format!("--users {who}")),
    };
    let also = if user == who { String::new() } else { format!(", and so must its user {user}") };
    format!("a role with {name} must be granted there{also}: `pveum acl modify {path} {whose} --roles ROLE`")
}
