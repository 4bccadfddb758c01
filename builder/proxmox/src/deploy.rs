//! Carries a plan out: looks, takes the next step, and looks again, until nothing is left to do.
//!
//! A call whose answer got lost is not repeated blindly: the next look shows whether it was carried out.

use crate::client::{CallError, CallErrorKind, Client, Method, Path};
use crate::cluster::ClusterMember;
use crate::desired::{CONFIG_DRIVE, ConfigDriveIso, Desired};
use crate::download::DownloadResult;
use crate::health::{self, HealthProbe};
use crate::inspector::Inspector;
use crate::notes::{Generation, HealthVerdict, serial};
use crate::observed::{MachineRef, Observed};
use crate::plan::{self, Call, DeployStep};
use crate::task;
use crate::upload::{Upload, UploadContent};
use diorite_host::interrupt;
use diorite_host::progress::Progress;
use diorite_model::{Digest, Error, Exit, Result};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path as FilePath;
use std::time::{Duration, Instant};

/// How often a step may be tried whose outcome is not known, or that changed nothing.
const TRIES: usize = 3;

/// What is needed to carry a plan out.
pub struct Deployer<'a> {
    /// Whom to ask.
    pub client: &'a Client,
    /// The image's file on this host, where one may be needed.
    pub file: Option<&'a FilePath>,
    /// What the machine is asked from here once it answers.
    pub probes: &'a [HealthProbe],
    /// How long it may take until it has shown that it works.
    pub patience: Duration,
    /// Where stages are shown.
    pub progress: &'a Progress,
}

