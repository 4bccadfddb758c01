//! The simulator's table against the schema that a real Proxmox VE 9.1.7 gives out, so that a simulator which is wrong is not
//! what the client is made to fit.

mod common;

use common::harness::{Outcome, ignored, run};
use diorite_proxmox_simulator::endpoints::{ENDPOINTS, Endpoint, Permission, Returns, Type, UNRECORDED};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    run(tests![every_call_is_as_the_schema_has_it, a_wrong_table_is_noticed])
}

/// The schema: where `DIORITE_TEST_PROXMOX_API` says, else beside the repository.
fn schema() -> Result<Value, common::harness::Ignored> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/facts/proxmox-api.json");
    let file = std::env::var_os("DIORITE_TEST_PROXMOX_API").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    match std::fs::read(&file) {
        Ok(text) => Ok(serde_json::from_slice(&text).expect("the schema is JSON")),
        Err(_) => ignored("the API's schema is not here (DIORITE_TEST_PROXMOX_API, ../shared/facts/proxmox-api.json)"),
    }
}

/// A check of privileges in the schema's words.
fn checked(who: &Permission) -> Value {
    match who {
        Permission::World | Permission::All => panic!("whom everybody is needs no check"),
        Permission::Every(path, names) => json!(["perm", path, names]),
        Permission::Some(path, names) => json!(["perm", path, names, "any", 1]),
        Permission::And(all) => std::iter::once(json!("and")).chain(all.iter().map(checked)).collect(),
        Permission::Or(some) => std::iter::once(json!("or")).chain(some.iter().map(checked)).collect(),
    }
}

/// What differs between a call of the table and the schema.
fn differences(call: &Endpoint, schema: &Value) -> Vec<String> {
    let name = format!("{} {}", call.method, call.path);
    let all = schema["endpoints"].as_array().expect("endpoints");
    let Some(real) = all.iter().find(|e| e["method"] == call.method && e["path"] == call.path) else {
        return vec![format!("{name}: there is no such call")];
    };
    let mut wrong = Vec::new();
    let declared = &real["parameters"]["properties"];
    for (parameter, kind, needed) in call.parameters {
        let real = &declared[parameter];
        let word = match kind {
            Type::Text => "string",
            Type::Integer => "integer",
            Type::Boolean => "boolean",
        };
        if *parameter == "description" && real.is_null() {
            // Whoever wrote the schema down left out every key of that name, to leave out the texts.
        } else if real.is_null() {
            wrong.push(format!("{name}: there is no parameter {parameter}"));
        } else if real["type"] != word {
            wrong.push(format!("{name}: {parameter} is {}, not {word}", real["type"]));
        } else if (real["optional"] == 1) == *needed {
            wrong.push(format!("{name}: {parameter}: needed is {needed}, optional is {}", real["optional"]));
        }
    }
    for (parameter, real) in declared.as_object().into_iter().flatten() {
        if real["optional"] != 1 && !call.parameters.iter().any(|(p, ..)| p == parameter) {
            wrong.push(format!("{name}: {parameter} is needed"));
        }
    }
    let word = match call.returns {
        Returns::Object => "object",
        Returns::List => "array",
        Returns::Task => "string",
        Returns::Integer => "integer",
        Returns::Null => "null",
    };
    if real["returns"]["type"] != word {
        wrong.push(format!("{name}: returns {}, not {word}", real["returns"]["type"]));
    }
    let who = match call.who {
        Permission::World => json!({ "user": "world" }),
        Permission::All => json!({ "user": "all" }),
        who => json!({ "check": checked(&who) }),
    };
    let said: serde_json::Map<_, _> = real["permissions"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(k, _)| *k != "description")
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    if Value::from(said.clone()) != who {
        wrong.push(format!("{name}: {} may, not {who}", Value::from(said)));
    }
    wrong
}

fn every_call_is_as_the_schema_has_it() -> Outcome {
    let schema = schema()?;
    let recorded = || ENDPOINTS.iter().filter(|call| !call.path.starts_with(UNRECORDED));
    let wrong: Vec<_> = recorded().flat_map(|call| differences(call, &schema)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    println!("{} calls of {}", recorded().count(), schema["versions"]["pve-manager"]);
    Ok(())
}

/// Positive control: each kind of difference is found.
fn a_wrong_table_is_noticed() -> Outcome {
    let schema = schema()?;
    let right = ENDPOINTS.iter().find(|c| c.path == "/nodes/{node}/tasks/{upid}/log").expect("a call");
    let wrong = [
        Endpoint { path: "/nodes/{node}/task", ..*right },
        Endpoint { method: "PUT", ..*right },
        Endpoint { returns: Returns::Object, ..*right },
        Endpoint { who: Permission::World, ..*right },
        Endpoint { parameters: &[("node", Type::Text, true)], ..*right },
        Endpoint { parameters: &[("node", Type::Integer, true), ("upid", Type::Text, true)], ..*right },
        Endpoint { parameters: &[("node", Type::Text, true), ("upid", Type::Text, false)], ..*right },
        Endpoint {
            parameters: &[("node", Type::Text, true), ("upid", Type::Text, true), ("from", Type::Text, false)],
            ..*right
        },
    ];
    assert!(differences(right, &schema).is_empty());
    for call in wrong {
        assert_eq!(differences(&call, &schema).len(), 1, "{call:?}");
    }
    Ok(())
}
