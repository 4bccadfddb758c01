//! A step: the call that it is, its words, and what is there afterwards.

use crate::cluster;
use crate::desired::Keys;
use crate::firewall::{self, FirewallChange};
use crate::notes::{Notes, StagingNotes};
use std::fmt;

/// One step. Each but [`Prove`](DeployStep::HealthCheck) is one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeployStep {
    /// The image's file goes to the import storage.
    Upload,
    /// The disc with the machine's own values goes to its storage.
    UploadConfigDrive,
    /// A disc that the machine had before goes.
    RemoveConfigDrive {
        /// `local:iso/NAME.iso`.
        volume: String,
    },
    /// The machine is made, with its disks.
    Create {
        /// Its number.
        id: u32,
    },
    /// A machine is made that takes the image in: an import into the machine itself would hold its lock all the while.
    ImportStaging {
        /// Its number.
        id: u32,
        /// Its notes.
        staging: StagingNotes,
    },
    /// It hands its disk on: a new name for a volume.
    MoveDisk {
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
    WriteNotes {
        /// The machine.
        id: u32,
        /// What they say.
        notes: Notes,
    },
    /// The tags say what is on it.
    SetTags {
        /// The machine.
        id: u32,
        /// All of its tags.
        tags: String,
    },
    /// Keys get other values.
    SetConfig {
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
    SwapDisk {
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
    HealthCheck,
    /// The hypervisor's firewall of the machine.
    Firewall {
        /// The machine.
        id: u32,
        /// What changes.
        change: FirewallChange,
    },
    /// What the cluster does for the machine.
    Cluster {
        /// The machine.
        id: u32,
        /// What changes.
        change: cluster::ClusterChange,
    },
    /// A disk that was put aside is destroyed.
    DeleteDisk {
        /// The machine.
        id: u32,
        /// Where it is.
        slot: String,
        /// The disk.
        volume: String,
    },
}

impl DeployStep {
    /// The number of the machine that it makes.
    pub fn makes(&self) -> Option<u32> {
        match self {
            DeployStep::Create { id } => Some(*id),
            _ => None,
        }
    }

    /// Whether it interrupts what the machine does.
    pub fn interrupts(&self) -> bool {
        matches!(self, DeployStep::Shutdown { .. })
    }
}

impl fmt::Display for DeployStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeployStep::Upload => write!(f, "upload the image"),
            DeployStep::UploadConfigDrive => write!(f, "upload the disc with the machine's own values"),
            DeployStep::RemoveConfigDrive { volume } => write!(f, "remove {volume}, the disc with its former values"),
            DeployStep::Create { id } => write!(f, "make machine {id}"),
            DeployStep::ImportStaging { id, staging } => {
                write!(f, "take the image in, by machine {id}, for machine {}", staging.machine)
            }
            DeployStep::MoveDisk { from, to, slot } => {
                write!(f, "hand the disk of machine {from} to machine {to}, as {slot}")
            }
            DeployStep::RemoveStaging { id } => write!(f, "remove machine {id}, which took the image in"),
            DeployStep::WriteNotes { id, .. } => {
                write!(f, "write down in the notes of machine {id} which disk is what")
            }
            DeployStep::SetTags { id, tags } => write!(f, "tag machine {id}: {tags}"),
            DeployStep::SetConfig { id, keys } => {
                let keys: Vec<_> = keys.iter().map(|(key, value)| format!("{key}: {value}")).collect();
                write!(f, "change machine {id}: {}", keys.join("; "))
            }
            DeployStep::Revert { id } => write!(f, "take back the exchange of disks that waits on machine {id}"),
            DeployStep::SwapDisk { id, volume } => {
                write!(f, "make {volume} the system disk of machine {id} at its next start")
            }
            DeployStep::Shutdown { id } => write!(f, "shut machine {id} down"),
            DeployStep::Start { id } => write!(f, "start machine {id}"),
            DeployStep::HealthCheck => write!(f, "wait until the machine has shown that it works"),
            DeployStep::Firewall { id, change } => match change {
                FirewallChange::Options(options) => {
                    let all: Vec<_> = options.iter().map(|(name, value)| format!("{name} {value}")).collect();
                    write!(f, "firewall of machine {id}: {}", all.join(", "))
                }
                FirewallChange::Set(name) => write!(f, "firewall of machine {id}: make the set {name}"),
                FirewallChange::Network(name, network) => write!(f, "firewall of machine {id}: {network} into {name}"),
                FirewallChange::Rule(rule) => write!(f, "firewall of machine {id}: rule {}", firewall::words(rule)),
                FirewallChange::RemoveRule(place, rule) => {
                    write!(f, "firewall of machine {id}: remove rule {place}, {}", firewall::words(rule))
                }
                FirewallChange::RemoveNetwork(name, network) => {
                    write!(f, "firewall of machine {id}: {network} out of {name}")
                }
                FirewallChange::RemoveSet(name) => write!(f, "firewall of machine {id}: remove the set {name}"),
            },
            DeployStep::Cluster { id, change } => write!(f, "cluster, machine {id}: {change}"),
            DeployStep::DeleteDisk { id, slot, volume } => {
                write!(f, "destroy the old system disk {volume} of machine {id} ({slot}): newer ones are kept")
            }
        }
    }
}
