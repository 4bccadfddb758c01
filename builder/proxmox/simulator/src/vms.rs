//! Virtual machines: made with their disks or not at all, configurations that are changed at once or at the next cold
//! start, volumes that are put aside instead of being lost.

mod agent;
mod config;
mod create;
mod firewall;
mod volume;

use crate::endpoints::Endpoint;
use crate::params::Params;
pub(crate) use volume::owner;

use crate::reply::{ApiReply, ok, refuse};
use crate::world::World;
use serde_json::json;
use std::time::Duration;

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
        for (_, text) in given.0.iter().filter(|(_, text)| create::is_optical(text)) {
            if let Err(why) = world.optical_drive(text) {
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
        ("POST", "config") => {
            let done = if world.lock_is_held(id) { Err(world.lock_timeout(id)) } else { world.configure(id, given) };
            match done {
                Ok(()) => "qmconfig",
                // Since 9.2 a task is begun first, and only the task says what went wrong.
                Err(why) if world.is_at_least(9, 2) => {
                    return ok(json!(world.failed(&node, "qmconfig", id, who, &why)));
                }
                Err(why) => return refuse(500, why),
            }
        }
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
                world.shut_down(id, given.get("timeout").filter(|_| orderly));
            }
            return ok(json!(upid));
        }
        ("POST", "move_disk") => return create::move_disk(id, given, who, world),
        ("DELETE", _) if machine.running => return refuse(500, format!("VM {id} is running - destroy failed")),
        ("DELETE", _) => {
            // With every volume that is its own.
            world.machines.remove(&id);
            let all = world.storages.iter().flat_map(|(storage, s)| s.files.keys().map(move |name| (storage, name)));
            let owned =
                all.filter(|(_, name)| owner(name) == Some(id)).map(|(storage, name)| format!("{storage}:{name}"));
            owned.collect::<Vec<_>>().iter().for_each(|volume| world.destroy(volume));
            "qmdestroy"
        }
        (method, path) => return refuse(501, format!("Method '{method} {path}' not implemented")),
    };
    let upid = world.task(&node, kind, &id.to_string(), who);
    ok(json!(upid))
}

impl World {
    /// Whether `qm cleanup` still works on a VM that was stopped.
    pub(crate) fn lock_is_held(&self, id: u64) -> bool {
        self.machines.get(&id).is_some_and(|machine| self.clock < machine.locked_until)
    }

    /// A lock that was waited for, in vain, for ten seconds.
    pub(crate) fn lock_timeout(&mut self, id: u64) -> String {
        self.clock += Duration::from_secs(10);
        format!("can't lock file '/var/lock/qemu-server/lock-{id}.conf' - got timeout")
    }

    fn configure(&mut self, id: u64, given: &Params) -> Result<(), String> {
        let machine = self.machines.get_mut(&id).expect("it was looked for");
        let destroyed = machine.configure(id, given)?;
        destroyed.iter().for_each(|volume| self.destroy(volume));
        Ok(())
    }

    /// A guest that works needs two seconds, one that does not answer all of the time that it is given. No time-out: it is
    /// not asked.
    fn shut_down(&mut self, id: u64, timeout: Option<&str>) {
        let works = agent::is_healthy(id, self);
        let seconds = timeout.map_or(0, |timeout| if works { 2 } else { timeout.parse().unwrap_or(60) });
        self.clock += Duration::from_secs(seconds);
        self.has_stopped(id);
    }

    /// It does not run any more, and is cleaned up behind.
    pub(crate) fn has_stopped(&mut self, id: u64) {
        let until = self.clock + self.cleanup;
        if let Some(machine) = self.machines.get_mut(&id) {
            (machine.running, machine.locked_until) = (false, until);
        }
    }
}
