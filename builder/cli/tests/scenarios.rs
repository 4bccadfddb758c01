//! `diorite scenario`: what it lists, and what it says of files that are wrong and hosts that are too small, before
//! anything boots.

mod common;
#[path = "common/scenes.rs"]
mod scenes;
#[path = "common/vm.rs"]
mod vm;
use common::{Project, text};
use diorite_model::report::{Class, Verdict};
use std::fs;

#[test]
fn every_scenario_is_listed_with_its_steps() {
    let project = Project::new();
    scenes::copied(&project);
    let shown = text(&project.succeed(&["scenario", "--list"]).stdout);
    let files = fs::read_dir(project.path("vm-tests/scenarios")).expect("scenarios").flatten();
    let names: Vec<String> =
        files.filter_map(|f| f.file_name().to_str()?.strip_suffix(".toml").map(str::to_owned)).collect();
    assert!(!names.is_empty() && names.iter().all(|name| shown.contains(&format!("{name}: "))), "{shown}");
    let listed = project.json(&["scenario", "--list", "link"]);
    assert_eq!(listed["scenarios"][0]["name"], "link");
}

/// Files that are wrong: one error, and nothing was booted.
#[test]
fn what_cannot_be_run_is_said_before_anything_boots() {
    let project = vm::prepared("server");
    scenes::copied(&project);
    let good = fs::read_to_string(project.path("vm-tests/scenarios/link.toml")).expect("a scenario");
    let cases = [
        ("unknown key", good.replacen("carrier = { up", "carier = { up", 1)),
        ("unknown machine", good.replacen("link = {}", "on = \"servr\"\nlink = {}", 1)),
        ("unknown segment", good.replacen("segments = [\"lan\"]", "segments = [\"wan\"]", 1)),
        ("impossible", good.replacen("boot = {}", "power_off = {}", 1)),
        ("not built", good.replacen("profile = \"server\"", "profile = \"base\"", 1)),
    ];
    let mut said = String::new();
    for (what, scenario) in cases {
        assert_ne!(scenario, good, "{what}");
        fs::write(project.path("wrong.toml"), scenario).expect("a file");
        let output = scenes::run(&project, &["./wrong.toml"]).output().expect("the program starts");
        assert!(output.stdout.is_empty(), "{what}: {}", text(&output.stdout));
        said += &format!("{what}: exit {}\n{}\n", output.status.code().expect("a code"), text(&output.stderr));
    }
    assert!(!project.path("out/scenarios").exists(), "nothing was begun");
    insta::assert_snapshot!(said);
}

#[test]
fn a_host_without_memory_is_told_what_is_needed() {
    let project = vm::prepared("server");
    scenes::copied(&project);
    let mut command = scenes::run(&project, &["link"]);
    let output = command.env("DIORITE_MEMORY", "1000").output().expect("the program starts");
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(said.contains("there is no memory for the machines that `link` has on at once: 1024 MiB"), "{said}");
    assert!(said.contains("machines may use 1000 MiB here (DIORITE_MEMORY)"), "{said}");
    let report = scenes::report(&project, "link");
    let ended = report.ended.as_ref().expect("it ended");
    assert_eq!((ended.class, report.retried.len(), report.count(Verdict::Skip)), (Class::Infra, 0, report.steps.len()));
}
