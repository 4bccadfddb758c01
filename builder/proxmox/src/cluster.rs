//! What a cluster does for a machine: starts it elsewhere when its node fails, keeps it apart from its siblings, copies its
//! disks to the other nodes (pve-ha-manager's and pve-manager's own checks of each call).
//!
//! Nothing of it is home-made: these are the calls that make Proxmox VE do it. Rules are there since 9; 8 has groups, whose
//! nodes have priorities. While a machine is being exchanged the cluster is told to leave it alone: otherwise what is asked
//! of the machine is asked of the cluster, which does it when it pleases.

mod change;

pub use change::{ClusterChange, next};

use crate::desired::Keys;
use diorite_model::machine::Cluster as ClusterSpec;
use std::collections::{BTreeMap, BTreeSet};

/// What the comments of ours begin with.
pub const MARK: &str = "diorite";
/// The comment of a machine that the cluster leaves alone; somebody's own comment follows behind `; `.
const PAUSED: &str = "diorite: left alone while it is exchanged";
/// Nodes with which a cluster can tell a node that is dead from one that it cannot hear.
const ENOUGH: usize = 3;

/// A cluster, as far as one machine is concerned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClusterState {
    /// Its nodes, those that are down included; empty when the profile asks nothing of the cluster.
    pub nodes: BTreeSet<String>,
    /// Nodes that machines may be on.
    pub usable: BTreeSet<String>,
    /// Type of the storage of disks: `zfspool`.
    pub storage: String,
    /// Whether all nodes see the same disks.
    pub shared: bool,
    /// Whether all nodes see the same config drives.
    pub shared_config_drives: bool,
    /// It has rules, not groups.
    pub has_rules: bool,
    /// The machine, if it is under high availability.
    pub resource: Option<HaResource>,
    /// Other machines of the same image that are.
    pub siblings: BTreeSet<u32>,
    /// Rules of ours by name.
    pub rules: BTreeMap<String, Keys>,
    /// Groups of ours by name.
    pub groups: BTreeMap<String, Keys>,
    /// Jobs that copy the machine's disks, by their number behind the machine's.
    pub jobs: BTreeMap<u32, Keys>,
}

/// A machine under high availability.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HaResource {
    /// `started`; with `ignored` the cluster leaves it alone.
    pub state: String,
    /// Its group, before 9.
    pub group: Option<String>,
    /// What somebody wrote beside it.
    pub comment: String,
}

impl HaResource {
    /// Whether we told the cluster to leave it alone.
    pub fn is_paused(&self) -> bool {
        self.state == "ignored" && self.comment.starts_with(PAUSED)
    }

    /// Whether the profile put it there.
    fn is_ours(&self) -> bool {
        self.own_comment().starts_with(MARK)
    }

    fn own_comment(&self) -> &str {
        self.comment.strip_prefix(PAUSED).map_or(&self.comment, |rest| rest.trim_start_matches("; "))
    }
}

/// A machine among those of its image: its number, its node, its image.
#[derive(Debug, Clone, Copy)]
pub struct ClusterMember<'a> {
    /// Its number.
    pub id: u32,
    /// The node it is on.
    pub node: &'a str,
    /// IMAGE_ID of its image.
    pub image: &'a str,
}

impl ClusterMember<'_> {
    /// A name that begins with the image's: letters, digits, `-` and `_` (pve-configid).
    fn named(&self, what: &str) -> String {
        let image: String = self.image.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        format!("{MARK}-{image}{what}")
    }
}

/// `vm:100`.
pub fn sid(id: u32) -> String {
    format!("vm:{id}")
}

impl ClusterState {
    /// Whether the machine can be under high availability here.
    fn can(&self) -> bool {
        self.nodes.len() >= ENOUGH
    }

    /// Whether the nodes can be used only in part.
    fn limited(&self) -> bool {
        self.usable != self.nodes
    }

    /// The machines of the image that are under high availability, this one included.
    fn family(&self, of: ClusterMember) -> BTreeSet<u32> {
        self.siblings.iter().copied().chain([of.id]).collect()
    }

    /// What is asked for and cannot be had here, for people.
    pub fn unmet(&self, spec: &ClusterSpec, of: ClusterMember, has_config_drive: bool) -> Vec<String> {
        let mut all = Vec::new();
        let local = "so no other node can start it";
        if spec.ha && !self.can() {
            all.push(format!(
                "high availability: {ENOUGH} nodes are needed for a quorum when one fails; nodes here: {}",
                self.nodes.len()
            ));
        }
        if spec.ha && self.can() && !self.shared && !self.copies(spec) {
            all.push(format!("high availability: its disks are on a storage that only its node has, {local}"));
        }
        if spec.ha && self.can() && has_config_drive && !self.shared_config_drives {
            let what = "its config drive is on a storage that only its node has";
            all.push(format!("high availability: {what}, {local}: name a shared one as `storage.iso`"));
        }
        if spec.anti_affinity && self.can() {
            match (self.has_rules, self.family(of).len()) {
                (false, _) => all.push(
                    "anti-affinity: Proxmox VE 8 has none; each VM prefers the node that it was created on".into(),
                ),
                (true, n) if n > self.usable.len() => {
                    all.push(format!("anti-affinity: {n} VMs cannot be kept apart on {} nodes", self.usable.len()));
                }
                (true, _) => {}
            }
        }
        if let Some(why) = spec.replication.as_ref().and_then(|_| self.no_copies()) {
            all.push(format!("replication: {why}"));
        }
        all
    }

    /// Why disks cannot be copied.
    fn no_copies(&self) -> Option<String> {
        match self.storage.as_str() {
            _ if self.shared => Some("all nodes see the same disks already".into()),
            "zfspool" if self.usable.len() < 2 => Some("there is no other node".into()),
            "zfspool" => None,
            other => Some(format!("only disks on ZFS are replicated, and these are on a storage of type {other}")),
        }
    }

    fn copies(&self, spec: &ClusterSpec) -> bool {
        spec.replication.is_some() && self.no_copies().is_none()
    }
}
