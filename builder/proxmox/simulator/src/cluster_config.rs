//! What a cluster does for its machines: high availability with rules (9) or groups (8), copies of disks.
//!
//! It does not act as a real cluster: what is asked of a VM under high availability is only recorded.

use crate::endpoints::Endpoint;
use crate::params::Params;
use crate::reply::{ApiReply, ok, parameters, refuse};
use crate::world::World;
use serde_json::{Value, json};
use std::collections::BTreeMap;

type Fields = BTreeMap<String, String>;

impl World {
    fn is_nine(&self) -> bool {
        self.is_at_least(9, 0)
    }

    /// What the cluster does with a machine, where it is asked instead of the machine itself.
    pub(crate) fn managed(&mut self, id: u64) -> Option<&mut Fields> {
        self.cluster.resources.get_mut(&id).filter(|resource| resource.get("state").is_none_or(|s| s != "ignored"))
    }
}

pub(crate) fn answer(call: &Endpoint, given: &Params, world: &mut World) -> ApiReply {
    let of = |name: &str| given.get(name).unwrap_or_default();
    let own = || -> Fields {
        let named = call.path.starts_with("/cluster/ha/groups").then_some("group");
        let path = |name: &str| ["sid", "rule", "id", "delete"].contains(&name) || named == Some(name);
        given.0.iter().filter(|(name, _)| !path(name)).cloned().collect()
    };
    match (call.method, call.path) {
        (_, path) if path.starts_with("/cluster/ha/rules") && !world.is_nine() => {
            refuse(501, format!("Method '{} {path}' not implemented", call.method))
        }
        (_, path) if path.starts_with("/cluster/ha/groups") && world.is_nine() => {
            refuse(500, "cannot index groups: ha groups have been migrated to rules")
        }
        ("GET", "/cluster/ha/resources") => {
            let one = |(id, keys): (&u64, &Fields)| with(keys, "sid", &format!("vm:{id}"));
            ok(world.cluster.resources.iter().map(one).collect())
        }
        ("GET", "/cluster/ha/rules") => ok(listed(&world.cluster.rules, "rule")),
        ("GET", "/cluster/ha/groups") => ok(listed(&world.cluster.groups, "group")),
        ("GET", "/cluster/replication") => ok(listed(&world.cluster.jobs, "id")),
        (_, path) if path.starts_with("/cluster/ha/resources") => resource(call.method, given, own(), world),
        (_, path) if path.starts_with("/cluster/ha/rules") => rule(call.method, of("rule"), own(), world),
        (_, path) if path.starts_with("/cluster/ha/groups") => {
            // A group has no use without its nodes.
            let groups = &mut world.cluster.groups;
            match (call.method, groups.contains_key(of("group"))) {
                ("POST", true) => {
                    return refuse(500, format!("create ha group failed: group ID '{}' already defined", of("group")));
                }
                ("PUT", false) => {
                    return refuse(500, format!("update ha group failed: no such ha group '{}'", of("group")));
                }
                ("DELETE", _) => drop(groups.remove(of("group"))),
                _ => groups.entry(of("group").into()).or_default().extend(own()),
            }
            ok(Value::Null)
        }
        _ => copy(call.method, of("id"), own(), world),
    }
}

fn with(keys: &Fields, name: &str, value: &str) -> Value {
    let mut all = json!(keys);
    all[name] = json!(value);
    all
}

fn listed(all: &BTreeMap<String, Fields>, name: &str) -> Value {
    all.iter().map(|(id, keys)| with(keys, name, id)).collect()
}

fn resource(method: &str, given: &Params, own: Fields, world: &mut World) -> ApiReply {
    let sid = given.get("sid").unwrap_or_default();
    let Some(id) = sid.strip_prefix("vm:").and_then(|id| id.parse::<u64>().ok()) else {
        return parameters(&[("sid".into(), "value does not look like a valid HA resource ID".into())]);
    };
    let group = own.get("group");
    if group.is_some() && world.is_nine() {
        return refuse(500, "invalid parameter 'group': ha groups have been migrated to rules");
    }
    if let Some(group) = group.filter(|group| !world.cluster.groups.contains_key(*group)) {
        return refuse(500, format!("HA group '{group}' does not exist"));
    }
    match (method, world.cluster.resources.contains_key(&id)) {
        ("POST", _) if !world.machines.contains_key(&id) => {
            return refuse(500, format!("unable to find configuration file for VM {id}"));
        }
        ("POST", true) => return refuse(500, format!("create resource failed: resource ID '{sid}' already defined")),
        ("PUT", false) => return refuse(500, format!("update resource failed: no such resource '{sid}'")),
        ("DELETE", false) => return refuse(500, format!("cannot delete service '{sid}', not HA managed!")),
        ("DELETE", true) => {
            world.cluster.resources.remove(&id);
            // Rules lose it, and go with their last one.
            for keys in world.cluster.rules.values_mut() {
                let rest: Vec<_> = resources(keys).into_iter().filter(|other| other != sid).collect();
                keys.insert("resources".into(), rest.join(","));
            }
            world.cluster.rules.retain(|_, keys| !keys["resources"].is_empty());
            return ok(Value::Null);
        }
        _ => {}
    }
    let keys = world.cluster.resources.entry(id).or_default();
    for name in given.get("delete").unwrap_or_default().split(',') {
        keys.remove(name);
    }
    keys.extend(own);
    ok(Value::Null)
}

