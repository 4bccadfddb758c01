//! A verification as it is asked for: the checks that are wanted, once or several times, tried once more where the host
//! spoilt it. Whatever happens, what was seen is written down.

use super::{
    classes,
    pass::{Pass, PassResult},
    verify::pass,
};
use crate::{
    input::{VerifyInput, digest},
    plan, results,
    select::{SelectedCheck, with_its_whereabouts},
    snapshot::{FileStamp, SnapshotIdentity, SnapshotStore, StoredSnapshot},
    surroundings::Surroundings,
};
use diorite_machine::{
    Accelerator,
    accel::{self, AcceleratorKind},
};
use diorite_model::{
    Digest, Error, Exit, Result,
    report::{self, CheckResult, Class, Ended, Report, Selection, Start, Verdict},
};
use std::time::{SystemTime, UNIX_EPOCH};

/// What an earlier verification may have left in the directory for results. None of it is about this one.
const OLD: [&str; 10] = [
    "altered-console.log",
    "added-console.log",
    "report.json",
    "report.html",
    "junit.xml",
    "wire.pcapng",
    "console.log",
    "tampered-console.log",
    "untouched-console.log",
    "untouched-wire.pcapng",
];

/// Boots the disk and asks what its recipe promises. Failed checks, and a run that the image itself ended, are in the
/// report.
///
/// # Errors
/// Input that is wrong and the user's interrupt, which leave no report; and a fault of the host that came twice, or one
/// of ours, about which there is one.
pub fn verify(input: &VerifyInput<'_>) -> Result<Report> {
    let accelerator = accel::probe()?;
    input.progress.say(accelerator.to_string());
    prepare(input)?;
    let around = Surroundings::of(input.recipe);
    let checks = plan::of(input.recipe, input.own);
    let (of, plan_digest) = (checks.len(), plan::digest(&checks, input.own));
    let wanted = input.choice.of(checks.clone())?;
    let learning = with_its_whereabouts(&wanted, checks);
    let identity = SnapshotIdentity::of(input.tools, &accelerator, &around, input.disk_sha256)?;
    let snapshots = SnapshotStore::below(input.out);
    let kept = snapshots.find(&identity).ok().filter(|_| needs_boot(input, &wanted).is_none());
    let disk = same_disk(input, &snapshots, kept.as_ref())?;
    let common = Common {
        accelerator: &accelerator,
        around: &around,
        wanted: &wanted,
        learning,
        identity,
        snapshots,
        disk,
        of,
        plan_digest,
    };
    let mut runs = Vec::new();
    let mut over = None;
    for n in 1..=input.runs {
        let directory = if input.runs > 1 { input.out.join(format!("run-{n}")) } else { input.out.to_owned() };
        std::fs::create_dir_all(&directory)
            .map_err(|e| Error::io("the result's directory cannot be made", &directory, e))?;
        if input.runs > 1 {
            input.progress.say(format!("run {n} of {}", input.runs));
        }
        let one = VerifyInput { out: &directory, runs: 1, ..*input };
        let (report, error) = attempt(&one, &common)?;
        if input.runs > 1 {
            results::write(&report, &directory)?;
        }
        runs.push(report);
        if error.is_some() {
            over = error;
            break;
        }
    }
    let report = if input.runs > 1 { merged(runs) } else { runs.remove(0) };
    results::write(&report, input.out)?;
    match over {
        None => Ok(report),
        Some(error) => {
            input.progress.say(format!("what was seen until then is in {}", input.out.display()));
            Err(error)
        }
    }
}

/// Takes away what an earlier verification left.
fn prepare(input: &VerifyInput<'_>) -> Result<()> {
    std::fs::create_dir_all(input.out).map_err(|e| Error::io("the result's directory cannot be made", input.out, e))?;
    let entries =
        std::fs::read_dir(input.out).map_err(|e| Error::io("the result's directory cannot be read", input.out, e))?;
    for entry in entries.flatten() {
        let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
        let number = name.strip_prefix("run-").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
        let removed = if name == "evidence" || name == "evidence-retried" || number {
            std::fs::remove_dir_all(&path)
        } else if OLD.contains(&name.as_str()) {
            std::fs::remove_file(&path)
        } else {
            Ok(())
        };
        removed.map_err(|e| Error::io("old results cannot be removed", &path, e))?;
    }
    Ok(())
}

/// What every run of a verification shares.
struct Common<'a> {
    accelerator: &'a Accelerator,
    around: &'a Surroundings,
    wanted: &'a [SelectedCheck],
    /// The same, and what is to be known of a machine whose snapshot is kept.
    learning: Vec<SelectedCheck>,
    /// What a snapshot must belong to.
    identity: SnapshotIdentity,
    snapshots: SnapshotStore,
    /// The disk's file when its digest was right.
    disk: FileStamp,
    /// How many checks there are.
    of: usize,
    /// What all of them are.
    plan_digest: Digest,
}

