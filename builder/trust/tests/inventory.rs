//! Both bills of materials of a small image, word by word; and what must be true of any.

mod image;

use diorite_trust::sbom::inventory::{ComponentRelation, IMAGE};
use diorite_trust::sbom::{cyclonedx, spdx};
use serde_json::Value;
use std::collections::BTreeSet;

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("UTF-8")
}

/// Identifiers that hold the builder's version.
fn settled(text: String) -> String {
    text.replace(env!("CARGO_PKG_VERSION"), "VERSION")
}

#[test]
fn a_small_image_in_both_formats() {
    let inventory = image::inventory();
    insta::assert_snapshot!("spdx", settled(text(spdx(&inventory))));
    insta::assert_snapshot!("cyclonedx", settled(text(cyclonedx(&inventory))));
}

#[test]
fn the_same_image_gives_the_same_bytes_and_another_one_other_names() {
    let (one, mut other) = (image::inventory(), image::inventory());
    assert_eq!(spdx(&one), spdx(&other));
    assert_eq!(cyclonedx(&one), cyclonedx(&other));
    assert_ne!(one.uuid("spdx"), one.uuid("cyclonedx"));
    other.image.root_hash = diorite_model::Digest::of(b"another root");
    assert_ne!(one.uuid("spdx"), other.uuid("spdx"));
}

/// Every relation has two ends that are there, everything is in something or something is made of it, and every id is used once.
#[test]
fn everything_has_its_place() {
    let inventory = image::inventory();
    let there = |id: &str| id == IMAGE || inventory.components.contains_key(id) || inventory.files.contains_key(id);
    for (one, relation, other) in &inventory.relations {
        assert!(there(one) && there(other) && one != other, "{one} {relation:?} {other}");
    }
    for id in inventory.components.keys().chain(inventory.files.keys()) {
        let mut whose = inventory.relations.iter().filter(|(_, _, other)| other == id);
        assert!(whose.any(|(_, relation, _)| *relation != ComponentRelation::DependsOn), "{id}");
    }
    let document: Value = serde_json::from_slice(&spdx(&inventory)).expect("JSON");
    let of = |list: &str| document[list].as_array().expect("a list").iter();
    let ids: Vec<&str> = of("packages").chain(of("files")).map(|e| e["SPDXID"].as_str().expect("an id")).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    for relationship in of("relationships") {
        for end in ["spdxElementId", "relatedSpdxElement"] {
            let id = relationship[end].as_str().expect("an id");
            assert!(id == "SPDXRef-DOCUMENT" || ids.contains(&id), "{id}");
        }
    }
}

/// What no package brought is named, and nothing that one did.
#[test]
fn every_file_of_nobody_is_listed() {
    let inventory = image::inventory();
    let paths: Vec<&str> = inventory.files.values().map(|file| file.path.as_str()).collect();
    let (app, cache) = ("/usr/lib/containers/storage/overlay/aa/diff", "/usr/lib/containers/storage/overlay/cc/diff");
    let expected = [
        format!("{app}/usr/local/bin/flask"),
        format!("{cache}/etc/os-release"),
        format!("{cache}/lib/apk/db/installed"),
        format!("{cache}/opt/pip_tools-25.0.dist-info/METADATA"),
        "/etc/fstab".into(),
        "/etc/profile".into(),
        "/srv/a name\\x5cwith\\x09controls".into(),
    ];
    assert_eq!(paths, expected);
}

/// Every name that a licence of a package is given stands in SPDX's own list.
#[test]
fn licences_have_names_of_the_official_list() {
    let schema: Value = serde_json::from_str(include_str!("schemas/spdx.schema.json")).expect("JSON");
    let names: BTreeSet<&str> = schema["enum"].as_array().expect("names").iter().filter_map(Value::as_str).collect();
    assert!(names.len() > 500 && names.contains("GPL-2.0-or-later") && !names.contains("GPL-9.0-only"));
    let table = include_str!("../src/sbom/licences.rs").split("#[cfg(test)]").next().expect("a table");
    let pairs =
        table.lines().filter_map(|line| line.trim().strip_prefix("(\"")?.strip_suffix("\"),")?.split_once("\", \""));
    let found: Vec<&str> = pairs.map(|(_, spdx)| spdx).collect();
    assert!(found.len() > 60, "{found:?}");
    for name in found {
        assert!(names.contains(name), "{name}");
    }
    for family in ["GPL-1.0", "GPL-2.0", "GPL-3.0", "LGPL-2.0", "LGPL-2.1", "LGPL-3.0", "GFDL-1.1", "GFDL-1.3"] {
        for which in ["only", "or-later"] {
            assert!(names.contains(format!("{family}-{which}").as_str()), "{family}-{which}");
        }
    }
    assert!(names.contains("GFDL-1.3-no-invariants-or-later"));
}
