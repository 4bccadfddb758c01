//! What is there → the next step towards what is wanted; none when everything is as it must be. Pure.
//!
//! A run of steps that is broken off anywhere is taken up by asking again. That is why each decision looks at what is
//! there and at nothing else, and why a step says what is there afterwards ([`Step::after`]): a plan is the steps that
//! follow from each other's results, and carrying it out is the same with real ones.

mod step;

pub use step::{Call, Step};

use crate::Target;
use crate::cluster::{self, Of};
use crate::firewall;
use crate::properties::volume;
use crate::record::{self, Generation, Machine, Proven, Record, serial};
use crate::seen::{Seen, Vm, has_serial, split_tags};
use crate::wanted::{self, DISC, Disc, Keys, SYSTEM, Wanted};
use diorite_model::{Error, Result};

/// Steps of the longest plan that is believed.
const LONGEST: usize = 500;

/// The next step.
///
/// # Errors
/// What is there is not ours to change; [`Exit::Remote`](diorite_model::Exit::Remote) with what to do.
pub fn next(wanted: &Wanted, seen: &Seen, target: &Target) -> Result<Option<Step>> {
    match &seen.machine {
        None => create(wanted, seen).map(Some),
        Some(vm) => Course { wanted, seen, vm, target }.next(),
    }
}

/// All steps, as far as they can be foreseen: that an image shows that it works is taken for granted.
pub fn all(wanted: &Wanted, seen: &Seen, target: &Target) -> Result<Vec<Step>> {
    let (mut wanted, mut seen, mut steps) = (wanted.clone(), seen.clone(), Vec::new());
    while let Some(step) = next(&wanted, &seen, target)? {
        if step == Step::Prove {
            wanted.verdict = Some(Proven::Good);
        } else {
            step.after(&wanted, target, &mut seen);
        }
        steps.push(step);
        if steps.len() > LONGEST {
            return Err(Error::bug("a plan for a machine does not end").because(format!("{:?}", steps.last())));
        }
    }
    Ok(steps)
}

fn create(wanted: &Wanted, seen: &Seen) -> Result<Step> {
    let (Some(file), Some(_)) = (&wanted.file, &wanted.hardware) else {
        return Err(Error::remote(format!("there is no machine `{}`", wanted.name)).hint("deploy it first"));
    };
    if seen.images.get(&file.name) != Some(&file.size) {
        return Ok(Step::Upload);
    }
    if wanted.disc.as_ref().is_some_and(|disc| !seen.discs.contains(&disc.volume)) {
        return Ok(Step::Disc);
    }
    let id = *seen.free.first().ok_or_else(|| Error::bug("no number was asked for"))?;
    Ok(Step::Create { id })
}

/// The way of one machine from what it is to what it must be.
struct Course<'a> {
    wanted: &'a Wanted,
    seen: &'a Seen,
    vm: &'a Vm,
    target: &'a Target,
}

