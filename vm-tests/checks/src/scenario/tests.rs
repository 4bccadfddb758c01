//! Ids and reports of runs.

use super::*;
use diorite_model::scenario::{Patience, Until};

fn step(name: &str) -> Step {
    let act = Act::Boot { machines: vec![0], until: Until::Running, restarts: 0 };
    Step { name: name.to_owned(), place: "x.toml:1:1".to_owned(), patience: Patience::Progress, not: false, act }
}

fn report(verdicts: &[Verdict]) -> ScenarioReport {
    let one = |(n, v): (usize, &Verdict)| result(n, &step("do it"), (*v, "seen".to_owned()), Instant::now(), 0.0);
    ScenarioReport {
        schema: ScenarioReport::SCHEMA,
        name: "x".into(),
        about: "y".into(),
        seed: 0,
        machines: vec![],
        accelerator: "tcg".into(),
        accelerator_reason: "a test".into(),
        begun: 1,
        seconds: 1.0,
        ended: None,
        retried: vec![],
        runs: 1,
        steps: verdicts.iter().enumerate().map(one).collect(),
    }
}

#[test]
fn a_steps_id_is_its_number_and_name() {
    let made = result(0, &step("Port 22 on one, from lan!"), (Verdict::Fail, "x".to_owned()), Instant::now(), 0.0);
    assert_eq!((made.id.as_str(), made.class), ("01-port-22-on-one-from-lan", Some(Class::Product)));
}

#[test]
fn several_runs_are_one_report() {
    let (pass, fail, skip) = (Verdict::Pass, Verdict::Fail, Verdict::Skip);
    let good = merged(vec![report(&[pass, pass]), report(&[pass, pass])]);
    assert!(good.passed() && good.runs == 2 && good.steps[1].passes == 2);
    let flaky = merged(vec![report(&[pass, pass]), report(&[fail, skip])]);
    assert!(!flaky.passed());
    assert_eq!(flaky.steps[0].seen, "flaky: passed in 1 of 2 runs; in run 2: seen");
    assert_eq!(flaky.steps[1].verdict, skip, "a skip is no pass");
}

#[test]
fn what_must_not_be_so_is_turned_round() {
    let (so, otherwise) = (|| Ok("so".to_owned()), || Err("otherwise".to_owned()));
    assert_eq!((turned(so(), false), turned(otherwise(), false)), (so(), otherwise()));
    assert_eq!(turned(so(), true), Err("it is so, and must not be: so".to_owned()));
    assert_eq!(turned(otherwise(), true), Ok("not so: otherwise".to_owned()));
}
