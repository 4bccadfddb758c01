//! Machines are made with all their disks, or not at all; disks are handed from one to the other.

use super::config;
use super::volume::{holds_volume, name as volume_name, owner, volume};
use crate::params::Params;
use crate::reply::{ApiReply, ok, parameters, refuse};
use crate::world::{VirtualMachine, World};
use diorite_model::Digest;
use serde_json::json;
use std::collections::BTreeMap;

/// What must be granted at the pool (or the machine) for a key.
fn needed(key: &str) -> Option<&'static str> {
    Some(match key {
        "cores" | "cpu" => "VM.Config.CPU",
        "memory" => "VM.Config.Memory",
        "machine" | "vga" | "scsihw" | "serial0" | "rng0" | "hotplug" | "smbios1" => "VM.Config.HWType",
        "bios" | "agent" | "name" | "description" | "tags" | "ostype" | "onboot" | "boot" => "VM.Config.Options",
        key if key.starts_with("net") => "VM.Config.Network",
        key if holds_volume(key) => "VM.Config.Disk",
        _ => return None,
    })
}

/// The first privilege that is missing, with its path.
fn forbidden(id: u64, given: &Params, world: &World) -> Option<String> {
    let pool = given.get("pool");
    let at = pool.map_or(format!("/vms/{id}"), |pool| format!("/pool/{pool}"));
    let lacks = |path: &str, name: &str| {
        (!world.privileges(path).contains(name)).then(|| format!("Permission check failed ({path}, {name})"))
    };
    // Since 9.2 tags are checked at the VM itself, which is in no pool before it is there.
    let tags_at = if world.is_at_least(9, 2) { format!("/vms/{id}") } else { at.clone() };
    let mut all = lacks(&at, "VM.Allocate");
    for (key, text) in &given.0 {
        if is_optical(text) {
            all = all.or_else(|| lacks(&at, "VM.Config.CDROM"));
            continue;
        }
        let path = if key == "tags" { &tags_at } else { &at };
        all = all.or_else(|| needed(key).and_then(|name| lacks(path, name)));
        if holds_volume(key) {
            let storage = text.split(':').next().unwrap_or_default();
            all = all.or_else(|| lacks(&format!("/storage/{storage}"), "Datastore.AllocateSpace"));
        }
        if let Some(from) = text.split("import-from=").nth(1).and_then(|rest| rest.split(':').next()) {
            let path = format!("/storage/{from}");
            let may = world.privileges(&path);
            let fine = may.contains("Datastore.Audit") || may.contains("Datastore.AllocateSpace");
            all = all.or_else(|| (!fine).then(|| format!("Permission check failed ({path}, Datastore.Audit)")));
        }
        if let Some(bridge) = text.split("bridge=").nth(1).and_then(|rest| rest.split(',').next()) {
            all = all.or_else(|| lacks(&format!("/sdn/zones/localnetwork/{bridge}"), "SDN.Use"));
        }
    }
    all
}

pub(super) fn create(id: u64, given: &Params, who: &str, world: &mut World) -> ApiReply {
    let node = given.get("node").unwrap_or_default().to_owned();
    if let Some(refused) = forbidden(id, given, world) {
        return refuse(403, refused);
    }
    if let Some(other) = world.machines.get(&id) {
        return refuse(500, format!("unable to create VM {id} - VM {id} already exists on node '{}'", other.node));
    }
    let before = world.storages.clone();
    let pool = given.get("pool").map(str::to_owned);
    let mut machine = VirtualMachine { node: node.clone(), pool, created: world.clock, ..VirtualMachine::default() };
    let mut disks = 0;
    // Volumes are named in the order of the keys.
    let keys: BTreeMap<_, _> =
        given.0.iter().filter(|(k, _)| !["node", "vmid", "pool"].contains(&k.as_str())).cloned().collect();
    for (key, text) in keys {
        let shown = if is_optical(&text) {
            match world.optical_drive(&text) {
                Ok(shown) => shown,
                Err(why) => return refuse(500, why),
            }
        } else if holds_volume(&key) {
            match world.allocate(id, disks, &text) {
                Ok(shown) => {
                    disks += 1;
                    shown
                }
                Err(AllocationError::Form(why)) => {
                    world.storages = before;
                    return parameters(&[(key, why)]);
                }
                Err(AllocationError::Work(why)) => {
                    // Nothing is left of it.
                    world.storages = before;
                    let upid = world.failed(&node, "qmcreate", id, who, &format!("unable to create VM {id} - {why}"));
                    return ok(json!(upid));
                }
            }
        } else if key.starts_with("net") {
            // A card without an address gets one.
            match text.split_once(',') {
                Some((model, rest)) if !model.contains('=') => {
                    format!("{model}=BC:24:11:00:{:02X}:{:02X},{rest}", id >> 8 & 0xff, id & 0xff)
                }
                _ => text,
            }
        } else {
            config::shown(&key, text)
        };
        machine.config.insert(key, shown);
    }
    machine.config.entry("smbios1".into()).or_insert_with(|| format!("uuid=00000000-0000-4000-8000-{id:012}"));
    machine.config.insert("vmgenid".into(), format!("00000000-0000-4000-9000-{id:012}"));
    world.machines.insert(id, machine);
    let upid = world.task(&node, "qmcreate", &id.to_string(), who);
    if std::mem::take(&mut world.crash_during_create) {
        world.nodes.get_mut(&node).expect("a node").online = false;
    }
    ok(json!(upid))
}

