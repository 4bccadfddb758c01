//! The boots beside the one that everything is asked of: a damaged copy, which must refuse to start, and the disk itself
//! with nothing injected, which must look the same from the wire. They run meanwhile, where there is memory for two.

use crate::{
    ask::{Asker, Swept, Unanswered, is_verdict},
    attempts::VerifyInput,
    classes,
    judge::Judged,
    plan::Question,
    select::Wanted,
    session::{MEMORY, Session, Setup, Workplace},
    surroundings::Surroundings,
    tamper,
};
use diorite_host::interrupt;
use diorite_machine::{Accelerator, Budget, credentials};
use diorite_model::{Error, Exit, Result, report::Evidence};
use std::{path::Path, sync::mpsc::Sender};

/// What every one of these boots needs.
#[derive(Clone, Copy)]
pub(crate) struct Aside<'a> {
    pub input: &'a VerifyInput<'a>,
    pub accelerator: &'a Accelerator,
    pub around: &'a Surroundings,
    pub checks: &'a [Wanted],
    pub workplace: &'a Workplace,
}

/// An answer, and to which check.
pub(crate) type Answer<'a> = (&'a Wanted, Judged);

/// Every answer, and what the machine with nothing injected showed as its host key, where that was wanted.
pub(crate) type Answers<'a> = (Vec<Answer<'a>>, Option<Judged>);

/// Whether a second machine fits into the memory that is free now.
pub(crate) fn room() -> bool {
    Budget::measure().fits(&[MEMORY; 2])
}

impl<'a> Aside<'a> {
    /// Both boots, as far as they are wanted. `tell` hears what the sweeps of the machine with nothing injected have seen.
    pub(crate) fn boots(&self, mut tell: Option<Sender<Swept>>) -> Result<Answers<'a>> {
        let (mut answers, mut host_key) = (Vec::new(), None);
        for wanted in self.checks {
            answers.push(match wanted.check.question {
                Question::Untouched => (wanted, self.untouched(&mut host_key, tell.take())?),
                Question::Tamper => (wanted, self.tampered()?),
                _ => continue,
            });
        }
        Ok((answers, host_key))
    }

    /// Boots the disk with no word from outside, and asks everything that can be asked from the wire alone, and what its
    /// host key is where that is wanted.
    fn untouched(&self, host_key: &mut Option<Judged>, tell: Option<Sender<Swept>>) -> Result<Judged> {
        let directory = self.workplace.path("untouched");
        let capture = self.input.out.join("untouched-wire.pcapng");
        let session = self.session(self.input.disk, &directory, Some(&capture), Vec::new())?;
        let asked = classes::blamed(self.asked_on_the_wire(&session, host_key, tell), &session.machine, &[]);
        self.end(session, &directory, "untouched-console.log")?;
        asked
    }

    fn asked_on_the_wire(
        &self,
        session: &Session,
        host_key: &mut Option<Judged>,
        tell: Option<Sender<Swept>>,
    ) -> Result<Judged> {
        let watch = session.machine.watch(|| session.lab.frames());
        let mut asker = Asker::new(session, self.input.disk, watch, self.checks);
        // Nobody inside can say when the system has settled: what listens is waited for as long as anything moves.
        asker.waits_for(session.machine.pace.stall_limit());
        let mut questions: Vec<&Wanted> = self.checks.iter().filter(on_the_wire).collect();
        questions.sort_by_key(|w| place(&w.check.question));
        let (mut wrong, mut begun) = (Vec::new(), false);
        for wanted in &questions {
            interrupt::check()?;
            if place(&wanted.check.question) > 1 && !begun {
                begun = true;
                asker.begin(self.checks)?;
            }
            match asker.ask(&wanted.check.question) {
                Ok(Ok(_)) => {}
                Ok(Err(seen)) | Err(Unanswered::Skipped(seen)) => wrong.push(format!("{}: {seen}", wanted.check.id)),
                Err(Unanswered::Over(error)) if is_verdict(&error) => {
                    let why = classes::with_last_words(&error.what, &session.machine);
                    return Ok(Err(format!("{}: {why}", wanted.check.id)));
                }
                Err(Unanswered::Over(error)) => return Err(error),
            }
        }
        if let Some(tell) = tell {
            // Nobody hears it where the other machine has ended early.
            let _ = tell.send(asker.take_swept());
        }
        let clones = self.checks.iter().map(|w| &w.check.question).find(|q| matches!(q, Question::Clones(_)));
        if let Some(question) = clones {
            *host_key = match asker.ask(question) {
                Ok(judged) => Some(judged),
                Err(Unanswered::Skipped(seen)) => Some(Err(seen)),
                Err(Unanswered::Over(error)) if is_verdict(&error) => Some(Err(error.what)),
                Err(Unanswered::Over(error)) => return Err(error),
            };
        }
        Ok(match &wrong[..] {
            [] => Ok(format!("{} questions answered as they must be", questions.len())),
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
        match tamper::copy(self.input.disk, &disk) {
            // No root partition to tamper with is a verdict on the image.
            Err(error) if error.exit == Exit::Input => return Ok(Err(error.to_string())),
            other => other?,
        }
        let session = self.session(&disk, &directory, None, credentials::shell())?;
        let mut watch = session.machine.watch(|| session.lab.frames()).expecting(tamper::EXPECTED);
        let judged = classes::blamed(tamper::refused(&session, &mut watch), &session.machine, &[]);
        drop(watch);
        self.end(session, &directory, "tampered-console.log")?;
        judged
    }

    fn session(
        &self,
        disk: &Path,
        directory: &Path,
        capture: Option<&Path>,
        credentials: Vec<credentials::Credential>,
    ) -> Result<Session> {
        let Self { input, accelerator, around, .. } = *self;
        Session::start(Setup { tools: input.tools, accelerator, around, disk, directory }, capture, credentials)
    }

    /// Ends the machine and keeps what its console said.
    fn end(&self, session: Session, directory: &Path, name: &str) -> Result<()> {
        let Session { machine, lab, .. } = session;
        machine.end();
        drop(lab);
        keep(&directory.join("console.log"), &self.input.out.join(name))
    }
}

/// Asked from outside, and with nobody's help inside.
fn on_the_wire(wanted: &&Wanted) -> bool {
    let check = &wanted.check;
    (check.evidence == Evidence::Outside || check.question == Question::Kernel)
        && !matches!(check.question, Question::Churn(_) | Question::Untouched | Question::Clones(_) | Question::Agent)
}

/// First the addresses, then what must have come up, then every port, and at last what was seen all the time.
fn place(question: &Question) -> u8 {
    match question {
        Question::Lease | Question::Address6 | Question::Fixed(..) => 0,
        Question::Ping(_) | Question::Ssh(_) | Question::Http(_) | Question::Metrics => 1,
        Question::Watched | Question::Unasked(_) | Question::Kernel => 3,
        _ => 2,
    }
}

/// Moves a console's log to where people look for it.
pub(crate) fn keep(from: &Path, to: &Path) -> Result<()> {
    diorite_host::file::rename_scratch(from, to).map_err(|e| Error::io("the console's log cannot be kept", to, e))
}
