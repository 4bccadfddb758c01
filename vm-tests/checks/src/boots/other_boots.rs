//! The other boots, beside the one that everything is asked of: a damaged copy, which must refuse to start, and the disk itself
//! with nothing injected, which must look the same from the wire. They run meanwhile, where there is memory for two.

use super::{classes, secure_boot, tampered};
use crate::{
    answer::{AskResult, Judged, Unanswered, is_verdict},
    asker::{Asker, Swept},
    check::{Check, CheckRun, OtherBoot, Phase},
    input::VerifyInput,
    select::SelectedCheck,
    session::{LabSession, Workplace},
    setup::{MEMORY, Setup},
    surroundings::Surroundings,
};
use diorite_host::interrupt;
use diorite_machine::{Accelerator, Budget, MachineHardware, credentials};
use diorite_model::{Error, Exit, Result};
use std::{path::Path, sync::mpsc::Sender};

/// What every one of these boots needs.
#[derive(Clone, Copy)]
pub(crate) struct OtherBoots<'a> {
    pub input: &'a VerifyInput<'a>,
    pub accelerator: &'a Accelerator,
    pub around: &'a Surroundings,
    pub checks: &'a [SelectedCheck],
    pub workplace: &'a Workplace,
}

/// An answer, and to which check.
pub(crate) type CheckAnswer<'a> = (&'a SelectedCheck, Judged);

/// Every answer, and those of the machine with nothing injected to checks that compare it with the first.
pub(crate) type OtherAnswers<'a> = (Vec<CheckAnswer<'a>>, Vec<CheckAnswer<'a>>);

/// Whether a second machine fits into the memory that is free now.
pub(crate) fn two_fit() -> bool {
    Budget::measure().fits(&[MEMORY; 2])
}

