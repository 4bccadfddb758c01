//! The privileges that a deployment needs, each with where and what for.
//!
//! None is needed at `/`: all can be granted on one pool, two storages and one bridge. Which names a host knows differs
//! between its versions: what is granted is always asked, never assumed.

use crate::Target;
use diorite_model::machine::Cluster as Wish;

/// The path a privilege is needed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// The pool of machines; all machines where the target names none.
    Machines,
    /// The storage that images are uploaded to.
    Import,
    /// The storage that discs are uploaded to; the same one where nothing else is said.
    Discs,
    /// The storage of the disks.
    Disks,
    /// The bridge.
    Bridge,
    /// The whole cluster; only where a profile wishes something of it.
    Cluster,
    /// All storages; only where one of 8 is to copy disks.
    Storages,
}

impl Where {
    /// Those that every deployment needs.
    pub const ALL: [Where; 5] = [Where::Machines, Where::Import, Where::Discs, Where::Disks, Where::Bridge];

    /// Its path.
    pub fn path(self, target: &Target) -> String {
        match self {
            Where::Machines => target.pool.as_ref().map_or("/vms".into(), |pool| format!("/pool/{pool}")),
            Where::Import => format!("/storage/{}", target.import),
            Where::Discs => format!("/storage/{}", target.discs),
            Where::Disks => format!("/storage/{}", target.disks),
            Where::Bridge => format!("/sdn/zones/localnetwork/{}", target.bridge),
            Where::Cluster => "/".into(),
            Where::Storages => "/storage".into(),
        }
    }
}

/// One privilege.
#[derive(Debug, Clone, Copy)]
pub struct Needed {
    /// Its name on a host of Proxmox VE 9.
    pub name: &'static str,
    /// Its name on one of 8, where that differs.
    pub before: Option<&'static str>,
    /// Where.
    pub at: Where,
    /// To do what.
    pub to: &'static str,
}

impl Needed {
    /// Its name on a host of this series.
    pub fn on(&self, series: (u32, u32)) -> &'static str {
        self.before.filter(|_| series.0 < 9).unwrap_or(self.name)
    }
}

const fn needed(name: &'static str, at: Where, to: &'static str) -> Needed {
    Needed { name, before: None, at, to }
}

/// What a profile wishes of the cluster needs besides. High availability cannot be had with less than these at `/`.
pub fn more(wish: &Wish, series: (u32, u32)) -> Vec<Needed> {
    let mut all = Vec::new();
    if wish.ha {
        all.push(needed("Sys.Audit", Where::Cluster, "see high availability"));
        all.push(needed("Sys.Console", Where::Cluster, "put machines under high availability"));
    }
    if wish.replication.is_some() {
        let to = "have disks copied to other nodes";
        all.push(match series.0 {
            0..=8 => needed("Datastore.Allocate", Where::Storages, to),
            _ => needed("VM.Replicate", Where::Machines, to),
        });
    }
    all
}

/// Those that every deployment needs (pve-manager's and qemu-server's own checks of each call).
pub const NEEDED: &[Needed] = &[
    needed("VM.Allocate", Where::Machines, "make and remove machines"),
    needed("VM.Audit", Where::Machines, "see machines and their configuration"),
    needed("VM.Config.Disk", Where::Machines, "attach and exchange disks"),
    needed("VM.Config.CDROM", Where::Machines, "attach a CD with a machine's own values"),
    needed("VM.Config.CPU", Where::Machines, "set processors"),
    needed("VM.Config.Memory", Where::Machines, "set memory"),
    needed("VM.Config.Network", Where::Machines, "set network cards and the machine's firewall"),
    needed("VM.Config.HWType", Where::Machines, "set chip set, UUID and serial console"),
    needed("VM.Config.Options", Where::Machines, "set firmware, name, notes and tags"),
    needed("VM.PowerMgmt", Where::Machines, "start and stop machines"),
    Needed {
        name: "VM.GuestAgent.Audit",
        // Which is gone in 9.
        before: Some("VM.Monitor"),
        at: Where::Machines,
        to: "ask a machine which version it runs",
    },
    needed("Datastore.AllocateTemplate", Where::Import, "upload images"),
    needed("Datastore.Audit", Where::Import, "see which images are there, and the space left"),
    needed("Datastore.AllocateTemplate", Where::Discs, "upload discs with machines' own values"),
    needed("Datastore.Audit", Where::Discs, "see which discs are there"),
    needed("Datastore.AllocateSpace", Where::Disks, "make disks"),
    needed("Datastore.Audit", Where::Disks, "see the space left"),
    needed("SDN.Use", Where::Bridge, "connect machines to it"),
];
