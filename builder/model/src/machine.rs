//! The virtual machine that an image becomes: `[machine]`. No byte of the image depends on any of it, so that it is no part
//! of the recipe: the same image can become a small machine and a large one.

use serde::Serialize;

/// What a hypervisor is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// Bytes.
    pub memory: u64,
    /// Processors.
    pub cores: u32,
    /// Bytes of the disk for /var, where it has one of its own.
    pub state: u64,
    /// IEEE 802.1Q; the network card belongs to this network of the bridge.
    pub vlan: Option<u16>,
    /// Hardware address of the network card; none: the hypervisor chooses one when it makes the machine.
    pub mac: Option<String>,
    /// A TPM 2.0.
    pub tpm: bool,
    /// It starts with its host.
    pub start_at_boot: bool,
    /// Replaced system disks that are kept for a way back.
    pub keep: u32,
    /// What its cluster does for it.
    pub cluster: Cluster,
}

/// What a cluster does for a machine, where there is one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Cluster {
    /// When its node fails, another one starts it.
    pub ha: bool,
    /// The machines of one profile are kept on different nodes.
    pub anti_affinity: bool,
    /// When its disks are copied to the other nodes, as the hypervisor writes times; none: never.
    pub replication: Option<String>,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            memory: 2 << 30,
            cores: 2,
            state: 8 << 30,
            vlan: None,
            mac: None,
            tpm: false,
            start_at_boot: true,
            keep: 2,
            cluster: Cluster::default(),
        }
    }
}
