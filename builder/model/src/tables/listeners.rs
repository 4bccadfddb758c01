//! Who listens on which port: two on one, and a published port that nobody can reach.

use crate::Result;
use crate::listeners::Listener;
use crate::recipe::{Protocol, Recipe};
use crate::tables::places::Places;

pub(crate) fn check(recipe: &Recipe, places: &Places) -> Result<()> {
    let all = recipe.listeners();
    for (i, one) in all.iter().enumerate() {
        let same = |o: &&Listener| (o.port, o.protocol) == (one.port, one.protocol);
        let (Some(path), Some(other)) = (one.path(), all[..i].iter().find(same)) else { continue };
        let what = format!("port {} has two listeners: {} and {}", one.port, other.owner, one.owner);
        let error = match other.path() {
            Some(other) => places.between(&path, what, &other, "the other one"),
            None => places.finding(&path, what),
        };
        return Err(error.hint("publish another port of the machine"));
    }
    for (name, container) in &recipe.containers {
        for (i, publish) in container.publish.iter().enumerate().filter(|(_, p)| !p.local) {
            let (port, protocol) = (publish.host, publish.protocol);
            if !recipe.firewall.allow.iter().any(|a| a.what.is_port(protocol, port)) {
                let what =
                    format!("container `{name}` publishes {} port {port}, and the firewall drops it", protocol.name());
                let entry = match protocol {
                    Protocol::Tcp => format!("{{ port = {port} }}"),
                    Protocol::Udp => format!("{{ port = {port}, protocol = \"udp\" }}"),
                };
                return Err(places.finding(&format!("containers.{name}.publish.{i}.host"), what).hint(format!(
                    "admit it in `firewall.allow` with `{entry}`, or say `local = true` if only the machine itself asks"
                )));
            }
        }
    }
    Ok(())
}
