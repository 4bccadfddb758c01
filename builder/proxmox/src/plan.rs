//! What is there → the next step towards what is desired; none when everything is as it must be. Pure.
//!
//! A run of steps that is broken off anywhere is taken up by asking again. That is why each decision looks at what is
//! there and at nothing else, and why a step says what is there afterwards ([`DeployStep::after`]): a plan is the steps that
//! follow from each other's results, and carrying it out is the same with real ones.

mod call;
mod predict;
mod step;

pub use call::Call;
pub use step::DeployStep;

use crate::Target;
use crate::cluster::{self, ClusterMember};
use crate::desired::{self, CONFIG_DRIVE, ConfigDriveIso, Desired, Keys, SYSTEM};
use crate::firewall;
use crate::notes::{self, Generation, HealthVerdict, MachineNotes, Notes, serial};
use crate::observed::{Observed, Vm, has_serial, split_tags};
use crate::properties::volume;
use diorite_model::{Error, Result};

/// Steps of the longest plan that is believed.
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

/// All steps, as far as they can be foreseen: that an image shows that it works is taken for granted.
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
            return Err(Error::bug("a plan for a machine does not end").because(format!("{:?}", steps.last())));
        }
    }
    Ok(steps)
}

fn create(desired: &Desired, observed: &Observed) -> Result<DeployStep> {
    let (Some(file), Some(_)) = (&desired.file, &desired.hardware) else {
        return Err(Error::remote(format!("there is no machine `{}`", desired.name)).hint("deploy it first"));
    };
    if observed.images.get(&file.name) != Some(&file.size) {
        return Ok(DeployStep::Upload);
    }
    if desired.config_drive.as_ref().is_some_and(|disc| !observed.config_drives.contains(&disc.volume)) {
        return Ok(DeployStep::UploadConfigDrive);
    }
    let id = *observed.free.first().ok_or_else(|| Error::bug("no number was asked for"))?;
    Ok(DeployStep::Create { id })
}

/// The way of one machine from what it is to what it must be.
struct Reconciler<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
    vm: &'a Vm,
    target: &'a Target,
}

