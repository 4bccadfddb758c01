//! What is there: asked anew before each step, so that a run that was interrupted, or a world that somebody else has
//! changed, needs no case of its own.

mod cluster;

use crate::check::truth;
use crate::client::{CallError, CallErrorKind, Client, Parameters, Path};
use crate::desired::{Desired, Keys};
use crate::firewall;
use crate::notes::Notes;
use crate::observed::{MachineRef, Observed, Vm, split_tags};
use crate::task;
use diorite_host::progress::Progress;
use diorite_model::{Error, Result};
use serde_json::Value;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// `local:import/a.qcow2` → `a.qcow2`.
fn name_of(volume: &str) -> String {
    volume.rsplit('/').next().unwrap_or_default().to_owned()
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
pub struct Inspector<'a> {
    /// Whom to ask.
    pub client: &'a Client,
    /// Where waiting is shown.
    pub progress: &'a Progress,
    /// Numbers that turned out to be taken.
    pub taken: BTreeSet<u32>,
}

impl Inspector<'_> {
    fn ask(&self, names: &[&str], parameters: &Parameters) -> Result<Value, CallError> {
        self.client.get(&Path::new(names), parameters)
    }

    /// All machines of ours.
    pub fn ours(&self) -> Result<Vec<MachineRef>> {
        let all = self.resources()?;
        let tag = &self.client.target().tag;
        let ours = all.iter().filter(|entry| split_tags(text(entry, "tags")).contains(tag.as_str()));
        let one = |entry: &Value| {
            let ha = Some(text(entry, "hastate").to_owned()).filter(|state| !state.is_empty());
            Some(MachineRef { id: id_of(entry)?, node: text(entry, "node").to_owned(), ha })
        };
        Ok(ours.filter_map(one).collect())
    }

    fn resources(&self) -> Result<Vec<Value>> {
        let all = self.ask(&["cluster", "resources"], &Parameters::none().text("type", "vm"))?;
        Ok(all.as_array().cloned().unwrap_or_default())
    }

    /// Everything that matters for a machine.
    pub fn at(&self, desired: &Desired) -> Result<Observed> {
        let (name, staging) = (desired.name.as_str(), desired.staging());
        let (mut machine, mut stage, mut managed, mut siblings) = (None, None, false, Vec::new());
        for listed in self.ours()? {
            // The list may not know a name yet; the configuration does.
            let Some(config) = self.config(listed.id, &listed.node)? else { continue };
            let Some(its) = config.get("name") else { continue };
            let (mine, takes_in) = (its.eq_ignore_ascii_case(name), its.eq_ignore_ascii_case(&staging));
            if !mine && !takes_in {
                let record = config.get("description").and_then(|notes| Notes::parse(notes));
                let image = |record: Notes| matches!(record, Notes::Machine(m) if m.image == desired.image);
                siblings.extend(record.is_some_and(image).then_some(listed));
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
        let node = match (&machine, &desired.node) {
            (Some(vm), _) => vm.node.clone(),
            (None, Some(node)) => node.clone(),
            (None, None) => self.least_loaded(&siblings)?,
        };
        let cluster = self.cluster(desired, machine.as_ref(), managed, &node, &siblings)?;
        let images = self.files(&node, &self.client.target().import_storage, "import")?;
        let images = images.into_iter().map(|(volume, size)| (name_of(&volume), size)).collect();
        let discs = match desired.config_drive.is_some() {
            true => self.files(&node, &self.client.target().iso_storage, "iso")?.into_keys().collect(),
            false => BTreeSet::new(),
        };
        let may_remove = desired.config_drive.is_some() && {
            let granted = self.client.privileges(&format!("/storage/{}", self.client.target().iso_storage))?;
            granted.contains_key("Datastore.Allocate")
        };
        let free = if machine.is_none() || stage.is_none() { self.free()? } else { Vec::new() };
        Ok(Observed {
            node,
            images,
            config_drives: discs,
            may_remove,
            machine,
            staging: stage,
            free,
            cluster,
            siblings,
        })
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
                if failure.kind == CallErrorKind::Forbidden
                    && !self.resources()?.iter().any(|e| id_of(e) == Some(id)) =>
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
        let notes = config.get("description").and_then(|text| Notes::parse(text));
        let digest = config.get("digest").cloned().unwrap_or_default();
        let mut vm = Vm {
            id,
            node: node.to_owned(),
            running: text(&status, "status") == "running",
            config,
            now,
            notes,
            digest,
            firewall: firewall::FirewallRules::default(),
        };
        for keys in [&mut vm.config, &mut vm.now] {
            keys.remove("digest");
        }
        if self.client.target().firewall {
            vm.firewall = self.firewall(&path)?;
        }
        Ok(Some(vm))
    }

    fn firewall(&self, path: &[&str]) -> Result<firewall::FirewallRules> {
        let of = |last: &[&str]| -> Result<Value, CallError> {
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
        Ok(firewall::FirewallRules { options, sets, rules, unsaid: Vec::new() })
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
            Err(failure) if failure.kind == CallErrorKind::Task => Ok(()),
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

    /// The node with the fewest machines of this siblings, and then the most memory left, among those that may be used.
    pub fn least_loaded(&self, siblings: &[MachineRef]) -> Result<String> {
        let (target, all) = (self.client.target(), self.ask(&["nodes"], &Parameters::none())?);
        let usable = list(&all).filter(|node| text(node, "status") == "online");
        let named =
            usable.filter(|node| target.nodes.is_empty() || target.nodes.iter().any(|n| n == text(node, "node")));
        let number = |node: &Value, key: &str| node.get(key).and_then(Value::as_u64).unwrap_or(0);
        let left = |node: &&Value| number(node, "maxmem").saturating_sub(number(node, "mem"));
        let there = |node: &&Value| Reverse(siblings.iter().filter(|other| other.node == text(node, "node")).count());
        let best = named.max_by_key(|node| (there(node), left(node), Reverse(text(node, "node").to_owned())));
        best.map(|node| text(node, "node").to_owned()).ok_or_else(|| {
            Error::remote(format!("no node of target `{}` is online", target.name))
                .at(target.url.clone())
                .hint(format!("start one, or name others in `nodes` ({})", target.location))
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
                Err(failure) if failure.kind == CallErrorKind::Parameters => {}
                Err(failure) => return Err(failure.into()),
            }
            if free.len() == 2 {
                return Ok(free);
            }
        }
        let (first, last) = (target.vmids.start(), target.vmids.end());
        Err(Error::remote(format!("no two numbers for machines are free from {first} to {last}"))
            .at(target.location.clone())
            .hint("remove machines that are not needed, or widen `vmids`"))
    }
}

fn id_of(entry: &Value) -> Option<u32> {
    entry.get("vmid").and_then(|v| v.as_u64().or_else(|| v.as_str()?.parse().ok())).and_then(|n| n.try_into().ok())
}
