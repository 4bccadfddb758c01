//! The privileges that a deployment needs, each with where and what for.
//!
//! None is needed at `/`: all can be granted on one pool, two storages and one bridge. Which names a host knows differs
//! between its versions: what is granted is always asked, never assumed.

use crate::Target;
use diorite_model::machine::Cluster as ClusterSpec;

/// The path a privilege is needed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrivilegeScope {
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

impl PrivilegeScope {
    /// Those that every deployment needs.
    pub const ALL: [PrivilegeScope; 5] = [
        PrivilegeScope::Machines,
        PrivilegeScope::Import,
        PrivilegeScope::ConfigDrives,
        PrivilegeScope::Disks,
        PrivilegeScope::Bridge,
    ];

    /// Its path.
    pub fn path(self, target: &Target) -> String {
        match self {
            PrivilegeScope::Machines => target.pool.as_ref().map_or("/vms".into(), |pool| format!("/pool/{pool}")),
            PrivilegeScope::Import => format!("/storage/{}", target.import_storage),
            PrivilegeScope::ConfigDrives => format!("/storage/{}", target.iso_storage),
            PrivilegeScope::Disks => format!("/storage/{}", target.disk_storage),
            PrivilegeScope::Bridge => format!("/sdn/zones/localnetwork/{}", target.bridge),
            PrivilegeScope::Cluster => "/".into(),
            PrivilegeScope::Storages => "/storage".into(),
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
    pub at: PrivilegeScope,
    /// To do what.
    pub to: &'static str,
}

impl RequiredPrivilege {
    /// Its name on a host of this series.
    pub fn on(&self, series: (u32, u32)) -> &'static str {
        self.before.filter(|_| series.0 < 9).unwrap_or(self.name)
    }
}

const fn needed(name: &'static str, at: PrivilegeScope, to: &'static str) -> RequiredPrivilege {
    RequiredPrivilege { name, before: None, at, to }
}

/// What a profile asks of the cluster needs besides. High availability needs privileges at `/`: Proxmox VE has none below.
pub fn more(spec: &ClusterSpec, series: (u32, u32)) -> Vec<RequiredPrivilege> {
    let mut all = Vec::new();
    if spec.ha {
        all.push(needed("Sys.Audit", PrivilegeScope::Cluster, "see high availability"));
        all.push(needed("Sys.Console", PrivilegeScope::Cluster, "put VMs under high availability"));
    }
    if spec.replication.is_some() {
        let to = "have disks replicated to other nodes";
        all.push(match series.0 {
            0..=8 => needed("Datastore.Allocate", PrivilegeScope::Storages, to),
            _ => needed("VM.Replicate", PrivilegeScope::Machines, to),
        });
    }
    all
}

/// Those that every deployment needs (pve-manager's and qemu-server's own checks of each call).
pub const REQUIRED: &[RequiredPrivilege] = &[
    needed("VM.Allocate", PrivilegeScope::Machines, "create and remove VMs"),
    needed("VM.Audit", PrivilegeScope::Machines, "see VMs and their configuration"),
    needed("VM.Config.Disk", PrivilegeScope::Machines, "attach and swap disks"),
    needed("VM.Config.CDROM", PrivilegeScope::Machines, "attach a config drive"),
    needed("VM.Config.CPU", PrivilegeScope::Machines, "set processors"),
    needed("VM.Config.Memory", PrivilegeScope::Machines, "set memory"),
    needed("VM.Config.Network", PrivilegeScope::Machines, "set network cards and the VM's firewall"),
    needed("VM.Config.HWType", PrivilegeScope::Machines, "set chip set, UUID and serial console"),
    needed("VM.Config.Options", PrivilegeScope::Machines, "set firmware, name, notes and tags"),
    needed("VM.PowerMgmt", PrivilegeScope::Machines, "start and stop VMs"),
    RequiredPrivilege {
        name: "VM.GuestAgent.Audit",
        // Which is gone in 9.
        before: Some("VM.Monitor"),
        at: PrivilegeScope::Machines,
        to: "ask a VM's guest agent",
    },
    needed("Datastore.AllocateTemplate", PrivilegeScope::Import, "upload images"),
    needed("Datastore.Audit", PrivilegeScope::Import, "see which images are there, and the space left"),
    needed("Datastore.AllocateTemplate", PrivilegeScope::ConfigDrives, "upload config drives"),
    needed("Datastore.Audit", PrivilegeScope::ConfigDrives, "see which config drives are there"),
    needed("Datastore.AllocateSpace", PrivilegeScope::Disks, "create disks"),
    needed("Datastore.Audit", PrivilegeScope::Disks, "see the space left"),
    needed("SDN.Use", PrivilegeScope::Bridge, "connect VMs to it"),
];
