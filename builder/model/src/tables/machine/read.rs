//! `[machine]`.

use crate::Result;
use crate::machine::{Cluster, Machine};
use crate::profile::{field::*, section::Section, values};
use crate::recipe::*;
use crate::tables::image::read::amount;

pub(crate) const MACHINE: &[Field] = &[
    text("memory", &values::SIZE, "its memory").or_text("2G"),
    integer("cores", 1, 512, "its processors").or_number(2),
    text("state", &values::SIZE, "the disk for /var, with `state.disk = \"own\"`")
        .or_said("`8G`, or `state.minimum` where that is more"),
    integer("vlan", 1, 4094, "VLAN tag of its network card on the bridge (IEEE 802.1Q)"),
    text("mac", &values::MAC, "hardware address of its network card")
        .or_said("the hypervisor chooses one, and it stays"),
    boolean("tpm", "a TPM 2.0").or_said("true with `state.encryption = \"tpm2\"`"),
    boolean("start_at_boot", "it starts with its host").or(true),
    integer("keep", 0, 32, "replaced system disks that are kept, for `diorite rollback`").or_number(2),
    boolean("ha", "when its node fails, the cluster starts it on another one (high availability)").or(false),
    boolean("anti_affinity", "the machines of this profile are kept on different nodes; needs `ha`").or(false),
    text("replication", &values::REPLICATION, "when its disks are copied to the other nodes (ZFS)").or_said("never"),
];

pub(crate) fn machine(top: &Section, state: &State) -> Result<Machine> {
    let t = top.table_or_empty("machine")?;
    let least = if state.disk == StateDisk::Own { state.minimum } else { 0 };
    let encrypted = state.encryption == Encryption::Tpm2;
    let tpm = t.boolean("tpm")?;
    if encrypted && tpm == Some(false) {
        let error = t.files.error(t.key("tpm").unwrap_or(t.span), "a machine without a TPM would not start");
        return Err(error.because("`state.encryption` is `tpm2`").hint("remove `tpm = false`, or the encryption"));
    }
    let (ha, anti_affinity) = (t.flag("ha")?, t.flag("anti_affinity")?);
    if anti_affinity && !ha {
        let error = t.files.error(t.key("anti_affinity").unwrap_or(t.span), "nobody keeps these machines apart");
        return Err(error.because("only machines under high availability are moved, or kept").hint("add `ha = true`"));
    }
    Ok(Machine {
        memory: amount(&t, "memory", 256 << 20)?,
        cores: t.needed_number("cores")?.value,
        state: match t.key("state") {
            Some(_) => amount(&t, "state", least)?,
            None => least.max(Machine::default().state),
        },
        vlan: t.number("vlan")?.map(|v| v.value),
        mac: t.text("mac")?.map(|m| m.value),
        tpm: tpm.unwrap_or(encrypted),
        start_at_boot: t.flag("start_at_boot")?,
        keep: t.needed_number("keep")?.value,
        cluster: Cluster { ha, anti_affinity, replication: t.text("replication")?.map(|r| r.value) },
    })
}
