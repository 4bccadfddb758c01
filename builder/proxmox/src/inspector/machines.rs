//! The VMs of a target: which are ours, and what each has.

use super::Inspector;
use crate::client::{CallError, CallErrorKind, Parameters};
use crate::desired::Keys;
use crate::firewall;
use crate::json::{keys, list, text, truth};
use crate::lock;
use crate::notes::Notes;
use crate::observed::{MachineRef, Vm, split_tags};
use diorite_model::{Error, Result};
use serde_json::Value;
use std::collections::BTreeMap;

/// A VM that may be ours, with its configuration.
pub(super) struct Candidate {
    pub listed: MachineRef,
    pub config: Keys,
    /// By its tag, or by its notes: one that was created a moment ago has no tag yet.
    pub ours: bool,
}

impl Inspector<'_> {
    /// All VMs of ours.
    ///
    /// # Errors
    /// As of any call.
    pub fn ours(&self) -> Result<Vec<MachineRef>> {
        Ok(self.candidates(&[])?.into_iter().filter(|c| c.ours).map(|c| c.listed).collect())
    }

    /// The VMs with our tag, those in our range of IDs, and those that have one of these names or none that is known yet.
    pub(super) fn candidates(&self, names: &[&str]) -> Result<Vec<Candidate>> {
        let target = self.client.target();
        let mut all = Vec::new();
        for entry in self.resources()? {
            let Some(id) = id_of(&entry) else { continue };
            let (node, name) = (text(&entry, "node"), text(&entry, "name"));
            let tagged = split_tags(text(&entry, "tags")).contains(target.tag.as_str());
            let named = name.is_empty() || names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name));
            if !tagged && !named && !target.vmids.contains(&id) {
                continue;
            }
            let config = match self.settled_config(id, node) {
                // A VM of somebody else's on a node that is down.
                Err(_) if !tagged && !names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name)) => continue,
                other => other?,
            };
            let Some(config) = config else { continue };
            let noted = config.get("description").is_some_and(|text| Notes::parse(text).is_some());
            let ha = Some(text(&entry, "hastate").to_owned()).filter(|state| !state.is_empty());
            let listed = MachineRef { id, node: node.to_owned(), ha };
            all.push(Candidate { listed, config, ours: tagged || noted });
        }
        // The list comes in any order.
        all.sort_by_key(|candidate| candidate.listed.id);
        Ok(all)
    }

    /// The configuration of a VM. One that is being created has no name until its task has ended.
    fn settled_config(&self, id: u32, node: &str) -> Result<Option<Keys>> {
        let Some(config) = self.config(id, node)? else { return Ok(None) };
        match config.get("lock") {
            Some(lock) if !config.contains_key("name") && self.wait_for_lock(id, node, lock)? => self.config(id, node),
            _ => Ok(Some(config)),
        }
    }

    /// What a VM will have at its next start; none when it has gone meanwhile.
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

    /// A VM with its configuration; none when it has gone meanwhile. One that a task has locked is waited for.
    pub fn vm(&self, id: u32, node: &str) -> Result<Option<Vm>> {
        let number = id.to_string();
        let path = ["nodes", node, "qemu", &number];
        let of = |last: &[&'static str]| [&path[..], last].concat();
        let Some(config) = self.config(id, node)? else { return Ok(None) };
        if let Some(lock) = config.get("lock") {
            if !self.wait_for_lock(id, node, lock)? {
                return Err(self.locked(id, node, lock));
            }
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

    /// Waits for the task that has locked a VM; false when there is none that this login sees.
    fn wait_for_lock(&self, id: u32, node: &str, lock: &str) -> Result<bool> {
        let Some(task) = lock::holder(self.client, node, id)? else { return Ok(false) };
        match self.client.wait(&task, &format!("VM {id} is busy ({lock})"), self.progress) {
            // How it ended shows in what is there.
            Ok(_) => Ok(true),
            Err(failure) if matches!(failure.kind, CallErrorKind::Task | CallErrorKind::Locked) => Ok(true),
            Err(failure) => Err(failure.into()),
        }
    }

    fn locked(&self, id: u32, node: &str, lock: &str) -> Error {
        Error::remote(format!("VM {id} is locked ({lock}), and no task that this login sees holds the lock"))
            .at(self.client.target().url.clone())
            .because("somebody else works on it, or a task died")
            .hint(format!("wait, or, if nothing works on it, run `qm unlock {id}` on node {node}"))
    }
}

pub(super) fn id_of(entry: &Value) -> Option<u32> {
    entry.get("vmid").and_then(|v| v.as_u64().or_else(|| v.as_str()?.parse().ok())).and_then(|n| n.try_into().ok())
}
