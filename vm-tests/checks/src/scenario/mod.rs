//! `Scenario → ScenarioReport`: several machines in one lab, and a timeline of steps. Each step is done or asked in turn;
//! the first that is not as it must be ends the scenario, and what was seen until then is kept.
//!
//! ```text
//! Scenario ── stage   lab, cables, machines and their addresses
//!          ── steps   one step: done, or asked through the same judges as `[[verify.check]]`
//!          ── identity  what machines are told apart by; clones
//! ```

mod identity;
mod input;
mod peers;
mod ports;
mod power;
mod replace;
mod server;
mod stage;
mod steps;
mod traits;

pub use input::{ScenarioDisk, ScenarioInput};

use crate::{answer::Judged, boots::classes, input::digest, results, session::Workplace};
use diorite_host::{interrupt, progress::BarUnit};
use diorite_machine::{
    Accelerator, AlarmKind, Budget, Machine,
    accel::{self, AcceleratorKind},
};
use diorite_model::{
    Error, Exit, Result,
    report::{CheckResult, Class, Ended, Evidence, ScenarioMachine, ScenarioReport, Verdict},
    scenario::{Act, From, Scenario, Step},
};
use stage::ScenarioStage;
use std::{
    path::Path,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

/// Runs a scenario. Steps that failed, and a run that an image ended, are in the report.
///
/// # Errors
/// Input that is wrong and the user's interrupt, which leave no report; and a fault of the host that came twice, or one
/// of ours, about which there is one.
pub fn run(input: &ScenarioInput<'_>) -> Result<ScenarioReport> {
    replace::possible(input.scenario, input.disks)?;
    let mut accelerator = accel::probe()?;
    input.progress.say(format!("{}: {accelerator}", input.scenario.name));
    prepare(input.out)?;
    for (machine, disk) in input.scenario.machines.iter().zip(input.disks) {
        let before = digest(&disk.disk)?;
        if before != disk.sha256 {
            let other = Error::input(format!("the disk of `{}` is not the one that was built", machine.name));
            return Err(other.at(disk.disk.display().to_string()).because(format!("its SHA-256 is {before}")));
        }
    }
    let (mut reports, mut over) = (Vec::new(), None);
    for n in 1..=input.runs {
        let directory = if input.runs > 1 { input.out.join(format!("run-{n}")) } else { input.out.to_owned() };
        std::fs::create_dir_all(&directory)
            .map_err(|e| Error::io("the result's directory cannot be made", &directory, e))?;
        let one = ScenarioInput { out: &directory, runs: 1, ..*input };
        let (report, error) = attempt(&one, &mut accelerator)?;
        if input.runs > 1 {
            results::write_scenario(&report, &directory)?;
        }
        reports.push(report);
        if error.is_some() {
            over = error;
            break;
        }
    }
    let report = merged(reports);
    results::write_scenario(&report, input.out)?;
    match over {
        None => Ok(report),
        Some(error) => {
            input.progress.say(format!("what was seen until then is in {}", input.out.display()));
            Err(error)
        }
    }
}

/// Takes away what an earlier run left.
fn prepare(out: &Path) -> Result<()> {
    let failed = |e| Error::io("the result's directory cannot be made", out, e);
    std::fs::create_dir_all(out).map_err(failed)?;
    for entry in std::fs::read_dir(out).map_err(failed)?.flatten() {
        let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
        let removed = match name.as_str() {
            "evidence" | "evidence-retried" => std::fs::remove_dir_all(&path),
            _ if name.starts_with("run-") && path.is_dir() => std::fs::remove_dir_all(&path),
            "report.json" | "junit.xml" | "wire.pcapng" => std::fs::remove_file(&path),
            _ if name.ends_with("-console.log") => std::fs::remove_file(&path),
            _ => Ok(()),
        };
        removed.map_err(|e| Error::io("old results cannot be removed", &path, e))?;
    }
    Ok(())
}

/// One run; a second one where the first was the host's fault and another may go better.
fn attempt(input: &ScenarioInput<'_>, accelerator: &mut Accelerator) -> Result<(ScenarioReport, Option<Error>)> {
    let mut retried: Vec<Ended> = Vec::new();
    loop {
        let begun = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs());
        let (steps, seconds, ended) = pass(input, accelerator)?;
        let again = |e: &Ended| e.class == Class::Infra && retried.is_empty() && !e.what.contains("no memory");
        if let Some((ended, _)) = ended.as_ref().filter(|(e, _)| again(e)) {
            input.progress.say(format!("the host's fault, not the image's: {}; once more", ended.what));
            let evidence = input.out.join("evidence");
            if evidence.exists() {
                let kept = input.out.join("evidence-retried");
                diorite_host::file::rename_scratch(&evidence, &kept)
                    .map_err(|e| Error::io("the evidence cannot be kept", &kept, e))?;
            }
            if classes::accelerator(ended) && accelerator.kind == AcceleratorKind::Kvm {
                *accelerator =
                    Accelerator { kind: AcceleratorKind::Tcg, reason: format!("KVM failed: {}", ended.what) };
            }
            retried.push(ended.clone());
            continue;
        }
        let (ended, error) = ended.unzip();
        let scenario = input.scenario;
        let machine = |(m, d): (&diorite_model::scenario::Machine, &ScenarioDisk)| ScenarioMachine {
            name: m.name.clone(),
            image: d.recipe.image.name.clone(),
            version: d.recipe.image.version.clone(),
            disk_sha256: d.sha256,
        };
        let report = ScenarioReport {
            schema: ScenarioReport::SCHEMA,
            name: scenario.name.clone(),
            about: scenario.about.clone(),
            seed: scenario.seed,
            machines: scenario.machines.iter().zip(input.disks).map(machine).collect(),
            accelerator: accelerator.kind.to_string(),
            accelerator_reason: accelerator.reason.clone(),
            begun,
            seconds,
            ended,
            retried,
            runs: 1,
            steps,
        };
        // A fault of the image is in the report; there is no other error.
        return Ok((report, error.filter(|e| e.exit != Exit::VerificationFailed)));
    }
}

