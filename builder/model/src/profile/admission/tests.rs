//! What a profile gives is admitted from a file; nothing else is.

use super::*;
use crate::profile::{Loaded, parse};
use serde_json::json;

const FULL: &str = include_str!("../tests/full.toml");
const PROFILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../profiles");

fn load(name: &str) -> Result<Loaded> {
    let file = match name {
        "requirements.txt" => concat!(env!("CARGO_MANIFEST_DIR"), "/src/profile/tests/requirements.txt").to_owned(),
        name if name.ends_with(".txt") => format!("{PROFILES}/{name}"),
        name => format!("{PROFILES}/{name}.toml"),
    };
    Ok(Loaded { text: std::fs::read_to_string(&file).expect("a profile of the repository"), file })
}

fn recipe(text: &str) -> Recipe {
    parse(text, "x.toml", &mut load).unwrap_or_else(|e| panic!("{e}")).0
}

fn refused(json: &Value) -> String {
    match serde_json::from_value::<Recipe>(json.clone()) {
        Ok(recipe) => panic!("admitted: {recipe:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn every_profile_of_the_repository_passes_the_door_and_keeps_its_digest() {
    let mut texts = vec![FULL.to_owned()];
    for entry in std::fs::read_dir(PROFILES).expect("the profiles") {
        let path = entry.expect("a file").path();
        if path.extension().is_some_and(|e| e == "toml") {
            texts.push(std::fs::read_to_string(path).expect("a profile"));
        }
    }
    assert!(texts.len() > 15);
    for text in texts {
        let recipe = recipe(&text);
        let json = serde_json::to_string(&recipe).expect("JSON");
        let read: Recipe = serde_json::from_str(&json).unwrap_or_else(|e| panic!("{}: {e}", recipe.image.name));
        assert_eq!((&read, read.digest()), (&recipe, recipe.digest()));
    }
}

/// Every string of the recipe, as a JSON pointer; and every name that a person has chosen.
fn strings(value: &Value, path: String, all: &mut Vec<String>) {
    let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
    match value {
        Value::String(_) => all.push(path),
        Value::Array(list) => list.iter().enumerate().for_each(|(i, v)| strings(v, format!("{path}/{i}"), all)),
        Value::Object(map) => map.iter().for_each(|(k, v)| strings(v, format!("{path}/{}", escaped(k)), all)),
        _ => {}
    }
}

/// What no form whatever lets through, at any place of a recipe.
#[test]
fn no_string_of_a_recipe_can_carry_a_line_of_its_own() {
    let good = serde_json::to_value(recipe(FULL)).expect("JSON");
    let mut all = Vec::new();
    strings(&good, String::new(), &mut all);
    assert!(all.len() > 200, "only {} strings", all.len());
    for path in &all {
        for hostile in ["x\nExecStart=/bin/sh", "x\0", "\u{202e}x"] {
            let mut json = good.clone();
            *json.pointer_mut(path).expect("it is there") = hostile.into();
            assert!(serde_json::from_value::<Recipe>(json).is_err(), "{path} lets {hostile:?} through");
        }
    }
}

/// What would reach a shell of the guest, a unit, the packet filter or the host's files.
#[test]
fn hostile_values_are_refused_with_the_place_and_the_reason() {
    let good = serde_json::to_value(recipe(FULL)).expect("JSON");
    let with = |path: &str, value: Value| {
        let mut json = good.clone();
        *json.pointer_mut(path).unwrap_or_else(|| panic!("{path} is there")) = value;
        refused(&json)
    };
    let renamed = |table: &str, old: &str, new: &str| {
        let mut json = good.clone();
        let map = json.pointer_mut(table).and_then(Value::as_object_mut).expect("a table");
        let value = map.remove(old).expect("it is there");
        map.insert(new.to_owned(), value);
        refused(&json)
    };
    let all = [
        renamed("/access/administrators", "anna", "$(reboot)"),
        renamed("/access/users", "ben", "ben; rm -rf /"),
        renamed("/access/groups", "web", "web\"'"),
        renamed("/containers", "app", "app`id`"),
        renamed("/container_networks", "back", "back|x"),
        renamed("/network", "guests", "../guests"),
        renamed("/services/units", "sync", "sync%n"),
        renamed("/firewall/sets", "office", "office } accept"),
        with("/network/lan/addresses/0", json!("192.0.2.10/24; id")),
        with("/network/lan/gateways/0", json!("$(id)")),
        with("/network/lan/dns/0", json!("192.0.2.53#a b")),
        with("/network/lan/kind/card/mac", json!("52:54:00:12:34:5x")),
        with("/firewall/allow/1/from/0", json!("192.0.2.1/24")),
        with("/firewall/allow/1/what/ports/first", json!(0)),
        with("/containers/web/volumes/data/path", json!("/data:/etc")),
        with("/containers/web/publish/0/host", json!(0)),
        with("/containers/web/user", json!("0 --privileged")),
        with("/containers/web/capabilities/0", json!("SYS_ADMIN")),
        with("/containers/hub/source/oci", json!("registry.example/team/hub:latest")),
        with("/services/units/sync/exec/0", json!("/usr/bin/../../bin/sh")),
        with("/services/units/sync/timer", json!({ "calendar": "*-*-* 03:30:00\nUser=root" })),
        with("/kernel/command_line/0", json!("systemd.verity=0")),
        with("/kernel/modules/0", json!("nf_conntrack; id")),
        with("/hardening/sysctl/vm.swappiness", json!("10; id")),
        with("/access/administrators/anna/ssh_keys/0", json!("command=\"id\" ssh-ed25519 AAAA")),
        with("/access/administrators/anna/sudo", json!({ "commands": [{ "run": "/bin/sh", "arguments": ["*"] }] })),
        with("/access/administrators/anna/uid", json!(0)),
        with("/archive/debs/0", json!("../../etc/passwd")),
        with("/overlays/0", json!("../motd")),
        with("/image/hostname", json!("full.example$(id)")),
        with("/image/name", json!("../full")),
        with("/time/timezone", json!("../../etc/shadow")),
        with("/state/volatile/0", json!("/var/../etc")),
    ];
    insta::assert_snapshot!("hostile", all.join("\n"));
}

/// Well formed, and yet nothing that a profile could say.
#[test]
fn what_no_profile_gives_is_refused() {
    let good = serde_json::to_value(recipe(FULL)).expect("JSON");
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut json = good.clone();
        change(&mut json);
        assert_ne!(json, good);
        refused(&json)
    };
    let all = [
        changed(&|r| r["network"] = json!({})),
        changed(&|r| drop(r["packages"]["include"].as_array_mut().expect("a list").remove(0))),
        changed(&|r| drop(r["firewall"]["allow"].as_array_mut().expect("a list").pop())),
        changed(&|r| drop(r["hardening"]["sysctl"].as_object_mut().expect("a table").remove("kernel.sysrq"))),
        changed(&|r| r["hardening"]["sysctl"]["kernel.sysrq"] = json!("1")),
        changed(&|r| r["hardening"]["sshd"]["PermitRootLogin"] = json!("yes")),
        changed(&|r| r["access"]["users"]["ben"]["sudo"] = json!("all")),
        changed(&|r| r["access"]["groups"]["web"]["members"] = json!(["nobody-here"])),
        changed(&|r| r["containers"]["web"]["requires"] = json!(["nobody-here"])),
        changed(&|r| r["containers"]["web"]["limits"]["memory"] = json!(1000)),
        changed(&|r| r["state"]["minimum"] = json!((1u64 << 30) + 1)),
        changed(&|r| r["image"]["epoch"] = json!(1)),
        changed(&|r| r["surprise"] = json!(true)),
    ];
    insta::assert_snapshot!("no_profile", all.join("\n"));
}
