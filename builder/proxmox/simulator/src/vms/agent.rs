//! The guest agent: it answers while the machine runs an image that is well.

use super::volume::volume;
use crate::endpoints::Endpoint;
use crate::reply::{ApiReply, ok, refuse};
use crate::world::World;
use serde_json::json;

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
    // Its image makes it ill, or what its disc says.
    let ill = |slot: &str| world.content(volume(of(slot))).is_some_and(|bytes| world.unhealthy.contains(&bytes));
    if world.content(volume(of("scsi0"))).is_none() || ill("scsi0") || ill("scsi2") {
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
          "ip-addresses": [address(&world.address, "ipv4"), address("fe80::1", "ipv6")] },
        { "name": "podman0", "hardware-address": "aa:bb:cc:00:00:01" },
    ] }))
}
