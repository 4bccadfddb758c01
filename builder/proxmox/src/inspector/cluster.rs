//! What the cluster does for a VM, as far as its profile asks for it.

use super::Inspector;
use crate::check;
use crate::client::{CallError, Parameters};
use crate::cluster::{ClusterState, HaResource, MARK, sid};
use crate::desired::{Desired, Keys};
use crate::json::{keys, list, text, truth};
use crate::observed::{MachineRef, Vm};
use diorite_model::{Error, Result};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Privileges that a VM under high availability needs at `/`: Proxmox VE checks them nowhere below.
const RIGHTS: [&str; 2] = ["Sys.Audit", "Sys.Console"];

impl Inspector<'_> {
    /// `managed`: the machine is under high availability. `siblings`: the other machines of its image.
    pub(super) fn cluster(
        &self,
        desired: &Desired,
        machine: Option<&Vm>,
        managed: bool,
        storages: &Value,
        siblings: &[MachineRef],
    ) -> Result<ClusterState> {
        let mut all = ClusterState::default();
        let spec = desired.cluster.as_ref();
        let (ha, copied) = (spec.is_some_and(|w| w.ha), spec.is_some_and(|w| w.replication.is_some()));
        if let Some(vm) = machine.filter(|_| managed) {
            self.may_pause(vm)?;
        }
        if ha || copied {
            all.nodes = list(&self.ask(&["nodes"], &Parameters::none())?).map(|n| text(n, "node").to_owned()).collect();
            let named = &self.client.target().nodes;
            let usable = |name: &&String| named.is_empty() || named.contains(name);
            all.usable = all.nodes.iter().filter(usable).cloned().collect();
            self.storage(storages, &mut all);
        }
        if ha || managed {
            self.availability(machine, siblings, &mut all)?;
        }
        // Asked by every deployment: a job that the profile no longer declares ends.
        if let Some(vm) = machine.filter(|_| spec.is_some()) {
            all.jobs = self.jobs(vm.id)?;
        }
        Ok(all)
    }

    fn storage(&self, storages: &Value, all: &mut ClusterState) {
        let target = self.client.target();
        let of = |name: &str| list(storages).find(|s| text(s, "storage") == name);
        let shared = |name: &str| of(name).is_some_and(|s| s.get("shared").is_some_and(truth));
        all.storage = of(&target.disk_storage).map_or(String::new(), |s| text(s, "type").to_owned());
        (all.shared, all.shared_config_drives) = (shared(&target.disk_storage), shared(&target.iso_storage));
    }

    fn availability(
        &self,
        machine: Option<&Vm>,
        siblings: &[MachineRef],
        all: &mut ClusterState,
    ) -> Result<(), CallError> {
        let version = self.ask(&["version"], &Parameters::none())?;
        all.has_rules = check::series(text(&version, "version")).is_some_and(|series| series.0 >= 9);
        let resources = self.ask(&["cluster", "ha", "resources"], &Parameters::none())?;
        let of = |id: u32| list(&resources).find(|r| text(r, "sid") == sid(id)).map(keys);
        all.resource = machine.and_then(|vm| of(vm.id)).map(|resource| HaResource {
            state: resource.get("state").cloned().unwrap_or_else(|| "started".into()),
            group: resource.get("group").cloned(),
            comment: resource.get("comment").cloned().unwrap_or_default(),
        });
        all.siblings = siblings.iter().map(|other| other.id).filter(|id| of(*id).is_some()).collect();
        let (kind, name) = if all.has_rules { ("rules", "rule") } else { ("groups", "group") };
        let entries = self.ask(&["cluster", "ha", kind], &Parameters::none())?;
        let named = |entry: &Value| (text(entry, name).to_owned(), keys(entry));
        let ours: BTreeMap<String, Keys> = list(&entries).map(named).filter(|(n, _)| n.starts_with(MARK)).collect();
        *(if all.has_rules { &mut all.rules } else { &mut all.groups }) = ours;
        Ok(())
    }

    /// Jobs that copy a machine's disks. Those of machines that this login may not see are left out.
    fn jobs(&self, id: u32) -> Result<BTreeMap<u32, Keys>, CallError> {
        let all = self.ask(&["cluster", "replication"], &Parameters::none())?;
        let one = |job: &Value| {
            let (guest, number) = text(job, "id").split_once('-')?;
            (guest == id.to_string()).then(|| Some((number.parse().ok()?, keys(job))))?
        };
        Ok(list(&all).filter_map(one).collect())
    }

    /// The login must be able to tell the cluster to leave the VM alone.
    fn may_pause(&self, vm: &Vm) -> Result<()> {
        let granted = self.client.privileges("/")?;
        let missing: BTreeSet<_> = RIGHTS.into_iter().filter(|name| !granted.contains_key(*name)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let missing = missing.into_iter().collect::<Vec<_>>().join(" and ");
        let who = self.client.who();
        Err(Error::remote(format!(
            "VM {} is under high availability, and {who} cannot tell the cluster to leave it alone",
            vm.id
        ))
        .at(self.client.target().url.clone())
        .because(format!(
            "{missing} at / is missing; without it the cluster would start the VM while its disk is swapped"
        ))
        .hint("grant it, or take the VM out of high availability while it is deployed"))
    }
}