/// The disk must be the one that was built. Its bytes are read, unless a snapshot was kept of this very file and it was not
/// written it since.
fn same_disk(input: &VerifyInput<'_>, snapshots: &SnapshotStore, kept: Option<&StoredSnapshot>) -> Result<FileStamp> {
    let stamp = FileStamp::of(input.disk)?;
    if kept.is_some_and(|k| k.snapshot.disk_stamp == stamp) {
        return Ok(stamp);
    }
    let before = digest(input.disk)?;
    if before != input.disk_sha256 {
        let other = Error::new(Exit::Input, "the disk is not the one that was built");
        return Err(other.at(input.disk.display().to_string()).because(format!("its SHA-256 is {before}")));
    }
    kept.map_or(Ok(()), |kept| snapshots.same_disk(kept, stamp.clone()))?;
    Ok(stamp)
}

/// Why no snapshot could answer what is wanted.
fn needs_boot(input: &VerifyInput<'_>, wanted: &[SelectedCheck]) -> Option<String> {
    if input.boot {
        return Some("a boot was asked for".to_owned());
    }
    let chosen = || wanted.iter().filter(|w| !w.needed);
    let seen = chosen().find(|w| w.check.from_power_on);
    // Where every question has boots of its own there is nothing to put back.
    let own = chosen().all(|w| w.check.is_apart());
    let seen = seen.map(|w| format!("`{}` is about the boot itself", w.check.id));
    seen.or_else(|| own.then(|| "what was chosen has boots of its own".to_owned()))
}

/// One run; a second one where the first was the host's fault. With the error to end with, if there is one.
fn attempt(input: &VerifyInput<'_>, common: &Common<'_>) -> Result<(Report, Option<Error>)> {
    let (mut accelerator, mut retried) = (common.accelerator.clone(), Vec::new());
    let found = common.snapshots.find(&common.identity);
    let mut fits = found.is_ok();
    let (mut from, mut why_booted) = match (needs_boot(input, common.wanted), found) {
        (Some(why), _) => (None, Some(why)),
        (None, Ok(kept)) => (Some(kept), None),
        (None, Err(why)) => (None, Some(why)),
    };
    loop {
        let begun = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs());
        let start = Start {
            restored: from.as_ref().map(|kept| report::Kept {
                key: kept.snapshot.identity.key(),
                kept: kept.snapshot.kept,
                age: kept.snapshot.age(),
            }),
            why_booted: why_booted.clone().filter(|_| input.boot || !input.choice.selection(common.of).is_whole()),
        };
        input.progress.say(format!("machine: {start}"));
        let same = accelerator.kind == common.accelerator.kind;
        let running = common.wanted.iter().any(|w| !w.check.is_apart());
        let keep = (from.is_none() && running && same && (!fits || input.boot)).then_some(&common.identity);
        let checks: Vec<SelectedCheck> = match (&from, keep) {
            // What a check needs first is what the snapshot is about.
            (Some(_), _) => common.wanted.iter().filter(|w| !w.needed).cloned().collect(),
            (None, Some(_)) => common.learning.clone(),
            (None, None) => common.wanted.to_vec(),
        };
        let made_of = Pass {
            accelerator: &accelerator,
            around: common.around,
            checks: &checks,
            from: from.as_ref(),
            keep,
            snapshots: &common.snapshots,
            disk: &common.disk,
        };
        let passed = pass(input, &made_of)?;
        if let Some(error) = &passed.unrestored {
            let cause = error.cause.as_deref().map(|c| format!(": {c}")).unwrap_or_default();
            why_booted = Some(format!("the kept snapshot could not be restored: {}{cause}", error.what));
            common.snapshots.forget()?;
            (from, fits) = (None, false);
            continue;
        }
        if let Some((ended, _)) = passed.ended.as_ref().filter(|(e, _)| e.class == Class::Infra && retried.is_empty()) {
            input.progress.say(format!("the host's fault, not the image's: {}; once more", ended.what));
            let evidence = input.out.join("evidence");
            if evidence.exists() {
                let kept = input.out.join("evidence-retried");
                diorite_host::file::rename_scratch(&evidence, &kept)
                    .map_err(|e| Error::io("the evidence cannot be kept", &kept, e))?;
            }
            if classes::accelerator(ended) && accelerator.kind == AcceleratorKind::Kvm {
                accelerator = Accelerator { kind: AcceleratorKind::Tcg, reason: format!("KVM failed: {}", ended.what) };
            }
            retried.push(ended.clone());
            if from.take().is_some() {
                why_booted = Some("the run that went on from the kept snapshot was spoilt by the host".to_owned());
            }
            continue;
        }
        let PassResult { results, boot, seconds, ended, .. } = passed;
        let (ended, error) = ended.unzip();
        let report = Report {
            schema: Report::SCHEMA,
            name: input.recipe.image.name.clone(),
            version: input.recipe.image.version.clone(),
            disk_sha256: input.disk_sha256,
            recipe_digest: input.recipe.digest(),
            accelerator: accelerator.kind.to_string(),
            accelerator_reason: accelerator.reason,
            start,
            begun,
            seconds,
            selection: Selection { plan_digest: Some(common.plan_digest), ..input.choice.selection(common.of) },
            checks: complete(results, &checks, ended.as_ref()),
            ended,
            retried,
            runs: 1,
            boot,
        };
        // A fault of the image is in the report; there is no other error.
        return Ok((report, error.filter(|e| e.exit != Exit::VerificationFailed)));
    }
}

