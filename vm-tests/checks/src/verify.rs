//! Disk image → Report: two boots, every check asked, what was seen kept.

use crate::{
    ask::{Asker, Unanswered, is_verdict},
    plan::{Check, Question, plan},
    results,
    session::{Session, Workplace},
    surroundings::Surroundings,
    tamper,
};
use diorite_host::{
    interrupt,
    progress::{Bar, Progress, Unit},
    tools::ToolsTree,
};
use diorite_machine::{Accelerator, accel};
use diorite_model::{
    Digest, Error, Exit, Recipe, Result,
    report::{CheckResult, Report, Verdict},
};
use std::{
    fs::File,
    io::Read,
    path::Path,
    time::{Duration, Instant},
};

/// What a verification needs.
#[derive(Debug)]
pub struct VerifyInput<'a> {
    /// The raw disk. It is never written.
    pub disk: &'a Path,
    /// Its SHA-256, as the build said.
    pub disk_sha256: Digest,
    /// What it was made from.
    pub recipe: &'a Recipe,
    /// QEMU and firmware.
    pub tools: &'a ToolsTree,
    /// Where report.json, junit.xml, wire.pcapng and console.log go; an `evidence` folder on failure.
    pub out: &'a Path,
    /// Who is told how it goes.
    pub progress: &'a Progress,
}

/// Boots the disk and asks everything its recipe promises. Failed checks are in the report; an error means that there
/// is none: the host, the tools or the user ended it.
pub fn verify(input: &VerifyInput<'_>) -> Result<Report> {
    let accelerator = accel::probe()?;
    input.progress.say(accelerator.to_string());
    std::fs::create_dir_all(input.out).map_err(|e| Error::io("the result's folder cannot be made", input.out, e))?;
    let evidence = input.out.join("evidence");
    if evidence.exists() {
        std::fs::remove_dir_all(&evidence).map_err(|e| Error::io("old evidence cannot be removed", &evidence, e))?;
    }
    let before = digest(input.disk)?;
    if before != input.disk_sha256 {
        let other = Error::new(Exit::Input, "the disk is not the one that was built");
        return Err(other.at(input.disk.display().to_string()).because(format!("its SHA-256 is {before}")));
    }
    let around = Surroundings::of(input.recipe);
    let checks = plan(input.recipe, [around.config.ipv4.into(), around.config.ipv6.into()]);
    let stage = input.progress.stage("verify");
    let bar = stage.bar(checks.len() as u64, Unit::Items);
    let workplace = Workplace::new(input.out)?;
    let mut run = Run { input, accelerator, around, checks, bar, results: Vec::new(), power_on: Instant::now() };
    run.good_boot(&workplace)?;
    run.bad_boot(&workplace)?;
    run.disk_unchanged()?;
    let report = run.report();
    results::write(&report, &input.recipe.image.name, input.out)?;
    let (passed, failed) = (report.count(Verdict::Pass), report.count(Verdict::Fail));
    let note = format!("{passed} passed, {failed} failed, {} skipped", report.count(Verdict::Skip));
    stage.done(note);
    Ok(report)
}

struct Run<'a> {
    input: &'a VerifyInput<'a>,
    accelerator: Accelerator,
    around: Surroundings,
    checks: Vec<Check>,
    bar: Bar,
    results: Vec<CheckResult>,
    power_on: Instant,
}

