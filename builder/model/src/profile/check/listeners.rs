//! Two listeners on one port.

use super::Places;
use crate::Result;
use crate::recipe::{Protocol, Recipe};

/// Ports that the image's own services listen on.
const SSH: u16 = 22;
const NODE_EXPORTER: u16 = 9100;

struct Listener {
    port: u16,
    protocol: Protocol,
    who: String,
    /// Where it is declared; nothing declares the secure shell.
    path: Option<String>,
}

/// Everything that listens on a port of the machine.
fn listeners(recipe: &Recipe) -> Vec<Listener> {
    let mut all = vec![Listener { port: SSH, protocol: Protocol::Tcp, who: "the secure shell".into(), path: None }];
    if recipe.monitoring.node_exporter {
        let path = Some("monitoring.node_exporter".into());
        all.push(Listener { port: NODE_EXPORTER, protocol: Protocol::Tcp, who: "node-exporter".into(), path });
    }
    for (name, container) in &recipe.containers {
        for (i, publish) in container.publish.iter().enumerate() {
            let path = Some(format!("containers.{name}.publish.{i}.host"));
            let who = format!("container `{name}`");
            all.push(Listener { port: publish.host, protocol: publish.protocol, who, path });
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
    Ok(())
}
