//! Disk image → answers: one machine of which everything is asked, booted or put back to a kept moment, the boots beside
//! it, what was seen kept.

mod keep;

use crate::{
    aside::{self, Aside, keep},
    ask::{Asker, Swept, Unanswered, is_verdict},
    attempts::VerifyInput,
    classes, facts,
    judge::{self, Judged},
    moment::{Identity, Kept, Known, Moments, Stamp},
    plan::{Of, Question},
    select::Wanted,
    session::{Session, Setup, Workplace},
    surroundings::Surroundings,
};
use diorite_host::{
    interrupt,
    progress::{Bar, BarUnit},
};
use diorite_machine::{Accelerator, AlarmKind, credentials};
use diorite_model::{
    Digest, Error, Exit, Result,
    report::{Boot, CheckResult, Class, Ended, Verdict},
};
use keep::{Failure, Settled};
use std::{
    path::Path,
    sync::mpsc::{self, Receiver},
    time::{Duration, Instant},
};

/// What a pass is made of besides its input.
pub(crate) struct Pass<'a> {
    pub accelerator: &'a Accelerator,
    pub around: &'a Surroundings,
    /// Every check that is asked.
    pub checks: &'a [Wanted],
    /// The moment from which the machine goes on; none: it is switched on.
    pub from: Option<&'a Kept>,
    /// The moment to keep when the system has settled.
    pub keep: Option<&'a Identity>,
    pub moments: &'a Moments,
    /// The disk's file when its digest was right.
    pub disk: &'a Stamp,
}

/// One pass over a disk: its boots, every check of `checks` asked, what was seen. An error is one after which there is
/// nothing to report: the user's interrupt, or input that is wrong.
pub(crate) fn pass(input: &VerifyInput<'_>, pass: &Pass<'_>) -> Result<Passed> {
    let stage = input.progress.stage("verify");
    let bar = stage.bar(pass.checks.len() as u64, BarUnit::Items);
    let mut run = Run {
        input,
        pass,
        bar,
        results: Vec::new(),
        power_on: Instant::now(),
        noted: 0.0,
        boot: Boot::default(),
        unrestored: None,
        settled: None,
        failure: None,
        host_key: None,
    };
    let ended = match run.boots() {
        Ok(()) => None,
        Err(error) => Some(classes::ended(error, run.power_on.elapsed())?),
    };
    let Run { results, boot, power_on, unrestored, .. } = run;
    let fails = results.iter().filter(|r| r.verdict == Verdict::Fail).count();
    stage.done(match (&ended, &unrestored) {
        (Some((ended, _)), _) => ended.what.clone(),
        (_, Some(error)) => error.what.clone(),
        (None, None) => format!("{} asked, {fails} failed", results.len()),
    });
    Ok(Passed { results, boot, seconds: power_on.elapsed().as_secs_f64(), ended, unrestored })
}

/// What a pass saw.
pub(crate) struct Passed {
    pub results: Vec<CheckResult>,
    pub boot: Boot,
    pub seconds: f64,
    /// Why it ended early, and the error to end with when nothing helps.
    pub ended: Option<(Ended, Error)>,
    /// Why the machine could not be put back to its moment; nothing was asked then.
    pub unrestored: Option<Error>,
}

struct Run<'a> {
    input: &'a VerifyInput<'a>,
    pass: &'a Pass<'a>,
    bar: Bar,
    results: Vec<CheckResult>,
    power_on: Instant,
    /// Seconds after power-on when the last answer was there.
    noted: f64,
    boot: Boot,
    unrestored: Option<Error>,
    /// What was known when the moment of the settled system was kept.
    settled: Option<Settled>,
    /// The same of the moment of failure.
    failure: Option<Failure>,
    /// What the first machine showed as its host key.
    host_key: Option<Judged>,
}