/// What was done.
#[derive(Debug, Clone, PartialEq)]
pub struct Deployment {
    /// The machine's number.
    pub id: u32,
    /// The node it is on.
    pub node: String,
    /// The steps that were taken.
    pub steps: Vec<DeployStep>,
    /// What the machine has shown; none when it had shown it before.
    pub evidence: Option<health::HealthEvidence>,
    /// Seconds from the beginning of the shutdown to the machine's answer, when there was one.
    pub away: Option<f64>,
    /// What the profile wishes of the cluster and cannot be had there, in words.
    pub unmet: Vec<String>,
    /// Seconds, all in all.
    pub seconds: f64,
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
    fn look(&self) -> Inspector<'_> {
        Inspector { client: self.client, progress: self.progress, taken: BTreeSet::new() }
    }

    /// The UUID of a machine that is there. One that is not gets its node: `placed` are those that will be there before it.
    pub fn choose_node(&self, desired: &mut Desired, placed: &mut Vec<MachineRef>) -> Result<Option<String>> {
        let observed = self.observed(desired)?;
        if let Some(vm) = &observed.machine {
            return Ok(vm.uuid().map(str::to_owned));
        }
        let siblings = [&observed.siblings[..], placed].concat();
        let node = self.look().least_loaded(&siblings)?;
        placed.push(MachineRef { id: 0, node: node.clone(), ha: None });
        desired.node = Some(node);
        Ok(None)
    }

    /// What is there for this machine.
    pub fn observed(&self, desired: &Desired) -> Result<Observed> {
        self.look().at(desired)
    }

    /// Brings the image's file to where the machine is, if it will be needed there.
    pub fn bring(&self, desired: &Desired) -> Result<()> {
        let observed = self.observed(desired)?;
        if plan::all(desired, &observed, self.client.target())?.contains(&DeployStep::Upload) {
            self.step(&DeployStep::Upload, desired, &observed)?;
        }
        Ok(())
    }

    /// The steps that would be taken, each with its call; nothing is changed. `taken`: numbers that other machines would
    /// have got before.
    pub fn plan(&self, desired: &Desired, taken: &BTreeSet<u32>) -> Result<DeployPlan> {
        let target = self.client.target();
        let mut observed = Inspector { taken: taken.clone(), ..self.look() }.at(desired)?;
        let (steps, unmet) = (plan::all(desired, &observed, target)?, unmet(desired, &observed));
        let with_call = |step: DeployStep| {
            let call = step.call(desired, &observed, target);
            step.after(desired, target, &mut observed);
            (step, call)
        };
        Ok(DeployPlan { steps: steps.into_iter().map(with_call).collect(), unmet })
    }

    /// Makes the machine what is desired. When the image does not show that it works, the machine goes back to the one it
    /// had, and the error says so.
    ///
    /// # Errors
    /// [`Exit::VerificationFailed`] when it did not show that it works; whatever a call can fail with.
    pub fn deploy(&self, desired: &Desired) -> Result<Deployment> {
        let before = self.observed(desired)?;
        let (done, verdict) = self.converge(desired)?;
        let Some(why) = verdict else { return Ok(done) };
        let what = format!("{} {} did not show on machine {} that it works", desired.image, desired.version, done.id);
        let error = Error::new(Exit::VerificationFailed, what).at(self.client.target().url.clone()).because(why);
        let values = same_image_other_values(desired, &before);
        let Some(back) = values.map_or_else(|| self.worked(desired), |same| Ok(Some(same)))? else {
            return Err(
                error.hint("the machine is left as it is: look at its console; nothing was there before to go back to")
            );
        };
        self.progress.say(format!("going back to {} {}", desired.image, back.version));
        let (_, verdict) = self.converge(&as_before(desired, &back, &before))?;
        Err(match verdict {
            None => error.hint(format!("the machine went back to {} {}, which works", desired.image, back.version)),
            Some(why) => error.hint(format!(
                "the machine went back to {} {}, which does not show that it works either: {why}",
                desired.image, back.version
            )),
        })
    }

    /// Goes to an image that the machine has had.
    ///
    /// # Errors
    /// As [`deploy`](Self::deploy); the machine stays with the image that was asked for.
    pub fn roll_back(&self, desired: &Desired) -> Result<Deployment> {
        let (done, verdict) = self.converge(desired)?;
        match verdict {
            None => Ok(done),
            Some(why) => {
                let what =
                    format!("{} {} did not show on machine {} that it works", desired.image, desired.version, done.id);
                Err(Error::new(Exit::VerificationFailed, what).at(self.client.target().url.clone()).because(why))
            }
        }
    }

    /// The image that the machine had before and that worked.
    fn worked(&self, desired: &Desired) -> Result<Option<Generation>> {
        let observed = self.observed(desired)?;
        let machine = observed.machine.as_ref().and_then(|vm| vm.machine());
        let earlier = machine.iter().flat_map(|m| &m.generations);
        Ok(earlier.filter(|g| g.sha256 != desired.sha256).find(|g| g.proven == HealthVerdict::Good).cloned())
    }

    /// Takes steps until none is left. The words say why the machine has not shown that it works.
    fn converge(&self, desired: &Desired) -> Result<(Deployment, Option<String>)> {
        let (target, begun) = (self.client.target(), Instant::now());
        let mut desired = desired.clone();
        let (mut steps, mut verdict, mut evidence): (Vec<DeployStep>, _, _) = (Vec::new(), None, None);
        let (mut look, mut tries) = (self.look(), 0);
        let (mut down, mut away) = (None, None);
        loop {
            interrupt::check()?;
            let observed = look.at(&desired)?;
            let Some(step) = plan::next(&desired, &observed, target)? else {
                let unmet = unmet(&desired, &observed);
                let vm = observed.machine.ok_or_else(|| Error::bug("a plan ends without a machine"))?;
                let seconds = begun.elapsed().as_secs_f64();
                return Ok((Deployment { id: vm.id, node: vm.node, steps, evidence, away, unmet, seconds }, verdict));
            };
            tries = if steps.last() == Some(&step) { tries + 1 } else { 0 };
            if tries >= TRIES {
                let error = Error::remote(format!("target `{}` does not do what it says", target.name));
                return Err(error
                    .at(target.url.clone())
                    .because(format!("asked {TRIES} times to {step}, it answered well, and nothing changed"))
                    .hint("look at the machine and at the node's task list"));
            }
            if step.interrupts() {
                down = Some(Instant::now());
            }
            match self.step(&step, &desired, &observed) {
                Ok(StepOutcome::Done) => {}
                Ok(StepOutcome::Healthy(found)) => {
                    away = down.map(|down| down.elapsed().as_secs_f64());
                    desired.verdict = Some(HealthVerdict::Good);
                    evidence = Some(found);
                }
                Ok(StepOutcome::Unhealthy(why)) => {
                    desired.verdict = Some(HealthVerdict::Failed);
                    verdict = Some(why);
                }
                Err(failure) if taken(&failure, &step) => {
                    look.taken.extend(observed.free.first());
                }
                // Carried out or not: the next look tells.
                Err(failure) if again(&failure) && tries + 1 < TRIES => self.client.rest(1),
                Err(failure) => return Err(failure.into()),
            }
            steps.push(step);
        }
    }

    fn step(&self, step: &DeployStep, desired: &Desired, observed: &Observed) -> Result<StepOutcome, CallError> {
        if *step == DeployStep::HealthCheck {
            let Some(vm) = &observed.machine else { return Ok(StepOutcome::Done) };
            let patient = health::HealthCheck { client: self.client, agent: vm.has_agent(), patience: self.patience };
            return Ok(match patient.ask(vm, self.probes, self.progress)? {
                Ok(evidence) => StepOutcome::Healthy(evidence),
                Err(why) => StepOutcome::Unhealthy(why),
            });
        }
        let upid = match step.call(desired, observed, self.client.target()) {
            None if *step == DeployStep::UploadConfigDrive => Some(self.upload_config_drive(desired, observed)?),
            None => self.upload(desired, observed)?,
            Some(call) => {
                let answer = self.client.call(call.method, &call.path, &call.parameters)?;
                // Nothing: it was done at once.
                answer.as_str().map(|_| task::of_answer(self.client, call.method, &call.path, &answer)).transpose()?
            }
        };
        if let Some(upid) = upid {
            self.client.wait(&upid, &step.to_string(), self.progress)?;
        }
        Ok(StepOutcome::Done)
    }

    /// The image's file comes to the storage: fetched from here where the target says so and can, else uploaded.
    fn upload(&self, desired: &Desired, observed: &Observed) -> Result<Option<task::Upid>, CallError> {
        let storage = &self.client.target().import_storage;
        let path = Path::new(["nodes", &observed.node, "storage", storage, "upload"]);
        let local = |why: String| self.client.failure(CallErrorKind::Local, Method::Post, &path, why);
        let (Some(image), Some(file)) = (&desired.file, self.file) else {
            return Err(local("there is no file of the image".into()));
        };
        let mut from = File::open(file).map_err(|e| local(format!("{}: {e}", file.display())))?;
        let upload = Upload {
            node: &observed.node,
            storage,
            content: UploadContent::Import,
            name: &image.name,
            size: image.size,
            digest: image.sha256,
        };
        if let Some(serve) = &self.client.target().serve {
            match self.client.download(&upload, file, serve, self.progress)? {
                DownloadResult::Present => return Ok(None),
                DownloadResult::Unavailable(why) => self.progress.say(format!(
                    "node {} cannot fetch the image from this host, so it is uploaded: {why}",
                    observed.node
                )),
            }
        }
        self.client.upload(&upload, &mut from, self.progress).map(Some)
    }

    fn upload_config_drive(&self, desired: &Desired, observed: &Observed) -> Result<task::Upid, CallError> {
        let storage = &self.client.target().iso_storage;
        let path = Path::new(["nodes", &observed.node, "storage", storage, "upload"]);
        let Some((disc, bytes)) = desired.config_drive.as_ref().and_then(|disc| Some((disc, disc.bytes.as_ref()?)))
        else {
            return Err(self.client.failure(CallErrorKind::Local, Method::Post, &path, "there is no disc to upload"));
        };
        let upload = Upload {
            node: &observed.node,
            storage,
            content: UploadContent::Iso,
            name: disc.file(),
            size: bytes.len() as u64,
            digest: Digest::of(bytes),
        };
        self.client.upload(&upload, &mut bytes.as_slice(), self.progress)
    }
}

