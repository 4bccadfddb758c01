//! What is there at a target, as a plan looks at it: the machine, its staging machine, files, free IDs, the cluster. Data
//! without any call; [`crate::inspector`] fills it in.

use crate::cluster::ClusterState;
use crate::desired::{Keys, SYSTEM};
use crate::firewall;
use crate::notes::{self, Generation, HealthVerdict, Notes};
use crate::properties::{Properties, volume};
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
    pub notes: Option<Notes>,
    /// Changes with each change of its configuration.
    pub digest: String,
    /// Its firewall at the hypervisor.
    pub firewall: firewall::FirewallRules,
}

/// Everything that a plan looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// The node that the machine is on, or would be made on.
    pub node: String,
    /// Files of the import storage, with their sizes.
    pub images: BTreeMap<String, u64>,
    /// Config drives; empty where the VM has none.
    pub config_drives: BTreeSet<String>,
    /// Whether this login may remove them.
    pub may_remove: bool,
    /// The machine.
    pub machine: Option<Vm>,
    /// The machine that takes its next image in.
    pub staging: Option<Vm>,
    /// The VM's volumes that are on the storage of the disks.
    pub volumes: BTreeSet<String>,
    /// Type of that storage: `zfspool`.
    pub disk_storage_type: String,
    /// VM IDs that are free.
    pub free: Vec<u32>,
    /// What the cluster does for the machine.
    pub cluster: ClusterState,
    /// The other machines of its image.
    pub siblings: Vec<MachineRef>,
}

/// A machine of ours in the list of all machines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineRef {
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
    pub fn unused_disks(&self) -> impl Iterator<Item = (&str, &str)> {
        let slots = self.config.iter().filter(|(key, _)| is_unused(key));
        slots.map(|(key, value)| (key.as_str(), volume(value)))
    }

    /// The first slot for a disk that is put aside.
    pub fn free_unused_slot(&self) -> String {
        let taken = |slot: &String| self.config.contains_key(slot) || self.now.contains_key(slot);
        (0..256).map(|n| format!("unused{n}")).find(|slot| !taken(slot)).unwrap_or_else(|| "unused255".into())
    }

    /// Whether a change of one of these keys waits for the next start.
    pub fn has_pending<'k>(&self, mut keys: impl Iterator<Item = &'k str>) -> bool {
        keys.any(|key| self.config.get(key) != self.now.get(key))
    }

    /// Whether the image with this serial number is what it starts from.
    pub fn boots_from(&self, serial: &str) -> bool {
        self.config.get(SYSTEM).is_some_and(|value| has_serial(value, serial))
    }

    /// The images on its system disks, the latest first. One that its notes do not vouch for works where its tag says so,
    /// which is set after it has shown it.
    pub fn generations(&self) -> Vec<Generation> {
        let tags = self.tags();
        let tagged = |g: &Generation| {
            let end = format!("-{}", g.sha256.short(12));
            tags.iter().any(|tag| tag.ends_with(&end))
        };
        let mut all = self.machine().map(|machine| machine.generations.clone()).unwrap_or_default();
        for generation in &mut all {
            if generation.proven == HealthVerdict::New && tagged(generation) {
                generation.proven = HealthVerdict::Good;
            }
        }
        all
    }

    /// The notes of a machine that works.
    pub fn machine(&self) -> Option<&notes::MachineNotes> {
        match &self.notes {
            Some(Notes::Machine(machine)) => Some(machine),
            _ => None,
        }
    }

    /// The notes of a machine that takes an image in.
    pub fn staging(&self) -> Option<&notes::StagingNotes> {
        match &self.notes {
            Some(Notes::Staging(staging)) => Some(staging),
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
    Properties::of(value).get("serial") == Some(serial)
}

fn is_unused(key: &str) -> bool {
    key.strip_prefix("unused").is_some_and(|n| n.parse::<u8>().is_ok())
}

/// `a;b` → a, b.
pub fn split_tags(tags: &str) -> BTreeSet<&str> {
    tags.split([';', ',', ' ']).filter(|tag| !tag.is_empty()).collect()
}
