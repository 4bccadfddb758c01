//! From nothing to a machine, to its next image, and back.

mod common;

use common::case::{Case, UUID, describe};
use diorite_model::recipe::Protocol;
use diorite_model::verify::{Ask, IpFamily, Level, OwnCheck, Port, PortState};
use diorite_model::{Digest, Exit};
use diorite_proxmox::health::probes;
use diorite_proxmox::notes::HealthVerdict;
use diorite_proxmox::run::DeployRun;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::TcpListener;

#[test]
fn a_machine_is_made_and_a_second_run_does_nothing() {
    let case = Case::new();
    let done = case.deploy(1).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(done.id, 9000);
    let world = case.simulator.world();
    let machine = &world.machines[&9000];
    assert!(machine.running);
    assert_eq!(world.content(case.system(machine)), Some(case.digest(1)));
    for (key, value) in [
        ("machine", "q35"),
        ("bios", "ovmf"),
        ("cores", "2"),
        ("memory", "2048"),
        ("hotplug", "network,usb"),
        ("agent", "enabled=1"),
        ("boot", "order=scsi0"),
        ("serial0", "socket"),
        ("name", "web"),
        ("tags", &format!("diorite;diorite-{}", case.raw(1).short(12))),
    ] {
        assert_eq!(machine.config.get(key).map(String::as_str), Some(value), "{key}");
    }
    assert!(machine.config["scsi1"].contains("serial=state") && machine.config["scsi1"].contains("size=8192M"));
    assert!(machine.config["scsi0"].contains(&format!("serial={}", case.raw(1).short(20))));
    assert_eq!(machine.pool.as_deref(), Some("school"));
    assert!(machine.options.get("enable").is_some_and(|e| e == "1"));
    assert!(machine.rules.iter().all(|r| r.get("enable").is_some_and(|e| e == "1")), "no rule is switched off");
    assert_eq!(world.orphans(), Vec::<String>::new());
    drop(world);
    let before = case.changes();
    let again = case.deploy(1).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((again.steps.len(), case.changes()), (0, before));
}

#[test]
fn a_new_image_keeps_everything_else_and_costs_one_restart() {
    let case = Case::new();
    case.deploy(1).unwrap_or_else(|e| panic!("{e}"));
    let words = |world: &mut diorite_proxmox_simulator::World| {
        let config = &mut world.machines.get_mut(&9000).expect("ours").config;
        config.entry("description".into()).and_modify(|notes| *notes = format!("Call Anna first.\n{notes}"));
        config.entry("tags".into()).and_modify(|tags| *tags = format!("{tags};school"));
    };
    words(&mut case.simulator.world());
    let before = case.simulator.world().machines[&9000].clone();
    let done = case.deploy(2).unwrap_or_else(|e| panic!("{e}"));
    let world = case.simulator.world();
    let machine = &world.machines[&9000];
    for key in ["scsi1", "net0", "smbios1", "vmgenid", "efidisk0"] {
        assert_eq!(machine.config[key], before.config[key], "{key}");
    }
    assert!(machine.config["description"].starts_with("Call Anna first.\n"), "{}", machine.config["description"]);
    assert_eq!(machine.config["tags"], format!("diorite;diorite-{};school", case.raw(2).short(12)));
    assert_eq!((before.starts, machine.starts), (1, 2));
    assert_eq!(world.content(case.system(machine)), Some(case.digest(2)));
    assert_eq!(world.content(&machine.config["unused0"]), Some(case.digest(1)), "the old one is kept");
    assert_eq!(world.machines.len(), 1, "nothing else stays");
    assert_eq!(world.orphans(), Vec::<String>::new());
    assert!(done.away.is_some() && done.evidence.is_some_and(|e| e.agent));
}

