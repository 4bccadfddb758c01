//! Carries a plan out: inspects, takes the next step, and inspects again, until nothing is left to do.
//!
//! A call whose answer got lost is not repeated blindly: the next inspection shows whether it was carried out. A lock that
//! somebody holds is waited for, wherever the host tells of it: nothing was done yet.

mod carry_out;

use crate::client::{CallError, CallErrorKind, Client};
use crate::cluster::ClusterMember;
use crate::desired::{CONFIG_DRIVE, ConfigDriveIso, Desired};
use crate::health::{self, HealthProbe};
use crate::inspector::Inspector;
use crate::lock;
use crate::notes::{Generation, HealthVerdict, MachineNotes, Notes, serial};
use crate::observed::{MachineRef, Observed};
use crate::plan::{self, Call, DeployStep};
use crate::run::DeployRun;
use carry_out::StepOutcome;
use diorite_host::interrupt;
use diorite_host::progress::Progress;
use diorite_model::{Error, Exit, Result};
use std::collections::BTreeSet;
use std::path::Path as FilePath;
use std::time::{Duration, Instant};

/// How often a step is tried whose outcome is not known, or that changed nothing.
const TRIES: usize = 3;

/// What is needed to carry a plan out.
pub struct Deployer<'a> {
    /// Whom to ask.
    pub client: &'a Client,
    /// The image's file on this host, where one may be needed.
    pub file: Option<&'a FilePath>,
    /// What the VM is asked from here once it answers.
    pub probes: &'a [HealthProbe],
    /// How long it may take until it is healthy.
    pub timeout: Duration,
    /// This run, as the VM's notes name it while it is under way.
    pub run: DeployRun,
    /// Where stages are shown.
    pub progress: &'a Progress,
}

/// What was done.
#[derive(Debug, Clone, PartialEq)]
pub struct Deployment {
    /// The VM's ID.
    pub id: u32,
    /// The node it is on.
    pub node: String,
    /// The steps that were taken.
    pub steps: Vec<DeployStep>,
    /// How the VM showed that it is healthy; none when it had shown it before.
    pub evidence: Option<health::HealthEvidence>,
    /// Seconds from the beginning of the shutdown to the VM's answer, when there was one.
    pub away: Option<f64>,
    /// What the profile asks of the cluster and cannot be had there, for people.
    pub unmet: Vec<String>,
    /// Seconds, all in all.
    pub seconds: f64,
    /// Of them, seconds of waiting for locks that somebody else held.
    pub locked: f64,
}

/// What would be done.
#[derive(Debug, Clone, PartialEq)]
pub struct DeployPlan {
    /// The steps, each with its call.
    pub steps: Vec<(DeployStep, Option<Call>)>,
    /// As in [`Deployment`].
    pub unmet: Vec<String>,
}

