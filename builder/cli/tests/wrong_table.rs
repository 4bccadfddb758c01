//! The tables of wrong images, as far as no machine is needed: their profiles are accepted, and every wrong names checks that
//! there are, one of them its own.

mod common;
#[path = "common/vm.rs"]
mod vm;
mod wrong;

use common::Project;
use std::collections::BTreeSet;
use wrong::{Image, attributed, profile, root, router, table, watching, wheels};

const ALL: [&Image; 7] = [
    &table::DECLARED,
    &table::INSIDE,
    &table::LOOSE,
    &root::UNVERIFIED,
    &watching::WATCHING,
    &router::ROUTER,
    &wheels::WHEELS,
];

#[test]
fn every_wrong_has_a_check_of_its_own() {
    attributed(&ALL);
    let wrongs: usize = ALL.iter().map(|image| image.wrongs.len()).sum();
    assert!(wrongs >= 60, "{wrongs} wrongs");
}

#[test]
fn every_wrong_is_caught_by_checks_that_the_right_image_has() {
    for image in ALL {
        let project = Project::new();
        profile(&project, image.right, "right", &[]);
        profile(&project, image.right, image.name, image.wrongs);
        project.succeed(&["show", image.name]);
        let list = project.json(&["verify", "right", "--list"]);
        let checks: BTreeSet<&str> =
            list["checks"].as_array().expect("checks").iter().filter_map(|check| check["id"].as_str()).collect();
        for (id, _) in image.wrongs.iter().flat_map(|wrong| wrong.caught) {
            assert!(checks.contains(id), "{}: there is no check `{id}`", image.name);
        }
    }
}