#[test]
fn the_way_back_needs_no_upload_and_leads_back_again() {
    let case = Case::new();
    for version in [1, 2] {
        case.deploy(version).unwrap_or_else(|e| panic!("{e}"));
    }
    let uploads = || case.simulator.requests().iter().filter(|a| a.path.ends_with("/upload")).count();
    let before = uploads();
    case.roll_back(1).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(case.runs(), 1);
    let generations = case.generations();
    assert_eq!(generations.iter().map(|g| g.version.as_str()).collect::<Vec<_>>(), ["1", "2"]);
    // Forward again, to a disk that is still there.
    case.deploy(2).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((case.runs(), uploads()), (2, before));
    // What the guest admits is what the hypervisor admits, in either direction.
    let admitted = |case: &Case| {
        let world = case.simulator.world();
        let ports = world.machines[&9000].rules.iter().filter_map(|rule| rule.get("dport").cloned());
        (ports.collect::<BTreeSet<_>>(), world.machines[&9000].sets["set-admins"].clone())
    };
    let second = admitted(&case);
    let sources = |case: &Case| case.simulator.world().machines[&9000].sets.get("ipfilter-net0").cloned();
    assert_eq!(sources(&case), Some(BTreeSet::from(["10.0.0.2".to_owned()])));
    case.roll_back(1).unwrap_or_else(|e| panic!("{e}"));
    let first = admitted(&case);
    assert_eq!(sources(&case), None, "it learns its addresses");
    assert!(first.0.contains("1001") && !first.0.contains("1002") && first.1.contains("10.1.0.0/16"), "{first:?}");
    case.roll_back(2).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(admitted(&case), second);
    assert!(case.generations().iter().all(|g| g.proven == HealthVerdict::Good && g.volume.is_some()));
    assert_eq!(case.simulator.world().orphans(), Vec::<String>::new());
}

#[test]
fn only_so_many_old_disks_are_kept() {
    let case = Case::new();
    for version in [1, 2, 3, 4] {
        case.deploy(version).unwrap_or_else(|e| panic!("{e}"));
    }
    let versions: Vec<_> = case.generations().into_iter().map(|g| g.version).collect();
    assert_eq!(versions, ["4", "3", "2"]);
    let world = case.simulator.world();
    assert_eq!(world.machines[&9000].config.keys().filter(|k| k.starts_with("unused")).count(), 2);
    assert_eq!(world.orphans(), Vec::<String>::new());
    drop(world);
    let error = case.roll_back(1).expect_err("it is gone");
    assert!(error.to_string().contains("deploy that version again"), "{error}");
}

#[test]
fn an_image_that_does_not_work_is_taken_back() {
    let mut case = Case::new();
    case.deploy(1).unwrap_or_else(|e| panic!("{e}"));
    let unhealthy = case.digest(2);
    case.simulator.world().unhealthy.insert(unhealthy);
    let rules = case.simulator.world().machines[&9000].rules.clone();
    case.hardware.memory = 4 << 30;
    let error = case.deploy(2).expect_err("it is unhealthy");
    case.hardware.memory = 2 << 30;
    assert_eq!(error.exit, Exit::VerificationFailed);
    assert_eq!(case.simulator.world().machines[&9000].rules, rules, "what only the new one wanted is gone again");
    insta::assert_snapshot!("taken_back", common::steady(&error));
    assert_eq!(case.runs(), 1);
    assert_eq!(case.simulator.world().machines[&9000].starts, 3);
    let of = |version: &str| case.generations().into_iter().find(|g| g.version == version).map(|g| g.proven);
    assert_eq!((of("1"), of("2")), (Some(HealthVerdict::Good), Some(HealthVerdict::Failed)));
    let before = case.changes();
    case.deploy(1).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(case.changes(), before, "it rests");
    // Mended, the same bytes may try again.
    case.simulator.world().unhealthy.clear();
    case.deploy(2).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(case.runs(), 2);
}

#[test]
fn the_first_image_that_does_not_work_is_left_to_be_looked_at() {
    let case = Case::new();
    let unhealthy = case.digest(1);
    case.simulator.world().unhealthy.insert(unhealthy);
    let error = case.deploy(1).expect_err("it is unhealthy");
    assert!(error.to_string().contains("look at its console"), "{error}");
    assert!(case.simulator.world().machines[&9000].running);
}

#[test]
fn a_change_of_the_machine_is_made_with_one_restart_and_keeps_the_address() {
    let mut case = Case::new();
    case.deploy(1).unwrap_or_else(|e| panic!("{e}"));
    let mac = |case: &Case| case.simulator.world().machines[&9000].config["net0"].split(',').next().map(str::to_owned);
    let before = mac(&case);
    (case.hardware.memory, case.hardware.vlan) = (4 << 30, Some(7));
    case.deploy(1).unwrap_or_else(|e| panic!("{e}"));
    let world = case.simulator.world();
    let machine = &world.machines[&9000];
    assert_eq!((machine.config["memory"].as_str(), machine.starts), ("4096", 2));
    assert!(machine.config["net0"].contains("tag=7"));
    drop(world);
    assert_eq!(mac(&case), before);
}