impl Deployer<'_> {
    fn inspector(&self) -> Inspector<'_> {
        Inspector { client: self.client, progress: self.progress, used_ids: BTreeSet::new() }
    }

    /// The UUID of a VM that is there. One that is not gets its node: `placed` are those that will be there before it.
    pub fn choose_node(&self, desired: &mut Desired, placed: &mut Vec<MachineRef>) -> Result<Option<String>> {
        let observed = self.inspect(desired)?;
        if let Some(vm) = &observed.machine {
            return Ok(vm.uuid().map(str::to_owned));
        }
        let siblings = [&observed.siblings[..], placed].concat();
        let node = self.inspector().least_loaded(&siblings)?;
        placed.push(MachineRef { id: 0, node: node.clone(), ha: None });
        desired.node = Some(node);
        Ok(None)
    }

    /// What is there for this VM.
    ///
    /// # Errors
    /// As of any call; another deployment of this VM is under way.
    pub fn inspect(&self, desired: &Desired) -> Result<Observed> {
        self.inspect_with(&self.inspector(), desired)
    }

    fn inspect_with(&self, inspector: &Inspector, desired: &Desired) -> Result<Observed> {
        let observed = inspector.inspect(desired)?;
        let machine = observed.machine.as_ref().and_then(|vm| vm.machine());
        match machine.and_then(|machine| machine.run.as_ref()) {
            Some(other) if *other != self.run && !other.is_over() => Err(self.busy(desired, other)),
            _ => Ok(observed),
        }
    }

    fn busy(&self, desired: &Desired, other: &DeployRun) -> Error {
        Error::remote(format!("another deployment of `{}` is under way", desired.name))
            .at(self.client.target().url.clone())
            .because(other.describe())
            .hint(format!(
                "wait until it has ended; if it was killed, deploy from {}, which sees that, or after {}",
                other.host,
                crate::run::utc(other.until)
            ))
    }

    /// Whether a deployment of any of these needs the image's file: a run that changes nothing does not.
    pub fn needs_file(&self, machines: &[Desired]) -> Result<bool> {
        let needs = |step: &DeployStep| {
            matches!(step, DeployStep::Upload | DeployStep::Create { .. } | DeployStep::ImportStaging { .. })
        };
        for desired in machines {
            if plan::all(desired, &self.inspect(desired)?, self.client.target())?.iter().any(needs) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Brings the image's file to where the VM is, if it will be needed there.
    pub fn bring(&self, desired: &Desired) -> Result<()> {
        let observed = self.inspect(desired)?;
        if plan::all(desired, &observed, self.client.target())?.contains(&DeployStep::Upload) {
            self.carry_out(&DeployStep::Upload, desired, &observed)?;
        }
        Ok(())
    }

    /// The steps that would be taken, each with its call; nothing is changed. `used_ids`: those that other VMs would have
    /// got before.
    pub fn plan(&self, desired: &Desired, used_ids: &BTreeSet<u32>) -> Result<DeployPlan> {
        let target = self.client.target();
        let desired = Desired { run: Some(self.run.clone()), ..desired.clone() };
        let inspector = Inspector { used_ids: used_ids.clone(), ..self.inspector() };
        let mut observed = self.inspect_with(&inspector, &desired)?;
        let (steps, unmet) = (plan::all(&desired, &observed, target)?, unmet(&desired, &observed));
        let with_call = |step: DeployStep| {
            let call = step.call(&desired, &observed, target);
            step.after(&desired, target, &mut observed);
            (step, call)
        };
        Ok(DeployPlan { steps: steps.into_iter().map(with_call).collect(), unmet })
    }

    /// Makes the VM what is desired. When the image does not become healthy, the VM goes back to the one it had, and the
    /// error says so.
    ///
    /// # Errors
    /// [`Exit::VerificationFailed`] when it did not become healthy; whatever a call can fail with.
    pub fn deploy(&self, desired: &Desired) -> Result<Deployment> {
        let before = self.inspect(desired)?;
        let (done, verdict) = self.converge(desired)?;
        let Some(why) = verdict else { return Ok(done) };
        let error = self.unhealthy(desired, &done, why);
        let values = same_image_other_values(desired, &before);
        let Some(back) = values.map_or_else(|| self.worked(desired), |same| Ok(Some(same)))? else {
            return Err(
                error.hint("the VM is left as it is: look at its console; there is no earlier image to go back to")
            );
        };
        self.progress.say(format!("rolling back to {} {}", desired.image, back.version));
        let (_, verdict) = self.converge(&as_before(desired, &back, &before))?;
        Err(match verdict {
            None => error.hint(format!("the VM was rolled back to {} {}, which works", desired.image, back.version)),
            Some(why) => error.hint(format!(
                "the VM was rolled back to {} {}, which is not healthy either: {why}",
                desired.image, back.version
            )),
        })
    }

    /// Goes to an image that the VM has had.
    ///
    /// # Errors
    /// As [`deploy`](Self::deploy); the VM stays with the image that was asked for.
    pub fn roll_back(&self, desired: &Desired) -> Result<Deployment> {
        let (done, verdict) = self.converge(desired)?;
        verdict.map_or(Ok(done.clone()), |why| Err(self.unhealthy(desired, &done, why)))
    }

    fn unhealthy(&self, desired: &Desired, done: &Deployment, why: String) -> Error {
        let what = format!("{} {} did not become healthy on VM {}", desired.image, desired.version, done.id);
        Error::new(Exit::VerificationFailed, what).at(self.client.target().url.clone()).because(why)
    }

    /// The image that the VM had before and that worked.
    fn worked(&self, desired: &Desired) -> Result<Option<Generation>> {
        let observed = self.inspect(desired)?;
        let earlier = observed.machine.as_ref().map(|vm| vm.generations()).unwrap_or_default();
        let there = |g: &Generation| g.volume.as_ref().is_some_and(|volume| observed.volumes.contains(volume));
        let mut earlier = earlier.into_iter().filter(|g| g.sha256 != desired.sha256 && there(g));
        Ok(earlier.find(|g| g.proven == HealthVerdict::Good))
    }

    /// Takes steps until none is left. The text says why the VM is not healthy.
    fn converge(&self, desired: &Desired) -> Result<(Deployment, Option<String>)> {
        let (target, begun, locked_before) = (self.client.target(), Instant::now(), self.client.lock_time());
        let mut desired = Desired { run: Some(self.run.clone()), ..desired.clone() };
        let (mut steps, mut verdict, mut evidence): (Vec<DeployStep>, _, _) = (Vec::new(), None, None);
        let (mut inspector, mut tries) = (self.inspector(), 0);
        let (mut down, mut away) = (None, None);
        // Since when a lock has been waited for, and what was seen when the VM became healthy.
        let (mut waiting, mut proven): (Option<(DeployStep, Instant)>, Option<Observed>) = (None, None);
        loop {
            if let Err(interrupted) = interrupt::check() {
                self.release(&desired);
                return Err(interrupted);
            }
            // That it works is written down at once: no question in between can fail.
            let observed = proven.take().map_or_else(|| self.inspect_with(&inspector, &desired), Ok)?;
            let next = plan::next(&desired, &observed, target).inspect_err(|_| self.release(&desired))?;
            let Some(step) = next else {
                let unmet = unmet(&desired, &observed);
                let vm = observed.machine.ok_or_else(|| Error::bug("a plan ends without a VM"))?;
                let (seconds, locked) = (begun.elapsed().as_secs_f64(), self.client.lock_time() - locked_before);
                let locked = locked.as_secs_f64();
                let done = Deployment { id: vm.id, node: vm.node, steps, evidence, away, unmet, seconds, locked };
                return Ok((done, verdict));
            };
            tries = if steps.last() == Some(&step) { tries + 1 } else { 0 };
            if tries >= TRIES {
                return Err(self.no_effect(&step));
            }
            let step = self.without_waiting(step, &observed)?;
            if step.interrupts() && down.is_none() {
                down = Some(Instant::now());
            }
            let tried = Instant::now();
            match self.carry_out(&step, &desired, &observed) {
                Ok(StepOutcome::Done) => {}
                Ok(StepOutcome::Healthy(found)) => {
                    away = down.map(|down: Instant| down.elapsed().as_secs_f64());
                    desired.verdict = Some(HealthVerdict::Good);
                    evidence = Some(found);
                    proven = Some(observed);
                }
                Ok(StepOutcome::Unhealthy(why)) => {
                    desired.verdict = Some(HealthVerdict::Failed);
                    verdict = Some(why);
                    proven = Some(observed);
                }
                Err(failure) if id_in_use(&failure, &step) => {
                    inspector.used_ids.extend(observed.free.first());
                }
                Err(failure) if failure.kind == CallErrorKind::Locked => {
                    let since = waiting.take().filter(|(waits, _)| *waits == step).map_or(tried, |(_, since)| since);
                    if since.elapsed() >= self.client.limits().lock {
                        return Err(self.still_locked(failure, &observed).into());
                    }
                    waiting = Some((step, since));
                    self.client.rest(1);
                    self.client.waited_for_lock(tried);
                    continue;
                }
                // Carried out or not: the next inspection tells.
                Err(failure) if ask_again(&failure) && tries + 1 < TRIES => self.client.rest(1),
                Err(failure) => {
                    if !cut_off(&failure) {
                        self.release(&desired);
                    }
                    return Err(failure.into());
                }
            }
            steps.push(step);
        }
    }

    fn no_effect(&self, step: &DeployStep) -> Error {
        let target = self.client.target();
        Error::remote(format!("target `{}` does not do what it answers", target.name))
            .at(target.url.clone())
            .because(format!("asked {TRIES} times to {step}, it answered OK, and nothing changed"))
            .hint("look at the VM and at the node's task list")
    }

    fn still_locked(&self, failure: CallError, observed: &Observed) -> CallError {
        let id = observed.machine.as_ref().or(observed.staging.as_ref()).map(|vm| vm.id);
        let holder = id.map(|id| lock::describe(self.client, &observed.node, id));
        CallError { holder, ..failure }
    }

    /// A run that ends with an error takes its entry out of the notes, so that nobody waits for it. One that cannot is seen
    /// to be over by its process.
    fn release(&self, desired: &Desired) {
        let Ok(observed) = self.inspector().inspect(desired) else { return };
        let Some((vm, machine)) = observed.machine.as_ref().and_then(|vm| Some((vm, vm.machine()?))) else { return };
        if machine.run.as_ref() != Some(&self.run) {
            return;
        }
        let notes = Notes::Machine(MachineNotes { run: None, ..machine.clone() });
        let _ = self.carry_out(&DeployStep::WriteNotes { id: vm.id, notes }, desired, &observed);
    }
}

/// What the profile asks of the cluster and cannot be had there.
fn unmet(desired: &Desired, observed: &Observed) -> Vec<String> {
    let of = ClusterMember {
        id: observed.machine.as_ref().map_or(0, |vm| vm.id),
        node: &observed.node,
        image: &desired.image,
    };
    desired.cluster.as_ref().map_or(Vec::new(), |spec| observed.cluster.unmet(spec, of, desired.config_drive.is_some()))
}

/// Another VM got the ID first.
fn id_in_use(failure: &CallError, step: &DeployStep) -> bool {
    matches!(step, DeployStep::Create { .. } | DeployStep::ImportStaging { .. })
        && failure.why.contains("already exists")
}

/// Failures after which the next inspection decides: what was asked may have been carried out, or somebody else changed
/// the configuration first.
fn ask_again(failure: &CallError) -> bool {
    let raced = failure.why.contains("checksum mismatch") || failure.why.contains("detected modified configuration");
    raced || (failure.unclear && cut_off(failure))
}

/// Failures after which the host cannot be asked.
fn cut_off(failure: &CallError) -> bool {
    matches!(
        failure.kind,
        CallErrorKind::Cut | CallErrorKind::TimedOut | CallErrorKind::Unavailable | CallErrorKind::Unreachable
    )
}

/// The image that the VM has already and works with, when only its values were new.
fn same_image_other_values(desired: &Desired, before: &Observed) -> Option<Generation> {
    let (vm, iso) = (before.machine.as_ref()?, desired.config_drive.as_ref()?);
    let same =
        vm.boots_from(&serial(desired.sha256)) && vm.volume(CONFIG_DRIVE).is_some_and(|volume| volume != iso.volume);
    let generation = vm.generations().into_iter().find(|g| g.sha256 == desired.sha256)?;
    (same && generation.proven == HealthVerdict::Good).then_some(generation)
}

/// An earlier image with everything else as it was before; its firewall as it was declared, without what drifted.
fn as_before(desired: &Desired, generation: &Generation, before: &Observed) -> Desired {
    let back = Desired::back(&desired.name, &desired.image, generation);
    let Some(vm) = &before.machine else { return back };
    let was = |(key, _): (&String, &String)| Some((key.clone(), vm.config.get(key)?.clone()));
    let hardware = desired.hardware.as_ref().map(|keys| keys.iter().filter_map(was).collect());
    let attached = desired.config_drive.as_ref().and_then(|_| vm.volume(CONFIG_DRIVE));
    let config_drive = attached.map(|volume| ConfigDriveIso { volume: volume.to_owned(), bytes: None });
    let firewall = desired.firewall.as_ref().map(|_| back.firewall.clone().unwrap_or_else(|| vm.firewall.clone()));
    Desired { hardware, config_drive, firewall, ..back }
}
