//! Several machines, and what a cluster does for them.

mod common;

use common::case::{Case, three_nodes};
use diorite_model::machine::Cluster as ClusterSpec;
use diorite_model::{Error, Exit};
use diorite_proxmox::ready::ready;
use diorite_proxmox_simulator::World;
use std::collections::{BTreeMap, BTreeSet};

const NAMES: [&str; 3] = ["web-1", "web-2", "web-3"];

fn all() -> ClusterSpec {
    ClusterSpec { ha: true, anti_affinity: true, replication: Some("*/15".into()) }
}

fn case(world: World, more: &str, spec: ClusterSpec) -> Case {
    let mut case = Case::of(world, more);
    case.hardware.cluster = spec;
    case
}

fn good<T>(result: Result<T, Error>) -> T {
    result.unwrap_or_else(|e| panic!("{e}"))
}

/// Each machine's node, by name.
fn places(case: &Case) -> BTreeMap<String, String> {
    let world = case.simulator.world();
    world.machines.values().map(|m| (m.config["name"].clone(), m.node.clone())).collect()
}

fn state(case: &Case, id: u64) -> Option<BTreeMap<String, String>> {
    case.simulator.world().cluster.resources.get(&id).cloned()
}

/// The most machines that were away at once: from the shutdown to the answer of the guest's agent.
fn most_away(case: &Case, from: usize) -> usize {
    let (mut away, mut most) = (BTreeSet::new(), 0);
    for asked in &case.simulator.requests()[from..] {
        let Some(id) = asked.path.split('/').nth(4).map(str::to_owned) else { continue };
        if asked.path.ends_with("/status/shutdown") {
            away.insert(id);
        } else if asked.path.ends_with("/agent/ping") {
            away.remove(&id);
        }
        most = most.max(away.len());
    }
    most
}

#[test]
fn machines_are_spread_over_the_nodes_and_exchanged_so_many_at_a_time() {
    for at_once in [1, 2, 8] {
        let case = case(three_nodes(), "", ClusterSpec::default());
        good(case.roll(&NAMES, 1, at_once));
        let nodes: BTreeSet<_> = places(&case).into_values().collect();
        assert_eq!(nodes.len(), 3, "{:?}", places(&case));
        let before = case.simulator.requests().len();
        good(case.roll(&NAMES, 2, at_once));
        let most = most_away(&case, before);
        assert!((1..=at_once.min(3)).contains(&most), "{most} of {at_once}");
        let world = case.simulator.world();
        assert!(
            world.machines.values().all(|m| world.content(case.system(m)) == Some(case.digest(2)) && m.starts == 2)
        );
        assert_eq!((world.machines.len(), world.orphans()), (3, vec![]));
        let uploads = case.simulator.requests().iter().filter(|a| a.path.ends_with("/upload")).count();
        assert_eq!(uploads, 2, "each image once");
        drop(world);
        let changes = case.changes();
        good(case.roll(&NAMES, 2, at_once));
        assert_eq!(case.changes(), changes, "it rests");
    }
}

#[test]
fn the_first_machine_that_does_not_work_ends_it() {
    let case = case(three_nodes(), "", ClusterSpec::default());
    good(case.roll(&NAMES, 1, 1));
    let unhealthy = case.digest(2);
    case.simulator.world().unhealthy.insert(unhealthy);
    let error = case.roll(&NAMES, 2, 1).expect_err("the image is unhealthy");
    assert_eq!(error.exit, Exit::VerificationFailed);
    let text = error.to_string();
    assert!(
        text.contains("not deployed: web-2, web-3") && text.contains("was rolled back to server 1, which works"),
        "{text}"
    );
    let world = case.simulator.world();
    assert!(world.machines.values().all(|m| world.content(case.system(m)) == Some(case.digest(1))));
    assert_eq!(world.machines.values().map(|m| m.starts).collect::<Vec<_>>(), [3, 1, 1]);
    drop(world);
    // Both that were begun are said.
    let error = case.roll(&NAMES, 2, 2).expect_err("the image is unhealthy").to_string();
    assert!(error.contains("VM 9000") && error.contains("VM 9001") && error.contains("not deployed: web-3"), "{error}");
}