impl<'a> OtherBoots<'a> {
    /// Both boots, as far as they are wanted. `tell` hears what the sweeps of the machine with nothing injected have seen.
    pub(crate) fn boots(&self, mut tell: Option<Sender<Swept>>) -> Result<OtherAnswers<'a>> {
        let (mut answers, mut compared) = (Vec::new(), Vec::new());
        for wanted in self.checks {
            answers.push(match wanted.check.run {
                CheckRun::OtherBoot(OtherBoot::Uninjected) => (wanted, self.uninjected(&mut compared, tell.take())?),
                CheckRun::OtherBoot(OtherBoot::Tampered) => (wanted, self.tampered()?),
                CheckRun::OtherBoot(OtherBoot::Altered) => (wanted, self.altered()?),
                CheckRun::OtherBoot(OtherBoot::Added) => (wanted, self.added()?),
                _ => continue,
            });
        }
        Ok((answers, compared))
    }

    /// Boots the disk with no word from outside, and asks everything that can be asked from the wire alone.
    fn uninjected(&self, compared: &mut Vec<CheckAnswer<'a>>, tell: Option<Sender<Swept>>) -> Result<Judged> {
        let directory = self.workplace.path("untouched");
        let capture = self.input.out.join("untouched-wire.pcapng");
        let hardware = self.around.hardware.uninjected;
        let session = self.session(self.input.disk, hardware, &directory, Some(&capture), Vec::new())?;
        let asked = classes::blamed(self.asked_on_the_wire(&session, compared, tell), &session.machine, &[]);
        self.end(session, &directory, "untouched-console.log")?;
        asked
    }

    fn asked_on_the_wire(
        &self,
        session: &LabSession,
        compared: &mut Vec<CheckAnswer<'a>>,
        tell: Option<Sender<Swept>>,
    ) -> Result<Judged> {
        let watch = session.machine.watch(|| session.lab.frames());
        let mut asker = Asker::new(session, self.input.disk, watch);
        // Without a shell it is not known when the system has settled: each answer is waited for as long as anything moves.
        asker.waits_for(session.machine.pace.stall_limit());
        let mut checks: Vec<&Check> = self.checks.iter().map(|s| &s.check).filter(|c| c.uninjected).collect();
        // First the addresses, then what must have come up, then every port, and at last what was seen all the time.
        checks.sort_by_key(|check| check.phase);
        let (mut wrong, mut begun) = (Vec::new(), false);
        for check in &checks {
            interrupt::check()?;
            if check.phase >= Phase::Ports && !begun {
                begun = true;
                asker.begin(self.checks.iter().filter_map(|s| s.check.sweep()))?;
            }
            let asked = check.ask(&mut asker);
            let over = matches!(&asked, Err(Unanswered::Over(_)));
            match judged(asked)? {
                Ok(_) => {}
                Err(seen) if over => {
                    let why = classes::with_last_words(&seen, &session.machine);
                    return Ok(Err(format!("{}: {why}", check.id)));
                }
                Err(seen) => wrong.push(format!("{}: {seen}", check.id)),
            }
        }
        if let Some(tell) = tell {
            // The receiver is gone where the other machine has ended early.
            let _ = tell.send(asker.take_swept());
        }
        for selected in self.checks.iter().filter(|s| matches!(s.check.run, CheckRun::Both(..))) {
            compared.push((selected, judged(selected.check.ask(&mut asker))?));
        }
        Ok(match &wrong[..] {
            [] => Ok(format!("{} questions answered as they must be", checks.len())),
            // Each gets its share of what a person reads.
            wrong => {
                let cut = |text: &String| text.chars().take(1200 / wrong.len()).collect::<String>();
                Err(wrong.iter().map(cut).collect::<Vec<_>>().join("; "))
            }
        })
    }

    /// Boots a copy with one flipped byte.
    fn tampered(&self) -> Result<Judged> {
        let (disk, directory) = (self.workplace.path("tampered.raw"), self.workplace.path("tampered"));
        match tampered::copy(self.input.disk, &disk) {
            // No root partition to tamper with is a verdict on the image.
            Err(error) if error.exit == Exit::Input => return Ok(Err(error.to_string())),
            other => other?,
        }
        let hardware = self.around.hardware.tampered;
        let session = self.session(&disk, hardware, &directory, None, credentials::shell())?;
        let mut watch = session.machine.watch(|| session.lab.frames()).expecting(tampered::EXPECTED);
        let judged = classes::blamed(tampered::refused(&session, &mut watch), &session.machine, &[]);
        drop(watch);
        self.end(session, &directory, "tampered-console.log")?;
        judged
    }

    /// Boots a copy whose signed kernel image has another command line.
    fn altered(&self) -> Result<Judged> {
        let (disk, directory) = (self.workplace.path("altered.raw"), self.workplace.path("altered"));
        match secure_boot::altered_copy(self.input.disk, &disk) {
            Err(error) if error.exit == Exit::Input => return Ok(Err(error.to_string())),
            other => other?,
        }
        let session = self.session(&disk, self.around.hardware.tampered, &directory, None, credentials::shell())?;
        let mut watch = session.machine.watch(|| session.lab.frames()).expecting(secure_boot::EXPECTED);
        let judged = classes::blamed(secure_boot::not_started(&session, &mut watch), &session.machine, &[]);
        drop(watch);
        self.end(session, &directory, "altered-console.log")?;
        judged
    }

    /// Boots the disk with a word more on its command line.
    fn added(&self) -> Result<Judged> {
        let directory = self.workplace.path("added");
        let words = [credentials::shell(), vec![credentials::command_line(secure_boot::ADDED)]].concat();
        let session = self.session(self.input.disk, self.around.hardware.tampered, &directory, None, words)?;
        let mut watch = session.machine.watch(|| session.lab.frames()).expecting(secure_boot::EXPECTED);
        let judged = classes::blamed(secure_boot::stopped(&session, &mut watch), &session.machine, &[]);
        drop(watch);
        self.end(session, &directory, "added-console.log")?;
        judged
    }

    fn session(
        &self,
        disk: &Path,
        hardware: MachineHardware,
        directory: &Path,
        capture: Option<&Path>,
        credentials: Vec<credentials::Credential>,
    ) -> Result<LabSession> {
        let Self { input, accelerator, around, .. } = *self;
        let setup = Setup { tools: input.tools, accelerator, around, hardware, disk, directory };
        LabSession::start(setup, capture, credentials)
    }

    /// Ends the machine and keeps what its console said.
    fn end(&self, session: LabSession, directory: &Path, name: &str) -> Result<()> {
        let LabSession { machine, lab, .. } = session;
        machine.end();
        drop(lab);
        keep(&directory.join("console.log"), &self.input.out.join(name))
    }
}

/// The answer of a machine that can be asked no more counts as one that is not as it must be.
fn judged(asked: AskResult) -> Result<Judged> {
    match asked {
        Ok(judged) => Ok(judged),
        Err(Unanswered::Skipped(seen)) => Ok(Err(seen)),
        Err(Unanswered::Over(error)) if is_verdict(&error) => Ok(Err(error.what)),
        Err(Unanswered::Over(error)) => Err(error),
    }
}

/// Moves a console's log to where people look for it.
pub(crate) fn keep(from: &Path, to: &Path) -> Result<()> {
    diorite_host::file::rename_scratch(from, to).map_err(|e| Error::io("the console's log cannot be kept", to, e))
}