/// What a pass saw: steps, seconds, and why it ended early.
type ScenarioPass = (Vec<CheckResult>, f64, Option<(Ended, Error)>);

/// All steps, once.
fn pass(input: &ScenarioInput<'_>, accelerator: &Accelerator) -> Result<ScenarioPass> {
    let (scenario, begun) = (input.scenario, Instant::now());
    let shown = input.progress.stage(&scenario.name);
    let bar = shown.bar(scenario.steps.len() as u64, BarUnit::Items);
    let mut results: Vec<CheckResult> = Vec::new();
    let outcome = all(input, accelerator, begun, &mut |result, done| {
        if done {
            bar.inc(1);
            results.push(result);
        } else {
            bar.set_message(result.what);
        }
    });
    let ended = match outcome {
        Ok(()) => None,
        Err(error) => Some(classes::ended(error, begun.elapsed())?),
    };
    let reason = match (&ended, results.iter().find(|r| r.verdict == Verdict::Fail)) {
        (Some((ended, _)), _) => format!("not done, because {}", ended.what),
        (None, Some(failed)) => format!("not done, because `{}` is not as it must be", failed.what),
        (None, None) => "nobody did it".to_owned(),
    };
    for (n, step) in scenario.steps.iter().enumerate().skip(results.len()) {
        results.push(result(n, step, (Verdict::Skip, reason.clone()), begun, begun.elapsed().as_secs_f64()));
    }
    shown.done(match (&ended, results.iter().find(|r| r.verdict == Verdict::Fail)) {
        (Some((ended, _)), _) => ended.what.clone(),
        (None, Some(failed)) => format!("failed: {}: {}", failed.what, failed.seen),
        (None, None) => format!("{} steps", results.len()),
    });
    Ok((results, begun.elapsed().as_secs_f64(), ended))
}

/// Told of every step: as it begins, and with its answer.
type Note<'a> = &'a mut dyn FnMut(CheckResult, bool);

fn all(input: &ScenarioInput<'_>, accelerator: &Accelerator, begun: Instant, note: Note<'_>) -> Result<()> {
    let workplace = Workplace::new(input.out)?;
    let mut stage = ScenarioStage::new(input, accelerator, Budget::measure(), &workplace)?;
    let outcome = timeline(input.scenario, &mut stage, begun, note);
    let failed = !matches!(outcome, Ok(true));
    // After the user's interrupt no evidence is wanted.
    if failed && !matches!(&outcome, Err(e) if e.exit == Exit::Interrupted) {
        stage.evidence(&input.out.join("evidence"))?;
    }
    stage.close(input.out)?;
    outcome.map(drop)
}

/// Does the steps one after the other. `false` when one is not as it must be.
fn timeline(scenario: &Scenario, stage: &mut ScenarioStage<'_>, begun: Instant, note: Note<'_>) -> Result<bool> {
    for (n, step) in scenario.steps.iter().enumerate() {
        interrupt::check()?;
        let at = begun.elapsed().as_secs_f64();
        note(result(n, step, (Verdict::Skip, String::new()), begun, at), false);
        stage.lab.phase(&format!("step {}: {}", n + 1, step.name))?;
        let judged = stage.judged(step)?;
        let good = judged.is_ok();
        let answer = match judged {
            Ok(seen) => (Verdict::Pass, seen),
            Err(seen) => (Verdict::Fail, format!("{seen}; at {}", step.place)),
        };
        note(result(n, step, answer, begun, at), true);
        if !good {
            return Ok(false);
        }
    }
    stage.settle()?;
    Ok(true)
}