#[test]
fn the_cluster_watches_separates_and_copies_what_the_profile_says() {
    let mut case = case(three_nodes(), "", all());
    good(case.roll(&NAMES, 1, 1));
    let world = case.simulator.world();
    let cluster = world.cluster.clone();
    drop(world);
    assert_eq!(cluster.resources.keys().copied().collect::<Vec<_>>(), [9000, 9001, 9002]);
    assert!(cluster.resources.values().all(|r| r["state"] == "started"));
    let rule = &cluster.rules["diorite-server-apart"];
    assert_eq!((rule["affinity"].as_str(), rule["resources"].as_str()), ("negative", "vm:9000,vm:9001,vm:9002"));
    assert_eq!(cluster.rules.len(), 1, "all nodes may be used: {:?}", cluster.rules);
    // Each to both of the others.
    assert_eq!(cluster.jobs.len(), 6, "{:#?}", cluster.jobs);
    let before = case.changes();
    good(case.roll(&NAMES, 1, 1));
    assert_eq!(case.changes(), before, "it rests");

    // The next image: the cluster looks away meanwhile, and again afterwards.
    good(case.roll(&NAMES, 2, 2));
    let world = case.simulator.world();
    assert!(world.machines.values().all(|m| m.running && m.starts == 2));
    assert_eq!(world.cluster.resources, cluster.resources);
    drop(world);

    // Nobody wishes it any more.
    case.hardware.cluster = ClusterSpec::default();
    good(case.roll(&NAMES, 2, 1));
    let world = case.simulator.world();
    assert!(world.cluster.resources.is_empty() && world.cluster.rules.is_empty(), "{:#?}", world.cluster);
    assert!(world.cluster.jobs.values().all(|job| job.contains_key("remove_job")));
    assert!(world.machines.values().all(|m| m.starts == 2), "none of it needs a restart");
}

#[test]
fn eight_has_groups_whose_nodes_have_priorities() {
    let mut world = three_nodes();
    world.version = "8.4.14".into();
    world.grant("/pool/school", "VM.Monitor");
    world.grant("/storage", "Datastore.Allocate");
    let case = case(world, "", all());
    good(case.roll(&NAMES, 1, 1));
    let cluster = case.simulator.world().cluster.clone();
    assert_eq!(cluster.groups["diorite-server-pve2"]["nodes"], "pve1:1,pve2:2,pve3:1");
    let of = |id: u64| cluster.resources[&id]["group"].clone();
    let groups: BTreeSet<_> = [9000, 9001, 9002].map(of).into();
    assert_eq!(groups.len(), 3, "each prefers its own: {groups:?}");
    // Where the cluster has moved one, its group stays.
    case.simulator.world().machines.get_mut(&9000).expect("ours").node = "pve2".into();
    let home = of(9000);
    good(case.roll(&NAMES, 2, 1));
    assert_eq!(case.simulator.world().cluster.resources[&9000]["group"], home);
}

#[test]
fn nodes_that_the_target_does_not_name_are_not_used() {
    let case = case(three_nodes(), "nodes = [\"pve1\", \"pve3\"]", all());
    good(case.roll(&NAMES, 1, 1));
    assert!(places(&case).values().all(|node| node != "pve2"), "{:?}", places(&case));
    let cluster = case.simulator.world().cluster.clone();
    let rule = &cluster.rules["diorite-server-nodes"];
    assert_eq!((rule["nodes"].as_str(), rule["strict"].as_str()), ("pve1,pve3", "1"));
    assert!(cluster.jobs.values().all(|job| job["target"] != "pve2"));
    // Three cannot be apart on two, which is said, and no rule is made that the cluster would refuse.
    assert!(!cluster.rules.contains_key("diorite-server-apart"));
    let unmet = case.with(1, |d| d.plan(&case.named("web-1", 1), &BTreeSet::new())).expect("a plan").unmet;
    assert_eq!(unmet, ["anti-affinity: 3 VMs cannot be kept apart on 2 nodes"]);
}