impl Course<'_> {
    fn next(&self) -> Result<Option<Step>> {
        let (vm, wanted) = (self.vm, self.wanted);
        let notes = self.notes()?;
        let serial = serial(wanted.sha256);
        let attached = vm.starts_from(&serial);
        self.known(&serial)?;
        if vm.record.as_ref() != Some(&notes) {
            return Ok(Some(Step::Note { id: vm.id, record: notes }));
        }
        if let Some(step) = self.finished_staging(attached) {
            return Ok(Some(step));
        }
        if let Some(change) = self.firewall(false) {
            return Ok(Some(Step::Firewall { id: vm.id, change }));
        }
        if let Some(keys) = self.drift() {
            return Ok(Some(Step::Set { id: vm.id, keys }));
        }
        if !attached {
            return self.attach().map(Some);
        }
        let disc = self.other_disc();
        if let Some(disc) = disc
            && disc.bytes.is_some()
            && !self.seen.discs.contains(&disc.volume)
        {
            return Ok(Some(Step::Disc));
        }
        if vm.running && (disc.is_some() || vm.waits(self.managed())) {
            return Ok(Some(self.paused().unwrap_or(Step::Shutdown { id: vm.id })));
        }
        if let Some(disc) = disc {
            let keys = Keys::from([(DISC.to_owned(), wanted::disc(&disc.volume))]);
            return Ok(Some(Step::Set { id: vm.id, keys }));
        }
        if !vm.running {
            return Ok(Some(self.paused().unwrap_or(Step::Start { id: vm.id })));
        }
        Ok(self.afterwards())
    }

    /// A machine that the cluster sees to is only asked for when the cluster has been told to leave it alone.
    fn paused(&self) -> Option<Step> {
        let resource = self.seen.cluster.resource.as_ref().filter(|resource| resource.state != "ignored")?;
        Some(Step::Cluster { id: self.vm.id, change: cluster::Change::Pause(resource.clone()) })
    }

    /// What the cluster does for the machine.
    fn cluster(&self) -> Option<Step> {
        let (vm, cluster) = (self.vm, &self.seen.cluster);
        let of = Of { id: vm.id, node: &vm.node, image: &self.wanted.image };
        let change = match &self.wanted.cluster {
            Some(wish) => cluster::next(wish, cluster, of)?,
            None => cluster.resource.as_ref().filter(|r| r.is_paused()).cloned().map(cluster::Change::Resume)?,
        };
        Some(Step::Cluster { id: vm.id, change })
    }

    /// The keys whose changes are worth a restart.
    fn managed(&self) -> impl Iterator<Item = &str> {
        let hardware = self.wanted.hardware.iter().flat_map(|keys| keys.keys().map(String::as_str));
        [SYSTEM, "boot"].into_iter().chain(hardware)
    }

    /// When the machine runs from its image.
    fn afterwards(&self) -> Option<Step> {
        let (vm, wanted) = (self.vm, self.wanted);
        let proven = vm.machine().and_then(|m| m.of(wanted.sha256)).map(|g| g.proven);
        if proven != Some(Proven::Good) {
            // A verdict is written down before anything else, above: here it has not been reached.
            return wanted.verdict.is_none().then_some(Step::Prove);
        }
        let tags = wanted.tags(self.target);
        if !split_tags(&tags).is_subset(&self.vm.tags()) {
            return Some(Step::Tag { id: vm.id, tags: self.retagged(&tags) });
        }
        if let Some(change) = self.firewall(true) {
            return Some(Step::Firewall { id: vm.id, change });
        }
        if let Some(step) = self.cluster() {
            return Some(step);
        }
        if let Some(volume) = self.old_disc() {
            return Some(Step::RemoveDisc { volume });
        }
        self.superfluous().map(|(slot, volume)| Step::Prune { id: vm.id, slot, volume })
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
                    vm.id, self.wanted.name
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
    fn notes(&self) -> Result<Record> {
        let (vm, wanted) = (self.vm, self.wanted);
        let machine = match &vm.record {
            Some(Record::Machine(machine)) if machine.image == wanted.image => machine.clone(),
            Some(Record::Machine(machine)) => {
                let what = format!("machine {} (`{}`) has the image `{}`", vm.id, wanted.name, machine.image);
                return Err(Error::remote(what)
                    .at(self.target.url.clone())
                    .because(format!("`{}` would take its place, and its /var", wanted.image))
                    .hint("give the new machine another name: `--name`"));
            }
            Some(Record::Staging(_)) => {
                return Err(self.stranger("its notes are those of a machine that takes an image in"));
            }
            None => return Err(self.stranger("its notes do not have the line that Diorite writes")),
        };
        let there = |wanted: &str| {
            let disks = [vm.config.get(SYSTEM), vm.now.get(SYSTEM)].into_iter().flatten().map(|disk| volume(disk));
            disks.chain(vm.aside().map(|(_, v)| v)).any(|v| v == wanted)
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
        if vm.starts_from(&serial(wanted.sha256)) {
            let place = generations.iter().position(|g| g.sha256 == wanted.sha256);
            let mut its = place.map_or_else(|| wanted.generation(), |place| generations.remove(place));
            its.volume = vm.volume(SYSTEM).map(str::to_owned);
            its.verified |= wanted.verified;
            let said = |rules: &firewall::Rules| firewall::Rules { unsaid: Vec::new(), ..rules.clone() };
            its.firewall = wanted.firewall.as_ref().filter(|_| self.target.firewall).map(said);
            // What was good once shows it again after each start.
            let restarts = !vm.running || vm.config.get(SYSTEM) != vm.now.get(SYSTEM);
            its.proven = wanted.verdict.unwrap_or(if restarts { Proven::New } else { its.proven });
            generations.insert(0, its);
        }
        let before = vm.config.get("description").map_or("", String::as_str);
        let mut discs = machine.discs;
        if wanted.disc.is_some() {
            discs.extend(
                [&vm.config, &vm.now].into_iter().filter_map(|keys| keys.get(DISC)).map(|d| volume(d).to_owned()),
            );
            discs.retain(|disc| self.seen.discs.contains(disc));
        }
        Ok(Machine { image: wanted.image.clone(), generations, discs }.fitting(before))
    }

    fn stranger(&self, why: &str) -> Error {
        let vm = self.vm;
        Error::remote(format!("machine {} (`{}`) has our tag, but not our notes", vm.id, self.wanted.name))
            .at(self.target.url.clone())
            .because(why)
            .hint(format!("put its notes back, or take the tag `{}` away if it is not ours", self.target.tag))
    }

    /// An image that the other machine has handed over, and that nobody has written down yet.
    fn arrived(&self) -> Option<Generation> {
        let staging = self.seen.staging.as_ref()?;
        let note = staging.staging().filter(|note| note.machine == self.vm.id && staging.volume(SYSTEM).is_none())?;
        let volume = self.vm.volume(&note.slot)?;
        let known = self.vm.machine()?.generations.iter().any(|g| g.volume.as_deref() == Some(volume));
        (!known).then(|| Generation { volume: Some(volume.to_owned()), ..note.generation.clone() })
    }

    /// The machine that takes images in goes when it has handed its disk over, or when nobody wants what it has.
    fn finished_staging(&self, attached: bool) -> Option<Step> {
        let staging = self.seen.staging.as_ref()?;
        let useful = !attached
            && self.kept().is_none()
            && staging.volume(SYSTEM).is_some()
            && staging.node == self.vm.node
            && staging.staging().is_some_and(|note| {
                note.machine == self.vm.id
                    && note.generation.sha256 == self.wanted.sha256
                    && !self.vm.config.contains_key(&note.slot)
            });
        (!useful).then_some(Step::RemoveStaging { id: staging.id })
    }

    /// The disk of the wanted image, where it was put aside.
    fn kept(&self) -> Option<&str> {
        let volume = self.vm.machine()?.of(self.wanted.sha256)?.volume.as_deref()?;
        self.vm.aside().find(|(_, v)| *v == volume).map(|(_, v)| v)
    }

    fn attach(&self) -> Result<Step> {
        let (vm, wanted) = (self.vm, self.wanted);
        if vm.config.get(SYSTEM) != vm.now.get(SYSTEM) {
            // Another exchange waits: it must not be mistaken for this one.
            return Ok(Step::Revert { id: vm.id });
        }
        if let Some(volume) = self.kept() {
            return Ok(Step::Swap { id: vm.id, volume: volume.to_owned() });
        }
        let Some(file) = &wanted.file else {
            return Err(Error::remote(format!(
                "machine {} does not have {} {} any more",
                vm.id, wanted.image, wanted.version
            ))
            .at(self.target.url.clone())
            .hint("deploy that version again"));
        };
        if let Some(staging) = &self.seen.staging {
            let slot = staging.staging().map(|note| note.slot.clone()).unwrap_or_default();
            return Ok(Step::Hand { from: staging.id, to: vm.id, slot });
        }
        if self.seen.images.get(&file.name) != Some(&file.size) {
            return Ok(Step::Upload);
        }
        let id = *self.seen.free.first().ok_or_else(|| Error::bug("no number was asked for"))?;
        let staging = record::Staging { machine: vm.id, slot: vm.free_slot(), generation: wanted.generation() };
        Ok(Step::Stage { id, staging })
    }

    fn firewall(&self, exact: bool) -> Option<firewall::Change> {
        let wanted = self.wanted.firewall.as_ref().filter(|_| self.target.firewall)?;
        firewall::next(wanted, &self.vm.firewall, exact)
    }

    /// Keys that are not as they must be.
    fn drift(&self) -> Option<Keys> {
        let keys = self.wanted.hardware.as_ref()?;
        let wrong = keys.iter().filter(|(key, value)| wanted::differs(key, self.vm.config.get(*key), value));
        let all: Keys =
            wrong.map(|(key, value)| (key.clone(), wanted::corrected(key, self.vm.config.get(key), value))).collect();
        (!all.is_empty()).then_some(all)
    }

    /// The disc with its own values, where it has another one, or none.
    fn other_disc(&self) -> Option<&Disc> {
        let disc = self.wanted.disc.as_ref()?;
        (self.vm.volume(DISC) != Some(&disc.volume)).then_some(disc)
    }

    /// A disc that the machine had before, with values that are nobody's any more.
    fn old_disc(&self) -> Option<String> {
        let (now, discs) = (&self.wanted.disc.as_ref()?.volume, &self.vm.machine()?.discs);
        discs.iter().find(|disc| *disc != now).filter(|_| self.seen.may_remove).cloned()
    }

    /// The oldest disk beyond those that are kept.
    fn superfluous(&self) -> Option<(String, String)> {
        let keep = usize::try_from(self.wanted.keep?).unwrap_or(usize::MAX);
        let aside: Vec<_> = self.vm.aside().collect();
        let slot = |g: &Generation| {
            let volume = g.volume.as_deref()?;
            aside.iter().find(|(_, v)| *v == volume).map(|(slot, v)| ((*slot).to_owned(), (*v).to_owned()))
        };
        let ours: Vec<_> = self.vm.machine()?.generations.iter().filter_map(slot).collect();
        ours.into_iter().skip(keep).next_back()
    }
}
