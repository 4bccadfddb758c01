//! The notes of a VM as they must be: every system disk that there is, the one that it boots from first.

use crate::Target;
use crate::desired::{CONFIG_DRIVE, Desired, SYSTEM};
use crate::firewall;
use crate::notes::{Generation, MachineNotes, Notes, serial};
use crate::observed::{Observed, Vm, has_serial};
use crate::properties::volume;
use diorite_model::{Error, Result};

pub(super) struct Inventory<'a> {
    pub desired: &'a Desired,
    pub observed: &'a Observed,
    pub vm: &'a Vm,
    pub target: &'a Target,
}

impl Inventory<'_> {
    /// Without the run.
    ///
    /// # Errors
    /// The VM is not ours, or of another image.
    pub fn notes(&self) -> Result<MachineNotes> {
        let (vm, desired) = (self.vm, self.desired);
        let machine = self.machine()?;
        let mut generations = vm.generations();
        // The one it boots from learns its volume from the configuration.
        for generation in &mut generations {
            let attached = vm.config.get(SYSTEM).filter(|disk| has_serial(disk, &generation.serial()));
            if let Some(disk) = attached {
                generation.volume = Some(volume(disk).to_owned());
            } else {
                generation.on_trial = false;
            }
        }
        generations.retain(|g| g.volume.as_deref().is_some_and(|volume| self.has(volume)));
        if let Some(arrived) = self.arrived(&generations) {
            generations.retain(|g| g.sha256 != arrived.sha256);
            generations.insert(1.min(generations.len()), arrived);
        }
        if vm.boots_from(&serial(desired.sha256)) {
            let place = generations.iter().position(|g| g.sha256 == desired.sha256);
            let mut its = place.map_or_else(|| desired.generation(), |place| generations.remove(place));
            its.volume = vm.volume(SYSTEM).map(str::to_owned);
            its.verified |= desired.verified;
            let without =
                |rules: &firewall::FirewallRules| firewall::FirewallRules { unsaid: Vec::new(), ..rules.clone() };
            its.firewall = desired.firewall.as_ref().filter(|_| self.target.firewall).map(without);
            // After each start it has to show again that it works.
            let restarts = !vm.running || vm.config.get(SYSTEM) != vm.now.get(SYSTEM);
            its.on_trial = desired.verdict.is_none() && (its.on_trial || restarts);
            its.proven = desired.verdict.unwrap_or(its.proven);
            generations.insert(0, its);
        }
        let mut config_drives = machine.config_drives.clone();
        if desired.config_drive.is_some() {
            let attached = [&vm.config, &vm.now].into_iter().filter_map(|keys| keys.get(CONFIG_DRIVE));
            config_drives.extend(attached.map(|value| volume(value).to_owned()));
            config_drives.retain(|iso| self.observed.config_drives.contains(iso));
        }
        Ok(MachineNotes { image: desired.image.clone(), generations, config_drives, run: None })
    }

    /// The notes that it has.
    fn machine(&self) -> Result<&MachineNotes> {
        let (vm, desired) = (self.vm, self.desired);
        match &vm.notes {
            Some(Notes::Machine(machine)) if machine.image == desired.image => Ok(machine),
            Some(Notes::Machine(machine)) => {
                let what = format!("VM {} (`{}`) runs the image `{}`", vm.id, desired.name, machine.image);
                Err(Error::remote(what)
                    .at(self.target.url.clone())
                    .because(format!("`{}` would replace it, and use its /var", desired.image))
                    .hint("give the new VM another name: `--name`"))
            }
            Some(Notes::Staging(_)) => Err(self.foreign("its notes are those of a staging VM")),
            None => Err(self.foreign("its notes lack the line that Diorite writes")),
        }
    }

    fn foreign(&self, why: &str) -> Error {
        let vm = self.vm;
        Error::remote(format!("VM {} (`{}`) has our tag, but not our notes", vm.id, self.desired.name))
            .at(self.target.url.clone())
            .because(why)
            .hint(format!("restore its notes, or remove the tag `{}` if it is not ours", self.target.tag))
    }

    /// Whether the configuration names a volume as a system disk, attached or detached.
    fn has(&self, wanted: &str) -> bool {
        let vm = self.vm;
        let attached = [vm.config.get(SYSTEM), vm.now.get(SYSTEM)].into_iter().flatten().map(|disk| volume(disk));
        attached.chain(vm.unused_disks().map(|(_, v)| v)).any(|v| v == wanted)
    }

    /// An image whose disk the staging VM has passed on, and that the notes do not list yet.
    fn arrived(&self, generations: &[Generation]) -> Option<Generation> {
        let staging = self.observed.staging.as_ref()?;
        let note = staging.staging().filter(|note| note.machine == self.vm.id && staging.volume(SYSTEM).is_none())?;
        let volume = self.vm.volume(&note.slot)?;
        let known = generations.iter().any(|g| g.volume.as_deref() == Some(volume));
        (!known).then(|| Generation { volume: Some(volume.to_owned()), ..note.generation.clone() })
    }
}
