//! The table `[container_networks]`: networks between containers, as podman's network back end keeps them: one JSON file each (podman-network(1)).
//!
//! They are part of the image, not made at boot: podman would have to write them below /etc. Whom containers ask for names is the
//! machine's own resolver, by an address that never changes: podman copies the servers that it finds when a container starts,
//! or public ones when there are none yet, and looks at them no more.

use super::Guest;
use super::ini::Ini;
use diorite_model::recipe::ContainerBridge;
use diorite_model::{Digest, Error, Recipe, Result};
use serde_json::{Value, json};

/// The resolver's address for programs of the machine: systemd-resolved.service(8)'s, or that of a program in its place.
fn resolver(recipe: &Recipe) -> &'static str {
    let masked = recipe.services.mask.iter().any(|unit| unit == "systemd-resolved.service");
    if masked { "127.0.0.1" } else { "127.0.0.53" }
}

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    let bridges = recipe.container_bridges();
    if bridges.len() != recipe.container_networks.len() + 1 && !recipe.containers.is_empty() {
        return Err(Error::bug(format!("a container network has no addresses: {:?}", recipe.container_networks)));
    }
    for bridge in &bridges {
        let text = serde_json::to_string_pretty(&network(bridge, resolver(recipe)))
            .map_err(|e| Error::bug("a network cannot be written").because(e))?;
        guest.file(&format!("etc/containers/networks/{}.json", bridge.network), 0o644, text + "\n")?;
    }
    let Some(own) = bridges.first() else { return Ok(()) };
    // It listens before podman has made the bridge.
    let resolver = Ini::new().section("Resolve").set("DNSStubListenerExtra", own.ipv4.1.to_string());
    guest.file("etc/systemd/resolved.conf.d/20-diorite-containers.conf", 0o644, resolver.finish()?)
}

/// Whom a container asks for names when it is on no network of its own; on others podman answers, which knows the
/// containers there and asks the machine's resolver for everything else.
pub(super) fn name_server(recipe: &Recipe) -> Option<String> {
    recipe.container_bridges().first().map(|own| own.ipv4.1.to_string())
}

fn network(bridge: &ContainerBridge, resolver: &str) -> Value {
    // podman knows its own network by name and number.
    let own = bridge.interface == "podman0";
    let id = if own { "podman".into() } else { format!("diorite container network {}", bridge.network) };
    let subnet = |subnet: &str, gateway: String| json!({ "subnet": subnet, "gateway": gateway });
    let mut network = json!({
        "name": bridge.network,
        "id": Digest::of(id.as_bytes()),
        "driver": "bridge",
        "network_interface": bridge.interface,
        "created": "1970-01-01T00:00:00Z",
        "subnets": [
            subnet(&bridge.ipv4.0, bridge.ipv4.1.to_string()),
            subnet(&bridge.ipv6.0, bridge.ipv6.1.to_string()),
        ],
        "ipv6_enabled": true,
        "internal": bridge.internal,
        "dns_enabled": !own,
        "ipam_options": { "driver": "host-local" },
    });
    if !own {
        network["network_dns_servers"] = json!([resolver]);
    }
    network
}
