//! The guest agent: it answers while the machine runs an image that is well.

use super::volume::volume;
use crate::endpoints::Endpoint;
use crate::reply::{ApiReply, ok, refuse};
use crate::world::World;
use serde_json::json;

/// Whether the guest works: neither its image nor its config drive is one that a test has declared unhealthy.
pub(super) fn is_healthy(id: u64, world: &World) -> bool {
    let Some(machine) = world.machines.get(&id) else { return false };
    let content = |slot: &str| machine.config.get(slot).and_then(|value| world.content(volume(value)));
    let unhealthy = |slot: &str| content(slot).is_some_and(|bytes| world.unhealthy.contains(&bytes));
    content("scsi0").is_some() && !unhealthy("scsi0") && !unhealthy("scsi2")
}

pub(super) fn answer(call: &Endpoint, id: u64, world: &World) -> ApiReply {
    let machine = &world.machines[&id];
    let of = |key: &str| machine.config.get(key).map(String::as_str).unwrap_or_default();
    if !machine.running {
        return refuse(500, format!("VM {id} is not running"));
    }
    if !of("agent").contains("enabled=1") {
        return refuse(500, "No QEMU guest agent configured");
    }
    if let Some(hardware) = &world.hardware {
        let command = call.path.rsplit('/').next().unwrap_or_default();
        return match hardware.agent(id, command) {
            Ok(result) => ok(json!({ "result": result })),
            Err(why) => refuse(500, why),
        };
    }
    if !is_healthy(id, world) {
        return refuse(500, "QEMU guest agent is not running");
    }
    if call.path.ends_with("/ping") {
        return ok(json!({ "result": {} }));
    }
    let mac = of("net0").split(',').next().and_then(|m| m.split('=').nth(1)).unwrap_or_default().to_ascii_lowercase();
    let address = |ip: &str, kind: &str| json!({ "ip-address": ip, "ip-address-type": kind, "prefix": 8 });
    // A link-local address, and a loopback that nobody else can reach, as in any machine.
    ok(json!({ "result": [
        { "name": "lo", "hardware-address": "00:00:00:00:00:00", "ip-addresses": [address("127.0.0.9", "ipv4")] },
        { "name": "ens18", "hardware-address": mac,
          "ip-addresses": [address(&world.address, "ipv4"), address(&world.address_ipv6, "ipv6")] },
        { "name": "podman0", "hardware-address": "aa:bb:cc:00:00:01" },
    ] }))
}