impl ScenarioStage<'_> {
    /// Does a step; a fault of the host under any machine is an error in place of an answer.
    fn judged(&mut self, step: &Step) -> Result<Judged> {
        let done = self.step(step);
        let suspicious = match &done {
            Ok(judged) => judged.is_err(),
            Err(error) => error.exit == Exit::VerificationFailed,
        };
        if suspicious && let Some(fault) = self.running().find_map(classes::fault) {
            return Err(fault);
        }
        match done {
            // What a console says, or a machine that is stuck, is an answer to what was asked.
            Err(error) if error.exit == Exit::VerificationFailed => {
                let detail = error.cause.map(|c| format!(", because {c}")).unwrap_or_default();
                let last = self.running().find_map(classes::last_words);
                let last = last.map(|words| format!("; its console said: {words}")).unwrap_or_default();
                Ok(Err(error.what + &detail + &last))
            }
            other => {
                let judged = turned(other?, step.not);
                Ok(judged.and_then(|seen| self.fault_told().map_or(Ok(seen), Err)))
            }
        }
    }

    /// What a kernel has said of a fault in itself that it survived.
    fn fault_told(&self) -> Option<String> {
        let oops = |m: &Machine| m.console.alarms().into_iter().find(|alarm| alarm.kind == AlarmKind::Oops);
        self.running().find_map(oops).map(|alarm| format!("a kernel has found a fault in itself: {}", alarm.line))
    }
}

/// What must not be so is good when it is not. A machine that is stuck or has died answers nothing, and is no such case.
fn turned(judged: Judged, not: bool) -> Judged {
    match judged {
        judged if !not => judged,
        Ok(seen) => Err(format!("it is so, and must not be: {seen}")),
        Err(seen) => Ok(format!("not so: {seen}")),
    }
}

fn result(n: usize, step: &Step, answer: (Verdict, String), begun: Instant, since: f64) -> CheckResult {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let words: String = step.name.chars().map(plain).collect();
    let words: Vec<&str> = words.split('-').filter(|w| !w.is_empty()).collect();
    let id: String = format!("{:02}-{}", n + 1, words.join("-")).chars().take(60).collect();
    let (verdict, seen) = answer;
    let at = begun.elapsed().as_secs_f64();
    CheckResult {
        id: id.trim_end_matches('-').to_owned(),
        what: step.name.clone(),
        evidence: evidence(&step.act),
        needed: false,
        verdict,
        class: (verdict == Verdict::Fail).then_some(Class::Product),
        seen,
        at,
        seconds: at - since,
        passes: u32::from(verdict == Verdict::Pass),
    }
}

fn evidence(act: &Act) -> Evidence {
    match act {
        Act::Ask { from: From::Segment(_), .. }
        | Act::Ping { .. }
        | Act::Lease { .. }
        | Act::Scan { .. }
        | Act::Flood { .. }
        | Act::Heard { .. }
        | Act::Sent { .. }
        | Act::Link { .. }
        | Act::ServePeer { .. }
        | Act::Dhcp { .. }
        | Act::NameServer { .. }
        | Act::TimeServer { .. } => Evidence::Outside,
        Act::Carrier { .. } | Act::PowerOff { .. } | Act::Replace { .. } => Evidence::Console,
        _ => Evidence::Inside,
    }
}

/// One report about several runs: a step passed when it passed in each. What differs is flaky, and fails.
fn merged(mut runs: Vec<ScenarioReport>) -> ScenarioReport {
    let count = u32::try_from(runs.len()).unwrap_or(u32::MAX);
    let shown = runs.iter().position(|r| !r.passed()).unwrap_or(runs.len() - 1);
    let passes: Vec<u32> = (0..runs[shown].steps.len())
        .map(|n| runs.iter().map(|r| r.steps.get(n).map_or(0, |s| s.passes)).sum())
        .collect();
    let (seconds, begun) = (runs.iter().map(|r| r.seconds).sum(), runs[0].begun);
    let retried = runs.iter().flat_map(|r| r.retried.clone()).collect();
    let mut report = runs.swap_remove(shown);
    for (step, passes) in report.steps.iter_mut().zip(passes) {
        step.passes = passes;
        if passes > 0 && passes < count && step.verdict == Verdict::Fail {
            step.seen = format!("flaky: passed in {passes} of {count} runs; in run {}: {}", shown + 1, step.seen);
        }
    }
    ScenarioReport { runs: count, begun, seconds, retried, ..report }
}

#[cfg(test)]
mod tests;
