//! Disk image → answers: one boot of which everything is asked, those beside it, what was seen kept.

use crate::{
    aside::{self, Aside, keep},
    ask::{Asker, Unanswered, is_verdict},
    attempts::VerifyInput,
    classes, facts,
    judge::Judged,
    plan::Question,
    select::Wanted,
    session::{Session, Workplace},
    surroundings::Surroundings,
};
use diorite_host::{
    interrupt,
    progress::{Bar, Unit},
};
use diorite_machine::{Accelerator, AlarmKind, credentials};
use diorite_model::{
    Digest, Error, Exit, Result,
    report::{Boot, CheckResult, Class, Ended, Verdict},
};
use std::{
    fs::File,
    io::Read,
    path::Path,
    time::{Duration, Instant},
};

/// One pass over a disk: its boots, every check of `checks` asked, what was seen. An error is one after which there is
/// nothing to report: the user's interrupt, or input that is wrong.
pub(crate) fn pass(
    input: &VerifyInput<'_>,
    accelerator: &Accelerator,
    around: &Surroundings,
    checks: &[Wanted],
) -> Result<Pass> {
    let stage = input.progress.stage("verify");
    let bar = stage.bar(checks.len() as u64, Unit::Items);
    let mut run = Run {
        input,
        accelerator,
        around,
        checks,
        bar,
        results: Vec::new(),
        power_on: Instant::now(),
        noted: 0.0,
        boot: Boot::default(),
    };
    let ended = match run.boots() {
        Ok(()) => None,
        Err(error) => Some(classes::ended(error, run.power_on.elapsed())?),
    };
    let Run { results, boot, power_on, .. } = run;
    let fails = results.iter().filter(|r| r.verdict == Verdict::Fail).count();
    stage.done(match &ended {
        Some((ended, _)) => ended.what.clone(),
        None => format!("{} asked, {fails} failed", results.len()),
    });
    Ok(Pass { results, boot, seconds: power_on.elapsed().as_secs_f64(), ended })
}

/// What a pass saw.
pub(crate) struct Pass {
    pub results: Vec<CheckResult>,
    pub boot: Boot,
    pub seconds: f64,
    /// Why it ended early, and the error to end with when nothing helps.
    pub ended: Option<(Ended, Error)>,
}

struct Run<'a> {
    input: &'a VerifyInput<'a>,
    accelerator: &'a Accelerator,
    around: &'a Surroundings,
    checks: &'a [Wanted],
    bar: Bar,
    results: Vec<CheckResult>,
    power_on: Instant,
    /// Seconds after power-on when the last answer was there.
    noted: f64,
    boot: Boot,
}

