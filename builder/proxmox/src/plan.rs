//! What is there → the next step towards what is desired; none when everything is as it must be. Pure.
//!
//! A run that is interrupted anywhere is taken up by asking again. That is why each decision looks at what is there and at
//! nothing else, and why a step also predicts what is there afterwards ([`DeployStep::after`]): a plan is the steps that
//! follow from predictions, and carrying it out is the same with real answers.

mod call;
mod inventory;
mod predict;
mod step;
mod system_disk;

pub use call::Call;
pub use step::DeployStep;

use crate::Target;
use crate::cluster::{self, ClusterMember};
use crate::desired::{self, CONFIG_DRIVE, ConfigDriveIso, Desired, Keys, SYSTEM};
use crate::firewall;
use crate::notes::{HealthVerdict, MachineNotes, serial};
use crate::observed::{Observed, Vm, has_serial, split_tags};
use diorite_model::{Error, Result};
use inventory::Inventory;

/// Steps of the longest plan; more are a bug.
const LONGEST: usize = 500;

/// The next step.
///
/// # Errors
/// What is there is not ours to change; [`Exit::Remote`](diorite_model::Exit::Remote) with what to do.
pub fn next(desired: &Desired, observed: &Observed, target: &Target) -> Result<Option<DeployStep>> {
    match &observed.machine {
        None => create(desired, observed).map(Some),
        Some(vm) => Reconciler { desired, observed, vm, target }.next(),
    }
}

/// All steps, as far as they can be foreseen: that the image becomes healthy is assumed.
pub fn all(desired: &Desired, observed: &Observed, target: &Target) -> Result<Vec<DeployStep>> {
    let (mut desired, mut observed, mut steps) = (desired.clone(), observed.clone(), Vec::new());
    while let Some(step) = next(&desired, &observed, target)? {
        if step == DeployStep::HealthCheck {
            desired.verdict = Some(HealthVerdict::Good);
        } else {
            step.after(&desired, target, &mut observed);
        }
        steps.push(step);
        if steps.len() > LONGEST {
            return Err(Error::bug("a plan for a VM does not end").because(format!("{:?}", steps.last())));
        }
    }
    Ok(steps)
}

fn create(desired: &Desired, observed: &Observed) -> Result<DeployStep> {
    let (Some(file), Some(_)) = (&desired.file, &desired.hardware) else {
        return Err(Error::remote(format!("there is no VM `{}`", desired.name)).hint("deploy it first"));
    };
    if observed.images.get(&file.name) != Some(&file.size) {
        return Ok(DeployStep::Upload);
    }
    if desired.config_drive.as_ref().is_some_and(|iso| !observed.config_drives.contains(&iso.volume)) {
        return Ok(DeployStep::UploadConfigDrive);
    }
    let id = *observed.free.first().ok_or_else(|| Error::bug("no free VM ID was looked for"))?;
    Ok(DeployStep::Create { id })
}

/// Brings one VM from what it is to what it must be.
struct Reconciler<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
    vm: &'a Vm,
    target: &'a Target,
}

