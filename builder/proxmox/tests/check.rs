//! `target check` against a simulator: what is right, what is missing, each named with what to do; and nothing is changed.

mod common;

use common::{client, client_with, environment, limits, simulator, steady};
use diorite_model::{Exit, Result};
use diorite_proxmox::check::{FindingSeverity, PrivilegeScope, REQUIRED, TargetReport, check};
use diorite_proxmox_simulator::{Simulator, World};
use std::collections::BTreeSet;

/// A check of a world that was changed a little.
fn checked(more: &str, change: impl FnOnce(&mut World)) -> Result<TargetReport> {
    let mut world = World::new();
    change(&mut world);
    let simulator = Simulator::http(world);
    let report = check(&client_with(&simulator.url(), more, &environment, limits()), &Default::default());
    assert!(
        simulator.requests().iter().all(|asked| asked.method == "GET"),
        "a check changes nothing: {:?}",
        simulator.requests()
    );
    report
}

fn found(more: &str, change: impl FnOnce(&mut World)) -> TargetReport {
    checked(more, change).unwrap_or_else(|e| panic!("{e}"))
}

/// The problems alone, as they are printed.
fn problems(report: &TargetReport) -> String {
    let lines: Vec<_> = report.problems().map(|p| format!("{}\n  help: {}", p.what, p.hint)).collect();
    lines.join("\n")
}

fn page(report: &TargetReport) -> String {
    let text = report.to_string();
    let port = report.url.rsplit(':').next().expect("a port");
    text.replace(port, "PORT")
}

#[test]
fn a_target_that_is_ready() {
    let report = found("", |_| {});
    insta::assert_snapshot!(page(&report));
    assert_eq!(report.problems().count(), 0);
    assert_eq!(report.storages.len(), 2);
    assert_eq!(report.nodes[0].bridges, ["vmbr0"]);
}

#[test]
fn every_privilege_is_missed_by_name_and_path() {
    let shelf = "storage = { import = \"local\", disks = \"local-zfs\", iso = \"shelf\" }";
    let target = common::target("http://127.0.0.1:1", shelf);
    for needed in REQUIRED {
        let path = needed.at.path(&target);
        let report = found(shelf, |world| {
            world.grant("/storage/shelf", "Datastore.AllocateTemplate Datastore.Audit");
            world.revoke(&path, needed.name);
        });
        let desired = format!("privilege {} at {path} is missing: deploy@pve!ci cannot {}", needed.name, needed.to);
        let privileges: Vec<_> = report.problems().filter(|p| p.about == "privilege").collect();
        assert_eq!(privileges.len(), 1, "{privileges:#?}");
        assert_eq!(privileges[0].what, desired);
        assert!(privileges[0].hint.contains(&format!("pveum acl modify {path} --tokens 'deploy@pve!ci'")));
        assert!(privileges[0].hint.contains(needed.name));
    }
}

/// Whoever can sign discs needs a storage that takes them.
#[test]
fn a_storage_for_discs_is_looked_at_where_somebody_signs_them() {
    let no_discs = |world: &mut World| world.storages.get_mut("local").expect("local").content = "import".into();
    assert_eq!(problems(&found("", no_discs)), "");
    let said = problems(&found("signing_key_env = \"SIGNING_KEY\"", no_discs));
    assert!(said.contains("storage `local` on node `pve1` does not take `iso` content, only import"), "{said}");
    assert!(said.contains("pvesm set local --content import,iso"), "{said}");
}

#[test]
fn the_privileges_are_few_and_none_is_at_the_top() {
    let target = common::target("http://127.0.0.1:1", "");
    let names: BTreeSet<_> = REQUIRED.iter().map(|n| n.name).collect();
    assert!(names.len() <= 15, "{names:?}");
    for place in PrivilegeScope::ALL {
        assert_ne!(place.path(&target), "/");
    }
    // With exactly these, and no Sys.Audit at the top, nothing is missing.
    let report = found("", |world| world.revoke("/", "Sys.Audit"));
    assert_eq!(problems(&report), "");
    let unseen = report.findings.iter().find(|f| f.about == "firewall").expect("the firewall");
    assert_eq!(unseen.level, FindingSeverity::Note, "{unseen:?}");
}

#[test]
fn version_8_has_another_name_for_the_agent() {
    let on_8 = |world: &mut World| {
        world.version = "8.4.1".into();
        world.revoke("/pool/school", "VM.GuestAgent.Audit");
    };
    assert!(problems(&found("", on_8)).contains("privilege VM.Monitor at /pool/school is missing"));
    let report = found("", |world| {
        on_8(world);
        world.grant("/pool/school", "VM.Monitor");
    });
    assert_eq!(problems(&report), "");
}

/// Storages come in another order each time.
#[test]
fn a_report_is_the_same_each_time() {
    let simulator = Simulator::http(World::new());
    let client = client(&simulator);
    let names = || {
        let report = check(&client, &Default::default()).expect("a report");
        report.storages.into_iter().map(|s| s.name).collect::<Vec<_>>()
    };
    for _ in 0..4 {
        assert_eq!(names(), ["local", "local-zfs"]);
    }
}

