//! Reads what is there: anew before each step, so that a run that was interrupted, or a host that somebody else has
//! changed, needs no case of its own.

mod cluster;
mod machines;

use crate::client::{CallError, CallErrorKind, Client, Parameters, Path};
use crate::desired::Desired;
use crate::json::{list, text};
use crate::notes::Notes;
use crate::observed::{MachineRef, Observed, Vm};
use diorite_host::progress::Progress;
use diorite_model::{Error, Result};
use machines::id_of;
use serde_json::Value;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// `local:import/a.qcow2` → `a.qcow2`.
fn name_of(volume: &str) -> String {
    volume.rsplit('/').next().unwrap_or_default().to_owned()
}

/// The VMs that matter for one.
struct MachineSet {
    machine: Option<Vm>,
    staging: Option<Vm>,
    /// The VM is under high availability.
    managed: bool,
    siblings: Vec<MachineRef>,
}

/// Reads one target.
pub struct Inspector<'a> {
    /// Whom to ask.
    pub client: &'a Client,
    /// Where waiting is shown.
    pub progress: &'a Progress,
    /// VM IDs that turned out to be in use.
    pub used_ids: BTreeSet<u32>,
}

impl Inspector<'_> {
    /// Everything that matters for a VM.
    ///
    /// # Errors
    /// As of any call; a VM of that name, or of its staging VM's, is not ours.
    pub fn inspect(&self, desired: &Desired) -> Result<Observed> {
        let mut found = self.find(desired)?;
        let free = if found.machine.is_none() || found.staging.is_none() { self.free()? } else { Vec::new() };
        if found.machine.is_none() {
            // Another run may have created it before the IDs were asked for. One that does so from now on takes the same ID.
            found = self.find(desired)?;
        }
        let MachineSet { machine, staging, managed, siblings } = found;
        let node = match (&machine, &desired.node) {
            (Some(vm), _) => vm.node.clone(),
            (None, Some(node)) => node.clone(),
            (None, None) => self.least_loaded(&siblings)?,
        };
        let target = self.client.target();
        let storages = self.ask(&["nodes", &node, "storage"], &Parameters::none())?;
        let disk_storage = list(&storages).find(|s| text(s, "storage") == target.disk_storage);
        let disk_storage_type = disk_storage.map_or("", |s| text(s, "type")).to_owned();
        let cluster = self.cluster(desired, machine.as_ref(), managed, &storages, &siblings)?;
        let images = self.files(&node, &target.import_storage, "import", None)?;
        let images = images.into_iter().map(|(volume, size)| (name_of(&volume), size)).collect();
        let volumes = match &machine {
            Some(vm) => self.volumes(vm)?,
            None => BTreeSet::new(),
        };
        let config_drives = match desired.config_drive.is_some() {
            true => self.files(&node, &target.iso_storage, "iso", None)?.into_keys().collect(),
            false => BTreeSet::new(),
        };
        let may_remove = desired.config_drive.is_some() && {
            let granted = self.client.privileges(&format!("/storage/{}", target.iso_storage))?;
            granted.contains_key("Datastore.Allocate")
        };
        Ok(Observed {
            node,
            images,
            config_drives,
            may_remove,
            machine,
            staging,
            volumes,
            disk_storage_type,
            free,
            cluster,
            siblings,
        })
    }

    /// The VM, its staging VM, and the others of its image.
    fn find(&self, desired: &Desired) -> Result<MachineSet> {
        let (name, staging_name) = (desired.name.as_str(), desired.staging());
        let (mut machine, mut staging, mut managed, mut siblings) = (None, None, false, Vec::new());
        let mut foreign = None;
        for candidate in self.candidates(&[name, &staging_name])? {
            let (listed, config) = (candidate.listed, candidate.config);
            // The list does not know the name of a VM younger than ten seconds; its configuration does.
            let Some(its) = config.get("name") else { continue };
            let (mine, imports) = (its.eq_ignore_ascii_case(name), its.eq_ignore_ascii_case(&staging_name));
            if !candidate.ours {
                foreign = foreign.or(mine.then_some(listed.id));
                continue;
            }
            if !mine && !imports {
                let notes = config.get("description").and_then(|text| Notes::parse(text));
                let same = matches!(notes, Some(Notes::Machine(m)) if m.image == desired.image);
                siblings.extend(same.then_some(listed));
                continue;
            }
            let Some(vm) = self.vm(listed.id, &listed.node)? else { continue };
            // It is going to be removed: nothing but its notes may say that it can be.
            if imports && vm.staging().is_none() {
                return Err(self.not_staging(&vm, name));
            }
            let place = if mine { &mut machine } else { &mut staging };
            if let Some(other) = place.as_ref().map(|vm: &Vm| vm.id) {
                return Err(self.ambiguous(other, vm.id, its));
            }
            managed |= mine && listed.ha.is_some();
            *place = Some(vm);
        }
        match (&machine, foreign) {
            (None, Some(id)) => Err(self.foreign(id, name)),
            _ => Ok(MachineSet { machine, staging, managed, siblings }),
        }
    }

    /// The VM's volumes that are on the storage of the disks: one that somebody deleted there is still in its configuration.
    pub fn volumes(&self, vm: &Vm) -> Result<BTreeSet<String>, CallError> {
        Ok(self.files(&vm.node, &self.client.target().disk_storage, "images", Some(vm.id))?.into_keys().collect())
    }

    fn ask(&self, names: &[&str], parameters: &Parameters) -> Result<Value, CallError> {
        self.client.get(&Path::new(names), parameters)
    }

    fn resources(&self) -> Result<Vec<Value>, CallError> {
        let all = self.ask(&["cluster", "resources"], &Parameters::none().text("type", "vm"))?;
        Ok(all.as_array().cloned().unwrap_or_default())
    }

    fn not_staging(&self, vm: &Vm, name: &str) -> Error {
        let its = vm.config.get("name").cloned().unwrap_or_default();
        Error::remote(format!("VM {} is called `{its}`, and is not a staging VM", vm.id))
            .at(self.client.target().url.clone())
            .because(format!("a VM of that name imports the images of `{name}`, and is removed then"))
            .hint("rename it, or deploy under another name: `--name`")
    }

    fn ambiguous(&self, one: u32, other: u32, name: &str) -> Error {
        Error::remote(format!("VMs {one} and {other} are both called `{name}`"))
            .at(self.client.target().url.clone())
            .because("both have the notes of a VM that Diorite made")
            .hint("rename one of them, or remove tag and notes of the one that is not ours")
    }

    /// A VM of this name that is not ours is in the way: the two could not be told apart.
    fn foreign(&self, id: u32, name: &str) -> Error {
        let target = self.client.target();
        Error::remote(format!("VM {id} is called `{name}`, and was not made by Diorite"))
            .at(target.url.clone())
            .because(format!("it has neither the tag `{}` nor our notes, so it is not touched", target.tag))
            .hint("rename it, or choose another name for the new VM: `--name`")
    }

    /// Volumes of one kind on a storage, with their sizes.
    fn files(
        &self,
        node: &str,
        storage: &str,
        content: &'static str,
        vmid: Option<u32>,
    ) -> Result<BTreeMap<String, u64>, CallError> {
        let parameters = Parameters::none().text("content", content);
        let parameters = vmid.iter().fold(parameters, |all, id| all.number("vmid", u64::from(*id)));
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

    /// Two VM IDs that are not in use.
    fn free(&self) -> Result<Vec<u32>> {
        let (target, mut free) = (self.client.target(), Vec::new());
        let known: BTreeSet<u32> = self.resources()?.iter().filter_map(id_of).collect();
        for number in target.vmids.clone().filter(|n| !known.contains(n) && !self.used_ids.contains(n)) {
            match self.ask(&["cluster", "nextid"], &Parameters::none().number("vmid", number.into())) {
                Ok(_) => free.push(number),
                // Another VM's, which this login may not see.
                Err(failure) if failure.kind == CallErrorKind::Parameters => {}
                Err(failure) => return Err(failure.into()),
            }
            if free.len() == 2 {
                return Ok(free);
            }
        }
        let (first, last) = (target.vmids.start(), target.vmids.end());
        Err(Error::remote(format!("no two VM IDs are free from {first} to {last}"))
            .at(target.location.clone())
            .hint("remove VMs that are not needed, or widen `vmids`"))
    }
}