impl Run<'_> {
    /// Boots the disk itself and asks everything that it can be asked.
    fn good_boot(&mut self, workplace: &Workplace) -> Result<()> {
        let (out, folder) = (self.input.out, workplace.path("boot"));
        let capture = out.join("wire.pcapng");
        self.power_on = Instant::now();
        let session = Session::start(
            self.input.tools,
            &self.accelerator,
            self.input.disk,
            &folder,
            Some(&capture),
            &self.around,
        )?;
        let asked = self.ask_all(&session);
        // Whoever interrupts does not ask why.
        let ended = asked.as_ref().is_err_and(|e| e.exit != Exit::Interrupted);
        if ended || self.results.iter().any(|r| r.verdict == Verdict::Fail) {
            session.machine.evidence(&out.join("evidence"))?;
        }
        let Session { machine, lab } = session;
        machine.end();
        drop(lab);
        keep(&folder.join("console.log"), &out.join("console.log"))?;
        asked
    }

    fn ask_all(&mut self, session: &Session) -> Result<()> {
        let bar = self.bar.clone();
        let watch = session.machine.watch(|| session.lab.frames());
        let watch = watch.telling(move |time, line| bar.set_message(message(time, line)));
        let mut asker = Asker::new(session, self.input.disk, watch, &self.checks);
        let mut over: Option<String> = None;
        for check in self.checks.clone() {
            if matches!(check.question, Question::Tamper | Question::DiskUnchanged) {
                continue;
            }
            interrupt::check()?;
            let answer = match &over {
                Some(reason) => (Verdict::Skip, reason.clone()),
                None => match asker.ask(&check.question) {
                    Ok(Ok(seen)) => (Verdict::Pass, seen),
                    Ok(Err(seen)) => (Verdict::Fail, seen),
                    Err(Unanswered::Skipped(reason)) => (Verdict::Skip, reason),
                    Err(Unanswered::Over(error)) if is_verdict(&error) => {
                        over = Some(format!("not asked, because {}", error.what));
                        (Verdict::Fail, error.what)
                    }
                    Err(Unanswered::Over(error)) => return Err(error),
                },
            };
            self.note(&check, answer);
        }
        if asker.has_shell() && over.is_none() && self.results.iter().any(|r| r.verdict == Verdict::Fail) {
            self.journal(&mut asker)?;
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

    /// Boots a damaged copy, which must refuse.
    fn bad_boot(&mut self, workplace: &Workplace) -> Result<()> {
        let Some(check) = self.checks.iter().find(|c| c.question == Question::Tamper).cloned() else { return Ok(()) };
        let (disk, folder) = (workplace.path("tampered.raw"), workplace.path("tampered"));
        self.bar.set_message("a copy with one flipped byte");
        let judged = match tamper::copy(self.input.disk, &disk) {
            // No root partition to tamper with is a verdict on the image.
            Err(error) if error.exit == Exit::Input => Err(error.to_string()),
            Err(error) => return Err(error),
            Ok(()) => {
                let session = Session::start(self.input.tools, &self.accelerator, &disk, &folder, None, &self.around)?;
                let bar = self.bar.clone();
                let watch = session.machine.watch(|| session.lab.frames()).expecting(tamper::EXPECTED);
                let mut watch = watch.telling(move |time, line| bar.set_message(message(time, line)));
                let judged = tamper::refused(&session, &mut watch);
                drop(watch);
                let Session { machine, lab } = session;
                machine.end();
                drop(lab);
                keep(&folder.join("console.log"), &self.input.out.join("tampered-console.log"))?;
                judged?
            }
        };
        let answer = match judged {
            Ok(seen) => (Verdict::Pass, seen),
            Err(seen) => (Verdict::Fail, seen),
        };
        self.note(&check, answer);
        Ok(())
    }

    fn disk_unchanged(&mut self) -> Result<()> {
        let after = digest(self.input.disk)?;
        let same = after == self.input.disk_sha256;
        let answer = if same { Verdict::Pass } else { Verdict::Fail };
        if let Some(check) = self.checks.iter().find(|c| c.question == Question::DiskUnchanged).cloned() {
            self.note(&check, (answer, format!("SHA-256 {after}")));
        }
        Ok(())
    }

    fn note(&mut self, check: &Check, (verdict, seen): (Verdict, String)) {
        if verdict == Verdict::Fail {
            self.input.progress.say(format!("failed: {}: {seen}", check.what));
        }
        self.bar.inc(1);
        self.results.push(CheckResult {
            id: check.id.clone(),
            what: check.what.clone(),
            evidence: check.evidence,
            verdict,
            seen,
            at: self.power_on.elapsed().as_secs_f64(),
        });
    }

    fn report(self) -> Report {
        Report {
            schema: 1,
            disk_sha256: self.input.disk_sha256,
            accelerator: self.accelerator.kind.to_string(),
            accelerator_reason: self.accelerator.reason,
            seconds: self.power_on.elapsed().as_secs_f64(),
            checks: self.results,
        }
    }
}

/// One line about a machine that is starting.
fn message(time: Duration, line: &str) -> String {
    let line: String = line.chars().take(60).collect();
    format!("{:.0} s  {line}", time.as_secs_f64())
}

fn keep(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to).map_err(|e| Error::io("the console's log cannot be kept", to, e))
}

/// SHA-256 of a whole file.
fn digest(path: &Path) -> Result<Digest> {
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