#[test]
fn what_a_cluster_cannot_do_is_said() {
    let unmet = |world: World| {
        let case = case(world, "", all());
        let done = good(case.deploy(1));
        let cluster = case.simulator.world().cluster.clone();
        (done.unmet, cluster)
    };
    let mut one = World::new();
    one.grant("/", "Sys.Console");
    let (said, cluster) = unmet(one);
    let high = "high availability: 3 nodes are needed for a quorum when one fails; nodes here: 1";
    assert_eq!(said, [high, "replication: there is no other node"]);
    assert!(cluster.resources.is_empty() && cluster.jobs.is_empty());

    let mut thin = three_nodes();
    thin.storages.get_mut("local-zfs").expect("a storage").kind = "lvmthin";
    let (said, cluster) = unmet(thin);
    assert!(said[0].contains("its disks are on a storage that only its node has"), "{said:?}");
    assert!(
        said[1].contains("only disks on ZFS are replicated, and these are on a storage of type lvmthin"),
        "{said:?}"
    );
    assert!(cluster.resources.contains_key(&9000) && cluster.jobs.is_empty());

    let mut shared = three_nodes();
    shared.storages.get_mut("local-zfs").expect("a storage").shared = true;
    assert_eq!(unmet(shared).0, ["replication: all nodes see the same disks already"]);
    assert_eq!(unmet(three_nodes()).0, Vec::<String>::new());
}

#[test]
fn somebody_elses_high_availability_stays_and_is_told_to_wait() {
    let case = case(three_nodes(), "", ClusterSpec::default());
    good(case.deploy(1));
    let theirs: BTreeMap<String, String> = [("state", "started"), ("comment", "Anna's"), ("max_restart", "3")]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .into();
    case.simulator.world().cluster.resources.insert(9000, theirs.clone());
    good(case.deploy(2));
    assert_eq!((state(&case, 9000), case.runs()), (Some(theirs.clone()), 2));
    let paused = case
        .simulator
        .requests()
        .iter()
        .any(|a| a.parameters.iter().any(|(n, v)| n == "comment" && v.ends_with("; Anna's")));
    assert!(paused, "the comment says why, and keeps what it said");
    good(case.roll_back(1));
    assert_eq!((state(&case, 9000), case.runs()), (Some(theirs), 1));

    // Permission may not tell the cluster is told so, before anything is changed.
    case.simulator.world().revoke("/", "Sys.Console");
    let before = case.changes();
    let error = case.deploy(2).expect_err("the cluster would start it in between");
    insta::assert_snapshot!("not_told", common::steady(&error));
    assert_eq!(case.changes(), before);
}

#[test]
fn an_image_that_does_not_work_is_taken_back_with_the_cluster_looking_again() {
    let case = case(three_nodes(), "", all());
    good(case.deploy(1));
    let before = state(&case, 9000);
    let unhealthy = case.digest(2);
    case.simulator.world().unhealthy.insert(unhealthy);
    case.deploy(2).expect_err("it is unhealthy");
    assert_eq!((case.runs(), state(&case, 9000)), (1, before));
}

#[test]
fn a_machine_that_moved_while_its_image_was_on_the_way() {
    // Killed when the image has been taken in, and then the node changes.
    let killed = |after: usize| {
        let case = case(three_nodes(), "", ClusterSpec::default());
        good(case.deploy(1));
        case.simulator.vanish_after(after);
        case.deploy(2).expect_err("nobody answers");
        case.simulator.mend();
        let staged = case.simulator.world().machines.len() == 2;
        staged.then_some(case)
    };
    let case = (1..20).find_map(killed).expect("a machine that takes the image in");
    case.simulator.world().machines.get_mut(&9000).expect("ours").node = "pve3".into();
    good(case.deploy(2));
    assert_eq!(case.runs(), 2);
    let world = case.simulator.world();
    assert_eq!((world.machines.len(), world.orphans()), (1, vec![]));
}

#[test]
fn what_the_cluster_is_to_do_needs_its_own_rights() {
    let lacks = |version: &str, spec: ClusterSpec| {
        let mut world = three_nodes();
        world.version = version.into();
        if version.starts_with('8') {
            world.grant("/pool/school", "VM.Monitor");
        }
        world.revoke("/", "Sys.Console");
        world.revoke("/pool/school", "VM.Replicate");
        let case = case(world, "", spec.clone());
        ready(&case.client, &spec).map_or_else(|e| e.to_string(), |_| String::new())
    };
    assert_eq!(lacks("9.1.7", ClusterSpec::default()), "");
    let all_missing = lacks("9.1.7", all());
    for missing in ["Sys.Console at / is missing", "VM.Replicate at /pool/school is missing"] {
        assert!(all_missing.contains(missing), "{all_missing}");
    }
    let copies = ClusterSpec { replication: Some("*/15".into()), ..ClusterSpec::default() };
    assert!(lacks("8.4.14", copies).contains("Datastore.Allocate at /storage is missing"));
}