impl Run<'_> {
    fn boots(&mut self) -> Result<()> {
        let workplace = Workplace::new(self.input.out)?;
        let (input, accelerator, around, checks) = (self.input, self.accelerator, self.around, self.checks);
        let aside = Aside { input, accelerator, around, checks, workplace: &workplace };
        let answers = if aside::room() {
            std::thread::scope(|scope| {
                // QEMU ends with the thread that started it.
                let other = scope.spawn(|| aside.boots());
                let here = self.good_boot(&workplace);
                let there = other.join().unwrap_or_else(|_| Err(Error::bug("a boot beside has ended in a panic")));
                here.and(there)
            })?
        } else {
            self.good_boot(&workplace)?;
            self.bar.set_message("a boot with nothing injected, and one of a damaged copy");
            aside.boots()?
        };
        for (wanted, judged) in answers {
            self.note(wanted, verdict(judged));
        }
        self.disk_unchanged()
    }

    /// Boots the disk itself and asks everything that it can be asked.
    fn good_boot(&mut self, workplace: &Workplace) -> Result<()> {
        let (out, folder) = (self.input.out, workplace.path("boot"));
        let capture = out.join("wire.pcapng");
        self.power_on = Instant::now();
        let session = Session::start(
            self.input.tools,
            self.accelerator,
            self.input.disk,
            &folder,
            Some(&capture),
            self.around,
            credentials::shell(),
        )?;
        self.power_on = Instant::now().checked_sub(session.machine.uptime()).unwrap_or(self.power_on);
        let asked = classes::blamed(self.ask_all(&session), &session.machine, &self.results);
        // Whoever interrupts does not ask why.
        let ended = asked.as_ref().is_err_and(|e| e.exit != Exit::Interrupted);
        if ended || self.results.iter().any(|r| r.verdict == Verdict::Fail) {
            session.machine.evidence(&out.join("evidence"))?;
        }
        facts::outside(&mut self.boot, &session);
        let Session { machine, lab, .. } = session;
        let console = machine.end();
        facts::console(&mut self.boot, &console);
        drop(lab);
        keep(&folder.join("console.log"), &out.join("console.log"))?;
        asked
    }

    fn ask_all(&mut self, session: &Session) -> Result<()> {
        let bar = self.bar.clone();
        let watch = session.machine.watch(|| session.lab.frames()).expecting(&[AlarmKind::PoweringOff]);
        let watch = watch.telling(move |time, line| bar.set_message(message(time, line)));
        let mut asker = Asker::new(session, self.input.disk, watch, self.checks);
        let mut over: Option<String> = None;
        for wanted in self.checks {
            let check = &wanted.check;
            if matches!(
                check.question,
                Question::PowerOff | Question::Untouched | Question::Tamper | Question::DiskUnchanged
            ) {
                continue;
            }
            interrupt::check()?;
            let answer = match &over {
                Some(reason) => (Verdict::Skip, reason.clone()),
                None => match asker.ask(&check.question) {
                    Ok(judged) => verdict(judged),
                    Err(Unanswered::Skipped(reason)) => (Verdict::Skip, reason),
                    Err(Unanswered::Over(error)) if is_verdict(&error) => {
                        over = Some(format!("not asked, because {}", error.what));
                        (Verdict::Fail, error.what)
                    }
                    Err(Unanswered::Over(error)) => {
                        facts::ports(&mut self.boot, &asker, self.checks);
                        return Err(error);
                    }
                },
            };
            self.note(wanted, answer);
            if check.question == Question::Running && over.is_none() {
                facts::times(&mut self.boot, &mut asker, self.power_on)?;
                asker.begin(self.checks)?;
            }
        }
        facts::ports(&mut self.boot, &asker, self.checks);
        if asker.has_shell() && over.is_none() {
            facts::journal(&mut self.boot, &mut asker)?;
        }
        if asker.has_shell() && over.is_none() && self.results.iter().any(|r| r.verdict == Verdict::Fail) {
            self.journal(&mut asker)?;
        }
        if let Some(wanted) = self.checks.iter().find(|c| c.check.question == Question::PowerOff) {
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
        let folder = self.input.out.join("evidence");
        std::fs::create_dir_all(&folder).map_err(|e| Error::io("the evidence cannot be written", &folder, e))?;
        for (name, command) in [
            ("journal.txt", "journalctl -b -o short-monotonic --no-pager | tail -n 4000"),
            ("units.txt", "systemctl status --failed --no-pager -l; systemctl list-jobs --no-pager"),
            ("network.txt", "ip address; ip route; ss -tulpn; nft list ruleset"),
        ] {
            let path = folder.join(name);
            let text = asker.run(command)?.text + "\n";
            std::fs::write(&path, text).map_err(|e| Error::io("the evidence cannot be written", &path, e))?;
        }
        Ok(())
    }

    fn disk_unchanged(&mut self) -> Result<()> {
        let wanted = self.checks.iter().find(|c| c.check.question == Question::DiskUnchanged);
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
    let failed = |e| Error::io("the disk cannot be read", path, e);
    let (mut file, mut buffer) = (File::open(path).map_err(failed)?, vec![0; 1 << 20]);
    let mut hasher = diorite_model::Hasher::new();
    loop {
        interrupt::check()?;
        match file.read(&mut buffer).map_err(failed)? {
            0 => return Ok(hasher.finish()),
            n => hasher.update(&buffer[..n]),
        }
    }
}
