//! Carries a plan out: looks, takes the next step, and looks again, until nothing is left to do.
//!
//! A call whose answer got lost is not repeated blindly: the next look shows whether it was carried out.

use crate::client::{Client, Failure, Kind, Method, Path};
use crate::cluster::Of;
use crate::download::Fetched;
use crate::health::{self, Question};
use crate::plan::{self, Call, Step};
use crate::record::{Generation, Proven, serial};
use crate::seen::{Listed, Look, Seen};
use crate::task;
use crate::upload::{Content, Upload};
use crate::wanted::{DISC, Disc, Wanted};
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
    pub questions: &'a [Question],
    /// How long it may take until it has shown that it works.
    pub patience: Duration,
    /// Where stages are shown.
    pub progress: &'a Progress,
}

/// What was done.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// The machine's number.
    pub id: u32,
    /// The node it is on.
    pub node: String,
    /// The steps that were taken.
    pub steps: Vec<Step>,
    /// What the machine has shown; none when it had shown it before.
    pub evidence: Option<health::Evidence>,
    /// Seconds from the beginning of the shutdown to the machine's answer, when there was one.
    pub away: Option<f64>,
    /// What the profile wishes of the cluster and cannot be had there, in words.
    pub unmet: Vec<String>,
    /// Seconds, all in all.
    pub seconds: f64,
}

/// What would be done.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// The steps, each with its call.
    pub steps: Vec<(Step, Option<Call>)>,
    /// As in [`Done`].
    pub unmet: Vec<String>,
}

/// A machine that has not shown that it works, and what was done about it.
#[derive(Debug, Clone)]
pub struct NotProven {
    /// What was not right.
    pub why: String,
    /// What it went back to.
    pub back: Option<Generation>,
}