impl Run<'_> {
    fn boots(&mut self) -> Result<()> {
        let workplace = Workplace::new(self.input.out)?;
        let (input, Pass { accelerator, around, checks, .. }) = (self.input, self.pass);
        let aside = Aside { input, accelerator, around, checks, workplace: &workplace };
        let beside = |c: &&Wanted| matches!(c.check.question, Question::Untouched | Question::Tamper);
        let (asked, more) =
            (checks.iter().any(|c| c.check.question.of() != Of::Itself), checks.iter().any(|c| beside(&c)));
        let untouched = checks.iter().any(|c| c.check.question == Question::Untouched);
        let (answers, other_key) = if asked && more && aside::room() {
            std::thread::scope(|scope| {
                let (tell, told) = mpsc::channel();
                // QEMU ends with the thread that started it.
                let other = scope.spawn(move || aside.boots(Some(tell)));
                let here = self.good_machine(&workplace, untouched.then_some(told));
                let there = other.join().unwrap_or_else(|_| Err(Error::bug("a boot beside has ended in a panic")));
                here.and(there)
            })?
        } else {
            if asked {
                self.good_machine(&workplace, None)?;
            }
            if more {
                self.bar.set_message("a boot with nothing injected, and one of a damaged copy");
            }
            aside.boots(None)?
        };
        for (wanted, judged) in answers {
            self.note(wanted, verdict(judged));
        }
        let clones = checks.iter().find(|c| matches!(c.check.question, Question::Clones(_)));
        if let (Some(wanted), Some(one), Some(other)) = (clones, self.host_key.take(), other_key) {
            self.note(wanted, verdict(judge::clones(&one, &other)));
        }
        self.disk_unchanged()
    }

    /// Boots the disk itself, or puts it back to its moment, and asks everything that it can be asked; `swept` tells what
    /// sweeps of another machine from the same disk have seen.
    fn good_machine(&mut self, workplace: &Workplace, swept: Option<Receiver<Swept>>) -> Result<()> {
        let (out, directory) = (self.input.out, workplace.path("boot"));
        let Some(session) = self.session(&directory, &out.join("wire.pcapng"))? else { return Ok(()) };
        self.power_on = Instant::now().checked_sub(session.machine.uptime()).unwrap_or(self.power_on);
        let asked = classes::blamed(self.ask_all(&session, swept), &session.machine, &self.results);
        // Whoever interrupts does not ask why.
        let interrupted = asked.as_ref().is_err_and(|e| e.exit == Exit::Interrupted);
        let ended = asked.as_ref().err().filter(|_| !interrupted);
        let failed = self.results.iter().any(|r| r.verdict == Verdict::Fail);
        if let Some(error) = ended.filter(|_| self.failure.is_none()) {
            self.keep_failure(&session, Known::default(), &error.what)?;
        }
        if ended.is_some() || failed {
            session.machine.evidence(&out.join("evidence"))?;
        }
        facts::outside(&mut self.boot, &session);
        let Session { machine, lab, .. } = session;
        let names = machine.files();
        let whole = !interrupted && machine.ended().is_none_or(|status| status.success());
        let wanted = self.settled.is_some() || self.failure.is_some();
        let console = match whole && wanted {
            true => {
                let (console, left) = machine.leave();
                left.and_then(|()| self.leave_moments(&directory, &names))
                    .unwrap_or_else(|error| self.not_kept(&error));
                console
            }
            false => machine.end(),
        };
        facts::console(&mut self.boot, &console);
        drop(lab);
        keep(&directory.join("console.log"), &out.join("console.log"))?;
        asked
    }

    /// The machine in its lab. `None`: it could not be put back.
    fn session(&mut self, directory: &Path, capture: &Path) -> Result<Option<Session>> {
        let Pass { accelerator, around, .. } = *self.pass;
        let setup = Setup { tools: self.input.tools, accelerator, around, disk: self.input.disk, directory };
        self.power_on = Instant::now();
        let Some(kept) = self.pass.from else {
            return Session::start(setup, Some(capture), credentials::shell()).map(Some);
        };
        match Session::resume(setup, kept, Some(capture)) {
            Ok(session) => Ok(Some(session)),
            Err(error) if matches!(error.exit, Exit::Host | Exit::Input) => {
                self.unrestored = Some(error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn ask_all(&mut self, session: &Session, swept: Option<Receiver<Swept>>) -> Result<()> {
        let bar = self.bar.clone();
        let watch = session.machine.watch(|| session.lab.frames()).expecting(&[AlarmKind::PoweringOff]);
        let watch = watch.telling(move |time, line| bar.set_message(message(time, line)));
        let checks = self.pass.checks;
        let mut asker = Asker::new(session, self.input.disk, watch, checks);
        let mut over: Option<String> = None;
        // What another machine is swept for is known last.
        let last = |w: &&Wanted| swept.is_some() && matches!(w.check.question, Question::Ports(_));
        let order: Vec<&Wanted> = checks.iter().filter(|w| !last(w)).chain(checks.iter().filter(last)).collect();
        swept.into_iter().for_each(|seen| asker.sweeps_elsewhere(seen));
        if let Some(kept) = self.pass.from {
            asker.knows(&kept.moment.known);
            asker.begin(checks)?;
        }
        for wanted in order {
            let check = &wanted.check;
            if check.question.of() == Of::Itself || check.question == Question::PowerOff {
                continue;
            }
            interrupt::check()?;
            let answer = match &over {
                Some(reason) => (Verdict::Skip, reason.clone()),
                None => match asker.ask(&check.question) {
                    // The other machine's is not there yet.
                    Ok(judged) if matches!(check.question, Question::Clones(_)) => {
                        self.host_key = Some(judged);
                        continue;
                    }
                    Ok(judged) => verdict(judged),
                    Err(Unanswered::Skipped(reason)) => (Verdict::Skip, reason),
                    Err(Unanswered::Over(error)) if is_verdict(&error) => {
                        over = Some(format!("not asked, because {}", error.what));
                        (Verdict::Fail, classes::with_last_words(&error.what, &session.machine))
                    }
                    Err(Unanswered::Over(error)) => {
                        facts::ports(&mut self.boot, &asker, checks);
                        return Err(error);
                    }
                },
            };
            let passed = answer.0 == Verdict::Pass;
            let failed = answer.0 == Verdict::Fail;
            self.note(wanted, answer);
            if check.question == Question::Running && over.is_none() {
                facts::times(&mut self.boot, &mut asker, self.power_on)?;
                if passed {
                    self.keep_settled(session, &asker);
                }
                asker.begin(checks)?;
            }
            if failed && self.failure.is_none() {
                if over.is_none() {
                    asker.settle()?;
                }
                self.keep_failure(session, asker.known(), &check.what)?;
            }
        }
        facts::ports(&mut self.boot, &asker, checks);
        if asker.has_shell() && over.is_none() {
            facts::journal(&mut self.boot, &mut asker)?;
        }
        if asker.has_shell() && over.is_none() && self.results.iter().any(|r| r.verdict == Verdict::Fail) {
            self.journal(&mut asker)?;
        }
        if let Some(wanted) = checks.iter().find(|c| c.check.question == Question::PowerOff) {
            let answer = match over {
                Some(reason) => (Verdict::Skip, reason),
                None => verdict(asker.power_off()?),
            };
            self.note(wanted, answer);
        }
        Ok(())
    }

    /// What the machine itself wrote about the failure.
    fn journal(&self, asker: &mut Asker<'_>) -> Result<()> {
        let directory = self.input.out.join("evidence");
        std::fs::create_dir_all(&directory).map_err(|e| Error::io("the evidence cannot be written", &directory, e))?;
        for (name, command) in [
            ("journal.txt", "journalctl -b -o short-monotonic --no-pager | tail -n 4000"),
            ("units.txt", "systemctl status --failed --no-pager -l; systemctl list-jobs --no-pager"),
            ("network.txt", "ip address; ip route; ss -tulpn; nft list ruleset"),
        ] {
            let path = directory.join(name);
            let text = asker.run(command)?.text + "\n";
            diorite_host::file::write_scratch(&path, text)
                .map_err(|e| Error::io("the evidence cannot be written", &path, e))?;
        }
        Ok(())
    }

    fn disk_unchanged(&mut self) -> Result<()> {
        let wanted = self.pass.checks.iter().find(|c| c.check.question == Question::DiskUnchanged);
        let Some(wanted) = wanted else { return Ok(()) };
        let after = digest(self.input.disk)?;
        let same = after == self.input.disk_sha256;
        let answer = if same { Verdict::Pass } else { Verdict::Fail };
        self.note(wanted, (answer, format!("SHA-256 {after}")));
        Ok(())
    }

    fn note(&mut self, wanted: &Wanted, (verdict, seen): (Verdict, String)) {
        let check = &wanted.check;
        if verdict == Verdict::Fail {
            self.input.progress.say(format!("failed: {}: {seen}", check.what));
        }
        self.bar.inc(1);
        let at = self.power_on.elapsed().as_secs_f64();
        self.results.push(CheckResult {
            id: check.id.clone(),
            what: check.what.clone(),
            evidence: check.evidence,
            needed: wanted.needed,
            verdict,
            // Whatever spoilt a question that could not be asked ends the run; an answer is the image's own.
            class: (verdict == Verdict::Fail).then_some(Class::Product),
            seen,
            at,
            seconds: at - self.noted,
            passes: u32::from(verdict == Verdict::Pass),
        });
        self.noted = at;
    }
}

/// One line about a machine that is starting.
fn message(time: Duration, line: &str) -> String {
    let line: String = line.chars().take(60).collect();
    format!("{:.0} s  {line}", time.as_secs_f64())
}

fn verdict(judged: Judged) -> (Verdict, String) {
    match judged {
        Ok(seen) => (Verdict::Pass, seen),
        Err(seen) => (Verdict::Fail, seen),
    }
}

/// SHA-256 of a whole file.
pub fn digest(path: &Path) -> Result<Digest> {
    Ok(diorite_host::file::sha256(path, "the disk")?.0)
}