/// The answers in the order of the questions; those that were not asked any more are skipped with the reason.
fn complete(results: Vec<CheckResult>, wanted: &[SelectedCheck], ended: Option<&Ended>) -> Vec<CheckResult> {
    let at = ended.map_or(0.0, |e| e.at);
    let reason = ended.map_or_else(|| "nobody asked".to_owned(), |e| format!("not asked, because {}", e.what));
    let missing = |w: &&SelectedCheck| !results.iter().any(|r| r.id == w.check.id);
    let skipped: Vec<CheckResult> = wanted
        .iter()
        .filter(missing)
        .map(|w| CheckResult {
            id: w.check.id.clone(),
            what: w.check.what.clone(),
            evidence: w.check.evidence,
            needed: w.needed,
            verdict: Verdict::Skip,
            class: None,
            seen: reason.clone(),
            at,
            seconds: 0.0,
            passes: 0,
        })
        .collect();
    results.into_iter().chain(skipped).collect()
}

/// One report about several runs: a check passed when it passed in each. What differs is flaky, and fails.
fn merged(runs: Vec<Report>) -> Report {
    let count = u32::try_from(runs.len()).unwrap_or(u32::MAX);
    let shown = runs.iter().position(|r| !r.passed()).unwrap_or(runs.len() - 1);
    let mut all = runs[shown].clone();
    for check in &mut all.checks {
        let of_run = |run: &'_ Report| run.checks.iter().find(|c| c.id == check.id).cloned();
        let answers: Vec<Option<CheckResult>> = runs.iter().map(of_run).collect();
        check.passes = answers.iter().flatten().map(|c| c.passes).sum();
        let bad = |verdict| {
            answers.iter().enumerate().find_map(|(n, c)| Some((n + 1, c.clone().filter(|c| c.verdict == verdict)?)))
        };
        if let Some((n, worst)) = bad(Verdict::Fail).or_else(|| bad(Verdict::Skip)) {
            let passes = check.passes;
            *check = CheckResult { passes, ..worst };
            if passes > 0 {
                check.verdict = Verdict::Fail;
                check.class.get_or_insert(Class::Product);
                check.seen = format!("flaky: passed in {passes} of {count} runs; in run {n}: {}", check.seen);
            }
        }
    }
    Report {
        runs: count,
        begun: runs[0].begun,
        seconds: runs.iter().map(|r| r.seconds).sum(),
        retried: runs.iter().flat_map(|r| r.retried.clone()).collect(),
        ended: runs.iter().find_map(|r| r.ended.clone()),
        ..all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::{check, report};
    use crate::select::Choice;

    #[test]
    fn several_runs_are_one_report() {
        let run = |a, b| report(vec![check("a", a), check("b", b)]);
        let (pass, fail, skip) = (Verdict::Pass, Verdict::Fail, Verdict::Skip);
        let good = merged(vec![run(pass, pass), run(pass, pass)]);
        assert!(good.passed() && good.flaky().count() == 0 && good.runs == 2);
        let flaky = merged(vec![run(pass, pass), run(pass, fail), run(pass, pass)]);
        assert_eq!((flaky.passed(), flaky.flaky().count(), flaky.checks[1].passes), (false, 1, 2));
        assert!(
            flaky.checks[1].seen.starts_with("flaky: passed in 2 of 3 runs; in run 2: "),
            "{}",
            flaky.checks[1].seen
        );
        let broken = merged(vec![run(pass, fail), run(pass, fail)]);
        assert_eq!((broken.flaky().count(), broken.checks[1].verdict), (0, fail), "it fails each time");
        let once = merged(vec![run(pass, skip), run(pass, pass)]);
        assert_eq!((once.checks[1].verdict, once.flaky().count()), (fail, 1), "a skip is no pass");
        let never = merged(vec![run(pass, skip), run(pass, skip)]);
        assert_eq!(never.checks[1].verdict, skip);
    }

    #[test]
    fn what_was_not_asked_is_skipped_with_its_reason() {
        let plan = plan::of(&crate::scope::tests::server(), &[]);
        let wanted = Choice::default().of(plan).unwrap_or_else(|e| panic!("{e}"));
        let ended = Ended { class: Class::Infra, what: "QEMU has ended".into(), cause: None, at: 7.0 };
        let first = CheckResult { id: wanted[0].check.id.clone(), ..check("x", Verdict::Pass) };
        let all = complete(vec![first], &wanted, Some(&ended));
        assert_eq!(all.len(), wanted.len());
        assert_eq!((all[0].verdict, all[1].verdict), (Verdict::Pass, Verdict::Skip));
        assert_eq!(all[1].seen, "not asked, because QEMU has ended");
    }
}
