//! A step: the call that it is, its words, and what is there afterwards.

use crate::Target;
use crate::client::{Method, Parameters, Path};
use crate::cluster;
use crate::firewall::{self, Change};
use crate::properties::volume;
use crate::record::{Machine, Record, Staging};
use crate::seen::{Seen, Vm};
use crate::wanted::{self, DISC, Keys, SYSTEM, Wanted};
use std::collections::BTreeSet;
use std::fmt;

/// One step. Each but [`Prove`](Step::Prove) is one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The image's file goes to the import storage.
    Upload,
    /// The disc with the machine's own values goes to its storage.
    Disc,
    /// A disc that the machine had before goes.
    RemoveDisc {
        /// `local:iso/NAME.iso`.
        volume: String,
    },
    /// The machine is made, with its disks.
    Create {
        /// Its number.
        id: u32,
    },
    /// A machine is made that takes the image in: an import into the machine itself would hold its lock all the while.
    Stage {
        /// Its number.
        id: u32,
        /// Its notes.
        staging: Staging,
    },
    /// It hands its disk on: a new name for a volume.
    Hand {
        /// Its number.
        from: u32,
        /// Who gets it.
        to: u32,
        /// The slot there.
        slot: String,
    },
    /// It goes.
    RemoveStaging {
        /// Its number.
        id: u32,
    },
    /// The notes say what is there.
    Note {
        /// The machine.
        id: u32,
        /// What they say.
        record: Record,
    },
    /// The tags say what is on it.
    Tag {
        /// The machine.
        id: u32,
        /// All of its tags.
        tags: String,
    },
    /// Keys get other values.
    Set {
        /// The machine.
        id: u32,
        /// What they get.
        keys: Keys,
    },
    /// An exchange of the system disk that waits is taken back.
    Revert {
        /// The machine.
        id: u32,
    },
    /// Another system disk, at the next start.
    Swap {
        /// The machine.
        id: u32,
        /// The disk.
        volume: String,
    },
    /// The machine is shut down, or stopped when it does not answer.
    Shutdown {
        /// The machine.
        id: u32,
    },
    /// The machine is started.
    Start {
        /// The machine.
        id: u32,
    },
    /// The machine shows that it works.
    Prove,
    /// The hypervisor's firewall of the machine.
    Firewall {
        /// The machine.
        id: u32,
        /// What changes.
        change: Change,
    },
    /// What the cluster does for the machine.
    Cluster {
        /// The machine.
        id: u32,
        /// What changes.
        change: cluster::Change,
    },
    /// A disk that was put aside is destroyed.
    Prune {
        /// The machine.
        id: u32,
        /// Where it is.
        slot: String,
        /// The disk.
        volume: String,
    },
}

/// A call of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// How.
    pub method: Method,
    /// What.
    pub path: Path,
    /// With what.
    pub parameters: Parameters,
}

/// Seconds that a machine gets to shut down, before it is stopped.
const PATIENCE: u64 = 90;