impl Deployer<'_> {
    fn look(&self) -> Look<'_> {
        Look { client: self.client, progress: self.progress, taken: BTreeSet::new() }
    }

    /// The UUID of a machine that is there. One that is not gets its node: `placed` are those that will be there before it.
    pub fn place(&self, wanted: &mut Wanted, placed: &mut Vec<Listed>) -> Result<Option<String>> {
        let seen = self.seen(wanted)?;
        if let Some(vm) = &seen.machine {
            return Ok(vm.uuid().map(str::to_owned));
        }
        let kin = [&seen.kin[..], placed].concat();
        let node = self.look().roomiest(&kin)?;
        placed.push(Listed { id: 0, node: node.clone(), ha: None });
        wanted.node = Some(node);
        Ok(None)
    }

    /// What is there for this machine.
    pub fn seen(&self, wanted: &Wanted) -> Result<Seen> {
        self.look().at(wanted)
    }

    /// Brings the image's file to where the machine is, if it will be needed there.
    pub fn bring(&self, wanted: &Wanted) -> Result<()> {
        let seen = self.seen(wanted)?;
        if plan::all(wanted, &seen, self.client.target())?.contains(&Step::Upload) {
            self.step(&Step::Upload, wanted, &seen)?;
        }
        Ok(())
    }

    /// The steps that would be taken, each with its call; nothing is changed. `taken`: numbers that other machines would
    /// have got before.
    pub fn plan(&self, wanted: &Wanted, taken: &BTreeSet<u32>) -> Result<Planned> {
        let target = self.client.target();
        let mut seen = Look { taken: taken.clone(), ..self.look() }.at(wanted)?;
        let (steps, unmet) = (plan::all(wanted, &seen, target)?, unmet(wanted, &seen));
        let with_call = |step: Step| {
            let call = step.call(wanted, &seen, target);
            step.after(wanted, target, &mut seen);
            (step, call)
        };
        Ok(Planned { steps: steps.into_iter().map(with_call).collect(), unmet })
    }

    /// Makes the machine what is wanted. When the image does not show that it works, the machine goes back to the one it
    /// had, and the error says so.
    ///
    /// # Errors
    /// [`Exit::VerificationFailed`] when it did not show that it works; whatever a call can fail with.
    pub fn deploy(&self, wanted: &Wanted) -> Result<Done> {
        let before = self.seen(wanted)?;
        let (done, verdict) = self.converge(wanted)?;
        let Some(why) = verdict else { return Ok(done) };
        let what = format!("{} {} did not show on machine {} that it works", wanted.image, wanted.version, done.id);
        let error = Error::new(Exit::VerificationFailed, what).at(self.client.target().url.clone()).because(why);
        let values = same_image_other_values(wanted, &before);
        let Some(back) = values.map_or_else(|| self.worked(wanted), |same| Ok(Some(same)))? else {
            return Err(
                error.hint("the machine is left as it is: look at its console; nothing was there before to go back to")
            );
        };
        self.progress.say(format!("going back to {} {}", wanted.image, back.version));
        let (_, verdict) = self.converge(&as_before(wanted, &back, &before))?;
        Err(match verdict {
            None => error.hint(format!("the machine went back to {} {}, which works", wanted.image, back.version)),
            Some(why) => error.hint(format!(
                "the machine went back to {} {}, which does not show that it works either: {why}",
                wanted.image, back.version
            )),
        })
    }

    /// Goes to an image that the machine has had.
    ///
    /// # Errors
    /// As [`deploy`](Self::deploy); the machine stays with the image that was asked for.
    pub fn roll_back(&self, wanted: &Wanted) -> Result<Done> {
        let (done, verdict) = self.converge(wanted)?;
        match verdict {
            None => Ok(done),
            Some(why) => {
                let what =
                    format!("{} {} did not show on machine {} that it works", wanted.image, wanted.version, done.id);
                Err(Error::new(Exit::VerificationFailed, what).at(self.client.target().url.clone()).because(why))
            }
        }
    }

    /// The image that the machine had before and that worked.
    fn worked(&self, wanted: &Wanted) -> Result<Option<Generation>> {
        let seen = self.seen(wanted)?;
        let machine = seen.machine.as_ref().and_then(|vm| vm.machine());
        let earlier = machine.iter().flat_map(|m| &m.generations);
        Ok(earlier.filter(|g| g.sha256 != wanted.sha256).find(|g| g.proven == Proven::Good).cloned())
    }

    /// Takes steps until none is left. The words say why the machine has not shown that it works.
    fn converge(&self, wanted: &Wanted) -> Result<(Done, Option<String>)> {
        let (target, begun) = (self.client.target(), Instant::now());
        let mut wanted = wanted.clone();
        let (mut steps, mut verdict, mut evidence): (Vec<Step>, _, _) = (Vec::new(), None, None);
        let (mut look, mut tries) = (self.look(), 0);
        let (mut down, mut away) = (None, None);
        loop {
            interrupt::check()?;
            let seen = look.at(&wanted)?;
            let Some(step) = plan::next(&wanted, &seen, target)? else {
                let unmet = unmet(&wanted, &seen);
                let vm = seen.machine.ok_or_else(|| Error::bug("a plan ends without a machine"))?;
                let seconds = begun.elapsed().as_secs_f64();
                return Ok((Done { id: vm.id, node: vm.node, steps, evidence, away, unmet, seconds }, verdict));
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
            match self.step(&step, &wanted, &seen) {
                Ok(Outcome::Done) => {}
                Ok(Outcome::Shown(seen)) => {
                    away = down.map(|down| down.elapsed().as_secs_f64());
                    wanted.verdict = Some(Proven::Good);
                    evidence = Some(seen);
                }
                Ok(Outcome::NotShown(why)) => {
                    wanted.verdict = Some(Proven::Failed);
                    verdict = Some(why);
                }
                Err(failure) if taken(&failure, &step) => {
                    look.taken.extend(seen.free.first());
                }
                // Carried out or not: the next look tells.
                Err(failure) if again(&failure) && tries + 1 < TRIES => self.client.rest(1),
                Err(failure) => return Err(failure.into()),
            }
            steps.push(step);
        }
    }

    fn step(&self, step: &Step, wanted: &Wanted, seen: &Seen) -> Result<Outcome, Failure> {
        if *step == Step::Prove {
            let Some(vm) = &seen.machine else { return Ok(Outcome::Done) };
            let patient = health::Patience { client: self.client, agent: vm.has_agent(), patience: self.patience };
            return Ok(match patient.ask(vm, self.questions, self.progress)? {
                Ok(evidence) => Outcome::Shown(evidence),
                Err(why) => Outcome::NotShown(why),
            });
        }
        let upid = match step.call(wanted, seen, self.client.target()) {
            None if *step == Step::Disc => Some(self.upload_disc(wanted, seen)?),
            None => self.upload(wanted, seen)?,
            Some(call) => {
                let answer = self.client.call(call.method, &call.path, &call.parameters)?;
                // Nothing: it was done at once.
                answer.as_str().map(|_| task::of_answer(self.client, call.method, &call.path, &answer)).transpose()?
            }
        };
        if let Some(upid) = upid {
            self.client.wait(&upid, &step.to_string(), self.progress)?;
        }
        Ok(Outcome::Done)
    }

    /// The image's file comes to the storage: fetched from here where the target says so and can, else uploaded.
    fn upload(&self, wanted: &Wanted, seen: &Seen) -> Result<Option<task::Upid>, Failure> {
        let storage = &self.client.target().import;
        let path = Path::new(["nodes", &seen.node, "storage", storage, "upload"]);
        let local = |why: String| self.client.failure(Kind::Local, Method::Post, &path, why);
        let (Some(image), Some(file)) = (&wanted.file, self.file) else {
            return Err(local("there is no file of the image".into()));
        };
        let mut from = File::open(file).map_err(|e| local(format!("{}: {e}", file.display())))?;
        let upload = Upload {
            node: &seen.node,
            storage,
            content: Content::Import,
            name: &image.name,
            size: image.size,
            digest: image.sha256,
        };
        if let Some(serve) = &self.client.target().serve {
            match self.client.fetched(&upload, file, serve, self.progress)? {
                Fetched::There => return Ok(None),
                Fetched::Not(why) => self
                    .progress
                    .say(format!("node {} cannot fetch the image from this host, so it is uploaded: {why}", seen.node)),
            }
        }
        self.client.upload(&upload, &mut from, self.progress).map(Some)
    }

    fn upload_disc(&self, wanted: &Wanted, seen: &Seen) -> Result<task::Upid, Failure> {
        let storage = &self.client.target().discs;
        let path = Path::new(["nodes", &seen.node, "storage", storage, "upload"]);
        let Some((disc, bytes)) = wanted.disc.as_ref().and_then(|disc| Some((disc, disc.bytes.as_ref()?))) else {
            return Err(self.client.failure(Kind::Local, Method::Post, &path, "there is no disc to upload"));
        };
        let upload = Upload {
            node: &seen.node,
            storage,
            content: Content::Iso,
            name: disc.file(),
            size: bytes.len() as u64,
            digest: Digest::of(bytes),
        };
        self.client.upload(&upload, &mut bytes.as_slice(), self.progress)
    }
}

