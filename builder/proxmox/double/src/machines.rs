//! Virtual machines: configurations that are changed at once or at the next cold start, volumes that are put aside
//! instead of being lost, and rules of a firewall that are inserted at the top and switched off.

use crate::answers::value;
use crate::http::{Answer, ok, refuse};
use crate::table::Call;
use crate::world::{Machine, World};
use diorite_model::Digest;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What takes effect while a machine runs, whatever else is waiting.
const AT_ONCE: [&str; 4] = ["description", "tags", "name", "hotplug"];

pub(crate) fn answer(call: &Call, given: &[(String, String)], who: &str, world: &mut World) -> Answer {
    let node = value(given, "node").unwrap_or_default().to_owned();
    let id: u64 = value(given, "vmid").and_then(|id| id.parse().ok()).unwrap_or(0);
    let Some(machine) = world.machines.get_mut(&id).filter(|m| m.node == node) else {
        // Not 404.
        return refuse(500, format!("Configuration file 'nodes/{node}/qemu-server/{id}.conf' does not exist"));
    };
    let task = match (call.method, call.path.rsplit('/').next().unwrap_or_default()) {
        ("GET", "config") => {
            let current = value(given, "current").is_some_and(|c| c == "1");
            let mut shown = if current { machine.config.clone() } else { machine.merged() };
            shown.insert("digest".into(), machine.digest());
            return ok(json!(shown));
        }
        ("GET", "pending") => return ok(machine.waiting()),
        ("GET", "current") => {
            return ok(json!({ "status": if machine.running { "running" } else { "stopped" }, "vmid": id }));
        }
        ("POST", "config") => match machine.configure(id, given) {
            Ok(()) => "qmconfig",
            Err(why) => return refuse(500, why),
        },
        ("POST", "start") if machine.running => return refuse(500, format!("VM {id} already running")),
        ("POST", "start") => {
            machine.apply(id);
            machine.running = true;
            "qmstart"
        }
        ("POST", "stop") => {
            machine.running = false;
            "qmstop"
        }
        ("GET", "rules") => {
            let rule = |(pos, rule): (usize, &BTreeMap<String, String>)| {
                let mut shown = json!(rule);
                shown["pos"] = json!(pos);
                shown["enable"] = json!(rule.get("enable").and_then(|e| e.parse::<u8>().ok()).unwrap_or(0));
                shown
            };
            return ok(machine.rules.iter().enumerate().map(rule).collect());
        }
        ("POST", "rules") => {
            // At the top, wherever `pos` says, and switched off unless `enable` says otherwise.
            let ours = |(name, _): &&(String, String)| !["node", "vmid", "pos"].contains(&name.as_str());
            machine.rules.insert(0, given.iter().filter(ours).cloned().collect());
            return ok(Value::Null);
        }
        ("DELETE", _) if machine.running => return refuse(500, format!("VM {id} is running - destroy failed")),
        ("DELETE", _) => {
            world.machines.remove(&id);
            "qmdestroy"
        }
        (method, path) => return refuse(501, format!("Method '{method} {path}' not implemented")),
    };
    let upid = world.task(&node, task, &id.to_string(), who);
    ok(json!(upid))
}

/// `scsi0`, `efidisk0`: what holds a volume.
fn holds_volume(key: &str) -> bool {
    let stem = key.trim_end_matches(|c: char| c.is_ascii_digit());
    stem != key && ["scsi", "virtio", "sata", "ide", "efidisk", "tpmstate", "unused"].contains(&stem)
}

/// `local-zfs:vm-100-disk-0` of `local-zfs:vm-100-disk-0,discard=on`.
fn volume(value: &str) -> &str {
    value.split(',').next().unwrap_or(value)
}

impl Machine {
    /// With what is pending.
    fn merged(&self) -> BTreeMap<String, String> {
        let mut all = self.config.clone();
        for (key, value) in &self.pending {
            match value {
                Some(value) => drop(all.insert(key.clone(), value.clone())),
                None => drop(all.remove(key)),
            }
        }
        all
    }

    fn digest(&self) -> String {
        Digest::of(format!("{:?}{:?}", self.config, self.pending).as_bytes()).short(40)
    }

    fn waiting(&self) -> Value {
        let mut keys: Vec<_> = self.config.keys().chain(self.pending.keys()).collect();
        keys.sort();
        keys.dedup();
        let one = |key: &String| {
            let mut entry = json!({ "key": key });
            if let Some(value) = self.config.get(key) {
                entry["value"] = json!(value);
            }
            match self.pending.get(key) {
                Some(Some(value)) => entry["pending"] = json!(value),
                Some(None) => entry["delete"] = json!(1),
                None => {}
            }
            entry
        };
        keys.into_iter().map(one).collect()
    }

    fn configure(&mut self, id: u64, given: &[(String, String)]) -> Result<(), String> {
        if value(given, "digest").is_some_and(|digest| digest != self.digest()) {
            return Err("checksum mismatch (file change by other user?)".into());
        }
        for key in value(given, "revert").unwrap_or_default().split(',').filter(|k| !k.is_empty()) {
            // A new volume that waited is put aside.
            if let Some(Some(value)) = self.pending.remove(key)
                && holds_volume(key)
            {
                self.aside(id, volume(&value).to_owned());
            }
        }
        let known = ["node", "vmid", "revert", "delete", "digest", "background_delay"];
        let deleted = value(given, "delete").unwrap_or_default().split(',').filter(|k| !k.is_empty());
        let deleted = deleted.map(|key| (key.to_owned(), None));
        let set = given.iter().filter(|(name, _)| !known.contains(&name.as_str()));
        for (key, value) in deleted.chain(set.map(|(name, value)| (name.clone(), Some(value.clone())))) {
            if let Some(value) = value.as_ref().filter(|_| holds_volume(&key)) {
                // What is attached is no longer put aside.
                self.config.retain(|k, v| !(k.starts_with("unused") && volume(v) == volume(value)));
            }
            if self.running && !AT_ONCE.contains(&key.as_str()) && !key.starts_with("unused") {
                self.pending.insert(key, value);
            } else {
                self.set(id, key, value);
            }
        }
        Ok(())
    }

    /// Changes a key now; the volume that stood there is put aside.
    fn set(&mut self, id: u64, key: String, value: Option<String>) {
        let old = match value {
            Some(value) => self.config.insert(key.clone(), value),
            None => self.config.remove(&key),
        };
        let still = |old: &str| self.config.values().any(|v| volume(v) == volume(old));
        // Removing what was put aside destroys it.
        if let Some(old) = old.filter(|old| holds_volume(&key) && !key.starts_with("unused") && !still(old)) {
            self.aside(id, volume(&old).to_owned());
        }
    }

    /// The first free `unusedN`, if the volume is this machine's own.
    fn aside(&mut self, id: u64, volume: String) {
        if volume.contains(&format!("vm-{id}-")) {
            let free = (0..256).map(|n| format!("unused{n}")).find(|key| !self.config.contains_key(key));
            self.config.extend(free.map(|key| (key, volume)));
        }
    }

    /// A cold start: everything that waited takes effect.
    fn apply(&mut self, id: u64) {
        for (key, value) in std::mem::take(&mut self.pending) {
            self.set(id, key, value);
        }
    }
}