fn resources(keys: &Fields) -> Vec<String> {
    keys.get("resources").map_or("", String::as_str).split(',').map(str::to_owned).collect()
}

fn rule(method: &str, name: &str, own: Fields, world: &mut World) -> ApiReply {
    let failed = |what: &str, why: String| refuse(500, format!("{what} failed: {why}"));
    if method == "DELETE" {
        world.cluster.rules.remove(name);
        return ok(Value::Null);
    }
    match (method, world.cluster.rules.contains_key(name)) {
        ("POST", true) => return failed("create ha rule", format!("HA rule '{name}' already defined")),
        ("PUT", false) => return failed("update HA rules", format!("HA rule '{name}' does not exist")),
        _ => {}
    }
    let mut keys = world.cluster.rules.get(name).cloned().unwrap_or_default();
    keys.extend(own);
    let all = resources(&keys);
    let known = |sid: &&String| {
        let id = sid.strip_prefix("vm:").and_then(|id| id.parse().ok());
        id.is_some_and(|id: u64| world.cluster.resources.contains_key(&id))
    };
    let strangers: Vec<_> = all.iter().filter(|sid| !known(sid)).cloned().collect();
    if !strangers.is_empty() {
        return refuse(500, format!("cannot use unmanaged resource(s) {}.", strangers.join(", ")));
    }
    let wrong = |name: &str, why: &str| parameters(&[(name.into(), why.into())]);
    match keys.get("type").map(String::as_str) {
        Some("node-affinity") if !keys.contains_key("nodes") => {
            return wrong("nodes", "property is missing and it is not optional");
        }
        Some("resource-affinity") if all.len() < 2 => {
            return wrong("resources", "rule is ineffective as there are less than two resources");
        }
        Some("resource-affinity") if all.len() > world.nodes.len() => {
            return wrong("resources", "rule defines more resources than available nodes");
        }
        _ => {}
    }
    world.cluster.rules.insert(name.to_owned(), keys);
    ok(Value::Null)
}

/// Not in the schema that was written down: pve-manager's ReplicationConfig.pm.
fn copy(method: &str, id: &str, own: Fields, world: &mut World) -> ApiReply {
    let guest: u64 = id.split('-').next().and_then(|guest| guest.parse().ok()).unwrap_or(0);
    let (path, privilege) = match world.is_nine() {
        true => (format!("/vms/{guest}"), "VM.Replicate"),
        false => ("/storage".into(), "Datastore.Allocate"),
    };
    if !world.privileges(&path).contains(privilege) {
        return refuse(403, format!("Permission check failed ({path}, {privilege})"));
    }
    let Some(machine) = world.machines.get(&guest) else {
        return refuse(500, format!("Guest '{guest}' does not exist."));
    };
    match (method, world.cluster.jobs.contains_key(id)) {
        ("POST", true) => return refuse(500, format!("replication job '{id}' already exists")),
        ("PUT" | "DELETE", false) => return refuse(500, format!("no such job '{id}'")),
        ("DELETE", true) => {
            // It ends later, by itself.
            let job = world.cluster.jobs.get_mut(id).expect("it is there");
            job.insert("remove_job".into(), "full".into());
            return ok(Value::Null);
        }
        _ => {}
    }
    if let Some(target) = own.get("target") {
        if !world.nodes.contains_key(target) {
            return refuse(500, format!("Target '{target}' does not exist."));
        }
        if *target == machine.node {
            return refuse(500, "Source and target must not be identical");
        }
        let twice = |(_, job): (&String, &Fields)| {
            job.get("guest") == Some(&guest.to_string()) && job.get("target") == Some(target)
        };
        if world.cluster.jobs.iter().any(twice) {
            return refuse(500, format!("replication job for guest '{guest}' to target '{target}' already exists"));
        }
        let volumes = machine.config.values().filter_map(|v| v.split_once(':')).map(|(storage, _)| storage);
        if !volumes.into_iter().any(|s| world.storages.get(s).is_some_and(|s| s.kind == "zfspool")) {
            return refuse(500, "No replicatable volumes found");
        }
    }
    let job = world.cluster.jobs.entry(id.to_owned()).or_default();
    job.insert("guest".into(), guest.to_string());
    job.extend(own);
    ok(Value::Null)
}
