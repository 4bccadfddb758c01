//! What a deployment must not do, and what it says instead.

mod common;

use common::case::Case;
use common::steady;
use diorite_model::{Error, Exit};
use diorite_proxmox::check::REQUIRED;
use diorite_proxmox::ready::ready;
use diorite_proxmox_simulator::endpoints::{ENDPOINTS, Returns};
use diorite_proxmox_simulator::{ApiFault, VirtualMachine, World};

/// The error, after it was made sure that nothing was changed.
fn refused(case: &Case, error: Error, before: usize) -> String {
    assert_eq!(error.exit, Exit::Remote, "{error}");
    assert_eq!(case.changes(), before, "something was changed: {error}");
    steady(&error)
}

#[test]
fn each_privilege_that_is_missing_is_named_before_anything_changes() {
    let places = ["/pool/school", "/storage/local", "/storage/local-zfs", "/sdn/zones/localnetwork/vmbr0"];
    let full = World::new();
    let mut seen = 0;
    for place in places {
        for name in &full.grants[place] {
            let mut world = full.clone();
            world.revoke(place, name);
            let case = Case::of(world, "");
            let error = ready(&case.client, &Default::default()).expect_err(name);
            let text = refused(&case, error, 0);
            assert!(text.contains(&format!("privilege {name} at {place} is missing")), "{name}: {text}");
            seen += 1;
        }
    }
    let names: std::collections::BTreeSet<_> = REQUIRED.iter().map(|needed| needed.name).collect();
    let target = Case::new().client.target().clone();
    let all: std::collections::BTreeSet<_> = REQUIRED.iter().map(|n| (n.at.path(&target), n.name)).collect();
    assert!(seen == all.len() && names.len() <= 15, "{seen} {names:?}");
    // With all of them, and none at `/`, a machine is made.
    let mut world = full;
    world.grants.remove("/");
    let case = Case::of(world, "");
    ready(&case.client, &Default::default()).unwrap_or_else(|e| panic!("{e}"));
    case.deploy(1).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn a_machine_of_somebody_else_is_never_touched() {
    let mut world = World::new();
    let theirs = |tags: &str| VirtualMachine {
        node: "pve1".into(),
        pool: Some("school".into()),
        running: true,
        config: [("name", "web"), ("tags", tags)].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        ..VirtualMachine::default()
    };
    world.machines.insert(9000, theirs("production"));
    let case = Case::of(world.clone(), "");
    insta::assert_snapshot!("same_name", refused(&case, case.deploy(1).expect_err("it is in the way"), 0));

    // Our tag, on a machine that we have not made.
    world.machines.insert(9000, theirs("diorite"));
    let case = Case::of(world.clone(), "");
    insta::assert_snapshot!("tag_only", refused(&case, case.deploy(1).expect_err("it is not ours"), 0));

    // Another name, in our range of numbers, out of our sight: its number is not taken.
    let hidden = VirtualMachine { pool: None, ..theirs("production") };
    world.machines.insert(9000, hidden.clone());
    let case = Case::of(world, "");
    assert_eq!(case.deploy(1).unwrap_or_else(|e| panic!("{e}")).id, 9001);
    assert_eq!(case.simulator.world().machines[&9000].config, hidden.config);
}

#[test]
fn a_machine_of_ours_with_another_purpose_stays() {
    let case = Case::new();
    case.deploy(1).unwrap_or_else(|e| panic!("{e}"));
    // One that is called as a staging machine would be, and works.
    let mut world = case.simulator.world();
    let mut other = world.machines[&9000].clone();
    other.config.insert("name".into(), "web-staging".into());
    other.config.retain(|key, _| !key.starts_with("scsi"));
    world.machines.insert(9005, other);
    drop(world);
    let before = case.changes();
    insta::assert_snapshot!("no_staging", refused(&case, case.deploy(2).expect_err("it works"), before));

    case.simulator.world().machines.remove(&9005);
    let mut another = case.desired(2);
    another.image = "other".into();
    let error = case.with(2, |d| d.deploy(&another)).expect_err("another image");
    insta::assert_snapshot!("another_image", refused(&case, error, before));
}

#[test]
fn a_disk_that_somebody_put_there_stays() {
    let case = Case::new();
    case.deploy(1).unwrap_or_else(|e| panic!("{e}"));
    let disk = "local-zfs:vm-9000-disk-77,serial=theirs";
    case.simulator.world().machines.get_mut(&9000).expect("ours").config.insert("scsi0".into(), disk.into());
    let before = case.changes();
    insta::assert_snapshot!("strange_disk", refused(&case, case.deploy(2).expect_err("not ours"), before));
}

#[test]
fn a_target_that_cannot_is_told_what_it_lacks() {
    let lacks = |name: &str, change: fn(&mut World)| {
        let mut world = World::new();
        change(&mut world);
        let case = Case::of(world, "");
        insta::assert_snapshot!(name, refused(&case, ready(&case.client, &Default::default()).expect_err(name), 0));
    };
    lacks("no_import", |w| w.storages.get_mut("local").expect("a storage").content = "iso".into());
    lacks("offline", |w| w.nodes.get_mut("pve1").expect("a node").online = false);
    lacks("firewall_off", |w| w.firewall = false);
    lacks("too_old", |w| w.version = "8.3.2".into());
}

#[test]
fn a_lock_that_no_task_holds_is_said_to_be_one() {
    let case = Case::new();
    case.deploy(1).unwrap_or_else(|e| panic!("{e}"));
    case.simulator.world().machines.get_mut(&9000).expect("ours").config.insert("lock".into(), "backup".into());
    let before = case.changes();
    insta::assert_snapshot!("locked", refused(&case, case.deploy(2).expect_err("it is locked"), before));
}

#[test]
fn a_machine_that_is_being_made_is_waited_for() {
    let case = Case::new();
    case.deploy(1).unwrap_or_else(|e| panic!("{e}"));
    // The lock goes with the task that holds it.
    let mut world = case.simulator.world();
    let upid = world.task("pve1", "qmclone", "9000", "deploy@pve!ci");
    world.tasks.get_mut(&upid).expect("a task").looks = 5;
    world.machines.get_mut(&9000).expect("ours").config.insert("lock".into(), "clone".into());
    world.unlocks.insert(upid, 9000);
    drop(world);
    case.deploy(2).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(case.runs(), 2);
}

#[test]
fn a_node_that_goes_down_while_it_takes_an_image_in() {
    let case = Case::clustered();
    case.deploy(1).unwrap_or_else(|e| panic!("{e}"));
    let node = case.simulator.world().machines[&9000].node.clone();
    case.simulator.world().crash_during_create = true;
    let error = case.deploy(2).expect_err("nobody says how it ended");
    insta::assert_snapshot!("went_down", common::steady(&error).replace(&node, "NODE"));
    assert_eq!(case.simulator.world().machines.len(), 2, "it was taking the image in");
    // While it is down nothing is done for the machine that is on it.
    let before = case.changes();
    let error = case.deploy(2).expect_err("its node is down");
    assert_eq!(case.changes(), before);
    insta::assert_snapshot!("is_down", common::steady(&error).replace(&node, "NODE"));
    case.simulator.world().nodes.get_mut(&node).expect("a node").online = true;
    case.deploy(2).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((case.runs(), case.simulator.world().orphans()), (2, vec![]));
}

/// Every call that changes something, failing in every way while a machine gets its next image: the run ends well or with
/// a clear error, and the next one arrives where a calm one does.
#[test]
fn whatever_fails_on_8_4_the_next_run_arrives() {
    whatever_fails("8.4.14");
}

#[test]
fn whatever_fails_on_9_1_the_next_run_arrives() {
    whatever_fails("9.1.7");
}

#[test]
fn whatever_fails_on_9_2_the_next_run_arrives() {
    whatever_fails(NEWEST);
}

/// The newest version of Proxmox VE that the simulator knows.
const NEWEST: &str = "9.2.11";

fn whatever_fails(version_of_host: &str) {
    // With values of its own, in a cluster.
    let fresh = || Case::clustered_on(version_of_host).may_remove();
    let deploy = |case: &mut Case, version: u32| {
        case.values = Some(format!("address {version}"));
        case.deploy(version)
    };
    let mut first_image = fresh();
    deploy(&mut first_image, 1).unwrap_or_else(|e| panic!("{e}"));
    let mut calm = first_image.again();
    deploy(&mut calm, 2).unwrap_or_else(|e| panic!("{e}"));
    let desired = calm.picture();
    let calls = [
        ("POST", "/nodes/{node}/storage/{storage}/upload"),
        ("POST", "/nodes/{node}/qemu"),
        ("POST", "/nodes/{node}/qemu/{vmid}/move_disk"),
        ("DELETE", "/nodes/{node}/qemu/{vmid}"),
        ("POST", "/nodes/{node}/qemu/{vmid}/config"),
        ("POST", "/nodes/{node}/qemu/{vmid}/status/shutdown"),
        ("POST", "/nodes/{node}/qemu/{vmid}/status/start"),
        ("POST", "/nodes/{node}/qemu/{vmid}/firewall/rules"),
        ("DELETE", "/nodes/{node}/qemu/{vmid}/firewall/rules/{pos}"),
        ("PUT", "/nodes/{node}/qemu/{vmid}/firewall/options"),
        ("POST", "/nodes/{node}/qemu/{vmid}/firewall/ipset/{name}"),
        ("PUT", "/cluster/ha/resources/{sid}"),
        ("DELETE", "/nodes/{node}/storage/{storage}/content/{volume}"),
    ];
    // Those of the first image alone.
    let first = [("POST", "/cluster/ha/resources"), ("POST", "/cluster/replication")];
    let faults = [
        ApiFault::Status(403),
        ApiFault::Status(500),
        ApiFault::LateAnswer,
        ApiFault::Cut,
        ApiFault::CutAfter,
        ApiFault::Lock,
        ApiFault::Locked("backup"),
        ApiFault::Task("out of space".into()),
        ApiFault::Task("can't lock file '/var/lock/qemu-server/lock-9000.conf' - got timeout".into()),
    ];
    // How the client takes a fault does not depend on the version of the host: on the older ones the two that leave most open.
    let open = |fault: &&ApiFault| matches!(fault, ApiFault::CutAfter | ApiFault::Task(_));
    let faults: Vec<_> = faults.iter().filter(|fault| version_of_host == NEWEST || open(fault)).collect();
    let (mut well, mut told) = (0, 0);
    for (version, (method, path)) in calls.map(|call| (2, call)).into_iter().chain(first.map(|call| (1, call))) {
        for fault in faults.iter().copied() {
            let task = ENDPOINTS.iter().any(|c| (c.method, c.path, c.returns) == (method, path, Returns::Task));
            if matches!(fault, ApiFault::Task(_)) && !task {
                continue;
            }
            let mut case = if version == 1 { fresh() } else { first_image.again() };
            case.simulator.fail(method, path, fault.clone(), 1);
            match deploy(&mut case, version) {
                Ok(_) => well += 1,
                Err(error) => {
                    assert_eq!(error.exit, Exit::Remote, "{method} {path} {fault:?}: {error}");
                    told += 1;
                }
            }
            case.simulator.mend();
            for version in version..=2 {
                deploy(&mut case, version).unwrap_or_else(|e| panic!("{method} {path} {fault:?}: {e}"));
            }
            assert_eq!(case.picture(), desired, "{method} {path} {fault:?}");
            assert_eq!(case.simulator.world().orphans(), Vec::<String>::new(), "{method} {path} {fault:?}");
        }
    }
    println!("{version_of_host}: {well} runs went on, {told} ended with an error; the next one of each arrived");
    let few = if version_of_host == NEWEST { 20 } else { 4 };
    assert!(well > few && told > few, "{well} {told}");
}