enum AllocationError {
    /// Refused by the call.
    Form(String),
    /// Found out by the task.
    Work(String),
}

/// Whether a drive is an optical one.
pub(super) fn is_optical(text: &str) -> bool {
    text.split(',').any(|part| part == "media=cdrom")
}

impl World {
    /// `local:iso/a.iso,media=cdrom` → how its drive is shown.
    pub(super) fn optical_drive(&self, text: &str) -> Result<String, String> {
        let volid = volume(text);
        let (storage, name) = volid.split_once(':').unwrap_or((volid, ""));
        let found = self.storages.get(storage).and_then(|s| s.files.get(name)).filter(|_| name.starts_with("iso/"));
        let (size, _) = found.ok_or_else(|| format!("volume '{volid}' does not exist"))?;
        Ok(format!("{volid},media=cdrom,size={}K", size.div_ceil(1024)))
    }

    /// `local-zfs:8,discard=on` → a new volume, and how its disk is shown.
    fn allocate(&mut self, id: u64, number: u32, text: &str) -> Result<String, AllocationError> {
        let (place, options) = text.split_once(',').unwrap_or((text, ""));
        let (storage, size) =
            place.split_once(':').ok_or_else(|| AllocationError::Form("unable to parse volume ID".into()))?;
        let gigabytes: u64 = size.parse().map_err(|_| AllocationError::Form("unable to parse size".into()))?;
        let from = options.split(',').find_map(|o| o.strip_prefix("import-from="));
        let (bytes, digest) = match from {
            None => (gigabytes << 30, Digest::of(b"")),
            Some(_) if gigabytes != 0 => {
                return Err(AllocationError::Form("'import-from' requires special syntax".into()));
            }
            Some(from) => {
                let (source, name) = from.split_once(':').unwrap_or((from, ""));
                let found = self.storages.get(source).and_then(|s| s.files.get(name)).copied();
                found.ok_or_else(|| AllocationError::Work(format!("volume '{from}' does not exist")))?
            }
        };
        let into = self
            .storages
            .get_mut(storage)
            .ok_or_else(|| AllocationError::Work(format!("storage '{storage}' does not exist")))?;
        if !into.content.split(',').any(|c| c == "images") {
            return Err(AllocationError::Work(format!("storage '{storage}' does not support 'images' content")));
        }
        if bytes > into.free {
            return Err(AllocationError::Work("out of space".into()));
        }
        into.free -= bytes;
        let format = if from.is_some() { "qcow2" } else { "raw" };
        let name = volume_name(into.kind, id, number, format);
        into.files.insert(name.clone(), (bytes, digest));
        if let Some(hardware) = self.hardware.clone() {
            let to = hardware.place(storage, &name);
            let made = match from.and_then(|from| from.split_once(':')) {
                Some((source, file)) => hardware.import(&hardware.place(source, file), &to),
                None => std::fs::File::create(&to).and_then(|f| f.set_len(bytes)).map_err(|e| e.to_string()),
            };
            made.map_err(AllocationError::Work)?;
        }
        let kept: Vec<_> = options.split(',').filter(|o| !o.is_empty() && !o.starts_with("import-from=")).collect();
        // The hypervisor sorts them, and says the size.
        let mut kept: Vec<String> = kept.into_iter().map(str::to_owned).collect();
        kept.push(format!("size={}M", bytes >> 20));
        kept.sort();
        Ok(format!("{storage}:{name},{}", kept.join(",")))
    }

    /// A volume goes.
    pub(crate) fn destroy(&mut self, volid: &str) {
        if let Some((place, name)) = volid.split_once(':')
            && let Some(storage) = self.storages.get_mut(place)
            && let Some((size, _)) = storage.files.remove(name)
        {
            storage.free += size;
            if let Some(hardware) = &self.hardware {
                std::fs::remove_file(hardware.place(place, name)).expect("a volume can be removed");
            }
        }
    }

