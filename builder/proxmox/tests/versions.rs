//! What differs between Proxmox VE 8.4, 9.1 and 9.2, and what every one of them does after a restart.

mod common;

use common::case::{Case, VERSIONS};
use common::{client, client_with, environment, limits, steady};
use diorite_model::Exit;
use diorite_proxmox::ClientLimits;
use diorite_proxmox::check::REQUIRED;
use diorite_proxmox::client::{CallErrorKind, Method, Parameters, Path};
use diorite_proxmox::desired::image_tag;
use diorite_proxmox::notes::{HealthVerdict, Notes};
use diorite_proxmox::ready::ready;
use diorite_proxmox_simulator::{Simulator, World};
use std::collections::BTreeSet;
use std::time::Duration;

/// A client that does not wait for a lock for long.
fn impatient(case: &Case) -> diorite_proxmox::Client {
    let limits = ClientLimits { lock: Duration::from_millis(30), ..limits() };
    client_with(&case.simulator.url(), "", &environment, limits)
}

fn good<T>(result: diorite_model::Result<T>) -> T {
    result.unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn fifteen_privileges_none_of_them_at_the_top_are_enough() {
    for version in VERSIONS {
        let mut world = World::of_version(version);
        world.grants.remove("/");
        let names: BTreeSet<_> = world.grants.values().flatten().cloned().collect();
        assert_eq!(names.len(), 15, "{version}: {names:?}");
        assert!(!world.grants.contains_key("/vms"), "{version}");
        let required: BTreeSet<_> = REQUIRED.iter().map(|privilege| privilege.name).collect();
        assert!(required.len() <= 15, "{version}");
        let case = Case::of(world, "");
        good(ready(&case.client, &Default::default()));
        for image in [1, 2] {
            good(case.deploy(image));
        }
        good(case.roll_back(1));
        assert_eq!((case.runs(), case.simulator.world().orphans()), (1, vec![]), "{version}");
        let machine = case.simulator.world().machines[&9000].clone();
        assert_eq!(machine.config["tags"], format!("diorite;diorite-{}", case.raw(1).short(12)), "{version}");
    }
}

/// Positive control: tags in the create itself are what 9.2 refuses, and nothing else.
#[test]
fn tags_in_a_create_need_a_privilege_at_the_vm_since_9_2() {
    for version in VERSIONS {
        let simulator = Simulator::http(World::of_version(version));
        let create = |tags: Option<&str>, id: u64| {
            let parameters = Parameters::none().number("vmid", id).text("pool", "school").text("name", "x");
            let parameters = tags.iter().fold(parameters, |all, tags| all.text("tags", *tags));
            client(&simulator).call(Method::Post, &Path::new(["nodes", "pve1", "qemu"]), &parameters)
        };
        create(None, 9000).unwrap_or_else(|e| panic!("{version}: {}", e.why));
        let tagged = create(Some("diorite"), 9001);
        match version.starts_with("9.2") {
            false => assert!(tagged.is_ok(), "{version}"),
            true => {
                let failure = tagged.expect_err("it is not in the pool yet");
                assert_eq!(failure.kind, CallErrorKind::Forbidden);
                assert_eq!(failure.why, "Permission check failed (/vms/9001, VM.Config.Options)");
            }
        }
    }
}

#[test]
fn no_redeploy_is_lost_to_the_lock_after_a_restart() {
    for version in VERSIONS {
        let case = Case::on(version);
        good(case.deploy(1));
        let (mut lost, mut waited, mut attempts) = (0, 0, 0);
        for n in 0..50 {
            let before = case.simulator.world().clock;
            let done = if n % 2 == 0 { case.deploy(2) } else { case.roll_back(1) };
            match done {
                Ok(done) => waited += usize::from(done.locked > 0.0),
                Err(_) => lost += 1,
            }
            attempts += usize::from(case.simulator.world().clock - before >= Duration::from_secs(30));
        }
        println!("{version}: {lost} of 50 redeploys lost; {waited} waited for a lock");
        assert_eq!((lost, waited, attempts), (0, 50, 50), "{version}");
    }
}

#[test]
fn a_lock_that_stays_is_told_and_nothing_that_worked_is_forgotten() {
    for version in VERSIONS {
        let mut case = Case::on(version);
        good(case.deploy(1));
        case.simulator.world().cleanup = Duration::from_secs(1 << 30);
        let short = impatient(&case);
        let patient = std::mem::replace(&mut case.client, short);
        let error = case.deploy(2).expect_err("nobody lets go");
        assert_eq!(error.exit, Exit::Remote);
        let text = steady(&error);
        assert!(text.contains("got timeout") && text.contains("`qm cleanup` holds its lock"), "{text}");
        assert!(!text.contains("GET update"), "{text}");
        let proven =
            |case: &Case, image: &str| case.generations().into_iter().find(|g| g.version == image).map(|g| g.proven);
        assert_eq!(proven(&case, "1"), Some(HealthVerdict::Good), "{version}");
        // The lock is let go: the way back is known, and so is the way forward.
        let mut world = case.simulator.world();
        world.cleanup = Duration::from_secs(30);
        world.machines.get_mut(&9000).expect("ours").locked_until = Duration::ZERO;
        drop(world);
        case.client = patient;
        let mut way_back = good(case.status()).remove(0).disks.into_iter().skip(1);
        assert!(way_back.any(|d| d.generation.version == "1" && d.generation.proven == HealthVerdict::Good));
        good(case.roll_back(1));
        assert_eq!((case.runs(), proven(&case, "1")), (1, Some(HealthVerdict::Good)), "{version}");
    }
}

#[test]
fn that_an_image_works_is_read_from_two_places() {
    let case = Case::new();
    good(case.deploy(1));
    // Somebody restores old notes, in which nothing was known yet.
    let tag = image_tag(case.client.target(), case.raw(1));
    let mut world = case.simulator.world();
    let config = &mut world.machines.get_mut(&9000).expect("ours").config;
    assert!(config["tags"].contains(&tag));
    let Some(Notes::Machine(mut notes)) = Notes::parse(&config["description"]) else { panic!("no notes") };
    notes.generations[0].proven = HealthVerdict::New;
    config.insert("description".into(), Notes::Machine(notes).render(""));
    drop(world);
    let disk = good(case.status()).remove(0).disks.remove(0);
    assert_eq!(disk.generation.proven, HealthVerdict::Good, "the tag says it");
    let unhealthy = case.digest(2);
    case.simulator.world().unhealthy.insert(unhealthy);
    let error = case.deploy(2).expect_err("it is unhealthy");
    assert!(error.to_string().contains("rolled back to server 1, which works"), "{error}");
}

#[test]
fn what_is_running_after_an_interrupted_trial_is_tried_and_not_taken_for_broken() {
    let mut case = Case::new();
    good(case.deploy(1));
    case.client = impatient(&case);
    // The answer that it works cannot be written down.
    case.simulator.world().cleanup = Duration::from_secs(1 << 30);
    case.deploy(2).expect_err("nobody lets go");
    let mut world = case.simulator.world();
    world.machines.get_mut(&9000).expect("ours").locked_until = Duration::ZERO;
    let starts = world.machines[&9000].starts;
    drop(world);
    good(case.deploy(2));
    assert_eq!(case.simulator.world().machines[&9000].starts, starts, "it runs, and is only asked");
    assert!(case.generations().iter().all(|g| g.proven == HealthVerdict::Good && !g.on_trial));
}

#[test]
fn a_rollback_takes_less_than_two_seconds_of_the_api() {
    for version in VERSIONS {
        let case = Case::on(version);
        for image in [1, 2] {
            good(case.deploy(image));
        }
        let before = case.simulator.requests().len();
        let done = good(case.roll_back(1));
        let requests = case.simulator.requests().len() - before;
        let api = done.seconds - done.locked;
        println!("{version}: {api:.3} s in {requests} requests, and {:.3} s of waiting for locks", done.locked);
        assert!(api < 2.0, "{version}: {api}");
    }
}

#[test]
fn failed_images_take_no_place_of_good_ones() {
    let case = Case::new();
    for image in [1, 2] {
        good(case.deploy(image));
    }
    let unhealthy = case.digest(3);
    case.simulator.world().unhealthy.insert(unhealthy);
    case.deploy(3).expect_err("it is unhealthy");
    let versions = |case: &Case| case.generations().into_iter().map(|g| g.version).collect::<Vec<_>>();
    assert_eq!(versions(&case), ["2", "3", "1"], "it stays to be looked at");
    good(case.deploy(2));
    assert_eq!(versions(&case), ["2", "3", "1"], "until another one works");
    good(case.deploy(4));
    assert_eq!(versions(&case), ["4", "2", "1"]);
    assert_eq!(case.simulator.world().orphans(), Vec::<String>::new());
}

#[test]
fn a_disk_that_somebody_deleted_is_missed() {
    for kind in ["zfspool", "dir"] {
        let mut world = World::new();
        let storage = world.storages.get_mut("local-zfs").expect("a storage");
        storage.kind = kind;
        let case = Case::of(world, "");
        for image in [1, 2] {
            good(case.deploy(image));
        }
        let disks = || good(case.status()).remove(0).disks;
        assert!(disks().iter().all(|disk| !disk.missing), "{kind}: {:?}", disks());
        let volume = disks()[1].generation.volume.clone().expect("a volume");
        let name = volume.split_once(':').expect("a storage").1;
        case.simulator.world().storages.get_mut("local-zfs").expect("a storage").files.remove(name);
        assert_eq!(disks().iter().map(|disk| disk.missing).collect::<Vec<_>>(), [false, true], "{kind}");
        let before = case.changes();
        let error = case.roll_back(1).expect_err("its disk is gone");
        assert!(error.to_string().contains(&format!("its disk {volume} is not on the storage any more")), "{error}");
        assert!(case.changes() - before <= 2, "nothing but the notes: {kind}");
        good(case.deploy(1));
        assert_eq!(case.runs(), 1, "it is imported again");
    }
}

#[test]
fn a_guest_that_does_not_answer_is_not_given_the_time_of_a_shutdown() {
    for version in VERSIONS {
        let case = Case::on(version);
        good(case.deploy(1));
        let unhealthy = case.digest(2);
        case.simulator.world().unhealthy.insert(unhealthy);
        let before = (case.simulator.world().clock, case.simulator.requests().len());
        case.deploy(2).expect_err("it is unhealthy");
        let asked = case.simulator.requests();
        let ends = |end: &str| asked[before.1..].iter().filter(|request| request.path.ends_with(end)).count();
        assert_eq!((ends("/status/shutdown"), ends("/status/stop")), (1, 1), "{version}");
        let took = case.simulator.world().clock - before.0;
        // Two restarts, each with the lock behind it.
        assert!(took < Duration::from_secs(90), "{version}: {took:?}");
    }
}

#[test]
fn a_run_that_changes_nothing_needs_no_file() {
    let case = Case::new();
    let needs = |image: u32| good(case.with(image, |d| d.needs_file(&[case.desired(image)])));
    assert!(needs(1));
    good(case.deploy(1));
    assert!(!needs(1));
    good(case.deploy(2));
    assert!(needs(3) && !needs(2) && !needs(1), "a kept disk is attached again");
}

#[test]
fn a_vm_that_is_too_young_to_be_listed_by_name_is_seen() {
    let mut world = World::new();
    let young = world.clock;
    let machine = diorite_proxmox_simulator::VirtualMachine {
        node: "pve1".into(),
        pool: Some("school".into()),
        config: [("name".to_owned(), "web".to_owned())].into(),
        created: young,
        ..Default::default()
    };
    // Out of our range of IDs, too: only its configuration can say what it is.
    world.machines.insert(500, machine);
    let case = Case::of(world, "");
    let error = case.deploy(1).expect_err("it is in the way");
    assert!(error.to_string().contains("VM 500 is called `web`, and was not made by Diorite"), "{error}");
    assert_eq!(case.changes(), 0);
}

#[test]
fn drift_of_the_firewall_is_mended_rule_by_rule() {
    let case = Case::new();
    good(case.deploy(1));
    let rules = || case.simulator.world().machines[&9000].rules.clone();
    let before = rules();
    case.simulator.world().machines.get_mut(&9000).expect("ours").rules[1].insert("dport".into(), "22".into());
    let start = case.changes();
    let done = good(case.deploy(1));
    let steps: Vec<_> =
        done.steps.iter().map(ToString::to_string).filter(|step| step.starts_with("firewall")).collect();
    assert_eq!(steps.len(), 2, "{steps:?}");
    assert!(steps[0].contains("add the rule") && steps[1].contains("remove rule 2"), "{steps:?}");
    // And the notes name the run before it, and no run after it.
    assert_eq!(case.changes() - start, 4);
    let sorted = |mut rules: Vec<_>| {
        rules.sort();
        rules
    };
    assert_eq!(sorted(rules()), sorted(before));
}

#[test]
fn what_is_more_open_than_declared_is_closed_before_an_image_is_tried() {
    for version in VERSIONS {
        let case = Case::on(version);
        good(case.deploy(1));
        let rule = [("type", "in"), ("action", "ACCEPT"), ("proto", "tcp"), ("dport", "22"), ("enable", "1")];
        let mut world = case.simulator.world();
        let machine = world.machines.get_mut(&9000).expect("ours");
        machine.rules.insert(0, rule.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
        machine.options.insert("policy_in".into(), "ACCEPT".into());
        machine.sets.get_mut("set-admins").expect("a set").insert("0.0.0.0/0".into());
        drop(world);
        let done = good(case.deploy(2));
        let place = |what: &str| {
            let found = done.steps.iter().position(|step| step.to_string().contains(what));
            found.unwrap_or_else(|| panic!("{what}: {:?}", done.steps))
        };
        let restart = place("shut VM 9000 down");
        for closed in ["remove rule", "policy_in DROP", "remove 0.0.0.0/0 from the IP set set-admins"] {
            assert!(place(closed) < restart, "{version}: {closed}");
        }
        // What the image before declares is closed when the new one works.
        assert!(place("remove 10.1.0.0/16 from the IP set set-admins") > place("wait until the VM is healthy"));
    }
}

#[test]
fn a_second_deployment_is_told_of_the_first() {
    for version in VERSIONS {
        let mut case = Case::on(version);
        good(case.deploy(1));
        // The first one is somewhere in the middle, and its process lives.
        case.run.process = std::process::id();
        case.simulator.vanish_after(4);
        case.deploy(2).expect_err("nobody answers");
        case.simulator.mend();
        let first = case.run.clone();
        case.run.process = 1;
        case.run.since += 1;
        let before = case.changes();
        let error = case.deploy(3).expect_err("another one is under way");
        let text = error.to_string();
        assert!(text.contains("another deployment of `web` is under way"), "{text}");
        let who = format!("deploy@pve!ci on {} (process {}), since 20", first.host, std::process::id());
        assert!(text.contains(&who) && text.contains(" UTC"), "{text}");
        assert_eq!((error.exit, case.changes()), (Exit::Remote, before), "{version}");
        assert!(case.roll_back(1).is_err(), "nor does a rollback interfere");
        assert_eq!(good(case.status()).remove(0).run, Some(first.clone()));
        // It has ended: its process is gone.
        let mut world = case.simulator.world();
        let config = &mut world.machines.get_mut(&9000).expect("ours").config;
        let notes = config["description"].replace(&format!("\"process\":{}", first.process), "\"process\":4294967295");
        config.insert("description".into(), notes);
        drop(world);
        good(case.deploy(3));
        assert_eq!((case.runs(), case.simulator.world().orphans()), (3, vec![]), "{version}");
        assert_eq!(good(case.status()).remove(0).run, None);
    }
}

#[test]
fn two_at_the_same_moment_make_one_machine() {
    for version in VERSIONS {
        for before in [None, Some(1)] {
            let case = Case::on(version);
            before.map(|image| good(case.deploy(image)));
            let run = |process: u32| {
                let mut run = case.run.clone();
                (run.process, run.since) = (process, run.since + u64::from(process % 2));
                case.with_run(run, 2, |d| d.deploy(&case.desired(2)))
            };
            // Two processes of this host that live.
            let (one, other) = std::thread::scope(|scope| {
                let other = scope.spawn(|| run(1));
                (run(std::process::id()), other.join().expect("a thread"))
            });
            assert!(one.is_ok() || other.is_ok(), "{version}: {one:?} {other:?}");
            for outcome in [one, other] {
                if let Err(error) = outcome {
                    assert!(error.to_string().contains("is under way"), "{version}: {error}");
                }
            }
            assert_eq!((case.runs(), case.simulator.world().machines.len()), (2, 1), "{version}");
            assert_eq!(case.simulator.world().orphans(), Vec::<String>::new());
        }
    }
}

#[test]
fn volumes_are_named_as_their_storage_names_them() {
    for (kind, name) in [("dir", "local-zfs:9000/vm-9000-disk-3.qcow2"), ("lvmthin", "local-zfs:vm-9000-disk-3")] {
        let mut world = World::new();
        world.storages.get_mut("local-zfs").expect("a storage").kind = kind;
        let case = Case::of(world, "");
        good(case.deploy(1));
        let plan = good(case.plan(2));
        let said = plan.iter().map(|(step, _)| step.to_string()).find(|step| step.contains("as the system disk"));
        assert!(said.is_some_and(|said| said.contains(name)), "{kind}: {plan:?}");
        good(case.deploy(2));
        let world = case.simulator.world();
        assert_eq!(case.system(&world.machines[&9000]), name, "{kind}");
    }
}
