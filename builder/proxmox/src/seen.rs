//! What is there: asked anew before each step, so that a run that was interrupted, or a world that somebody else has
//! changed, needs no case of its own.

mod cluster;

use crate::check::truth;
use crate::client::{Client, Failure, Kind, Parameters, Path};
use crate::cluster::Cluster;
use crate::firewall;
use crate::properties::volume;
use crate::record::{self, Record};
use crate::task;
use crate::wanted::{Keys, SYSTEM, Wanted};
use diorite_host::progress::Progress;
use diorite_model::{Error, Result};
use serde_json::Value;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// A machine of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vm {
    /// Its number.
    pub id: u32,
    /// The node it is on.
    pub node: String,
    /// Whether it runs.
    pub running: bool,
    /// What it will have at its next start.
    pub config: Keys,
    /// What it has now.
    pub now: Keys,
    /// Its notes, where they are ours.
    pub record: Option<Record>,
    /// Changes with each change of its configuration.
    pub digest: String,
    /// Its firewall at the hypervisor.
    pub firewall: firewall::Rules,
}

/// Everything that a plan looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The node that the machine is on, or would be made on.
    pub node: String,
    /// Files of the import storage, with their sizes.
    pub images: BTreeMap<String, u64>,
    /// Discs with machines' own values; empty when nobody asked for them.
    pub discs: BTreeSet<String>,
    /// Whether this login may remove them.
    pub may_remove: bool,
    /// The machine.
    pub machine: Option<Vm>,
    /// The machine that takes its next image in.
    pub staging: Option<Vm>,
    /// Numbers that are free.
    pub free: Vec<u32>,
    /// What the cluster does for the machine.
    pub cluster: Cluster,
    /// The other machines of its image.
    pub kin: Vec<Listed>,
}

/// A machine of ours in the list of all machines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its number.
    pub id: u32,
    /// The node it is on.
    pub node: String,
    /// What the cluster does with it, where it is under high availability: `started`.
    pub ha: Option<String>,
}

impl Vm {
    /// The volume of a slot at the next start.
    pub fn volume(&self, slot: &str) -> Option<&str> {
        self.config.get(slot).map(|value| volume(value))
    }

    /// Slots of disks that were put aside, with their volumes.
    pub fn aside(&self) -> impl Iterator<Item = (&str, &str)> {
        let slots = self.config.iter().filter(|(key, _)| is_aside(key));
        slots.map(|(key, value)| (key.as_str(), volume(value)))
    }

    /// The first slot for a disk that is put aside.
    pub fn free_slot(&self) -> String {
        let taken = |slot: &String| self.config.contains_key(slot) || self.now.contains_key(slot);
        (0..256).map(|n| format!("unused{n}")).find(|slot| !taken(slot)).unwrap_or_else(|| "unused255".into())
    }

    /// Whether a change of one of these keys waits for the next start.
    pub fn waits<'k>(&self, mut keys: impl Iterator<Item = &'k str>) -> bool {
        keys.any(|key| self.config.get(key) != self.now.get(key))
    }

    /// Whether the image with this serial number is what it starts from.
    pub fn starts_from(&self, serial: &str) -> bool {
        self.config.get(SYSTEM).is_some_and(|value| has_serial(value, serial))
    }

    /// The notes of a machine that works.
    pub fn machine(&self) -> Option<&record::Machine> {
        match &self.record {
            Some(Record::Machine(machine)) => Some(machine),
            _ => None,
        }
    }

    /// The notes of a machine that takes an image in.
    pub fn staging(&self) -> Option<&record::Staging> {
        match &self.record {
            Some(Record::Staging(staging)) => Some(staging),
            _ => None,
        }
    }

    /// The UUID that its firmware tells.
    pub fn uuid(&self) -> Option<&str> {
        self.config.get("smbios1")?.split(',').find_map(|part| part.strip_prefix("uuid="))
    }

    /// Whether it is said to have a guest agent.
    pub fn has_agent(&self) -> bool {
        self.now.get("agent").is_some_and(|agent| agent.split(',').any(|p| matches!(p, "1" | "enabled=1")))
    }

    /// Tags.
    pub fn tags(&self) -> BTreeSet<&str> {
        self.config.get("tags").map(|tags| split_tags(tags)).unwrap_or_default()
    }
}

