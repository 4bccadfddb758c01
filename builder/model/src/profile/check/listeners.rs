//! Who listens on which port: two on one, and a published port that nobody can reach.

use super::Places;
use crate::Result;
use crate::recipe::{NodeExporter, Protocol, Recipe};

/// The secure shell's port.
const SSH: u16 = 22;

pub(super) struct Listener {
    pub port: u16,
    pub protocol: Protocol,
    pub who: String,
    /// Where it is declared; nothing declares the secure shell.
    pub path: Option<String>,
    /// Only the machine itself can reach it, whatever the firewall says.
    pub local: bool,
}

/// Everything that listens on a port of the machine and is known by a table of its own.
pub(super) fn listeners(recipe: &Recipe) -> Vec<Listener> {
    let of = |port, who: &str, path| Listener { port, protocol: Protocol::Tcp, who: who.into(), path, local: false };
    let mut all = vec![of(SSH, "the secure shell", None)];
    if recipe.monitoring.node_exporter.is_some() {
        all.push(of(NodeExporter::PORT, "node-exporter", Some("monitoring.node_exporter".into())));
    }
    for (name, container) in &recipe.containers {
        for (i, publish) in container.publish.iter().enumerate() {
            let path = Some(format!("containers.{name}.publish.{i}.host"));
            let who = format!("container `{name}`");
            all.push(Listener { port: publish.host, protocol: publish.protocol, who, path, local: publish.local });
        }
    }
    all
}

pub(super) fn check(recipe: &Recipe, places: &Places) -> Result<()> {
    let all = listeners(recipe);
    for (i, one) in all.iter().enumerate() {
        let same = |o: &&Listener| (o.port, o.protocol) == (one.port, one.protocol);
        let (Some(path), Some(other)) = (&one.path, all[..i].iter().find(same)) else { continue };
        let what = format!("port {} has two listeners: {} and {}", one.port, other.who, one.who);
        let error = match &other.path {
            Some(other) => places.between(path, what, other, "the other one"),
            None => places.finding(path, what),
        };
        return Err(error.hint("publish another port of the machine"));
    }
    for (name, container) in &recipe.containers {
        for (i, publish) in container.publish.iter().enumerate().filter(|(_, p)| !p.local) {
            let (port, protocol) = (publish.host, publish.protocol);
            if !recipe.firewall.allow.iter().any(|a| a.protocol == protocol && a.ports().contains(&port)) {
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
