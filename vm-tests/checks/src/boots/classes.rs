//! Whose fault an ended run is: the image's, the checks' own, or the host's. Only the host's is worth another try.

use diorite_machine::Machine;
use diorite_model::{
    Error, Exit, Result,
    report::{CheckResult, Class, Ended, Verdict},
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What QEMU says on its standard error when an accelerator fails, in part only sometimes with an end.
const ACCELERATOR: [&str; 5] =
    ["KVM internal error", "entry failed", "failed to set MSR", "KVM_RUN", "Could not access KVM kernel module"];

/// What went wrong, classed; back again when it is no verdict on anything: the user's interrupt, or input that is wrong.
pub(crate) fn ended(error: Error, at: Duration) -> Result<(Ended, Error)> {
    let class = match error.exit {
        Exit::VerificationFailed => Class::Product,
        Exit::Host => Class::Infra,
        Exit::Bug => Class::Test,
        _ => return Err(error),
    };
    Ok((Ended { class, what: error.what.clone(), cause: error.cause.clone(), at: at.as_secs_f64() }, error))
}

/// The outcome of asking a machine; an error in place of verdicts when the host failed under it. A network that falls
/// silent and a shell that ends look like faults of the image until QEMU itself is asked.
pub(crate) fn blamed<T>(asked: Result<T>, machine: &Machine, results: &[CheckResult]) -> Result<T> {
    let suspicious = match &asked {
        Ok(_) => results.iter().any(|r| r.verdict == Verdict::Fail),
        Err(error) => error.exit == Exit::VerificationFailed,
    };
    if !suspicious {
        return asked;
    }
    match fault(machine) {
        None => asked,
        Some(fault) => Err(fault),
    }
}

/// The state that QEMU says it is in; nothing of one that has ended.
fn state(machine: &Machine) -> Result<Value> {
    let state = machine.qmp("query-status", json!({}));
    // Its sockets close a moment before the process is seen to be gone.
    let end = Instant::now() + Duration::from_secs(2);
    while state.is_err() && machine.ended().is_none() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    state
}

/// What the host did to this machine, if anything.
pub(crate) fn fault(machine: &Machine) -> Option<Error> {
    let state = state(machine);
    let ended = machine.ended().filter(|status| !status.success()).map(|status| status.to_string());
    let told = state.ok().and_then(|s| s.get("status").and_then(Value::as_str).map(str::to_owned));
    let of_qemu = judge(ended, told.as_deref(), &machine.complaints());
    of_qemu.or_else(|| starved(machine.waited(), machine.console.lines().into_iter().map(|(_, line)| line)))
}

/// More than this share of its time without a processor, and the guest's own clock has run too fast for it.
const STARVED: f64 = 0.5;

/// A guest counts its time-outs by the clock on the wall, whether the host lets it run or not.
fn starved(waited: Option<f64>, mut console: impl Iterator<Item = String>) -> Option<Error> {
    let share = waited.filter(|share| *share > STARVED)?;
    let line = console.find(|line| line.contains("imed out"))?;
    let what = format!("the host let the machine run for {:.0} % of the time it needed only", (1.0 - share) * 100.0);
    Some(Error::host(what).because(line).hint("verify again when less runs beside it"))
}

/// `ended`: how QEMU ended, when it failed; `state`: RunState of query-status (QEMU's qapi/run-state.json).
fn judge(ended: Option<String>, state: Option<&str>, complaints: &str) -> Option<Error> {
    let said = complaints.lines().find(|l| ACCELERATOR.iter().any(|a| l.contains(a)));
    let what = match (ended, state, said) {
        (Some(status), ..) => format!("QEMU has ended: {status}"),
        (_, Some("internal-error"), _) | (.., Some(_)) => "the accelerator has failed".to_owned(),
        // Its default for a write that finds no room is to stop the machine.
        (_, Some("io-error"), _) => "the machine's disk cannot be written on this host".to_owned(),
        _ => return None,
    };
    let last = said.or(complaints.lines().last()).unwrap_or("it does not say why");
    Some(
        Error::host(what)
            .because(last)
            .hint("look for space and memory, and for another accelerator: DIORITE_ACCEL=tcg"),
    )
}

/// What the console of a machine that has ended knows of it: units that failed, and how it went down.
pub(crate) fn last_words(machine: &Machine) -> Option<String> {
    if state(machine).is_ok() {
        return None;
    }
    let alarm = machine.console.alarms().pop().map(|alarm| alarm.line);
    epitaph(machine.console.lines().into_iter().map(|(_, line)| line), alarm)
}

/// Why a machine answers no more, and what its console knows of that.
pub(crate) fn with_last_words(what: &str, machine: &Machine) -> String {
    match last_words(machine) {
        Some(words) => format!("{what}; its console said: {words}"),
        None => what.to_owned(),
    }
}

/// `lines` of the console, and the last one that is an alarm.
fn epitaph(lines: impl Iterator<Item = String>, alarm: Option<String>) -> Option<String> {
    let mut all: Vec<String> = lines.filter_map(|l| Some(l.split_once("[FAILED] ")?.1.to_owned())).collect();
    all.dedup();
    all.drain(..all.len().saturating_sub(3));
    all.extend(alarm);
    (!all.is_empty()).then(|| all.join("; "))
}

/// Whether trying the same accelerator again makes sense.
pub(crate) fn accelerator(ended: &Ended) -> bool {
    ended.what == "the accelerator has failed"
        || ended.cause.as_deref().is_some_and(|c| ACCELERATOR.iter().any(|a| c.contains(a)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_its_class() {
        let of = |error: Error| ended(error, Duration::from_secs(3)).map(|(e, _)| e.class).ok();
        assert_eq!(of(Error::new(Exit::VerificationFailed, "the console says: panic")), Some(Class::Product));
        assert_eq!(of(Error::host("QEMU has ended: signal 9")), Some(Class::Infra));
        assert_eq!(of(Error::bug("the lab's thread has ended early")), Some(Class::Test));
        assert_eq!(of(Error::new(Exit::Interrupted, "interrupted")), None, "nobody's fault");
        let full = std::io::Error::from_raw_os_error(28);
        assert_eq!(of(Error::io("the report cannot be written", "out", full)), Some(Class::Infra));
    }

    #[test]
    fn the_hosts_faults_are_told_from_the_machines() {
        let what = |ended: Option<&str>, state, said| judge(ended.map(str::to_owned), state, said).map(|e| e.what);
        assert_eq!(what(None, Some("running"), ""), None);
        assert_eq!(what(None, Some("running"), "warning: TCG doesn't support requested feature"), None);
        assert_eq!(what(None, None, ""), None, "it switched itself off");
        assert!(what(Some("killed by signal 9"), None, "").is_some());
        assert!(what(None, Some("io-error"), "").is_some_and(|w| w.contains("disk")));
        assert!(what(None, Some("internal-error"), "").is_some());
        assert!(what(None, Some("running"), "KVM internal error. Suberror: 1").is_some(), "QEMU goes on for ever");
        let lines = ["[  OK  ] Started a.", "[FAILED] Failed to start web.", "[FAILED] Failed to start health."]
            .map(String::from);
        let down = Some("[   58.6] reboot: Restarting system".to_owned());
        let words = "Failed to start web.; Failed to start health.; [   58.6] reboot: Restarting system";
        assert_eq!(epitaph(lines.into_iter(), down).as_deref(), Some(words));
        assert_eq!(epitaph(std::iter::empty(), None), None);
        let said = |line: &str| std::iter::once(line.to_owned());
        let late = "[ TIME ] Timed out waiting for device dev-vda2.device - /dev/vda2.";
        assert!(starved(Some(0.8), said(late)).is_some_and(|e| e.what.contains("20 %")));
        assert_eq!(starved(Some(0.3), said(late)).map(|e| e.what), None, "it had its time");
        assert_eq!(starved(Some(0.8), said("Kernel panic")).map(|e| e.what), None, "no time has to do with it");
        let error = judge(Some("signal 6".into()), None, "x\nerror: failed to set MSR 0x10a to 0x1").expect("a fault");
        assert!(accelerator(&ended(error, Duration::ZERO).expect("classed").0));
        assert!(!accelerator(&ended(Error::host("no space"), Duration::ZERO).expect("classed").0));
    }
}
