//! The privileges that a deployment needs, each with where and what for.
//!
//! None is needed at `/`: all can be granted on one pool, two storages and one bridge. Which names a host knows differs
//! between its versions: what is granted is always asked, never assumed.

use crate::Target;
use diorite_model::machine::Cluster as ClusterSpec;

/// The path a privilege is needed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The pool of machines; all machines where the target names none.
    Machines,
    /// The storage that images are uploaded to.
    Import,
    /// The storage of config drives: by default that of the images.
    ConfigDrives,
    /// The storage of the disks.
    Disks,
    /// The bridge.
    Bridge,
    /// The whole cluster; only where a profile asks something of it.
    Cluster,
    /// All storages; only where one of 8 is to copy disks.
    Storages,
}

impl Scope {
    /// Those that every deployment needs.
    pub const ALL: [Scope; 5] = [Scope::Machines, Scope::Import, Scope::ConfigDrives, Scope::Disks, Scope::Bridge];

    /// Its path.
    pub fn path(self, target: &Target) -> String {
        match self {
            Scope::Machines => target.pool.as_ref().map_or("/vms".into(), |pool| format!("/pool/{pool}")),
            Scope::Import => format!("/storage/{}", target.import_storage),
            Scope::ConfigDrives => format!("/storage/{}", target.iso_storage),
            Scope::Disks => format!("/storage/{}", target.disk_storage),
            Scope::Bridge => format!("/sdn/zones/localnetwork/{}", target.bridge),
            Scope::Cluster => "/".into(),
            Scope::Storages => "/storage".into(),
        }
    }
}

/// One privilege.
#[derive(Debug, Clone, Copy)]
pub struct RequiredPrivilege {
    /// Its name on a host of Proxmox VE 9.
    pub name: &'static str,
    /// Its name on one of 8, where that differs.
    pub before: Option<&'static str>,
    /// Where.
    pub at: Scope,
    /// To do what.
    pub to: &'static str,
}

impl RequiredPrivilege {
    /// Its name on a host of this series.
    pub fn on(&self, series: (u32, u32)) -> &'static str {
        self.before.filter(|_| series.0 < 9).unwrap_or(self.name)
    }
}

const fn needed(name: &'static str, at: Scope, to: &'static str) -> RequiredPrivilege {
    RequiredPrivilege { name, before: None, at, to }
}

/// What a profile asks of the cluster needs besides. High availability needs privileges at `/`: Proxmox VE has none below.
pub fn more(spec: &ClusterSpec, series: (u32, u32)) -> Vec<RequiredPrivilege> {
    let mut all = Vec::new();
    if spec.ha {
        all.push(needed("Sys.Audit", Scope::Cluster, "see high availability"));
        all.push(needed("Sys.Console", Scope::Cluster, "put VMs under high availability"));
    }
    if spec.replication.is_some() {
        let to = "have disks replicated to other nodes";
        all.push(match series.0 {
            0..=8 => needed("Datastore.Allocate", Scope::Storages, to),
            _ => needed("VM.Replicate", Scope::Machines, to),
        });
    }
    all
}

/// Those that every deployment needs (pve-manager's and qemu-server's own checks of each call).
pub const REQUIRED: &[RequiredPrivilege] = &[
    needed("VM.Allocate", Scope::Machines, "create and remove VMs"),
    needed("VM.Audit", Scope::Machines, "see VMs and their configuration"),
    needed("VM.Config.Disk", Scope::Machines, "attach and swap disks"),
    needed("VM.Config.CDROM", Scope::Machines, "attach a config drive"),
    needed("VM.Config.CPU", Scope::Machines, "set processors"),
    needed("VM.Config.Memory", Scope::Machines, "set memory"),
    needed("VM.Config.Network", Scope::Machines, "set network cards and the VM's firewall"),
    needed("VM.Config.HWType", Scope::Machines, "set chip set, UUID and serial console"),
    needed("VM.Config.Options", Scope::Machines, "set firmware, name, notes and tags"),
    needed("VM.PowerMgmt", Scope::Machines, "start and stop VMs"),
    RequiredPrivilege {
        name: "VM.GuestAgent.Audit",
        // Which is gone in 9.
        before: Some("VM.Monitor"),
        at: Scope::Machines,
        to: "ask a VM's guest agent",
    },
    needed("Datastore.AllocateTemplate", Scope::Import, "upload images"),
    needed("Datastore.Audit", Scope::Import, "see which images are there, and the space left"),
    needed("Datastore.AllocateTemplate", Scope::ConfigDrives, "upload config drives"),
    needed("Datastore.Audit", Scope::ConfigDrives, "see which config drives are there"),
    needed("Datastore.AllocateSpace", Scope::Disks, "create disks"),
    needed("Datastore.Audit", Scope::Disks, "see the space left"),
    needed("SDN.Use", Scope::Bridge, "connect VMs to it"),
];