impl Step {
    /// Its call; none for what is more than one call, or none at all. `digest` of the machine's configuration guards
    /// against a change that somebody else made meanwhile.
    pub fn call(&self, wanted: &Wanted, seen: &Seen, target: &Target) -> Option<Call> {
        let node = seen.node.as_str();
        let qemu = |id: u32, last: &[&str]| {
            let number = id.to_string();
            let names: Vec<&str> = [&["nodes", node, "qemu", &number][..], last].concat();
            Path::new(names)
        };
        let call = |method, path, parameters| Some(Call { method, path, parameters });
        let guarded = || {
            let digest = seen.machine.as_ref().map(|vm| vm.digest.clone()).unwrap_or_default();
            Parameters::none().text("digest", digest)
        };
        let configure = |id, parameters| call(Method::Post, qemu(id, &["config"]), parameters);
        match self {
            Step::Upload | Step::Disc | Step::Prove => None,
            Step::Create { id } => {
                let (hardware, file) = (wanted.hardware.as_ref()?, wanted.file.as_ref()?);
                let record = Record::Machine(first(wanted));
                let keys = wanted::new(wanted, hardware, target, file);
                let parameters = with(made(*id, target), &keys)
                    .text("tags", wanted.tags(target))
                    .text("description", record.notes(""));
                call(Method::Post, Path::new(["nodes", node, "qemu"]), parameters)
            }
            Step::Stage { id, staging } => {
                let file = wanted.file.as_ref()?;
                let image = format!("{}:0,import-from={}:import/{}", target.disks, target.import, file.name);
                let parameters = made(*id, target)
                    .text("name", wanted.staging())
                    .number("memory", 64)
                    .text("scsihw", "virtio-scsi-single")
                    .text(SYSTEM, wanted::system(&image, wanted.sha256))
                    .text("tags", target.tag.clone())
                    .text("description", Record::Staging(staging.clone()).notes(""));
                call(Method::Post, Path::new(["nodes", node, "qemu"]), parameters)
            }
            Step::Hand { from, to, slot } => {
                let parameters = Parameters::none()
                    .text("disk", SYSTEM)
                    .number("target-vmid", (*to).into())
                    .text("target-disk", slot.clone());
                call(Method::Post, qemu(*from, &["move_disk"]), parameters)
            }
            Step::RemoveStaging { id } => {
                // The machine may have been moved to another node meanwhile.
                let node = seen.staging.as_ref().map_or(node, |staging| &staging.node);
                let path = Path::new(["nodes", node, "qemu", &id.to_string()]);
                call(Method::Delete, path, Parameters::none().flag("purge", true))
            }
            Step::Note { id, record } => {
                let before = seen.machine.as_ref().and_then(|vm| vm.config.get("description"));
                let notes = record.notes(before.map_or("", String::as_str));
                configure(*id, guarded().text("description", notes))
            }
            Step::Tag { id, tags } => configure(*id, guarded().text("tags", tags.clone())),
            Step::Set { id, keys } => configure(*id, with(guarded(), keys)),
            Step::Revert { id } => configure(*id, guarded().text("revert", format!("{SYSTEM},boot"))),
            Step::Swap { id, volume } => {
                let disk = wanted::system(volume, wanted.sha256);
                configure(*id, guarded().text(SYSTEM, disk).text("boot", format!("order={SYSTEM}")))
            }
            Step::Shutdown { id } => {
                let parameters = Parameters::none().number("timeout", PATIENCE).flag("forceStop", true);
                call(Method::Post, qemu(*id, &["status", "shutdown"]), parameters)
            }
            Step::Start { id } => call(Method::Post, qemu(*id, &["status", "start"]), Parameters::none()),
            Step::Prune { id, slot, .. } => configure(*id, guarded().text("delete", slot.clone())),
            Step::RemoveDisc { volume } => {
                let path = Path::new(["nodes", node, "storage", &target.discs, "content", volume]);
                call(Method::Delete, path, Parameters::none())
            }
            Step::Cluster { id, change } => Some(change.call(*id)),
            Step::Firewall { id, change } => {
                let at = |last: &[&str]| qemu(*id, &[&["firewall"], last].concat());
                match change {
                    Change::Options(options) => call(Method::Put, at(&["options"]), with(Parameters::none(), options)),
                    Change::Set(name) => {
                        call(Method::Post, at(&["ipset"]), Parameters::none().text("name", name.clone()))
                    }
                    Change::Network(name, network) => {
                        call(Method::Post, at(&["ipset", name]), Parameters::none().text("cidr", network.clone()))
                    }
                    Change::Rule(rule) => call(Method::Post, at(&["rules"]), with(Parameters::none(), rule)),
                    Change::RemoveRule(place, _) => {
                        call(Method::Delete, at(&["rules", &place.to_string()]), Parameters::none())
                    }
                    Change::RemoveNetwork(name, network) => {
                        let network = network.trim_start_matches('!');
                        call(Method::Delete, at(&["ipset", name, network]), Parameters::none())
                    }
                    // With what is in it, all at once.
                    Change::RemoveSet(name) => {
                        call(Method::Delete, at(&["ipset", name]), Parameters::none().flag("force", true))
                    }
                }
            }
        }
    }

