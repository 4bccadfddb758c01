//! Before the first change: whether there is room for these very images where they are to go.
//!
//! What is needed follows from the plan: what is there already needs nothing. Storages that take a disk's whole size at
//! once must have that; all others write what an image holds, and the rest when the machine does: there the whole size is
//! worth a word, not a refusal (docs/decisions/room.md).

use crate::client::{Parameters, Path};
use crate::deploy::Deployer;
use crate::desired::{self, Desired};
use crate::json::{number, truth};
use crate::plan::{self, DeployStep};
use diorite_host::progress::bytes;
use diorite_model::{Error, Result};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What goes to a storage.
#[derive(Debug)]
struct SpaceNeed {
    /// Bytes that are written at once.
    now: u64,
    /// Bytes when it is full.
    full: u64,
    /// `the system disk of web`.
    what: String,
}

/// Bytes of all of them, and of what they are: `1.0 GB for …, 2.0 GB for …`.
fn sum(items: &[SpaceNeed], of: impl Fn(&SpaceNeed) -> u64) -> (u64, String) {
    let some = items.iter().filter(|item| of(item) > 0);
    let parts: Vec<_> = some.map(|item| format!("{} for {}", bytes(of(item)), item.what)).collect();
    (items.iter().map(&of).sum(), parts.join(", "))
}

/// Node and storage; no node where all of them see the same.
type StorageKey = (Option<String>, String);

/// A storage as a node sees it.
#[derive(Debug)]
struct StorageSpace {
    kind: String,
    shared: bool,
    left: Option<u64>,
}

impl StorageSpace {
    /// Whether a disk takes its whole size when it is made. A ZFS pool may, too, and does not say so: where the installer has
    /// made it, it does not.
    fn reserves(&self) -> bool {
        self.kind == "lvm"
    }
}

impl Deployer<'_> {
    /// Whether there is room for what a deployment of these machines brings.
    ///
    /// # Errors
    /// [`Exit::Remote`](diorite_model::Exit::Remote), naming each storage with what is needed and what is left.
    pub fn check_capacity(&self, machines: &[Desired]) -> Result<()> {
        let target = self.client.target();
        let (mut storages, mut needs) = (BTreeMap::new(), BTreeMap::<StorageKey, Vec<SpaceNeed>>::new());
        let mut files = BTreeSet::new();
        for desired in machines {
            let observed = self.inspect(desired)?;
            let Some(file) = &desired.file else { continue };
            if !storages.contains_key(&observed.node) {
                storages.insert(observed.node.clone(), self.storages(&observed.node)?);
            }
            let place = |storage: &str| -> StorageKey {
                let shared = storages[&observed.node].get(storage).is_some_and(|s| s.shared);
                ((!shared).then(|| observed.node.clone()), storage.to_owned())
            };
            let (import, disks) = (place(&target.import_storage), place(&target.disk_storage));
            for step in plan::all(desired, &observed, target)? {
                let mut need = |place: &StorageKey, now, full, what: String| {
                    needs.entry(place.clone()).or_default().push(SpaceNeed { now, full, what });
                };
                let system = || format!("the system disk of `{}`", desired.name);
                match step {
                    DeployStep::Upload if files.insert((import.clone(), file.name.clone())) => {
                        need(&import, file.size, file.size, file.name.clone());
                    }
                    DeployStep::ImportStaging { .. } => need(&disks, file.used, file.disk, system()),
                    DeployStep::Create { .. } => {
                        need(&disks, file.used, file.disk, system());
                        need(&disks, 0, desired::state(desired) << 30, format!("/var of `{}`", desired.name));
                    }
                    _ => {}
                }
            }
        }
        let mut missing = Vec::new();
        for ((node, name), need) in &needs {
            let observed = node.as_ref().map_or(storages.values().next(), |node| storages.get(node));
            let Some(storage) = observed.and_then(|all| all.get(name)) else { continue };
            let Some(left) = storage.left else { continue };
            let at = node.as_ref().map(|node| format!(" on node `{node}`")).unwrap_or_default();
            let (full, parts) = sum(need, |item| item.full);
            let (now, parts_now) = sum(need, |item| item.now);
            let (needed, needs) = if storage.reserves() { (full, &parts) } else { (now, &parts_now) };
            if left < needed {
                let (needed, left) = (bytes(needed), bytes(left));
                missing.push(format!("storage `{name}`{at} has {left} left, and {needed} are needed: {needs}"));
            } else if left < full {
                let (full, left) = (bytes(full), bytes(left));
                self.progress.say(format!(
                    "storage `{name}`{at} has {left} left: enough for now, and less than the {full} of what is made there \
                     when it is full: {parts}"
                ));
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        Err(Error::remote(format!("target `{}` has too little space; nothing was changed", target.name))
            .at(target.url.clone())
            .detail(missing.join("\n"))
            .hint(format!(
                "remove old images and disks there, enlarge the storage, or name another one in {}",
                target.location
            )))
    }

    fn storages(&self, node: &str) -> Result<BTreeMap<String, StorageSpace>> {
        let answer = self.client.get(&Path::new(["nodes", node, "storage"]), &Parameters::none())?;
        let text = |entry: &Value, key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let one = |entry: &Value| {
            let shared = entry.get("shared").is_some_and(truth);
            (
                text(entry, "storage"),
                StorageSpace { kind: text(entry, "type"), shared, left: number(entry.get("avail")) },
            )
        };
        Ok(answer.as_array().into_iter().flatten().map(one).collect())
    }
}
