//! Every scenario of the project passes. And what cannot pass ends soon, with its class, and leaves nothing running: an
//! expectation that is wrong, a guest that panics, starts anew or never boots, a QEMU that is killed.

use crate::{scenes, vm};
use diorite_model::report::{Class, ScenarioReport, Verdict};
use std::fs;

#[test]
fn a_machine_outlives_its_cable() {
    scenes::passes("link");
}

#[test]
fn servers_may_be_silent_slow_and_lying() {
    scenes::passes("outage");
}

#[test]
fn a_server_stands_a_storm() {
    scenes::passes("storm");
}

#[test]
fn no_packet_slips_through_while_the_rules_are_loaded_again() {
    scenes::passes("churn");
}

#[test]
fn ten_clones_are_ten_machines() {
    scenes::passes("clones");
}

#[test]
fn a_container_belongs_to_one_network_and_nothing_is_routed_unasked() {
    scenes::passes("vlans");
}

#[test]
fn two_images_on_one_switch_are_strangers() {
    scenes::passes("switch");
}

#[test]
fn a_machine_that_is_reset_again_and_again_stays_itself() {
    scenes::passes("reboot");
}

#[test]
fn a_container_starts_whatever_the_machine_has_suffered() {
    scenes::passes("mishaps");
}

#[test]
fn a_machine_that_watches_another_tells_when_it_stops_and_when_it_is_back() {
    scenes::passes("watch");
}

#[test]
fn the_inventory_keeps_its_records_and_its_team_hears_what_is_wrong() {
    scenes::passes("inventory");
}

#[test]
fn records_outlive_their_application_and_their_disk() {
    scenes::passes("replacement");
}

#[test]
fn somebody_uses_the_inventory_in_a_browser() {
    scenes::passes("browser");
}

#[test]
fn an_authority_signs_what_a_container_shows() {
    scenes::passes("acme");
}

#[test]
fn an_authority_is_shown_a_record_in_the_dns() {
    scenes::passes("acme-dns");
}

#[test]
fn a_journal_arrives_at_another_machine() {
    scenes::passes("logs");
}

#[test]
fn two_sites_reach_each_other_through_ipsec_alone() {
    scenes::passes("ipsec");
}

#[test]
fn two_sites_reach_each_other_through_wireguard_alone() {
    scenes::passes("wireguard");
}

#[test]
fn a_machine_dials_into_a_gateway_and_nothing_goes_beside_the_tunnel() {
    scenes::passes("fortinet");
}

/// Positive control of every kind of step, on one boot.
#[test]
fn every_question_can_be_answered_no() {
    scenes::passes("controls");
}

/// One machine of `server`, and these steps.
fn of(steps: &str) -> String {
    format!(
        "about = \"what cannot pass\"\n[segments.lan]\n[machines.server]\nprofile = \"server\"\n\
         segments = [\"lan\"]\n{steps}\n[[step]]\nname = \"never done\"\nping = {{}}\n"
    )
}

/// The step that failed and what was seen; those before it passed, those after it were not done.
fn failed(report: &ScenarioReport) -> (String, String) {
    let place = report.steps.iter().position(|s| s.verdict == Verdict::Fail).expect("a step that failed");
    let (before, after) = (&report.steps[..place], &report.steps[place + 1..]);
    assert!(before.iter().all(|s| s.verdict == Verdict::Pass), "{report:?}");
    assert!(!after.is_empty() && after.iter().all(|s| s.verdict == Verdict::Skip), "{report:?}");
    let step = &report.steps[place];
    assert_eq!(step.class, Some(Class::Product));
    (step.what.clone(), step.seen.clone())
}

