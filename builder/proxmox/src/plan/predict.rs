//! A step → what is there afterwards, as far as that can be foreseen: how a plan is made without carrying it out.

use super::step::DeployStep;
use crate::Target;
use crate::desired::{self, CONFIG_DRIVE, Desired, Keys, SYSTEM};
use crate::firewall;
use crate::notes::Notes;
use crate::observed::{Observed, Vm};
use crate::properties::volume;

impl DeployStep {
    /// What is there afterwards, as far as it can be foreseen.
    pub fn after(&self, desired: &Desired, target: &Target, observed: &mut Observed) {
        let storage_type = observed.disk_storage_type.clone();
        let disk = |id: u32, n: u32| format!("{}:{}", target.disk_storage, volume_name(&storage_type, id, n));
        match self {
            DeployStep::HealthCheck => {}
            DeployStep::Upload => {
                if let Some(file) = &desired.file {
                    observed.images.insert(file.name.clone(), file.size);
                }
            }
            DeployStep::UploadConfigDrive => {
                observed.config_drives.extend(desired.config_drive.as_ref().map(|iso| iso.volume.clone()))
            }
            DeployStep::Create { id } => {
                let mut config = desired.hardware.clone().unwrap_or_default();
                config.insert(SYSTEM.into(), desired::system(&disk(*id, 1), desired.sha256));
                config.insert("boot".into(), format!("order={SYSTEM}"));
                config.extend(
                    desired.config_drive.as_ref().map(|d| (CONFIG_DRIVE.to_owned(), desired::config_drive(&d.volume))),
                );
                let notes = Notes::Machine(desired.initial_notes());
                observed.machine = Some(made_vm(*id, &observed.node, config, notes));
                observed.free.retain(|free| free != id);
            }
            DeployStep::ImportStaging { id, staging } => {
                let config = Keys::from([
                    ("name".into(), desired.staging()),
                    (SYSTEM.into(), desired::system(&disk(*id, 0), desired.sha256)),
                ]);
                observed.staging = Some(made_vm(*id, &observed.node, config, Notes::Staging(staging.clone())));
                observed.free.retain(|free| free != id);
            }
            DeployStep::MoveDisk { to, slot, .. } => {
                let number = observed.machine.iter().flat_map(|vm| vm.config.values().chain(vm.now.values()));
                // Of files, too, the number counts and not the ending.
                let bare = |name: &str| {
                    name.rsplit(':').next().and_then(|name| name.split('.').next()).unwrap_or_default().to_owned()
                };
                let taken: Vec<_> = number.map(|v| bare(volume(v))).collect();
                let new = (0..).map(|n| disk(*to, n)).find(|v| !taken.contains(&bare(v))).unwrap_or_default();
                if let Some(staging) = &mut observed.staging {
                    staging.config.remove(SYSTEM);
                    staging.now.remove(SYSTEM);
                }
                observed.volumes.insert(new.clone());
                with_both(observed, |keys| drop(keys.insert(slot.clone(), new.clone())));
            }
            DeployStep::RemoveStaging { id } => {
                observed.staging = None;
                observed.free.push(*id);
            }
            DeployStep::WriteNotes { notes, .. } => {
                if let Some(vm) = &mut observed.machine {
                    vm.notes = Some(notes.clone());
                }
            }
            DeployStep::SetTags { tags, .. } => {
                with_both(observed, |keys| drop(keys.insert("tags".into(), tags.clone())))
            }
            DeployStep::SetConfig { keys, .. } => {
                let keys = keys.clone();
                change(observed, |config| config.extend(keys.clone()));
            }
            DeployStep::Revert { .. } => {
                if let Some(vm) = &mut observed.machine {
                    let waiting = vm.config.get(SYSTEM).map(|d| volume(d).to_owned());
                    let slot = vm.free_unused_slot();
                    vm.config.clone_from(&vm.now);
                    vm.config.extend(waiting.clone().map(|volume| (slot.clone(), volume)));
                    vm.now.extend(waiting.map(|volume| (slot, volume)));
                }
            }
            DeployStep::SwapDisk { volume: new, .. } => {
                let (disk, new) = (desired::system(new, desired.sha256), new.clone());
                let aside = |keys: &mut Keys| keys.retain(|k, v| !(k.starts_with("unused") && volume(v) == new));
                with_both(observed, aside);
                let stopped = observed.machine.as_ref().is_some_and(|vm| !vm.running);
                if stopped {
                    put_aside(observed);
                }
                change(observed, |config| drop(config.insert(SYSTEM.into(), disk.clone())));
            }
            DeployStep::Shutdown { .. } | DeployStep::Stop { .. } => {
                if let Some(vm) = &mut observed.machine {
                    vm.running = false;
                }
            }
            DeployStep::Start { .. } => {
                let exchanged = observed.machine.as_ref().is_some_and(|vm| vm.config.get(SYSTEM) != vm.now.get(SYSTEM));
                if exchanged {
                    put_aside(observed);
                }
                if let Some(vm) = &mut observed.machine {
                    vm.now.clone_from(&vm.config);
                    vm.running = true;
                }
            }
            DeployStep::Firewall { change, .. } => {
                if let Some(vm) = &mut observed.machine {
                    change.apply(&mut vm.firewall);
                }
            }
            DeployStep::RemoveConfigDrive { volume } => drop(observed.config_drives.remove(volume)),
            DeployStep::Cluster { change, .. } => change.apply(&mut observed.cluster),
            DeployStep::DeleteDisk { slot, .. } => with_both(observed, |keys| drop(keys.remove(slot))),
        }
    }
}

/// The name of a volume as its type of storage gives it: files stand in a directory of the VM (pve-storage, `alloc_image`).
fn volume_name(storage_type: &str, id: u32, n: u32) -> String {
    match storage_type {
        "dir" | "nfs" | "cifs" | "cephfs" => format!("{id}/vm-{id}-disk-{n}.qcow2"),
        "btrfs" => format!("{id}/vm-{id}-disk-{n}.raw"),
        _ => format!("vm-{id}-disk-{n}"),
    }
}

fn made_vm(id: u32, node: &str, config: Keys, record: Notes) -> Vm {
    Vm {
        id,
        node: node.to_owned(),
        running: false,
        now: config.clone(),
        config,
        notes: Some(record),
        digest: String::new(),
        firewall: firewall::FirewallRules::default(),
    }
}

/// The system disk that it has gets a slot of those that are put aside.
fn put_aside(observed: &mut Observed) {
    let Some(vm) = &mut observed.machine else { return };
    let Some(old) = vm.now.get(SYSTEM).map(|disk| volume(disk).to_owned()) else { return };
    let slot = vm.free_unused_slot();
    vm.config.insert(slot.clone(), old.clone());
    vm.now.insert(slot, old);
}

/// A change of both what is and what will be.
fn with_both(observed: &mut Observed, change: impl Fn(&mut Keys)) {
    if let Some(vm) = &mut observed.machine {
        change(&mut vm.config);
        change(&mut vm.now);
    }
}

/// A change that waits for the next start of a machine that runs.
fn change(observed: &mut Observed, change: impl Fn(&mut Keys)) {
    if let Some(vm) = &mut observed.machine {
        change(&mut vm.config);
        if !vm.running {
            change(&mut vm.now);
        }
    }
}