    /// What is there afterwards, as far as it can be foreseen.
    pub fn after(&self, wanted: &Wanted, target: &Target, seen: &mut Seen) {
        let disk = |id: u32, n: u32| format!("{}:vm-{id}-disk-{n}", target.disks);
        match self {
            Step::Prove => {}
            Step::Upload => {
                if let Some(file) = &wanted.file {
                    seen.images.insert(file.name.clone(), file.size);
                }
            }
            Step::Disc => seen.discs.extend(wanted.disc.as_ref().map(|disc| disc.volume.clone())),
            Step::Create { id } => {
                let mut config = wanted.hardware.clone().unwrap_or_default();
                config.insert(SYSTEM.into(), wanted::system(&disk(*id, 1), wanted.sha256));
                config.insert("boot".into(), format!("order={SYSTEM}"));
                config.insert("tags".into(), wanted.tags(target));
                config.extend(wanted.disc.as_ref().map(|d| (DISC.to_owned(), wanted::disc(&d.volume))));
                let record = Record::Machine(first(wanted));
                seen.machine = Some(made_vm(*id, &seen.node, config, record));
                seen.free.retain(|free| free != id);
            }
            Step::Stage { id, staging } => {
                let config = Keys::from([
                    ("name".into(), wanted.staging()),
                    (SYSTEM.into(), wanted::system(&disk(*id, 0), wanted.sha256)),
                ]);
                seen.staging = Some(made_vm(*id, &seen.node, config, Record::Staging(staging.clone())));
                seen.free.retain(|free| free != id);
            }
            Step::Hand { to, slot, .. } => {
                let number = seen.machine.iter().flat_map(|vm| vm.config.values().chain(vm.now.values()));
                let taken: Vec<_> = number.map(|v| volume(v).to_owned()).collect();
                let new = (0..).map(|n| disk(*to, n)).find(|v| !taken.contains(v)).unwrap_or_default();
                if let Some(staging) = &mut seen.staging {
                    staging.config.remove(SYSTEM);
                    staging.now.remove(SYSTEM);
                }
                with_both(seen, |keys| drop(keys.insert(slot.clone(), new.clone())));
            }
            Step::RemoveStaging { id } => {
                seen.staging = None;
                seen.free.push(*id);
            }
            Step::Note { record, .. } => {
                if let Some(vm) = &mut seen.machine {
                    vm.record = Some(record.clone());
                }
            }
            Step::Tag { tags, .. } => with_both(seen, |keys| drop(keys.insert("tags".into(), tags.clone()))),
            Step::Set { keys, .. } => {
                let keys = keys.clone();
                change(seen, |config| config.extend(keys.clone()));
            }
            Step::Revert { .. } => {
                if let Some(vm) = &mut seen.machine {
                    let waiting = vm.config.get(SYSTEM).map(|d| volume(d).to_owned());
                    let slot = vm.free_slot();
                    vm.config.clone_from(&vm.now);
                    vm.config.extend(waiting.clone().map(|volume| (slot.clone(), volume)));
                    vm.now.extend(waiting.map(|volume| (slot, volume)));
                }
            }
            Step::Swap { volume: new, .. } => {
                let (disk, new) = (wanted::system(new, wanted.sha256), new.clone());
                let aside = |keys: &mut Keys| keys.retain(|k, v| !(k.starts_with("unused") && volume(v) == new));
                with_both(seen, aside);
                let stopped = seen.machine.as_ref().is_some_and(|vm| !vm.running);
                if stopped {
                    put_aside(seen);
                }
                change(seen, |config| drop(config.insert(SYSTEM.into(), disk.clone())));
            }
            Step::Shutdown { .. } => {
                if let Some(vm) = &mut seen.machine {
                    vm.running = false;
                }
            }
            Step::Start { .. } => {
                let exchanged = seen.machine.as_ref().is_some_and(|vm| vm.config.get(SYSTEM) != vm.now.get(SYSTEM));
                if exchanged {
                    put_aside(seen);
                }
                if let Some(vm) = &mut seen.machine {
                    vm.now.clone_from(&vm.config);
                    vm.running = true;
                }
            }
            Step::Firewall { change, .. } => {
                if let Some(vm) = &mut seen.machine {
                    change.apply(&mut vm.firewall);
                }
            }
            Step::RemoveDisc { volume } => drop(seen.discs.remove(volume)),
            Step::Cluster { change, .. } => change.apply(&mut seen.cluster),
            Step::Prune { slot, .. } => with_both(seen, |keys| drop(keys.remove(slot))),
        }
    }

    /// The number of the machine that it makes.
    pub fn makes(&self) -> Option<u32> {
        match self {
            Step::Create { id } => Some(*id),
            _ => None,
        }
    }

    /// Whether it interrupts what the machine does.
    pub fn interrupts(&self) -> bool {
        matches!(self, Step::Shutdown { .. })
    }
}

/// The notes of a machine that is made.
fn first(wanted: &Wanted) -> Machine {
    Machine { image: wanted.image.clone(), generations: vec![wanted.generation()], discs: BTreeSet::new() }
}

