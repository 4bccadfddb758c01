//! A check: one thing that must be true of an image, with all that is known of it: its words, when it is asked, how it is
//! asked and how the answer is judged. What a check asks for is in `derived` and `declared`; what runs checks knows only
//! this type.

use crate::{
    answer::{AskResult, Judged, Unanswered},
    asker::Asker,
    sweep::{Family, Sweep},
};
use diorite_machine::Output;
use diorite_model::report::Evidence;
use std::{fmt, sync::Arc};

/// When a check is asked, and what must have been asked before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The machine gets an address. Checks of its family on the wire come after it.
    Address,
    /// The system has settled. Everything but addresses comes after it.
    Settled,
    /// The running system: what it says inside, and what it answers on the wire.
    System,
    /// Its ports, all of which are asked while other checks are.
    Ports,
    /// What was seen of the whole boot until now.
    Summary,
}

/// How a question is asked, and its answer judged. It owns whatever it needs to know of the recipe.
pub type AskFn = Arc<dyn Fn(&mut Asker<'_>) -> AskResult + Send + Sync>;

/// What a check runs on, as far as boots are planned by it.
#[derive(Clone)]
pub enum CheckRun {
    /// The machine that everything is asked of.
    Ask(AskFn),
    /// The same, by many ports together: begun early, because it takes long.
    Sweep(Sweep),
    /// That machine and the one with nothing injected; both answers are compared.
    Both(AskFn, fn(&Judged, &Judged) -> Judged),
    /// A boot of its own.
    OtherBoot(OtherBoot),
    /// The end of the machine that everything was asked of.
    PowerOff,
    /// No machine: the disk's bytes after all boots.
    DiskUnchanged,
}

/// A boot beside the one of the machine that everything is asked of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherBoot {
    /// The disk itself, with nothing injected.
    Uninjected,
    /// A copy with one flipped byte in its root.
    Tampered,
    /// A copy with another command line in its signed kernel image.
    Altered,
    /// The disk itself, with a word added to its command line from outside.
    Added,
}

/// One thing that must be true.
#[derive(Clone)]
pub struct Check {
    /// Stable short name; no other check of a plan has the same.
    pub id: String,
    /// In words.
    pub what: String,
    /// Where the answer comes from.
    pub evidence: Evidence,
    /// When it is asked.
    pub phase: Phase,
    /// The family of addresses it is asked over; of a check in [`Phase::Address`], the one it is about.
    pub family: Option<Family>,
    /// AskResult of the machine with nothing injected, too.
    pub uninjected: bool,
    /// About the boot itself: a machine that was restored from a snapshot cannot answer it.
    pub from_power_on: bool,
    /// How it is asked.
    pub run: CheckRun,
}

impl Check {
    /// A check of the running system.
    pub fn new(id: impl Into<String>, what: impl Into<String>, evidence: Evidence, run: CheckRun) -> Self {
        let (id, what, uninjected) = (id.into(), what.into(), evidence == Evidence::Outside);
        Self { id, what, evidence, phase: Phase::System, family: None, uninjected, from_power_on: false, run }
    }

    /// AskResult on the wire, of the machine with nothing injected too.
    pub fn outside(
        id: impl Into<String>,
        what: impl Into<String>,
        ask: impl Fn(&mut Asker<'_>) -> AskResult + Send + Sync + 'static,
    ) -> Self {
        Self::new(id, what, Evidence::Outside, CheckRun::Ask(Arc::new(ask)))
    }

    /// AskResult in the machine.
    pub fn inside(
        id: impl Into<String>,
        what: impl Into<String>,
        ask: impl Fn(&mut Asker<'_>) -> AskResult + Send + Sync + 'static,
    ) -> Self {
        Self::new(id, what, Evidence::Inside, CheckRun::Ask(Arc::new(ask)))
    }

    /// What a script prints in the machine, judged.
    pub fn script(
        id: impl Into<String>,
        what: impl Into<String>,
        script: impl Into<String>,
        judge: impl Fn(&Output) -> Judged + Send + Sync + 'static,
    ) -> Self {
        let script = script.into();
        Self::inside(id, what, move |machine| Ok(judge(&machine.run(&script)?)))
    }

    /// The same, asked again for a while when it is not as it must be.
    pub fn settling_script(
        id: impl Into<String>,
        what: impl Into<String>,
        script: impl Into<String>,
        judge: impl Fn(&Output) -> Judged + Send + Sync + 'static,
    ) -> Self {
        let script = script.into();
        Self::inside(id, what, move |machine| Ok(machine.settled(&script, &judge)?))
    }

    /// The same check in another phase.
    pub fn phase(self, phase: Phase) -> Self {
        Self { phase, ..self }
    }

    /// The same check, asked over this family of addresses.
    pub fn over(self, family: Family) -> Self {
        Self { family: Some(family), ..self }
    }

    /// The same check, asked of the injected machine alone.
    pub fn injected_only(self) -> Self {
        Self { uninjected: false, ..self }
    }

    /// The same check, about the boot itself.
    pub fn of_the_boot(self) -> Self {
        Self { from_power_on: true, ..self }
    }

    /// Whether it has a boot of its own, or needs none.
    pub fn is_apart(&self) -> bool {
        matches!(self.run, CheckRun::OtherBoot(_) | CheckRun::DiskUnchanged)
    }

    /// Whether it is this boot of its own.
    pub fn is_boot(&self, boot: OtherBoot) -> bool {
        matches!(&self.run, CheckRun::OtherBoot(own) if *own == boot)
    }

    /// The ports that are to be swept for it.
    pub fn sweep(&self) -> Option<&Sweep> {
        match &self.run {
            CheckRun::Sweep(sweep) => Some(sweep),
            _ => None,
        }
    }

    /// Whether it makes no sense before `first` was asked: an address is known by then, the system has settled, the other
    /// machine has been booted. What is needed needs nothing further.
    pub fn needs(&self, first: &Self) -> bool {
        match (first.phase, &first.run) {
            (_, CheckRun::OtherBoot(OtherBoot::Uninjected)) => matches!(self.run, CheckRun::Both(..)),
            (Phase::Address, _) => self.phase != Phase::Address && self.family.is_some() && self.family == first.family,
            (Phase::Settled, _) => self.phase > Phase::Settled && !self.is_apart(),
            _ => false,
        }
    }

    /// Asks.
    pub fn ask(&self, machine: &mut Asker<'_>) -> AskResult {
        match &self.run {
            CheckRun::Ask(ask) | CheckRun::Both(ask, _) => ask(machine),
            CheckRun::Sweep(sweep) => Ok(sweep.judge(machine.swept(sweep)?)),
            CheckRun::OtherBoot(_) | CheckRun::PowerOff | CheckRun::DiskUnchanged => {
                Err(Unanswered::Skipped("asked elsewhere".to_owned()))
            }
        }
    }
}

/// Its id is its identity: what it asks cannot be compared.
impl PartialEq for Check {
    fn eq(&self, other: &Self) -> bool {
        (&self.id, &self.what, self.evidence) == (&other.id, &other.what, other.evidence)
    }
}

impl Eq for Check {}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?}, {:?})", self.id, self.evidence, self.phase)
    }
}