enum StepOutcome {
    /// The call was carried out.
    Done,
    /// The machine is healthy.
    Healthy(health::HealthEvidence),
    /// It is not, and why.
    Unhealthy(String),
}

/// What the profile wishes of the cluster and cannot be had there.
fn unmet(desired: &Desired, observed: &Observed) -> Vec<String> {
    let of = ClusterMember {
        id: observed.machine.as_ref().map_or(0, |vm| vm.id),
        node: &observed.node,
        image: &desired.image,
    };
    desired.cluster.as_ref().map_or(Vec::new(), |spec| observed.cluster.unmet(spec, of, desired.config_drive.is_some()))
}

/// Somebody was faster with a number.
fn taken(failure: &CallError, step: &DeployStep) -> bool {
    matches!(step, DeployStep::Create { .. } | DeployStep::ImportStaging { .. })
        && failure.why.contains("already exists")
}

/// Failures after which the next look decides: what was asked may have been carried out, or somebody else was faster.
fn again(failure: &CallError) -> bool {
    let raced = failure.why.contains("checksum mismatch") || failure.why.contains("detected modified configuration");
    raced
        || (failure.unclear
            && matches!(failure.kind, CallErrorKind::Cut | CallErrorKind::TimedOut | CallErrorKind::Unavailable))
}

/// The image that the machine has already and works with, when only its values were new.
fn same_image_other_values(desired: &Desired, before: &Observed) -> Option<Generation> {
    let (vm, disc) = (before.machine.as_ref()?, desired.config_drive.as_ref()?);
    let same =
        vm.boots_from(&serial(desired.sha256)) && vm.volume(CONFIG_DRIVE).is_some_and(|volume| volume != disc.volume);
    let generation = vm.machine()?.of(desired.sha256)?;
    (same && generation.proven == HealthVerdict::Good).then(|| generation.clone())
}

/// The same with everything else as it was when it was observed.
fn as_before(desired: &Desired, generation: &Generation, before: &Observed) -> Desired {
    let back = Desired::back(&desired.name, &desired.image, generation);
    let Some(vm) = &before.machine else { return back };
    let was = |(key, _): (&String, &String)| Some((key.clone(), vm.config.get(key)?.clone()));
    let hardware = desired.hardware.as_ref().map(|keys| keys.iter().filter_map(was).collect());
    let attached = desired.config_drive.as_ref().and_then(|_| vm.volume(CONFIG_DRIVE));
    let config_drive = attached.map(|volume| ConfigDriveIso { volume: volume.to_owned(), bytes: None });
    Desired { hardware, config_drive, firewall: desired.firewall.as_ref().map(|_| vm.firewall.clone()), ..back }
}
