//! A machine's firewall: rules are inserted at the top and switched off, and a set that is not empty stays unless
//! it is forced.

use crate::endpoints::Endpoint;
use crate::params::Params;
use crate::reply::{ApiReply, ok, refuse};
use crate::world::World;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) fn answer(call: &Endpoint, id: u64, given: &Params, world: &mut World) -> ApiReply {
    let machine = world.machines.get_mut(&id).expect("it was looked for");
    let of = |name: &str| given.get(name).unwrap_or_default().to_owned();
    let path = call.path.split("/firewall/").nth(1).unwrap_or_default();
    let fields =
        || given.0.iter().filter(|(name, _)| !["node", "vmid", "pos", "digest"].contains(&name.as_str())).cloned();
    match (call.method, path) {
        ("GET", "options") => {
            let mut shown = json!(machine.options);
            shown["digest"] = json!("da39a3ee");
            return ok(shown);
        }
        ("PUT", "options") => machine.options.extend(fields()),
        ("GET", "rules") => {
            let rule = |(pos, rule): (usize, &BTreeMap<String, String>)| {
                let mut shown = json!(rule);
                shown["pos"] = json!(pos);
                shown["enable"] = json!(rule.get("enable").and_then(|e| e.parse::<u8>().ok()).unwrap_or(0));
                shown["digest"] = json!("da39a3ee");
                shown
            };
            return ok(machine.rules.iter().enumerate().map(rule).collect());
        }
        // At the top, wherever `pos` says, and switched off unless `enable` says otherwise.
        ("POST", "rules") => machine.rules.insert(0, fields().collect()),
        ("DELETE", "rules/{pos}") => match of("pos").parse::<usize>().ok().filter(|pos| *pos < machine.rules.len()) {
            Some(pos) => drop(machine.rules.remove(pos)),
            None => return refuse(500, format!("no rule at position {}", of("pos"))),
        },
        ("GET", "ipset") => {
            return ok(machine.sets.keys().map(|name| json!({ "name": name, "digest": "da39a3ee" })).collect());
        }
        ("POST", "ipset") => {
            if machine.sets.contains_key(&of("name")) {
                return refuse(500, format!("IPSet '{}' already exists", of("name")));
            }
            machine.sets.insert(of("name"), Default::default());
        }
        (method, _) => {
            let Some(set) = machine.sets.get_mut(&of("name")) else {
                return refuse(500, format!("no such IPSet '{}'", of("name")));
            };
            let force = given.get("force").is_some_and(|f| f == "1");
            // One address loses its length.
            let network = of("cidr").trim_end_matches("/32").to_owned();
            match (method, path) {
                ("GET", _) => {
                    return ok(set.iter().map(|cidr| json!({ "cidr": cidr, "digest": "da39a3ee" })).collect());
                }
                ("POST", _) if !set.insert(network.clone()) => {
                    return refuse(500, format!("address '{network}' already exists"));
                }
                ("POST", _) => {}
                ("DELETE", "ipset/{name}/{cidr}") => drop(set.remove(&network)),
                _ if !set.is_empty() && !force => return refuse(500, format!("IPSet '{}' is not empty", of("name"))),
                _ => drop(machine.sets.remove(&of("name"))),
            }
        }
    }
    ok(Value::Null)
}