/// The cable stays cut: the next question fails and the steps after it are not done; what helps to understand it is kept.
#[test]
fn a_fault_that_stays_ends_the_scenario_at_its_step() {
    let _alone = vm::alone();
    let project = vm::prepared("server");
    let report = scenes::fails(
        &project,
        &of("[[step]]\nboot = { until = \"shell\" }\n[[step]]\nwait = true\nport = { port = 22 }\n\
             [[step]]\nlink = { cut = true }\n[[step]]\nname = \"the port\"\nport = { port = 22 }"),
    );
    let (step, seen) = failed(&report);
    assert!(step == "the port" && seen.contains("wrong.toml:"), "{step}: {seen}");
    let evidence = project.path("out/scenarios/wrong/evidence/server");
    for file in ["journal.txt", "console.log", "network.txt", "qemu.argv"] {
        assert!(fs::metadata(evidence.join(file)).is_ok_and(|m| m.len() > 0), "{file}");
    }
}

/// The kernel panics while the timeline goes on.
#[test]
fn a_guest_that_panics_is_seen_at_once() {
    let _alone = vm::alone();
    let project = vm::prepared("server");
    let panic = "[[step]]\nboot = { until = \"shell\" }\n[[step]]\nname = \"it panics\"\n\
                 command = { exec = [\"sh\", \"-c\", \"echo c >/proc/sysrq-trigger; sleep 9\"] }";
    let (step, seen) = failed(&scenes::fails(&project, &of(panic)));
    assert!(step == "it panics" && seen.contains("panic"), "{step}: {seen}");
}

/// The kernel warns and goes on; what was asked was right.
#[test]
fn a_kernel_that_survives_its_fault_is_heard() {
    let _alone = vm::alone();
    let project = vm::prepared("server");
    let warns = "[[step]]\nboot = { until = \"shell\" }\n[[step]]\nname = \"it warns\"\n\
                 command = { exec = [\"sh\", \"-c\", \"echo 'WARNING: CPU: 0 PID: 1 at nowhere' >/dev/kmsg\"] }";
    let (step, seen) = failed(&scenes::fails(&project, &of(warns)));
    assert!(step == "it warns" && seen.contains("at nowhere"), "{step}: {seen}");
}

/// It starts anew without being asked.
#[test]
fn a_guest_that_starts_anew_unasked_is_seen_at_once() {
    let _alone = vm::alone();
    let project = vm::prepared("server");
    let again = "[[step]]\nboot = { until = \"shell\" }\n[[step]]\nname = \"it starts anew\"\nwait = true\n\
                 command = { exec = [\"sh\", \"-c\", \"systemctl reboot --no-block; false\"] }";
    let (step, seen) = failed(&scenes::fails(&project, &of(again)));
    assert!(step == "it starts anew" && seen.contains("reboot: "), "{step}: {seen}");
}

/// A disk that holds nothing: the firmware finds no system on it.
#[test]
fn a_disk_that_does_not_boot_is_no_host_fault() {
    let _alone = vm::alone();
    let project = vm::prepared("server");
    fs::File::create(project.path("blank.raw")).and_then(|f| f.set_len(64 << 20)).expect("a disk");
    let disk = "disk = \"blank.raw\"\nrecipe = \"profiles/server.toml\"";
    let scenario = of("[[step]]\nboot = {}").replace("profile = \"server\"", disk);
    let (step, seen) = failed(&scenes::fails(&project, &scenario));
    assert!(step == "boot server" && !seen.is_empty(), "{step}: {seen}");
}

/// QEMU is killed in the middle, also when it is tried once more: the host's fault, and nothing is left running.
#[test]
fn a_qemu_that_dies_in_the_middle_is_the_hosts_fault() {
    let _alone = vm::alone();
    let project = vm::prepared("server");
    scenes::copied(&project);
    let out = project.path("out/scenarios/link");
    let mut command = scenes::run(&project, &["link"]);
    vm::killed_under(&mut command, &out, "server");
    let report = scenes::report(&project, "link");
    let ended = report.ended.as_ref().expect("it ended early");
    assert_eq!((ended.class, report.retried.len(), report.passed()), (Class::Infra, 1, false), "{ended:?}");
    assert!(ended.what.contains("QEMU has ended"), "{ended:?}");
}