impl Reconciler<'_> {
    /// The notes come first, so that whatever happens next is written down; they name the run until nothing is left to do.
    fn next(&self) -> Result<Option<DeployStep>> {
        let vm = self.vm;
        let notes = Inventory { desired: self.desired, observed: self.observed, vm, target: self.target }.notes()?;
        let step = self.work(&notes)?;
        let run = step.as_ref().and(self.desired.run.clone());
        let before = vm.config.get("description").map_or("", String::as_str);
        let notes = MachineNotes { run, ..notes }.fitting(before);
        Ok(if vm.notes.as_ref() == Some(&notes) { step } else { Some(DeployStep::WriteNotes { id: vm.id, notes }) })
    }

    /// The next step besides the notes, which are these.
    fn work(&self, notes: &MachineNotes) -> Result<Option<DeployStep>> {
        let (vm, desired) = (self.vm, self.desired);
        let serial = serial(desired.sha256);
        let attached = vm.boots_from(&serial);
        self.refuse_foreign_disk(notes)?;
        if !attached && desired.file.is_none() && self.kept(notes).is_none() {
            return Err(self.lost(notes));
        }
        if !vm.tags().contains(self.target.tag.as_str()) {
            return Ok(Some(self.set_tags(&self.target.tag)));
        }
        if let Some(step) = self.finished_staging(attached, notes) {
            return Ok(Some(step));
        }
        let settled = attached && vm.running && !vm.has_pending(self.managed()) && self.healthy(notes);
        if let Some(change) = self.firewall(notes, settled) {
            return Ok(Some(DeployStep::Firewall { id: vm.id, change }));
        }
        if let Some(keys) = self.drift() {
            return Ok(Some(DeployStep::SetConfig { id: vm.id, keys }));
        }
        if !attached {
            return self.attach(notes).map(Some);
        }
        let iso = self.other_config_drive();
        if let Some(iso) = iso
            && iso.bytes.is_some()
            && !self.observed.config_drives.contains(&iso.volume)
        {
            return Ok(Some(DeployStep::UploadConfigDrive));
        }
        if vm.running && (iso.is_some() || vm.has_pending(self.managed())) {
            return Ok(Some(self.paused().unwrap_or(DeployStep::Shutdown { id: vm.id })));
        }
        if let Some(iso) = iso {
            let keys = Keys::from([(CONFIG_DRIVE.to_owned(), desired::config_drive(&iso.volume))]);
            return Ok(Some(DeployStep::SetConfig { id: vm.id, keys }));
        }
        if !vm.running {
            return Ok(Some(self.paused().unwrap_or(DeployStep::Start { id: vm.id })));
        }
        Ok(self.afterwards(notes))
    }

    /// Whether the desired image has shown that it works, since its last start.
    fn healthy(&self, notes: &MachineNotes) -> bool {
        notes.of(self.desired.sha256).is_some_and(|g| g.proven == HealthVerdict::Good && !g.on_trial)
    }

    /// A VM under high availability is shut down or started only when the cluster has been told to leave it alone.
    fn paused(&self) -> Option<DeployStep> {
        let resource = self.observed.cluster.resource.as_ref().filter(|resource| resource.state != "ignored")?;
        Some(DeployStep::Cluster { id: self.vm.id, change: cluster::ClusterChange::Pause(resource.clone()) })
    }

    /// What the cluster does for the VM.
    fn cluster(&self) -> Option<DeployStep> {
        let (vm, cluster) = (self.vm, &self.observed.cluster);
        let of = ClusterMember { id: vm.id, node: &vm.node, image: &self.desired.image };
        let change = match &self.desired.cluster {
            Some(spec) => cluster::next(spec, cluster, of)?,
            None => cluster.resource.as_ref().filter(|r| r.is_paused()).cloned().map(cluster::ClusterChange::Resume)?,
        };
        Some(DeployStep::Cluster { id: vm.id, change })
    }

    /// The keys whose pending changes are worth a restart.
    fn managed(&self) -> impl Iterator<Item = &str> {
        let hardware = self.desired.hardware.iter().flat_map(|keys| keys.keys().map(String::as_str));
        [SYSTEM, "boot"].into_iter().chain(hardware)
    }

    /// When the VM runs from its image.
    fn afterwards(&self, notes: &MachineNotes) -> Option<DeployStep> {
        let (vm, desired) = (self.vm, self.desired);
        if !self.healthy(notes) {
            // With a verdict of this run there is nothing left to try.
            return desired.verdict.is_none().then_some(DeployStep::HealthCheck);
        }
        let tags = desired.tags(self.target);
        if !split_tags(&tags).is_subset(&self.vm.tags()) {
            return Some(self.set_tags(&tags));
        }
        if let Some(change) = self.firewall(notes, true) {
            return Some(DeployStep::Firewall { id: vm.id, change });
        }
        if let Some(step) = self.cluster() {
            return Some(step);
        }
        if let Some(volume) = self.old_config_drive(notes) {
            return Some(DeployStep::RemoveConfigDrive { volume });
        }
        self.superfluous(notes).map(|(slot, volume)| DeployStep::DeleteDisk { id: vm.id, slot, volume })
    }

    /// Tags of other people stay. Those of our other images go when a tag of an image is among the new ones.
    fn set_tags(&self, ours: &str) -> DeployStep {
        let prefix = format!("{}-", self.target.tag);
        let of_image = |tag: &str| {
            tag.strip_prefix(&prefix).is_some_and(|t| t.len() == 12 && t.chars().all(|c| c.is_ascii_hexdigit()))
        };
        let mut all = split_tags(ours);
        let exchanged = all.iter().any(|tag| of_image(tag));
        all.extend(self.vm.tags().into_iter().filter(|tag| !exchanged || !of_image(tag)));
        DeployStep::SetTags { id: self.vm.id, tags: all.into_iter().collect::<Vec<_>>().join(";") }
    }

    /// A system disk that the notes do not name was attached by somebody else and is never exchanged.
    fn refuse_foreign_disk(&self, notes: &MachineNotes) -> Result<()> {
        let vm = self.vm;
        let serial = serial(self.desired.sha256);
        for disk in [vm.config.get(SYSTEM), vm.now.get(SYSTEM)].into_iter().flatten() {
            let known = vm.generations().iter().chain(&notes.generations).any(|g| has_serial(disk, &g.serial()));
            if !known && !has_serial(disk, &serial) {
                let what =
                    format!("the system disk of VM {} (`{}`) was not deployed by Diorite", vm.id, self.desired.name);
                return Err(Error::remote(what)
                    .at(self.target.url.clone())
                    .because(format!("{SYSTEM} is {disk}, which its notes do not name"))
                    .hint(format!(
                        "attach the former disk again, or, if this one is not needed, detach {SYSTEM}: a deployment then \
                         attaches its own"
                    )));
            }
        }
        Ok(())
    }

    /// Until the image has shown that it works, what the image before it declares is tolerated besides what it declares
    /// itself; everything else is closed before it is tried.
    fn firewall(&self, notes: &MachineNotes, settled: bool) -> Option<firewall::FirewallChange> {
        let desired = self.desired.firewall.as_ref().filter(|_| self.target.firewall)?;
        let present = &self.vm.firewall;
        if settled {
            return firewall::next(desired, desired, present);
        }
        let before = notes.generations.iter().find(|g| g.sha256 != self.desired.sha256);
        let before = before.map(|g| g.firewall.clone().unwrap_or_else(|| present.ours()));
        let (required, tolerated) = firewall::trial(desired, before.as_ref(), present);
        firewall::next(&required, &tolerated, present)
    }

    /// Keys that are not as they must be.
    fn drift(&self) -> Option<Keys> {
        let keys = self.desired.hardware.as_ref()?;
        let wrong = keys.iter().filter(|(key, value)| desired::differs(key, self.vm.config.get(*key), value));
        let all: Keys =
            wrong.map(|(key, value)| (key.clone(), desired::corrected(key, self.vm.config.get(key), value))).collect();
        (!all.is_empty()).then_some(all)
    }

    /// The desired config drive, where another one is attached, or none.
    fn other_config_drive(&self) -> Option<&ConfigDriveIso> {
        let iso = self.desired.config_drive.as_ref()?;
        (self.vm.volume(CONFIG_DRIVE) != Some(&iso.volume)).then_some(iso)
    }

    /// A former config drive, which no machine reads any more.
    fn old_config_drive(&self, notes: &MachineNotes) -> Option<String> {
        let now = &self.desired.config_drive.as_ref()?.volume;
        notes.config_drives.iter().find(|iso| *iso != now).filter(|_| self.observed.may_remove).cloned()
    }
}
