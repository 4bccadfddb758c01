//! Whether there is room for an image is found out before anything is changed.

mod common;

use common::case::{Case, DISK, USED, three_nodes};
use common::steady;
use diorite_model::{Error, Exit, Result};
use diorite_proxmox::desired::Desired;
use diorite_proxmox::ready::ready;
use diorite_proxmox_simulator::World;

/// Bytes of a new machine's disk for /var.
const STATE: u64 = 8 << 30;

/// A world with so much left.
fn world(import: u64, disks: u64) -> World {
    let mut world = World::new();
    for (name, free) in [("local", import), ("local-zfs", disks)] {
        world.storages.get_mut(name).expect("a storage").free = free;
    }
    world
}

fn left(case: &Case, import: u64, disks: u64) {
    let mut world = case.simulator.world();
    for (name, free) in [("local", import), ("local-zfs", disks)] {
        world.storages.get_mut(name).expect("a storage").free = free;
    }
}

fn room(case: &Case, version: u32) -> Result<()> {
    case.with(version, |d| d.check_capacity(&[case.desired(version)]))
}

fn size(case: &Case) -> u64 {
    case.desired(1).file.expect("a file").size
}

/// The error, and that it is one before anything is changed.
fn refused(case: &Case, outcome: Result<()>, before: usize) -> Error {
    ready(&case.client, &Default::default()).unwrap_or_else(|e| panic!("everything else is well: {e}"));
    let error = outcome.expect_err("there is no room");
    assert_eq!((error.exit, case.changes()), (Exit::Remote, before), "{error}");
    error
}

#[test]
fn the_file_must_fit_on_the_import_storage() {
    let size = size(&Case::new());
    let case = Case::of(world(size - 1, DISK + STATE), "");
    insta::assert_snapshot!("import", steady(&refused(&case, room(&case, 1), 0)));
    room(&Case::of(world(size, DISK + STATE), ""), 1).expect("it just fits");
}

#[test]
fn what_the_image_holds_must_fit_on_the_disks_storage() {
    let case = Case::of(world(DISK, USED - 1), "");
    refused(&case, room(&case, 1), 0);
    left(&case, DISK, USED / 2);
    insta::assert_snapshot!("disks", steady(&refused(&case, room(&case, 1), 0)));
    // The rest is written by the machine.
    room(&Case::of(world(DISK, USED), ""), 1).expect("it just fits");
    // Both are said at once.
    let case = Case::of(world(0, 0), "");
    let text = refused(&case, room(&case, 1), 0).to_string();
    assert!(
        text.contains("storage `local` on node `pve1` has 0 B left") && text.contains("storage `local-zfs`"),
        "{text}"
    );
}

#[test]
fn a_logical_volume_takes_its_whole_size_at_once() {
    let lvm = |disks: u64| {
        let mut world = world(DISK, disks);
        world.storages.get_mut("local-zfs").expect("a storage").kind = "lvm";
        Case::of(world, "")
    };
    let case = lvm(DISK + STATE - 1);
    refused(&case, room(&case, 1), 0);
    left(&case, DISK, DISK);
    insta::assert_snapshot!("lvm", steady(&refused(&case, room(&case, 1), 0)));
    room(&lvm(DISK + STATE), 1).expect("it just fits");
}

#[test]
fn what_is_there_needs_nothing() {
    let case = Case::new();
    case.deploy(1).unwrap_or_else(|e| panic!("{e}"));
    left(&case, 0, 0);
    room(&case, 1).expect("it runs");
    // A new image needs its file and its disk, not another one for /var.
    let before = case.changes();
    left(&case, size(&case) - 1, USED);
    refused(&case, room(&case, 2), before);
    left(&case, size(&case), USED - 1);
    refused(&case, room(&case, 2), before);
    left(&case, size(&case), USED);
    room(&case, 2).expect("it just fits");
    // Its file is there, its disk is not.
    left(&case, DISK, DISK);
    case.deploy(2).unwrap_or_else(|e| panic!("{e}"));
    case.simulator.world().machines.clear();
    left(&case, 0, USED);
    room(&case, 2).expect("it is not uploaded again");
    left(&case, 0, USED - 1);
    refused(&case, room(&case, 2), case.changes());
}

#[test]
fn several_machines_are_counted_together() {
    let case = Case::of(world(size(&Case::new()), 2 * USED), "");
    let two = |case: &Case| -> [Desired; 2] { [case.desired(1), case.named("other", 1)] };
    // One file for both.
    case.with(1, |d| d.check_capacity(&two(&case))).expect("it just fits");
    left(&case, DISK, 2 * USED - 1);
    let text = refused(&case, case.with(1, |d| d.check_capacity(&two(&case))), 0).to_string();
    assert!(text.contains("of `web`") && text.contains("of `other`"), "{text}");
}

/// What all nodes see is one storage; what each has for itself is not.
#[test]
fn machines_on_several_nodes() {
    let of = |shared: bool, disks: u64| {
        let mut world = three_nodes();
        world.storages.values_mut().for_each(|storage| storage.shared = shared);
        let case = Case::of(world, "");
        left(&case, size(&case), disks);
        case
    };
    let two = |case: &Case| {
        let on = |name: &str, node: &str| Desired { node: Some(node.into()), ..case.named(name, 1) };
        case.with(1, |d| d.check_capacity(&[on("web", "pve1"), on("other", "pve2")]))
    };
    two(&of(false, USED)).expect("each just fits where it goes");
    two(&of(true, 2 * USED)).expect("both just fit, and their file, which is one");
    let case = of(true, 2 * USED - 1);
    let text = refused(&case, two(&case), 0).to_string();
    assert!(text.contains("storage `local-zfs` has 2.15 GB left") && !text.contains("`local`"), "{text}");
    let case = of(false, USED - 1);
    let text = refused(&case, two(&case), 0).to_string();
    assert!(text.contains("on node `pve1`") && text.contains("on node `pve2`"), "{text}");
}

#[test]
fn one_storage_for_everything() {
    let one = |left: u64| {
        let mut world = world(left, 0);
        let storage = world.storages.get_mut("local").expect("a storage");
        storage.content += ",images";
        world.grant("/storage/local", "Datastore.AllocateSpace");
        Case::of(world, "storage = { import = \"local\", disks = \"local\" }")
    };
    let needed = USED + size(&Case::new());
    refused(&one(needed - 1), room(&one(needed - 1), 1), 0);
    room(&one(needed), 1).expect("it just fits");
}
