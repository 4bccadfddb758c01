//! Virtual machines: made with their disks or not at all, configurations that are changed at once or at the next cold
//! start, volumes that are put aside instead of being lost.

mod agent;
mod config;
mod create;
mod firewall;
mod volume;

use crate::endpoints::Endpoint;
use crate::params::Params;
use crate::reply::{ApiReply, ok, refuse};
use crate::world::World;
use serde_json::json;

pub(crate) fn answer(call: &Endpoint, given: &Params, who: &str, world: &mut World) -> ApiReply {
    let node = given.get("node").unwrap_or_default().to_owned();
    let id: u64 = given.get("vmid").and_then(|id| id.parse().ok()).unwrap_or(0);
    if (call.method, call.path) == ("POST", "/nodes/{node}/qemu") {
        return create::create(id, given, who, world);
    }
    if world.machines.get(&id).is_none_or(|m| m.node != node) {
        // Not 404.
        return refuse(500, format!("Configuration file 'nodes/{node}/qemu-server/{id}.conf' does not exist"));
    }
    if call.path.contains("/firewall/") {
        return firewall::answer(call, id, given, world);
    }
    if call.path.contains("/agent/") {
        return agent::answer(call, id, world);
    }
    if (call.method, call.path.ends_with("/config")) == ("POST", true) {
        for (_, text) in given.0.iter().filter(|(_, text)| create::is_disc(text)) {
            if let Err(why) = world.disc(text) {
                return refuse(500, why);
            }
            let privilege = "VM.Config.CDROM";
            if !world.privileges(&format!("/vms/{id}")).contains(privilege) {
                return refuse(403, format!("Permission check failed (/vms/{id}, {privilege})"));
            }
        }
    }
    if let ("POST", Some((_, word @ ("start" | "stop" | "shutdown")))) =
        (call.method, call.path.rsplit_once("/status/"))
        && let Some(resource) = world.managed(id)
    {
        // The cluster is asked instead, which does it when it pleases; the task is done when it has been asked.
        let (kind, state) = if word == "start" { ("hastart", "started") } else { ("hastop", "stopped") };
        resource.insert("state".into(), state.into());
        return ok(json!(world.task(&node, kind, &id.to_string(), who)));
    }
    let machine = world.machines.get_mut(&id).expect("it was looked for");
    let kind = match (call.method, call.path.rsplit('/').next().unwrap_or_default()) {
        ("GET", "config") => {
            let current = given.get("current").is_some_and(|c| c == "1");
            let mut shown = if current { machine.config.clone() } else { machine.merged() };
            shown.insert("digest".into(), machine.digest());
            return ok(json!(shown));
        }
        ("GET", "pending") => return ok(machine.waiting()),
        ("GET", "current") => {
            return ok(json!({ "status": if machine.running { "running" } else { "stopped" }, "vmid": id }));
        }
        ("POST", "config") => match machine.configure(id, given) {
            Ok(destroyed) => {
                destroyed.iter().for_each(|volume| world.destroy(volume));
                "qmconfig"
            }
            Err(why) => return refuse(500, why),
        },
        ("POST", "start") if machine.running => return refuse(500, format!("VM {id} already running")),
        ("POST", "start") => {
            machine.apply(id);
            let config = machine.config.clone();
            let started = world.hardware.as_ref().map_or(Ok(()), |hardware| hardware.start(id, &config));
            let machine = world.machines.get_mut(&id).expect("it was looked for");
            match started {
                Ok(()) => (machine.running, machine.starts) = (true, machine.starts + 1),
                Err(why) => return ok(json!(world.failed(&node, "qmstart", id, who, &why))),
            }
            "qmstart"
        }
        ("POST", word @ ("stop" | "shutdown")) => {
            let (kind, orderly) = if word == "stop" { ("qmstop", false) } else { ("qmshutdown", true) };
            let upid = world.task(&node, kind, &id.to_string(), who);
            if world.hardware.is_some() {
                // It takes its time.
                world.tasks.get_mut(&upid).expect("it was just made").looks = u32::MAX;
                world.stopping.push((id, orderly, upid.clone()));
            } else {
                world.machines.get_mut(&id).expect("it was looked for").running = false;
            }
            return ok(json!(upid));
        }
        ("POST", "move_disk") => return create::hand_over(id, given, who, world),
        ("DELETE", _) if machine.running => return refuse(500, format!("VM {id} is running - destroy failed")),
        ("DELETE", _) => {
            // With every volume that is its own.
            world.machines.remove(&id);
            let own = format!("vm-{id}-");
            let all = world.storages.iter().flat_map(|(storage, s)| s.files.keys().map(move |name| (storage, name)));
            let owned =
                all.filter(|(_, name)| name.starts_with(&own)).map(|(storage, name)| format!("{storage}:{name}"));
            owned.collect::<Vec<_>>().iter().for_each(|volume| world.destroy(volume));
            "qmdestroy"
        }
        (method, path) => return refuse(501, format!("Method '{method} {path}' not implemented")),
    };
    let upid = world.task(&node, kind, &id.to_string(), who);
    ok(json!(upid))
}
