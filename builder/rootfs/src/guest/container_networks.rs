//! The table `[container_networks]`: networks between containers, as podman's network back end keeps them: one JSON file each (podman-network(1)).
//!
//! They are part of the image, not made at boot: podman would have to write them below /etc.

use super::Guest;
use diorite_model::{Digest, Error, Recipe, Result};
use serde_json::json;
use std::net::Ipv4Addr;

/// Name of the `number`th network's bridge, which the packet filter knows it by: what comes from an internal one goes
/// nowhere. podman's own network has podman0.
fn bridge(number: u16, internal: bool) -> String {
    format!("{}{number}", if internal { "inpod" } else { "podman" })
}

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    if recipe.containers.is_empty() {
        return Ok(());
    }
    for (number, (name, network)) in (1u16..).zip(&recipe.container_networks) {
        let wrong = || Error::bug(format!("container network {name:?} has no IPv4 network: {:?}", network.subnet));
        let (address, prefix) = network.subnet.split_once('/').ok_or_else(wrong)?;
        let address: Ipv4Addr = address.parse().map_err(|_| wrong())?;
        if prefix.parse::<u8>().map_err(|_| wrong())? > 30 {
            return Err(wrong());
        }
        let gateway = Ipv4Addr::from(address.to_bits() + 1);
        let file = json!({
            "name": name,
            "id": Digest::of(format!("diorite container network {name}").as_bytes()),
            "driver": "bridge",
            "network_interface": bridge(number, network.internal),
            "created": "1970-01-01T00:00:00Z",
            "subnets": [{ "subnet": network.subnet, "gateway": gateway }],
            "ipv6_enabled": false,
            "internal": network.internal,
            "dns_enabled": true,
            "ipam_options": { "driver": "host-local" },
        });
        let text =
            serde_json::to_string_pretty(&file).map_err(|e| Error::bug("a network cannot be written").because(e))?;
        guest.file(&format!("etc/containers/networks/{name}.json"), 0o644, text + "\n")?;
    }
    Ok(())
}