/// What every new machine of ours is given.
fn made(id: u32, target: &Target) -> Parameters {
    let parameters = Parameters::none().number("vmid", id.into());
    match &target.pool {
        Some(pool) => parameters.text("pool", pool.clone()),
        None => parameters,
    }
}

fn with(parameters: Parameters, keys: &Keys) -> Parameters {
    keys.iter().fold(parameters, |all, (key, value)| all.text(key.clone(), value.clone()))
}

fn made_vm(id: u32, node: &str, config: Keys, record: Record) -> Vm {
    Vm {
        id,
        node: node.to_owned(),
        running: false,
        now: config.clone(),
        config,
        record: Some(record),
        digest: String::new(),
        firewall: firewall::Rules::default(),
    }
}

/// The system disk that it has gets a slot of those that are put aside.
fn put_aside(seen: &mut Seen) {
    let Some(vm) = &mut seen.machine else { return };
    let Some(old) = vm.now.get(SYSTEM).map(|disk| volume(disk).to_owned()) else { return };
    let slot = vm.free_slot();
    vm.config.insert(slot.clone(), old.clone());
    vm.now.insert(slot, old);
}

/// A change of both what is and what will be.
fn with_both(seen: &mut Seen, change: impl Fn(&mut Keys)) {
    if let Some(vm) = &mut seen.machine {
        change(&mut vm.config);
        change(&mut vm.now);
    }
}

/// A change that waits for the next start of a machine that runs.
fn change(seen: &mut Seen, change: impl Fn(&mut Keys)) {
    if let Some(vm) = &mut seen.machine {
        change(&mut vm.config);
        if !vm.running {
            change(&mut vm.now);
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Upload => write!(f, "upload the image"),
            Step::Disc => write!(f, "upload the disc with the machine's own values"),
            Step::RemoveDisc { volume } => write!(f, "remove {volume}, the disc with its former values"),
            Step::Create { id } => write!(f, "make machine {id}"),
            Step::Stage { id, staging } => {
                write!(f, "take the image in, by machine {id}, for machine {}", staging.machine)
            }
            Step::Hand { from, to, slot } => write!(f, "hand the disk of machine {from} to machine {to}, as {slot}"),
            Step::RemoveStaging { id } => write!(f, "remove machine {id}, which took the image in"),
            Step::Note { id, .. } => write!(f, "write down in the notes of machine {id} which disk is what"),
            Step::Tag { id, tags } => write!(f, "tag machine {id}: {tags}"),
            Step::Set { id, keys } => {
                let keys: Vec<_> = keys.iter().map(|(key, value)| format!("{key}: {value}")).collect();
                write!(f, "change machine {id}: {}", keys.join("; "))
            }
            Step::Revert { id } => write!(f, "take back the exchange of disks that waits on machine {id}"),
            Step::Swap { id, volume } => write!(f, "make {volume} the system disk of machine {id} at its next start"),
            Step::Shutdown { id } => write!(f, "shut machine {id} down"),
            Step::Start { id } => write!(f, "start machine {id}"),
            Step::Prove => write!(f, "wait until the machine has shown that it works"),
            Step::Firewall { id, change } => match change {
                Change::Options(options) => {
                    let all: Vec<_> = options.iter().map(|(name, value)| format!("{name} {value}")).collect();
                    write!(f, "firewall of machine {id}: {}", all.join(", "))
                }
                Change::Set(name) => write!(f, "firewall of machine {id}: make the set {name}"),
                Change::Network(name, network) => write!(f, "firewall of machine {id}: {network} into {name}"),
                Change::Rule(rule) => write!(f, "firewall of machine {id}: rule {}", firewall::words(rule)),
                Change::RemoveRule(place, rule) => {
                    write!(f, "firewall of machine {id}: remove rule {place}, {}", firewall::words(rule))
                }
                Change::RemoveNetwork(name, network) => write!(f, "firewall of machine {id}: {network} out of {name}"),
                Change::RemoveSet(name) => write!(f, "firewall of machine {id}: remove the set {name}"),
            },
            Step::Cluster { id, change } => write!(f, "cluster, machine {id}: {change}"),
            Step::Prune { id, slot, volume } => {
                write!(f, "destroy the old system disk {volume} of machine {id} ({slot}): newer ones are kept")
            }
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method.word(), self.path)?;
        for (name, value) in self.parameters.iter().filter(|(name, _)| *name != "digest") {
            write!(f, "\n    {name}={}", value.escape_debug())?;
        }
        Ok(())
    }
}