#[test]
fn a_machine_gets_its_own_values_and_new_ones_with_one_restart() {
    let mut case = Case::new();
    let disc = |case: &Case| case.desired(1).config_drive.expect("a disc").volume;
    case.values = Some("address 1".into());
    case.deploy(1).unwrap_or_else(|e| panic!("{e}"));
    let attached = |case: &Case| case.simulator.world().machines[&9000].config["scsi2"].clone();
    assert!(attached(&case).starts_with(&format!("{},media=cdrom", disc(&case))), "{}", attached(&case));
    assert_eq!(case.simulator.world().machines[&9000].config["smbios1"], format!("uuid={UUID}"));
    let before = case.changes();
    case.deploy(1).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(case.changes(), before, "it rests");

    // Together with the next image: one restart for both.
    case.values = Some("address 2".into());
    case.deploy(2).unwrap_or_else(|e| panic!("{e}"));
    assert!(attached(&case).starts_with(&disc(&case)), "{}", attached(&case));
    let starts = |case: &Case| case.simulator.world().machines[&9000].starts;
    assert_eq!((starts(&case), case.runs()), (2, 2));

    // Values that the machine does not work with are taken back, and its image stays.
    let good = attached(&case);
    case.values = Some("address 3".into());
    case.simulator.world().unhealthy.insert(Digest::of(b"address 3"));
    let error = case.deploy(2).expect_err("it cannot be reached");
    assert_eq!(error.exit, Exit::VerificationFailed);
    assert!(error.to_string().contains("the VM was rolled back to server 2, which works"), "{error}");
    assert_eq!((attached(&case), case.runs()), (good.clone(), 2));
    let machine = case.simulator.world().machines[&9000].clone();
    assert!(machine.running && case.generations()[0].proven == HealthVerdict::Good);

    // The way back to another image is none to other values.
    case.roll_back(1).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((attached(&case), case.runs()), (good, 1));
}

#[test]
fn discs_with_former_values_go_where_the_login_may_remove_them() {
    let discs = |case: &Case| {
        let world = case.simulator.world();
        world.storages["local"].files.keys().filter(|name| name.starts_with("iso/")).cloned().collect::<Vec<_>>()
    };
    for (mut case, left) in [(Case::new().may_remove(), 1), (Case::new(), 2)] {
        let theirs = (1, Digest::of(b"theirs"));
        case.simulator
            .world()
            .storages
            .get_mut("local")
            .expect("a storage")
            .files
            .insert("iso/diorite-web-x.iso".into(), theirs);
        for version in [1, 2] {
            case.values = Some(format!("address {version}"));
            case.deploy(version).unwrap_or_else(|e| panic!("{e}"));
        }
        let ours: Vec<_> = discs(&case).into_iter().filter(|name| name != "iso/diorite-web-x.iso").collect();
        assert_eq!((ours.len(), discs(&case).len()), (left, left + 1), "{ours:?}");
        let now = case.desired(2).config_drive.expect("a disc").volume;
        assert!(ours.iter().any(|name| now.ends_with(name)), "{ours:?}");
        // Values that the machine does not work with go as well, and not those that it goes back to.
        case.values = Some("address 3".into());
        case.simulator.world().unhealthy.insert(Digest::of(b"address 3"));
        case.deploy(2).expect_err("it cannot be reached");
        assert!(discs(&case).iter().any(|name| now.ends_with(name)), "{:?}", discs(&case));
        assert_eq!(discs(&case).len(), if left == 1 { 2 } else { 4 }, "{:?}", discs(&case));
    }
}

#[test]
fn what_a_plan_says_is_what_is_done() {
    let case = RefCell::new(Case::new().may_remove());
    let agree = |version: u32| {
        // A machine with values of its own, which are others with each version but the fourth.
        let mut case = case.borrow_mut();
        case.values = Some(format!("address {}", version % 3));

        let planned: Vec<_> =
            case.plan(version).unwrap_or_else(|e| panic!("{e}")).into_iter().map(|(step, _)| step).collect();
        let done = case.deploy(version).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(describe(&planned), describe(&done.steps), "version {version}");
        planned.len()
    };
    let lengths: Vec<_> = [1, 2, 3, 4, 3, 3].into_iter().map(agree).collect();
    assert!(lengths[..5].iter().all(|n| *n > 4) && lengths[5] == 0, "{lengths:?}");
}

#[test]
fn a_plan_changes_nothing_and_shows_every_call() {
    let mut case = Case::new();
    let by = "deploy@pve!ci".to_owned();
    case.run = DeployRun { by, host: "build1".into(), process: 4711, since: 1_796_036_520, until: 1_796_038_920 };
    let plan = case.plan(1).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(case.changes(), 0);
    let shown: Vec<_> = plan
        .iter()
        .map(|(step, call)| call.as_ref().map_or(step.to_string(), |call| format!("{step}\n  {call}")))
        .collect();
    insta::assert_snapshot!("plan", shown.join("\n"));
}