impl Reconciler<'_> {
    fn next(&self) -> Result<Option<DeployStep>> {
        let (vm, desired) = (self.vm, self.desired);
        let notes = self.notes()?;
        let serial = serial(desired.sha256);
        let attached = vm.boots_from(&serial);
        self.known(&serial)?;
        if vm.notes.as_ref() != Some(&notes) {
            return Ok(Some(DeployStep::WriteNotes { id: vm.id, notes }));
        }
        if let Some(step) = self.finished_staging(attached) {
            return Ok(Some(step));
        }
        if let Some(change) = self.firewall(false) {
            return Ok(Some(DeployStep::Firewall { id: vm.id, change }));
        }
        if let Some(keys) = self.drift() {
            return Ok(Some(DeployStep::SetConfig { id: vm.id, keys }));
        }
        if !attached {
            return self.attach().map(Some);
        }
        let disc = self.other_config_drive();
        if let Some(disc) = disc
            && disc.bytes.is_some()
            && !self.observed.config_drives.contains(&disc.volume)
        {
            return Ok(Some(DeployStep::UploadConfigDrive));
        }
        if vm.running && (disc.is_some() || vm.has_pending(self.managed())) {
            return Ok(Some(self.paused().unwrap_or(DeployStep::Shutdown { id: vm.id })));
        }
        if let Some(disc) = disc {
            let keys = Keys::from([(CONFIG_DRIVE.to_owned(), desired::config_drive(&disc.volume))]);
            return Ok(Some(DeployStep::SetConfig { id: vm.id, keys }));
        }
        if !vm.running {
            return Ok(Some(self.paused().unwrap_or(DeployStep::Start { id: vm.id })));
        }
        Ok(self.afterwards())
    }

    /// A machine that the cluster sees to is only asked for when the cluster has been told to leave it alone.
    fn paused(&self) -> Option<DeployStep> {
        let resource = self.observed.cluster.resource.as_ref().filter(|resource| resource.state != "ignored")?;
        Some(DeployStep::Cluster { id: self.vm.id, change: cluster::ClusterChange::Pause(resource.clone()) })
    }

    /// What the cluster does for the machine.
    fn cluster(&self) -> Option<DeployStep> {
        let (vm, cluster) = (self.vm, &self.observed.cluster);
        let of = ClusterMember { id: vm.id, node: &vm.node, image: &self.desired.image };
        let change = match &self.desired.cluster {
            Some(spec) => cluster::next(spec, cluster, of)?,
            None => cluster.resource.as_ref().filter(|r| r.is_paused()).cloned().map(cluster::ClusterChange::Resume)?,
        };
        Some(DeployStep::Cluster { id: vm.id, change })
    }

    /// The keys whose changes are worth a restart.
    fn managed(&self) -> impl Iterator<Item = &str> {
        let hardware = self.desired.hardware.iter().flat_map(|keys| keys.keys().map(String::as_str));
        [SYSTEM, "boot"].into_iter().chain(hardware)
    }

    /// When the machine runs from its image.
    fn afterwards(&self) -> Option<DeployStep> {
        let (vm, desired) = (self.vm, self.desired);
        let proven = vm.machine().and_then(|m| m.of(desired.sha256)).map(|g| g.proven);
        if proven != Some(HealthVerdict::Good) {
            // A verdict is written down before anything else, above: here it has not been reached.
            return desired.verdict.is_none().then_some(DeployStep::HealthCheck);
        }
        let tags = desired.tags(self.target);
        if !split_tags(&tags).is_subset(&self.vm.tags()) {
            return Some(DeployStep::SetTags { id: vm.id, tags: self.retagged(&tags) });
        }
        if let Some(change) = self.firewall(true) {
            return Some(DeployStep::Firewall { id: vm.id, change });
        }
        if let Some(step) = self.cluster() {
            return Some(step);
        }
        if let Some(volume) = self.old_config_drive() {
            return Some(DeployStep::RemoveConfigDrive { volume });
        }
        self.superfluous().map(|(slot, volume)| DeployStep::DeleteDisk { id: vm.id, slot, volume })
    }

    /// Somebody's own tags stay; ours of other images go.
    fn retagged(&self, ours: &str) -> String {
        let before = format!("{}-", self.target.tag);
        let digest = |tag: &str| {
            tag.strip_prefix(&before).is_some_and(|t| t.len() == 12 && t.chars().all(|c| c.is_ascii_hexdigit()))
        };
        let mut all = split_tags(ours);
        all.extend(self.vm.tags().into_iter().filter(|tag| !digest(tag)));
        all.into_iter().collect::<Vec<_>>().join(";")
    }

    /// A system disk that nobody wrote down is somebody's work.
    fn known(&self, serial: &str) -> Result<()> {
        let vm = self.vm;
        let generations = vm.machine().map(|m| m.generations.as_slice()).unwrap_or_default();
        for disk in [vm.config.get(SYSTEM), vm.now.get(SYSTEM)].into_iter().flatten() {
            let ours = has_serial(disk, serial) || generations.iter().any(|g| has_serial(disk, &g.serial()));
            if !ours {
                let what = format!(
                    "the system disk of machine {} (`{}`) was not deployed by Diorite",
                    vm.id, self.desired.name
                );
                return Err(Error::remote(what)
                    .at(self.target.url.clone())
                    .because(format!("{SYSTEM} is {disk}, which its notes do not name"))
                    .hint(format!(
                        "put the disk back that it had, or, if it may go, detach {SYSTEM}: a deployment then attaches its own"
                    )));
            }
        }
        Ok(())
    }

    /// The notes as they must be: every disk that there is, the one that the machine starts from first.
    fn notes(&self) -> Result<Notes> {
        let (vm, desired) = (self.vm, self.desired);
        let machine = match &vm.notes {
            Some(Notes::Machine(machine)) if machine.image == desired.image => machine.clone(),
            Some(Notes::Machine(machine)) => {
                let what = format!("machine {} (`{}`) has the image `{}`", vm.id, desired.name, machine.image);
                return Err(Error::remote(what)
                    .at(self.target.url.clone())
                    .because(format!("`{}` would take its place, and its /var", desired.image))
                    .hint("give the new machine another name: `--name`"));
            }
            Some(Notes::Staging(_)) => {
                return Err(self.stranger("its notes are those of a machine that takes an image in"));
            }
            None => return Err(self.stranger("its notes do not have the line that Diorite writes")),
        };
        let there = |desired: &str| {
            let disks = [vm.config.get(SYSTEM), vm.now.get(SYSTEM)].into_iter().flatten().map(|disk| volume(disk));
            disks.chain(vm.unused_disks().map(|(_, v)| v)).any(|v| v == desired)
        };
        let mut generations = machine.generations.clone();
        // The one it starts from learns its volume from the machine itself.
        for generation in &mut generations {
            let attached = vm.config.get(SYSTEM).filter(|disk| has_serial(disk, &generation.serial()));
            if let Some(disk) = attached {
                generation.volume = Some(volume(disk).to_owned());
            }
        }
        generations.retain(|g| g.volume.as_deref().is_some_and(there));
        if let Some(arrived) = self.arrived() {
            generations.retain(|g| g.sha256 != arrived.sha256);
            generations.insert(1.min(generations.len()), arrived);
        }
        if vm.boots_from(&serial(desired.sha256)) {
            let place = generations.iter().position(|g| g.sha256 == desired.sha256);
            let mut its = place.map_or_else(|| desired.generation(), |place| generations.remove(place));
            its.volume = vm.volume(SYSTEM).map(str::to_owned);
            its.verified |= desired.verified;
            let said =
                |rules: &firewall::FirewallRules| firewall::FirewallRules { unsaid: Vec::new(), ..rules.clone() };
            its.firewall = desired.firewall.as_ref().filter(|_| self.target.firewall).map(said);
            // What was good once shows it again after each start.
            let restarts = !vm.running || vm.config.get(SYSTEM) != vm.now.get(SYSTEM);
            its.proven = desired.verdict.unwrap_or(if restarts { HealthVerdict::New } else { its.proven });
            generations.insert(0, its);
        }
        let before = vm.config.get("description").map_or("", String::as_str);
        let mut config_drives = machine.config_drives;
        if desired.config_drive.is_some() {
            config_drives.extend(
                [&vm.config, &vm.now]
                    .into_iter()
                    .filter_map(|keys| keys.get(CONFIG_DRIVE))
                    .map(|d| volume(d).to_owned()),
            );
            config_drives.retain(|disc| self.observed.config_drives.contains(disc));
        }
        Ok(MachineNotes { image: desired.image.clone(), generations, config_drives }.fitting(before))
    }

    fn stranger(&self, why: &str) -> Error {
        let vm = self.vm;
        Error::remote(format!("machine {} (`{}`) has our tag, but not our notes", vm.id, self.desired.name))
            .at(self.target.url.clone())
            .because(why)
            .hint(format!("put its notes back, or take the tag `{}` away if it is not ours", self.target.tag))
    }

    /// An image that the other machine has handed over, and that nobody has written down yet.
    fn arrived(&self) -> Option<Generation> {
        let staging = self.observed.staging.as_ref()?;
        let note = staging.staging().filter(|note| note.machine == self.vm.id && staging.volume(SYSTEM).is_none())?;
        let volume = self.vm.volume(&note.slot)?;
        let known = self.vm.machine()?.generations.iter().any(|g| g.volume.as_deref() == Some(volume));
        (!known).then(|| Generation { volume: Some(volume.to_owned()), ..note.generation.clone() })
    }

    /// The machine that takes images in goes when it has handed its disk over, or when nobody wants what it has.
    fn finished_staging(&self, attached: bool) -> Option<DeployStep> {
        let staging = self.observed.staging.as_ref()?;
        let useful = !attached
            && self.kept().is_none()
            && staging.volume(SYSTEM).is_some()
            && staging.node == self.vm.node
            && staging.staging().is_some_and(|note| {
                note.machine == self.vm.id
                    && note.generation.sha256 == self.desired.sha256
                    && !self.vm.config.contains_key(&note.slot)
            });
        (!useful).then_some(DeployStep::RemoveStaging { id: staging.id })
    }

    /// The disk of the desired image, where it was put aside.
    fn kept(&self) -> Option<&str> {
        let volume = self.vm.machine()?.of(self.desired.sha256)?.volume.as_deref()?;
        self.vm.unused_disks().find(|(_, v)| *v == volume).map(|(_, v)| v)
    }

    fn attach(&self) -> Result<DeployStep> {
        let (vm, desired) = (self.vm, self.desired);
        if vm.config.get(SYSTEM) != vm.now.get(SYSTEM) {
            // Another exchange waits: it must not be mistaken for this one.
            return Ok(DeployStep::Revert { id: vm.id });
        }
        if let Some(volume) = self.kept() {
            return Ok(DeployStep::SwapDisk { id: vm.id, volume: volume.to_owned() });
        }
        let Some(file) = &desired.file else {
            return Err(Error::remote(format!(
                "machine {} does not have {} {} any more",
                vm.id, desired.image, desired.version
            ))
            .at(self.target.url.clone())
            .hint("deploy that version again"));
        };
        if let Some(staging) = &self.observed.staging {
            let slot = staging.staging().map(|note| note.slot.clone()).unwrap_or_default();
            return Ok(DeployStep::MoveDisk { from: staging.id, to: vm.id, slot });
        }
        if self.observed.images.get(&file.name) != Some(&file.size) {
            return Ok(DeployStep::Upload);
        }
        let id = *self.observed.free.first().ok_or_else(|| Error::bug("no number was asked for"))?;
        let staging =
            notes::StagingNotes { machine: vm.id, slot: vm.free_unused_slot(), generation: desired.generation() };
        Ok(DeployStep::ImportStaging { id, staging })
    }

    fn firewall(&self, exact: bool) -> Option<firewall::FirewallChange> {
        let desired = self.desired.firewall.as_ref().filter(|_| self.target.firewall)?;
        firewall::next(desired, &self.vm.firewall, exact)
    }

    /// Keys that are not as they must be.
    fn drift(&self) -> Option<Keys> {
        let keys = self.desired.hardware.as_ref()?;
        let wrong = keys.iter().filter(|(key, value)| desired::differs(key, self.vm.config.get(*key), value));
        let all: Keys =
            wrong.map(|(key, value)| (key.clone(), desired::corrected(key, self.vm.config.get(key), value))).collect();
        (!all.is_empty()).then_some(all)
    }

    /// The disc with its own values, where it has another one, or none.
    fn other_config_drive(&self) -> Option<&ConfigDriveIso> {
        let disc = self.desired.config_drive.as_ref()?;
        (self.vm.volume(CONFIG_DRIVE) != Some(&disc.volume)).then_some(disc)
    }

    /// A disc that the machine had before, with values that are nobody's any more.
    fn old_config_drive(&self) -> Option<String> {
        let (now, discs) = (&self.desired.config_drive.as_ref()?.volume, &self.vm.machine()?.config_drives);
        discs.iter().find(|disc| *disc != now).filter(|_| self.observed.may_remove).cloned()
    }

    /// The oldest disk beyond those that are kept.
    fn superfluous(&self) -> Option<(String, String)> {
        let keep = usize::try_from(self.desired.keep?).unwrap_or(usize::MAX);
        let aside: Vec<_> = self.vm.unused_disks().collect();
        let slot = |g: &Generation| {
            let volume = g.volume.as_deref()?;
            aside.iter().find(|(_, v)| *v == volume).map(|(slot, v)| ((*slot).to_owned(), (*v).to_owned()))
        };
        let ours: Vec<_> = self.vm.machine()?.generations.iter().filter_map(slot).collect();
        ours.into_iter().skip(keep).next_back()
    }
}