    /// A task that ended badly.
    pub(super) fn failed(&mut self, node: &str, kind: &str, id: u64, who: &str, why: &str) -> String {
        let upid = self.task(node, kind, &id.to_string(), who);
        let task = self.tasks.get_mut(&upid).expect("it was just made");
        task.exit = why.to_owned();
        task.log.push(format!("TASK ERROR: {why}"));
        upid
    }

    /// The image that a volume holds.
    pub fn content(&self, volid: &str) -> Option<Digest> {
        let (storage, name) = volid.split_once(':')?;
        self.storages.get(storage)?.files.get(name).map(|(_, digest)| *digest)
    }

    /// Volumes of machines that no machine's configuration names.
    pub fn orphans(&self) -> Vec<String> {
        let mut all = Vec::new();
        for (storage, s) in &self.storages {
            for name in s.files.keys().filter(|name| owner(name).is_some()) {
                let volid = format!("{storage}:{name}");
                let named = self.machines.values().any(|m| {
                    let waiting = m.pending.values().flatten();
                    m.config.values().chain(waiting).any(|v| volume(v) == volid)
                });
                if !named {
                    all.push(volid);
                }
            }
        }
        all
    }
}

/// `move_disk` to another VM: a new name for a volume, which is read there afterwards.
pub(super) fn move_disk(id: u64, given: &Params, who: &str, world: &mut World) -> ApiReply {
    let of = |name: &str| given.get(name).unwrap_or_default().to_owned();
    let (node, disk, slot) = (of("node"), of("disk"), of("target-disk"));
    let Ok(to) = of("target-vmid").parse::<u64>() else {
        return parameters(&[("target-vmid".into(), "property is missing".into())]);
    };
    if !world.privileges(&format!("/vms/{to}")).contains("VM.Config.Disk") {
        return refuse(403, format!("Permission check failed (/vms/{to}, VM.Config.Disk)"));
    }
    let taken = world.machines.get(&to).map(|m| m.config.contains_key(&slot));
    match taken {
        None => return refuse(500, format!("Configuration file 'nodes/{node}/qemu-server/{to}.conf' does not exist")),
        Some(true) => return refuse(500, format!("Target disk key '{slot}' is already in use for '{to}'")),
        Some(false) => {}
    }
    if world.machines[&to].node != node {
        return refuse(500, "Both VMs need to be on the same node");
    }
    if world.lock_is_held(to) {
        let why = world.lock_timeout(to);
        return ok(json!(world.failed(&node, "qmmove", id, who, &why)));
    }
    let moved = world.machines[&id].config.get(&disk).map(|value| volume(value).to_owned()).unwrap_or_default();
    let on = moved.split(':').next().unwrap_or_default().to_owned();
    let may = world.privileges(&format!("/storage/{on}"));
    if !may.contains("Datastore.Audit") && !may.contains("Datastore.AllocateSpace") {
        return refuse(
            403,
            format!("Permission check failed (/storage/{on}, Datastore.AllocateSpace|Datastore.Audit)"),
        );
    }
    if world.storages.get(&on).is_some_and(|storage| !storage.active) {
        return ok(json!(world.failed(&node, "qmmove", id, who, &format!("storage '{on}' is not online"))));
    }
    let machine = world.machines.get_mut(&id).expect("it was looked for");
    if machine.running {
        return refuse(500, "Cannot move disk of a running VM to another VM");
    }
    let Some(value) = machine.config.remove(&disk) else {
        return refuse(500, format!("Disk '{disk}' for VM {id} does not exist"));
    };
    let old = volume(&value).to_owned();
    let (storage, name) = old.split_once(':').expect("a volume");
    let into = world.storages.get_mut(storage).expect("a storage");
    let (kind, files) = (into.kind, &mut into.files);
    let content = files.remove(name).expect("a volume's content");
    let format = name.rsplit_once('.').map_or("raw", |(_, ending)| ending);
    // Of files, too, the number counts and not the ending.
    let bare = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    let used: Vec<_> = files.keys().map(|name| bare(name)).collect();
    let new = (0..).map(|n| volume_name(kind, to, n, format)).find(|name| !used.contains(&bare(name))).expect("a name");
    files.insert(new.clone(), content);
    if let Some(hardware) = &world.hardware {
        std::fs::rename(hardware.place(storage, name), hardware.place(storage, &new))
            .expect("a volume gets a new name");
    }
    let target = world.machines.get_mut(&to).expect("it was looked for");
    target.config.insert(slot, format!("{storage}:{new}"));
    let upid = world.task(&node, "qmmove", &format!("{id}-{disk}>{to}"), who);
    ok(json!(upid))
}