#[test]
fn version_9_2_is_told_what_it_needs() {
    let report = found("", |world| *world = World::of_version("9.2.11"));
    assert_eq!(problems(&report), "");
    assert!(report.findings.iter().any(|f| f.what.contains("tags are set after a VM is created")), "{report}");
    assert!(!found("", |_| {}).findings.iter().any(|f| f.what.contains("tags")));
}

#[test]
fn a_token_without_any_privilege() {
    let report = found("", |world| world.grants.clear());
    insta::assert_snapshot!(problems(&report));
}

#[test]
fn without_a_pool() {
    // The rights on a pool do not help where machines are outside it.
    let simulator = Simulator::http(World::new());
    let text = common::described(&simulator.url(), "").replace("pool = \"school\"\n", "");
    let target =
        diorite_proxmox::target::parse(&text, "targets.toml", std::path::Path::new("."), None).expect("a target");
    let client = {
        let target = target[0].clone();
        let credential = target.credential(&environment).expect("a token");
        diorite_proxmox::Client::new(target, credential, &environment, limits()).expect("a client")
    };
    let missing = |report: &TargetReport| report.problems().filter(|p| p.what.contains("at /vms is missing")).count();
    assert_eq!(missing(&check(&client, &Default::default()).expect("a report")), 11);
    let names: Vec<_> = REQUIRED.iter().filter(|n| n.at == PrivilegeScope::Machines).map(|n| n.name).collect();
    simulator.world().grant("/vms", &names.join(" "));
    let report = check(&client, &Default::default()).expect("a report");
    assert_eq!(missing(&report), 0);
    assert!(report.findings.iter().any(|f| f.level == FindingSeverity::Note && f.what.contains("names no pool")));
}

#[test]
fn names_that_are_not_there() {
    let more = "nodes = [\"pve1\", \"pve2\"]\nbridge = \"vmbr1\"\nstorage = { import = \"locl\", disks = \"tank\" }\npool = \"schol\"";
    let report = found(more, |world| {
        world.grant("/", "Pool.Audit Datastore.AllocateSpace Datastore.AllocateTemplate Datastore.Audit SDN.Use");
        world.grant("/pool/schol", "VM.Audit");
    });
    let unknown: Vec<_> = report
        .problems()
        .filter(|p| p.about != "privilege")
        .map(|p| format!("{}\n  help: {}", p.what, p.hint))
        .collect();
    insta::assert_snapshot!(unknown.join("\n"));
}

#[test]
fn a_storage_that_takes_no_images() {
    let mut texts = Vec::new();
    texts.push(problems(&found("", |world| world.storages.get_mut("local").unwrap().content = "iso,vztmpl".into())));
    let report = found("storage = { import = \"local-zfs\", disks = \"local-zfs\" }", |world| {
        world.grant("/storage/local-zfs", "Datastore.AllocateTemplate");
    });
    texts.push(problems(&report));
    texts.push(problems(&found("", |world| world.storages.get_mut("local-zfs").unwrap().active = false)));
    texts.push(problems(&found("", |world| world.storages.get_mut("local").unwrap().free = 1_000_000)));
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn the_datacenters_firewall_is_off() {
    insta::assert_snapshot!(problems(&found("", |world| world.firewall = false)));
    let report = found("firewall = false", |world| world.firewall = false);
    assert_eq!(problems(&report), "", "who does without is not bothered");
}

#[test]
fn nodes_and_bridges_that_are_down() {
    let down = |world: &mut World| {
        let mut other = world.nodes["pve1"].clone();
        other.online = false;
        world.nodes.insert("pve2".into(), other);
    };
    assert_eq!(problems(&found("", down)), "", "nobody has asked for it");
    let report = found("nodes = [\"pve1\", \"pve2\"]", |world| {
        down(world);
        world.nodes.get_mut("pve1").unwrap().bridges.insert("vmbr0".into(), false);
    });
    insta::assert_snapshot!(problems(&report));
}

#[test]
fn a_node_that_does_not_answer_is_one_finding() {
    use diorite_proxmox_simulator::ApiFault;
    let simulator = simulator();
    simulator.fail("GET", "/nodes/{node}/network", ApiFault::Status(596), usize::MAX);
    let report = check(&client(&simulator), &Default::default()).expect("a report all the same");
    insta::assert_snapshot!(problems(&report));
}

#[test]
fn too_old() {
    let error = checked("", |world| world.version = "8.3.5".into()).expect_err("too old");
    assert_eq!(error.exit, Exit::Remote);
    insta::assert_snapshot!(steady(&error));
}

#[test]
fn newer_than_known() {
    let report = found("", |world| world.version = "10.1.2".into());
    assert_eq!(problems(&report), "");
    assert!(report.findings[0].what.contains("10.1.2 is newer"), "{:?}", report.findings[0]);
}
