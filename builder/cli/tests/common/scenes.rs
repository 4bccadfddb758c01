//! Scenarios of the project, run in a test's own copy.
#![allow(dead_code)]

use crate::common::{self, Project, material, text};
use crate::vm;
use diorite_model::report::{ScenarioReport, Verdict};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// The project's scenarios, beside its profiles.
pub fn copied(project: &Project) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vm-tests/scenarios");
    common::copy(&from, &project.path("vm-tests/scenarios"));
}

/// `diorite scenario` with the store of the material, where the tools are.
pub fn run(project: &Project, arguments: &[&str]) -> Command {
    let mut command = project.diorite();
    command.arg("scenario").args(arguments).env("DIORITE_STORE", material("DIORITE_TEST_STORE"));
    // A process group of its own, as a shell would give it.
    command.process_group(0);
    command
}

/// What a scenario left.
pub fn report(project: &Project, name: &str) -> ScenarioReport {
    let file = project.path(format!("out/scenarios/{name}/report.json"));
    serde_json::from_slice(&fs::read(file).expect("report.json")).expect("a report")
}

/// A scenario of the project on disks that are there (`server`, which `make test` built) or are built now: every step is
/// as it must be, and nothing is left behind.
pub fn passes(name: &str) {
    let _alone = vm::alone();
    let project = vm::prepared("server");
    copied(&project);
    built(&project, name);
    let output = run(&project, &[name, "--scratch-lock"]).output().expect("the program starts");
    let (shown, said) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{shown}{said}");
    let report = report(&project, name);
    assert!(report.passed() && report.count(Verdict::Pass) == report.steps.len(), "{shown}");
    println!("{shown}");
    let out = project.path(format!("out/scenarios/{name}"));
    assert!(fs::metadata(out.join("wire.pcapng")).is_ok_and(|m| m.len() > 10_000), "{name}: wire.pcapng");
    assert!(!out.join("evidence").exists() && !out.join(".verify").exists());
    assert_eq!(vm::processes(&out), Vec::<String>::new());
}

/// A scenario that must not pass, on the disk of `server`: exit code 4, and within the time that a host needs for two
/// boots. Returns the report; nothing is left running.
pub fn fails(project: &Project, scenario: &str) -> ScenarioReport {
    fs::write(project.path("wrong.toml"), scenario).expect("a scenario");
    let begun = Instant::now();
    let output = run(project, &["./wrong.toml"]).output().expect("the program starts");
    let (shown, said) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(4), "{shown}{said}");
    assert!(begun.elapsed() < Duration::from_secs(600), "{:?}\n{shown}", begun.elapsed());
    let out = project.path("out/scenarios/wrong");
    assert_eq!(vm::processes(&out), Vec::<String>::new());
    assert!(!out.join(".verify").exists());
    let junit = fs::read_to_string(out.join("junit.xml")).expect("junit.xml");
    assert!(junit.contains("type=\"PRODUCT\""), "{junit}");
    println!("{shown}");
    report(project, "wrong")
}

/// Builds what a scenario boots besides `server`.
fn built(project: &Project, name: &str) {
    let listed = project.json(&["scenario", "--list", name]);
    let machines = listed["scenarios"][0]["machines"].as_array().expect("machines").clone();
    let profiles: BTreeSet<&str> = machines.iter().filter_map(|m| m["source"]["profile"].as_str()).collect();
    for profile in profiles.into_iter().filter(|p| *p != "server") {
        let arguments = ["build", profile, "--relock", "--format", "raw"];
        let output = vm::online(project, &arguments).output().expect("the program starts");
        assert!(output.status.success(), "{profile}: {}{}", text(&output.stdout), text(&output.stderr));
    }
}
