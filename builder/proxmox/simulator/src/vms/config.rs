//! Configurations: what is, what waits for the next cold start, and what is put aside.

use super::volume::{holds_volume, volume};
use crate::params::Params;
use crate::world::VirtualMachine;
use diorite_model::Digest;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What takes effect while a machine runs, whatever else is waiting.
const AT_ONCE: [&str; 4] = ["description", "tags", "name", "hotplug"];

impl VirtualMachine {
    /// With what is pending.
    pub(super) fn merged(&self) -> BTreeMap<String, String> {
        let mut all = self.config.clone();
        for (key, value) in &self.pending {
            match value {
                Some(value) => drop(all.insert(key.clone(), value.clone())),
                None => drop(all.remove(key)),
            }
        }
        all
    }

    pub(super) fn digest(&self) -> String {
        Digest::of(format!("{:?}{:?}", self.config, self.pending).as_bytes()).short(40)
    }

    pub(super) fn waiting(&self) -> Value {
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

    /// The volumes that are destroyed by it: those whose `unusedN` is deleted.
    pub(super) fn configure(&mut self, id: u64, given: &Params) -> Result<Vec<String>, String> {
        if given.get("digest").is_some_and(|digest| digest != self.digest()) {
            return Err("checksum mismatch (file change by other user?)".into());
        }
        for key in given.get("revert").unwrap_or_default().split(',').filter(|k| !k.is_empty()) {
            // A new volume that waited is put aside.
            if let Some(Some(value)) = self.pending.remove(key)
                && holds_volume(key)
            {
                self.aside(id, volume(&value).to_owned());
            }
        }
        let known = ["node", "vmid", "revert", "delete", "digest", "background_delay"];
        let deleted: Vec<&str> = given.get("delete").unwrap_or_default().split(',').filter(|k| !k.is_empty()).collect();
        let destroyed = deleted.iter().filter(|key| key.starts_with("unused")).filter_map(|key| self.config.get(*key));
        let destroyed = destroyed.map(|v| volume(v).to_owned()).collect();
        let deleted = deleted.into_iter().map(|key| (key.to_owned(), None));
        let set = given.0.iter().filter(|(name, _)| !known.contains(&name.as_str()));
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
        Ok(destroyed)
    }

    /// Changes a key now; the volume that stood there is put aside.
    fn set(&mut self, id: u64, key: String, value: Option<String>) {
        let old = match value {
            Some(value) => self.config.insert(key.clone(), shown(&key, value)),
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
    pub(super) fn apply(&mut self, id: u64) {
        for (key, value) in std::mem::take(&mut self.pending) {
            self.set(id, key, value);
        }
    }
}

/// Tags come back sorted.
pub(super) fn shown(key: &str, value: String) -> String {
    if key != "tags" {
        return value;
    }
    let mut tags: Vec<_> = value.split(';').filter(|tag| !tag.is_empty()).collect();
    tags.sort_unstable();
    tags.dedup();
    tags.join(";")
}