enum Outcome {
    Done,
    Shown(health::Evidence),
    NotShown(String),
}

/// What the profile wishes of the cluster and cannot be had there.
fn unmet(wanted: &Wanted, seen: &Seen) -> Vec<String> {
    let of = Of { id: seen.machine.as_ref().map_or(0, |vm| vm.id), node: &seen.node, image: &wanted.image };
    wanted.cluster.as_ref().map_or(Vec::new(), |wish| seen.cluster.unmet(wish, of, wanted.disc.is_some()))
}

/// Somebody was faster with a number.
fn taken(failure: &Failure, step: &Step) -> bool {
    matches!(step, Step::Create { .. } | Step::Stage { .. }) && failure.why.contains("already exists")
}

/// Failures after which the next look decides: what was asked may have been carried out, or somebody else was faster.
fn again(failure: &Failure) -> bool {
    let raced = failure.why.contains("checksum mismatch") || failure.why.contains("detected modified configuration");
    raced || (failure.unclear && matches!(failure.kind, Kind::Cut | Kind::TimedOut | Kind::Unavailable))
}

/// The image that the machine has already and works with, when only its values were new.
fn same_image_other_values(wanted: &Wanted, before: &Seen) -> Option<Generation> {
    let (vm, disc) = (before.machine.as_ref()?, wanted.disc.as_ref()?);
    let same = vm.starts_from(&serial(wanted.sha256)) && vm.volume(DISC).is_some_and(|volume| volume != disc.volume);
    let generation = vm.machine()?.of(wanted.sha256)?;
    (same && generation.proven == Proven::Good).then(|| generation.clone())
}

/// The same with everything else as it was when it was seen.
fn as_before(wanted: &Wanted, generation: &Generation, before: &Seen) -> Wanted {
    let back = Wanted::back(&wanted.name, &wanted.image, generation);
    let Some(vm) = &before.machine else { return back };
    let was = |(key, _): (&String, &String)| Some((key.clone(), vm.config.get(key)?.clone()));
    let hardware = wanted.hardware.as_ref().map(|keys| keys.iter().filter_map(was).collect());
    let disc = wanted.disc.as_ref().and_then(|_| vm.volume(DISC));
    let disc = disc.map(|volume| Disc { volume: volume.to_owned(), bytes: None });
    Wanted { hardware, disc, firewall: wanted.firewall.as_ref().map(|_| vm.firewall.clone()), ..back }
}
