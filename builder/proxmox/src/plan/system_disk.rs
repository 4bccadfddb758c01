//! The system disk of a VM, exchanged for that of the desired image: from a detached disk that was kept, or from a file by way of a
//! staging VM; and which detached disks go.

use super::{DeployStep, Reconciler};
use crate::desired::SYSTEM;
use crate::notes::{self, Generation, HealthVerdict, MachineNotes};
use diorite_model::{Error, Result};

impl Reconciler<'_> {
    /// The staging VM goes when it has passed its disk on, or when its image is not the one that is desired now.
    pub(super) fn finished_staging(&self, attached: bool, notes: &MachineNotes) -> Option<DeployStep> {
        let staging = self.observed.staging.as_ref()?;
        let useful = !attached
            && self.kept(notes).is_none()
            && staging.volume(SYSTEM).is_some()
            && staging.node == self.vm.node
            && staging.staging().is_some_and(|note| {
                note.machine == self.vm.id
                    && note.generation.sha256 == self.desired.sha256
                    && !self.vm.config.contains_key(&note.slot)
            });
        (!useful).then_some(DeployStep::RemoveStaging { id: staging.id })
    }

    /// The detached disk of the desired image, if it is still on its storage.
    pub(super) fn kept(&self, notes: &MachineNotes) -> Option<String> {
        let volume = notes.of(self.desired.sha256)?.volume.as_deref()?;
        let found = self.vm.unused_disks().find(|(_, v)| *v == volume).map(|(_, v)| v.to_owned());
        found.filter(|volume| self.observed.volumes.contains(volume))
    }

    /// There is neither a disk of the desired image nor a file.
    pub(super) fn lost(&self, notes: &MachineNotes) -> Error {
        let (vm, desired) = (self.vm, self.desired);
        let error = Error::remote(format!("VM {} no longer has {} {}", vm.id, desired.image, desired.version));
        let error = match notes.of(desired.sha256).and_then(|g| g.volume.clone()) {
            Some(volume) => error.because(format!("its disk {volume} is not on the storage any more")),
            None => error,
        };
        error.at(self.target.url.clone()).hint("deploy that version again")
    }

    pub(super) fn attach(&self, notes: &MachineNotes) -> Result<DeployStep> {
        let (vm, desired) = (self.vm, self.desired);
        if vm.config.get(SYSTEM) != vm.now.get(SYSTEM) {
            // Another exchange is pending: it must not be mistaken for this one.
            return Ok(DeployStep::Revert { id: vm.id });
        }
        if let Some(volume) = self.kept(notes) {
            return Ok(DeployStep::SwapDisk { id: vm.id, volume });
        }
        let Some(file) = &desired.file else { return Err(self.lost(notes)) };
        if let Some(staging) = &self.observed.staging {
            let slot = staging.staging().map(|note| note.slot.clone()).unwrap_or_default();
            return Ok(DeployStep::MoveDisk { from: staging.id, to: vm.id, slot });
        }
        if self.observed.images.get(&file.name) != Some(&file.size) {
            return Ok(DeployStep::Upload);
        }
        let id = *self.observed.free.first().ok_or_else(|| Error::bug("no free VM ID was looked for"))?;
        let staging =
            notes::StagingNotes { machine: vm.id, slot: vm.free_unused_slot(), generation: desired.generation() };
        Ok(DeployStep::ImportStaging { id, staging })
    }

    /// A detached system disk that is not kept: of a failed image, unless it is the one that was tried last, and may be
    /// looked at or tried again; else the oldest beyond those that are kept. Failed images take no place of good ones.
    pub(super) fn superfluous(&self, notes: &MachineNotes) -> Option<(String, String)> {
        let keep = usize::try_from(self.desired.keep?).unwrap_or(usize::MAX);
        let unused: Vec<_> = self.vm.unused_disks().collect();
        let slot = |g: &Generation| {
            let volume = g.volume.as_deref()?;
            unused.iter().find(|(_, v)| *v == volume).map(|(slot, v)| ((*slot).to_owned(), (*v).to_owned()))
        };
        let failed = |g: &Generation| g.proven == HealthVerdict::Failed;
        let generations = &notes.generations;
        if let Some(found) = generations.iter().skip(2).filter(|g| failed(g)).filter_map(slot).next_back() {
            return Some(found);
        }
        let good: Vec<_> = generations.iter().filter(|g| !failed(g)).filter_map(slot).collect();
        good.into_iter().skip(keep).next_back()
    }
}
