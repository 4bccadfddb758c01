//! Every wrong of the tables is caught by the check that is for it, and by no other.

use crate::wrong::{boots, caught, ends, refusals, refused, root, router, table, watching, wheels};

#[test]
fn the_right_image_has_nothing_wrong() {
    caught(&table::RIGHT);
}

#[test]
fn what_is_built_otherwise_than_declared_is_caught() {
    caught(&table::DECLARED);
}

#[test]
fn what_happens_otherwise_inside_is_caught() {
    caught(&table::INSIDE);
}

#[test]
fn doors_that_stand_open_are_caught() {
    caught(&table::LOOSE);
}

#[test]
fn a_root_that_nothing_verifies_is_caught() {
    caught(&root::UNVERIFIED);
}

#[test]
fn a_machine_that_watches_the_wrong_things_is_caught() {
    caught(&watching::WATCHING);
}

#[test]
fn a_router_that_routes_otherwise_is_caught() {
    caught(&router::ROUTER);
}

#[test]
fn a_container_with_other_wheels_is_caught() {
    caught(&wheels::WHEELS);
}

#[test]
fn a_router_as_declared_has_nothing_wrong() {
    caught(&router::RIGHT);
}

#[test]
fn a_machine_that_hangs_is_told() {
    ends(&boots::HUNG, "lease", &["nothing has moved for ", "wrong-wait.service"]);
}

#[test]
fn a_machine_whose_container_cannot_start_is_told() {
    ends(&boots::RESTARTS, "running", &["Container back", "diorite-health", "reboot: "]);
}

#[test]
fn what_must_not_become_a_disk_does_not() {
    refusals::REFUSED.iter().for_each(refused);
}