/// Whether a disk's property string has this serial number.
pub fn has_serial(value: &str, serial: &str) -> bool {
    crate::properties::Properties::of(value).get("serial") == Some(serial)
}

fn is_aside(key: &str) -> bool {
    key.strip_prefix("unused").is_some_and(|n| n.parse::<u8>().is_ok())
}

/// `local:import/a.qcow2` → `a.qcow2`.
fn name_of(volume: &str) -> String {
    volume.rsplit('/').next().unwrap_or_default().to_owned()
}

/// `a;b` → a, b.
pub fn split_tags(tags: &str) -> BTreeSet<&str> {
    tags.split([';', ',', ' ']).filter(|tag| !tag.is_empty()).collect()
}

/// A table of strings; numbers and booleans are written out.
fn keys(value: &Value) -> Keys {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(u8::from(*yes).to_string()),
        _ => None,
    };
    value.as_object().into_iter().flatten().filter_map(|(key, value)| Some((key.clone(), text(value)?))).collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Looks at one target.
pub struct Look<'a> {
    /// Whom to ask.
    pub client: &'a Client,
    /// Where waiting is shown.
    pub progress: &'a Progress,
    /// Numbers that turned out to be taken.
    pub taken: BTreeSet<u32>,
}

impl Look<'_> {
    fn ask(&self, names: &[&str], parameters: &Parameters) -> Result<Value, Failure> {
        self.client.get(&Path::new(names), parameters)
    }

    /// All machines of ours.
    pub fn ours(&self) -> Result<Vec<Listed>> {
        let all = self.resources()?;
        let tag = &self.client.target().tag;
        let ours = all.iter().filter(|entry| split_tags(text(entry, "tags")).contains(tag.as_str()));
        let one = |entry: &Value| {
            let ha = Some(text(entry, "hastate").to_owned()).filter(|state| !state.is_empty());
            Some(Listed { id: id_of(entry)?, node: text(entry, "node").to_owned(), ha })
        };
        Ok(ours.filter_map(one).collect())
    }

    fn resources(&self) -> Result<Vec<Value>> {
        let all = self.ask(&["cluster", "resources"], &Parameters::none().text("type", "vm"))?;
        Ok(all.as_array().cloned().unwrap_or_default())
    }

    /// Everything that matters for a machine.
    pub fn at(&self, wanted: &Wanted) -> Result<Seen> {
        let (name, staging) = (wanted.name.as_str(), wanted.staging());
        let (mut machine, mut stage, mut managed, mut kin) = (None, None, false, Vec::new());
        for listed in self.ours()? {
            // The list may not know a name yet; the configuration does.
            let Some(config) = self.config(listed.id, &listed.node)? else { continue };
            let Some(its) = config.get("name") else { continue };
            let (mine, takes_in) = (its.eq_ignore_ascii_case(name), its.eq_ignore_ascii_case(&staging));
            if !mine && !takes_in {
                let record = config.get("description").and_then(|notes| Record::of_notes(notes));
                let image = |record: Record| matches!(record, Record::Machine(m) if m.image == wanted.image);
                kin.extend(record.is_some_and(image).then_some(listed));
                continue;
            }
            let Some(vm) = self.vm(listed.id, &listed.node)? else { continue };
            // It is going to be removed: nothing but its notes may say that it can be.
            if takes_in && vm.staging().is_none() {
                return Err(self.no_staging(&vm, name));
            }
            let place = if mine { &mut machine } else { &mut stage };
            if let Some(other) = place.as_ref().map(|vm: &Vm| vm.id) {
                let what = format!("machines {other} and {} are both called `{its}`", vm.id);
                let target = self.client.target();
                return Err(Error::remote(what)
                    .at(target.url.clone())
                    .because(format!("both have the tag `{}`", target.tag))
                    .hint("rename one of them, or take the tag away from the one that is not ours"));
            }
            managed |= mine && listed.ha.is_some();
            *place = Some(vm);
        }
        if machine.is_none() {
            self.stranger(name)?;
        }
        let node = match (&machine, &wanted.node) {
            (Some(vm), _) => vm.node.clone(),
            (None, Some(node)) => node.clone(),
            (None, None) => self.roomiest(&kin)?,
        };
        let cluster = self.cluster(wanted, machine.as_ref(), managed, &node, &kin)?;
        let images = self.files(&node, &self.client.target().import, "import")?;
        let images = images.into_iter().map(|(volume, size)| (name_of(&volume), size)).collect();
        let discs = match wanted.disc.is_some() {
            true => self.files(&node, &self.client.target().discs, "iso")?.into_keys().collect(),
            false => BTreeSet::new(),
        };
        let may_remove = wanted.disc.is_some() && {
            let granted = self.client.privileges(&format!("/storage/{}", self.client.target().discs))?;
            granted.contains_key("Datastore.Allocate")
        };
        let free = if machine.is_none() || stage.is_none() { self.free()? } else { Vec::new() };
        Ok(Seen { node, images, discs, may_remove, machine, staging: stage, free, cluster, kin })
    }

    fn no_staging(&self, vm: &Vm, name: &str) -> Error {
        let its = vm.config.get("name").cloned().unwrap_or_default();
        Error::remote(format!("machine {} is called `{its}`, and is not one that takes an image in", vm.id))
            .at(self.client.target().url.clone())
            .because(format!("a machine of that name takes in the images of `{name}`, and goes then"))
            .hint("rename it, or deploy under another name: `--name`")
    }

    /// A machine of this name that is not ours is in the way: nobody could tell the two apart.
    fn stranger(&self, name: &str) -> Result<()> {
        let target = self.client.target();
        let called = |entry: &&Value| text(entry, "name").eq_ignore_ascii_case(name);
        let Some(other) = self.resources()?.iter().find(called).and_then(id_of) else { return Ok(()) };
        Err(Error::remote(format!("machine {other} is called `{name}`, and is not one of ours"))
            .at(target.url.clone())
            .because(format!("it does not have the tag `{}`, so it is not touched", target.tag))
            .hint("rename it, or give ours another name: `--name`"))
    }

    /// What a machine will have at its next start; none when it has gone meanwhile.
    fn config(&self, id: u32, node: &str) -> Result<Option<Keys>> {
        match self.ask(&["nodes", node, "qemu", &id.to_string(), "config"], &Parameters::none()) {
            Err(failure) if failure.why.contains("does not exist") => Ok(None),
            // The right to see it went with it.
            Err(failure)
                if failure.kind == Kind::Forbidden && !self.resources()?.iter().any(|e| id_of(e) == Some(id)) =>
            {
                Ok(None)
            }
            other => Ok(Some(keys(&other?))),
        }
    }

    /// A machine with its configuration; none when it has gone meanwhile. One that a task holds is waited for.
    pub fn vm(&self, id: u32, node: &str) -> Result<Option<Vm>> {
        let number = id.to_string();
        let path = ["nodes", node, "qemu", &number];
        let of = |last: &[&'static str]| [&path[..], last].concat();
        let Some(config) = self.config(id, node)? else { return Ok(None) };
        if let Some(lock) = config.get("lock") {
            self.unlocked(id, node, lock)?;
            return self.vm(id, node);
        }
        let now = keys(&self.ask(&of(&["config"]), &Parameters::none().flag("current", true))?);
        let status = self.ask(&of(&["status", "current"]), &Parameters::none())?;
        let record = config.get("description").and_then(|notes| Record::of_notes(notes));
        let digest = config.get("digest").cloned().unwrap_or_default();
        let mut vm = Vm {
            id,
            node: node.to_owned(),
            running: text(&status, "status") == "running",
            config,
            now,
            record,
            digest,
            firewall: firewall::Rules::default(),
        };
        for keys in [&mut vm.config, &mut vm.now] {
            keys.remove("digest");
        }
        if self.client.target().firewall {
            vm.firewall = self.firewall(&path)?;
        }
        Ok(Some(vm))
    }

    fn firewall(&self, path: &[&str]) -> Result<firewall::Rules> {
        let of = |last: &[&str]| -> Result<Value, Failure> {
            self.ask(&[path, &["firewall"], last].concat(), &Parameters::none())
        };
        let mut options = keys(&of(&["options"])?);
        options.remove("digest");
        let rules = list(&of(&["rules"])?).map(|rule| firewall::comparable(&keys(rule))).collect();
        let mut sets = BTreeMap::new();
        for set in list(&of(&["ipset"])?) {
            let name = text(set, "name").to_owned();
            let entry = |entry: &Value| {
                let not = if entry.get("nomatch").is_some_and(truth) { "!" } else { "" };
                format!("{not}{}", firewall::plain(text(entry, "cidr")))
            };
            let entries = list(&of(&["ipset", &name])?).map(entry).collect();
            sets.insert(name, entries);
        }
        Ok(firewall::Rules { options, sets, rules, unsaid: Vec::new() })
    }

    /// Waits for the task that holds a machine.
    fn unlocked(&self, id: u32, node: &str, lock: &str) -> Result<()> {
        let parameters = Parameters::none().number("vmid", id.into()).text("source", "active");
        let tasks = self.ask(&["nodes", node, "tasks"], &parameters)?;
        let running = list(&tasks).find_map(|task| text(task, "upid").parse::<task::Upid>().ok());
        let Some(task) = running else {
            return Err(Error::remote(format!("machine {id} is locked ({lock}), and no task of ours holds it"))
                .at(self.client.target().url.clone())
                .because("somebody else works on it, or a task died")
                .hint(format!("wait, or, if nothing works on it, say `qm unlock {id}` on node {node}")));
        };
        match self.client.wait(&task, &format!("machine {id} is busy ({lock})"), self.progress) {
            // How it ended shows in what is there.
            Ok(_) => Ok(()),
            Err(failure) if failure.kind == Kind::Task => Ok(()),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Volumes of one kind on a storage, with their sizes.
    fn files(&self, node: &str, storage: &str, content: &'static str) -> Result<BTreeMap<String, u64>> {
        let parameters = Parameters::none().text("content", content);
        let all = self.ask(&["nodes", node, "storage", storage, "content"], &parameters)?;
        let size = |entry: &Value| entry.get("size").and_then(Value::as_u64).unwrap_or(0);
        Ok(list(&all).map(|entry| (text(entry, "volid").to_owned(), size(entry))).collect())
    }

    /// The node with the fewest machines of this kin, and then the most memory left, among those that may be used.
    pub fn roomiest(&self, kin: &[Listed]) -> Result<String> {
        let (target, all) = (self.client.target(), self.ask(&["nodes"], &Parameters::none())?);
        let usable = list(&all).filter(|node| text(node, "status") == "online");
        let named =
            usable.filter(|node| target.nodes.is_empty() || target.nodes.iter().any(|n| n == text(node, "node")));
        let number = |node: &Value, key: &str| node.get(key).and_then(Value::as_u64).unwrap_or(0);
        let left = |node: &&Value| number(node, "maxmem").saturating_sub(number(node, "mem"));
        let there = |node: &&Value| Reverse(kin.iter().filter(|other| other.node == text(node, "node")).count());
        let best = named.max_by_key(|node| (there(node), left(node), Reverse(text(node, "node").to_owned())));
        best.map(|node| text(node, "node").to_owned()).ok_or_else(|| {
            Error::remote(format!("no node of target `{}` is online", target.name))
                .at(target.url.clone())
                .hint(format!("start one, or name others in `nodes` ({})", target.place))
        })
    }

    /// Two numbers that no machine has.
    fn free(&self) -> Result<Vec<u32>> {
        let (target, mut free) = (self.client.target(), Vec::new());
        let known: BTreeSet<u32> = self.resources()?.iter().filter_map(id_of).collect();
        for number in target.vmids.clone().filter(|n| !known.contains(n) && !self.taken.contains(n)) {
            match self.ask(&["cluster", "nextid"], &Parameters::none().number("vmid", number.into())) {
                Ok(_) => free.push(number),
                // Somebody else's, whom this login may not see.
                Err(failure) if failure.kind == Kind::Parameters => {}
                Err(failure) => return Err(failure.into()),
            }
            if free.len() == 2 {
                return Ok(free);
            }
        }
        let (first, last) = (target.vmids.start(), target.vmids.end());
        Err(Error::remote(format!("no two numbers for machines are free from {first} to {last}"))
            .at(target.place.clone())
            .hint("remove machines that are not needed, or widen `vmids`"))
    }
}

fn id_of(entry: &Value) -> Option<u32> {
    entry.get("vmid").and_then(|v| v.as_u64().or_else(|| v.as_str()?.parse().ok())).and_then(|n| n.try_into().ok())
}
