//! The steps of a deployment, and how they are named to people.

use crate::cluster;
use crate::desired::Keys;
use crate::firewall::FirewallChange;
use crate::notes::{Notes, StagingNotes};
use std::fmt;

/// One step. Each but [`HealthCheck`](DeployStep::HealthCheck) is one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeployStep {
    /// The image's file goes to the import storage.
    Upload,
    /// The config drive goes to its storage.
    UploadConfigDrive,
    /// A former config drive is removed.
    RemoveConfigDrive {
        /// `local:iso/NAME.iso`.
        volume: String,
    },
    /// The VM is created, with its disks.
    Create {
        /// Its ID.
        id: u32,
    },
    /// A staging VM is created that imports the image: an import into the VM itself would hold its lock all the while.
    ImportStaging {
        /// Its ID.
        id: u32,
        /// Its notes.
        staging: StagingNotes,
    },
    /// The staging VM passes its disk on: a new name for a volume.
    MoveDisk {
        /// Its ID.
        from: u32,
        /// The VM that gets it.
        to: u32,
        /// The slot there.
        slot: String,
    },
    /// The staging VM is removed.
    RemoveStaging {
        /// Its ID.
        id: u32,
    },
    /// The notes say which image is on which disk.
    WriteNotes {
        /// The VM.
        id: u32,
        /// What they say.
        notes: Notes,
    },
    /// Tags: whose the VM is, and which image works on it.
    SetTags {
        /// The VM.
        id: u32,
        /// All of its tags.
        tags: String,
    },
    /// Configuration keys get other values.
    SetConfig {
        /// The VM.
        id: u32,
        /// What they get.
        keys: Keys,
    },
    /// A pending exchange of the system disk is reverted.
    Revert {
        /// The VM.
        id: u32,
    },
    /// Another system disk is attached, from the next start on.
    SwapDisk {
        /// The VM.
        id: u32,
        /// Its volume.
        volume: String,
    },
    /// The VM is shut down, or stopped when it takes too long.
    Shutdown {
        /// The VM.
        id: u32,
    },
    /// The VM is stopped at once: its image has failed, and its guest agent does not answer.
    Stop {
        /// The VM.
        id: u32,
    },
    /// The VM is started.
    Start {
        /// The VM.
        id: u32,
    },
    /// The VM is waited for until it is healthy.
    HealthCheck,
    /// The hypervisor's firewall of the VM.
    Firewall {
        /// The VM.
        id: u32,
        /// What changes.
        change: FirewallChange,
    },
    /// What the cluster does for the VM.
    Cluster {
        /// The VM.
        id: u32,
        /// What changes.
        change: cluster::ClusterChange,
    },
    /// A detached system disk is deleted.
    DeleteDisk {
        /// The VM.
        id: u32,
        /// Its slot.
        slot: String,
        /// Its volume.
        volume: String,
    },
}

impl DeployStep {
    /// The ID of the VM that it creates.
    pub fn creates(&self) -> Option<u32> {
        match self {
            DeployStep::Create { id } => Some(*id),
            _ => None,
        }
    }

    /// Whether it interrupts what the VM does.
    pub fn interrupts(&self) -> bool {
        matches!(self, DeployStep::Shutdown { .. } | DeployStep::Stop { .. })
    }
}

impl fmt::Display for DeployStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeployStep::Upload => write!(f, "upload the image"),
            DeployStep::UploadConfigDrive => write!(f, "upload the config drive"),
            DeployStep::RemoveConfigDrive { volume } => write!(f, "remove the former config drive {volume}"),
            DeployStep::Create { id } => write!(f, "create VM {id}"),
            DeployStep::ImportStaging { id, staging } => {
                write!(f, "import the image into staging VM {id}, for VM {}", staging.machine)
            }
            DeployStep::MoveDisk { from, to, slot } => write!(f, "move the disk of VM {from} to VM {to}, as {slot}"),
            DeployStep::RemoveStaging { id } => write!(f, "remove staging VM {id}"),
            DeployStep::WriteNotes { id, .. } => write!(f, "update the notes of VM {id}: its images and their state"),
            DeployStep::SetTags { id, tags } => write!(f, "tag VM {id}: {tags}"),
            DeployStep::SetConfig { id, keys } => {
                let keys: Vec<_> = keys.iter().map(|(key, value)| format!("{key}: {value}")).collect();
                write!(f, "configure VM {id}: {}", keys.join("; "))
            }
            DeployStep::Revert { id } => write!(f, "revert the pending swap of disks of VM {id}"),
            DeployStep::SwapDisk { id, volume } => {
                write!(f, "attach {volume} as the system disk of VM {id}, from its next start on")
            }
            DeployStep::Shutdown { id } => write!(f, "shut VM {id} down"),
            DeployStep::Stop { id } => {
                write!(f, "stop VM {id}, whose image failed and whose guest agent does not answer")
            }
            DeployStep::Start { id } => write!(f, "start VM {id}"),
            DeployStep::HealthCheck => write!(f, "wait until the VM is healthy"),
            DeployStep::Firewall { id, change } => write!(f, "firewall of VM {id}: {change}"),
            DeployStep::Cluster { id, change } => write!(f, "cluster, VM {id}: {change}"),
            DeployStep::DeleteDisk { id, slot, volume } => {
                write!(f, "delete the old system disk {volume} of VM {id} ({slot})")
            }
        }
    }
}
