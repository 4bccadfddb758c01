//! Disk image → answers: one machine of which everything is asked, booted or restored from a snapshot, the boots beside
//! it, what was seen kept.

use super::{
    classes, facts,
    keep::Keeper,
    other_boots::{self, CheckAnswer, OtherBoots, keep},
    pass::{Pass, PassResult},
};
use crate::{
    answer::{Judged, Unanswered, is_verdict},
    asker::{Asker, Swept},
    check::{Check, CheckRun, OtherBoot, Phase},
    derived::image,
    input::{VerifyInput, digest},
    select::SelectedCheck,
    session::{LabSession, Workplace},
    setup::Setup,
    snapshot::WireState,
};
use diorite_host::{
    interrupt,
    progress::{Bar, BarUnit},
};
use diorite_machine::{AlarmKind, credentials};
use diorite_model::{
    Error, Exit, Result,
    report::{Boot, CheckResult, Class, Verdict},
};
use std::{
    path::Path,
    sync::mpsc::{self, Receiver},
    time::{Duration, Instant},
};

/// One pass over a disk: its boots, every check of `checks` asked, what was seen. An error is one after which there is
/// nothing to report: the user's interrupt, or input that is wrong.
pub(crate) fn pass(input: &VerifyInput<'_>, pass: &Pass<'_>) -> Result<PassResult> {
    let stage = input.progress.stage("verify");
    let bar = stage.bar(pass.checks.len() as u64, BarUnit::Items);
    let mut run = Verification {
        input,
        pass,
        bar,
        results: Vec::new(),
        power_on: Instant::now(),
        noted: 0.0,
        boot: Boot::default(),
        unrestored: None,
        keeper: Keeper::new(input, pass),
        compared: Vec::new(),
    };
    let ended = match run.boots() {
        Ok(()) => None,
        Err(error) => Some(classes::ended(error, run.power_on.elapsed())?),
    };
    let Verification { results, boot, power_on, unrestored, .. } = run;
    let fails = results.iter().filter(|r| r.verdict == Verdict::Fail).count();
    stage.done(match (&ended, &unrestored) {
        (Some((ended, _)), _) => ended.what.clone(),
        (_, Some(error)) => error.what.clone(),
        (None, None) => format!("{} asked, {fails} failed", results.len()),
    });
    Ok(PassResult { results, boot, seconds: power_on.elapsed().as_secs_f64(), ended, unrestored })
}

struct Verification<'a> {
    input: &'a VerifyInput<'a>,
    pass: &'a Pass<'a>,
    bar: Bar,
    results: Vec<CheckResult>,
    power_on: Instant,
    /// Seconds after power-on when the last answer was there.
    noted: f64,
    boot: Boot,
    unrestored: Option<Error>,
    /// Snapshots of the machine.
    keeper: Keeper<'a>,
    /// What the first machine answered to checks that compare it with another.
    compared: Vec<CheckAnswer<'a>>,
}

impl<'a> Verification<'a> {
    fn boots(&mut self) -> Result<()> {
        let workplace = Workplace::new(self.input.out)?;
        let (input, Pass { accelerator, around, checks, .. }) = (self.input, self.pass);
        let others = OtherBoots { input, accelerator, around, checks, workplace: &workplace };
        let any = |what: &dyn Fn(&Check) -> bool| checks.iter().any(|c| what(&c.check));
        let (asked, uninjected) = (any(&|c| !c.is_apart()), any(&|c| c.is_boot(OtherBoot::Uninjected)));
        let more = any(&|c| matches!(c.run, CheckRun::OtherBoot(_)));
        let (answers, compared) = if asked && more && other_boots::two_fit() {
            std::thread::scope(|scope| {
                let (tell, told) = mpsc::channel();
                // QEMU ends with the thread that started it.
                let other = scope.spawn(move || others.boots(Some(tell)));
                let here = self.good_machine(&workplace, uninjected.then_some(told));
                let there = other.join().unwrap_or_else(|_| Err(Error::bug("another boot has ended in a panic")));
                here.and(there)
            })?
        } else {
            if asked {
                self.good_machine(&workplace, None)?;
            }
            if more {
                self.bar.set_message("a boot with nothing injected, and one of a damaged copy");
            }
            others.boots(None)?
        };
        for (wanted, judged) in answers {
            self.note(wanted, verdict(judged));
        }
        for (selected, one) in std::mem::take(&mut self.compared) {
            let other = compared.iter().find(|(check, _)| check.check == selected.check);
            if let (CheckRun::Both(_, compare), Some((_, other))) = (&selected.check.run, other) {
                self.note(selected, verdict(compare(&one, other)));
            }
        }
        self.disk_unchanged()
    }