#[test]
fn killed_after_any_call_on_8_4_the_next_run_ends_the_same() {
    killed_after_any_call("8.4.14");
}

#[test]
fn killed_after_any_call_on_9_1_the_next_run_ends_the_same() {
    killed_after_any_call("9.1.7");
}

#[test]
fn killed_after_any_call_on_9_2_the_next_run_ends_the_same() {
    killed_after_any_call(NEWEST);
}

/// The newest version of Proxmox VE that the simulator knows.
const NEWEST: &str = "9.2.11";

fn killed_after_any_call(version_of_host: &str) {
    let story: &[(&str, &[u32], u32)] =
        &[("first", &[], 1), ("next", &[1], 2), ("back", &[1, 2], 1), ("fourth", &[1, 2, 3], 4)];
    // In a cluster that does all that it can for it; alone; with values of its own. What differs between the versions of a
    // host is in all of them: the older ones are asked about the one with the most calls.
    let kinds = [(false, true), (false, false), (true, false)];
    let kinds = if version_of_host == NEWEST { &kinds[..] } else { &kinds[..1] };
    let stories = story.iter().flat_map(|story| kinds.iter().map(move |kind| (story, *kind)));
    let mut kills = 0;
    for ((name, before, version), (values, cluster)) in stories {
        let fresh =
            || if cluster { Case::clustered_on(version_of_host) } else { Case::on(version_of_host).may_remove() };
        let deploy = |case: &mut Case, version: u32| {
            case.values = values.then(|| format!("address {version}"));
            case.deploy(version)
        };
        let told = || {
            let mut case = fresh();
            before.iter().for_each(|v| drop(deploy(&mut case, *v).unwrap_or_else(|e| panic!("{e}"))));
            case
        };
        let told = told();
        let mut calm = told.again();
        let start = calm.changes();
        deploy(&mut calm, *version).unwrap_or_else(|e| panic!("{e}"));
        let (calls, desired) = (calm.changes() - start, calm.picture());
        assert!(calls > 4, "{name}: {calls}");
        for k in 1..=calls {
            let mut case = told.again();
            case.simulator.vanish_after(k);
            deploy(&mut case, *version).expect_err("nobody answers");
            case.simulator.mend();
            deploy(&mut case, *version).unwrap_or_else(|e| panic!("{name}, killed after call {k} of {calls}: {e}"));
            assert_eq!(case.picture(), desired, "{name}, killed after call {k} of {calls}");
            assert_eq!(case.simulator.world().orphans(), Vec::<String>::new(), "{name}, {k}");
        }
        kills += calls;
        println!("{version_of_host}, {name}, values {values}, cluster {cluster}: {calls} calls");
    }
    println!("{version_of_host}: {kills} runs were killed, and the next one of each arrived");
}

/// A port that answers over IPv4 only, of a machine that has addresses of both families.
fn asked(family: Option<IpFamily>) -> Result<(), String> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let ask = Ask::Port(Port { port, protocol: Protocol::Tcp, state: PortState::Open, family });
    let check = OwnCheck { name: "site".into(), retry: 5, level: Level::Outside, ask };
    let mut case = Case::new();
    case.simulator.world().address_ipv6 = "::1".into();
    case.probes = probes(&[check]).0;
    case.deploy(1).map(|_| ()).map_err(|e| e.to_string())
}

#[test]
fn a_check_is_asked_in_the_families_of_a_verification() {
    assert_eq!(asked(Some(IpFamily::Ipv4)), Ok(()), "the family that it names");
    for family in [None, Some(IpFamily::Ipv6)] {
        let why = asked(family).expect_err("nothing listens over IPv6");
        assert!(why.contains("check `site` at ::1"), "{why}");
    }
}

#[test]
fn a_machine_without_an_address_of_the_family_is_not_healthy() {
    let port = Port { port: 9, protocol: Protocol::Tcp, state: PortState::Silent, family: Some(IpFamily::Ipv6) };
    let check = OwnCheck { name: "six".into(), retry: 5, level: Level::Outside, ask: Ask::Port(port) };
    let mut case = Case::new();
    case.probes = probes(&[check]).0;
    let why = case.deploy(1).expect_err("there is no such address").to_string();
    assert!(why.contains("no IPv6 address"), "{why}");
}