    /// Boots the disk itself, or restores its snapshot, and asks everything that it can be asked; `swept` tells what
    /// sweeps of another machine from the same disk have seen.
    fn good_machine(&mut self, workplace: &Workplace, swept: Option<Receiver<Swept>>) -> Result<()> {
        let (out, directory) = (self.input.out, workplace.path("boot"));
        let Some(session) = self.session(&directory, &out.join("wire.pcapng"))? else { return Ok(()) };
        self.power_on = Instant::now().checked_sub(session.machine.uptime()).unwrap_or(self.power_on);
        let asked = classes::blamed(self.ask_all(&session, swept), &session.machine, &self.results);
        // After the user's interrupt no evidence is wanted.
        let interrupted = asked.as_ref().is_err_and(|e| e.exit == Exit::Interrupted);
        let ended = asked.as_ref().err().filter(|_| !interrupted);
        let failed = self.results.iter().any(|r| r.verdict == Verdict::Fail);
        if let Some(error) = ended.filter(|_| !self.keeper.has_failure()) {
            self.keeper.failed(&session, WireState::default(), &error.what)?;
        }
        if ended.is_some() || failed {
            session.machine.evidence(&out.join("evidence"))?;
        }
        facts::outside(&mut self.boot, &session);
        let LabSession { machine, lab, .. } = session;
        let names = machine.files();
        let whole = !interrupted && machine.ended().is_none_or(|status| status.success());
        let wanted = self.keeper.has_any();
        let console = match whole && wanted {
            true => {
                let (console, left) = machine.leave();
                left.and_then(|()| self.keeper.store(&directory, &names))
                    .unwrap_or_else(|error| self.keeper.not_kept(&error));
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
    fn session(&mut self, directory: &Path, capture: &Path) -> Result<Option<LabSession>> {
        let Pass { accelerator, around, .. } = *self.pass;
        let hardware = around.hardware.main;
        let setup = Setup { tools: self.input.tools, accelerator, around, hardware, disk: self.input.disk, directory };
        self.power_on = Instant::now();
        let Some(kept) = self.pass.from else {
            return LabSession::start(setup, Some(capture), credentials::shell()).map(Some);
        };
        match LabSession::resume(setup, kept, Some(capture)) {
            Ok(session) => Ok(Some(session)),
            Err(error) if matches!(error.exit, Exit::Host | Exit::Input) => {
                self.unrestored = Some(error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn ask_all(&mut self, session: &LabSession, swept: Option<Receiver<Swept>>) -> Result<()> {
        let bar = self.bar.clone();
        let watch = session.machine.watch(|| session.lab.frames()).expecting(&[AlarmKind::PoweringOff]);
        let watch = watch.telling(move |time, line| bar.set_message(message(time, line)));
        let checks = self.pass.checks;
        let mut asker = Asker::new(session, self.input.disk, watch);
        let mut over: Option<String> = None;
        // What another machine is swept for is known last.
        let last = |w: &&SelectedCheck| swept.is_some() && matches!(w.check.run, CheckRun::Sweep(_));
        let order: Vec<&SelectedCheck> = checks.iter().filter(|w| !last(w)).chain(checks.iter().filter(last)).collect();
        swept.into_iter().for_each(|seen| asker.sweeps_elsewhere(seen));
        if let Some(kept) = self.pass.from {
            asker.knows(&kept.snapshot.known);
            asker.begin(checks.iter().filter_map(|s| s.check.sweep()))?;
        }
        for wanted in order {
            let check = &wanted.check;
            if check.is_apart() || matches!(check.run, CheckRun::PowerOff) {
                continue;
            }
            interrupt::check()?;
            let answer = match &over {
                Some(reason) => (Verdict::Skip, reason.clone()),
                None => match check.ask(&mut asker) {
                    // The other machine's is not there yet.
                    Ok(judged) if matches!(check.run, CheckRun::Both(..)) => {
                        self.compared.push((wanted, judged));
                        continue;
                    }
                    Ok(judged) => verdict(judged),
                    Err(Unanswered::Skipped(reason)) => (Verdict::Skip, reason),
                    Err(Unanswered::Over(error)) if is_verdict(&error) => {
                        over = Some(format!("not asked, because {}", error.what));
                        (Verdict::Fail, classes::with_last_words(&error.what, &session.machine))
                    }
                    Err(Unanswered::Over(error)) => {
                        facts::ports(&mut self.boot, &asker);
                        return Err(error);
                    }
                },
            };
            let passed = answer.0 == Verdict::Pass;
            let failed = answer.0 == Verdict::Fail;
            self.note(wanted, answer);
            if check.phase == Phase::Settled && over.is_none() {
                facts::times(&mut self.boot, &mut asker, self.power_on)?;
                if passed {
                    self.keeper.settled(session, &asker);
                }
                asker.begin(checks.iter().filter_map(|s| s.check.sweep()))?;
            }
            if failed && !self.keeper.has_failure() {
                if over.is_none() {
                    asker.settle()?;
                }
                self.keeper.failed(session, asker.known(), &check.what)?;
            }
        }
        facts::ports(&mut self.boot, &asker);
        if asker.has_shell() && over.is_none() {
            facts::journal(&mut self.boot, &mut asker)?;
        }
        if asker.has_shell() && over.is_none() && self.results.iter().any(|r| r.verdict == Verdict::Fail) {
            self.journal(&mut asker)?;
        }
        if let Some(wanted) = checks.iter().find(|c| matches!(c.check.run, CheckRun::PowerOff)) {
            let answer = match over {
                Some(reason) => (Verdict::Skip, reason),
                None => verdict(asker.power_off()?.and_then(|(said, took)| image::power_off(&said, took))),
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
        let wanted = self.pass.checks.iter().find(|c| matches!(c.check.run, CheckRun::DiskUnchanged));
        let Some(wanted) = wanted else { return Ok(()) };
        let after = digest(self.input.disk)?;
        let same = after == self.input.disk_sha256;
        let answer = if same { Verdict::Pass } else { Verdict::Fail };
        self.note(wanted, (answer, format!("SHA-256 {after}")));
        Ok(())
    }

    fn note(&mut self, wanted: &SelectedCheck, (verdict, seen): (Verdict, String)) {
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
