//! What the services of a compose file share, as it is gathered while they are read.

use crate::yaml::YamlNode;
use crate::{Note, words};
use std::collections::{BTreeMap, BTreeSet};

/// Where every service is that names no network.
const STACK: &str = "stack";

/// What the services of a file share.
#[derive(Default)]
pub(crate) struct ComposeStack {
    pub(crate) notes: Vec<Note>,
    /// Networks by their names in the file.
    pub(crate) networks: BTreeMap<String, NetworkTable>,
    /// Ports that the firewall has to admit; whether they are UDP.
    pub(crate) admitted: BTreeSet<(u16, bool)>,
    /// Volumes by their names in the file, and which service has them.
    volumes: BTreeMap<String, String>,
}

/// A network as the profile will have it.
#[derive(Default)]
pub(crate) struct NetworkTable {
    pub(crate) name: String,
    pub(crate) internal: bool,
    pub(crate) subnet: Option<String>,
}

impl ComposeStack {
    pub(crate) fn note(&mut self, line: usize, key: &str, what: &str) {
        self.notes.push(Note { line, key: key.to_owned(), what: what.to_owned() });
    }

    /// A network that a service is on: its name in the profile.
    pub(crate) fn network(&mut self, compose_name: &str) -> String {
        let name = if compose_name == "default" { STACK.to_owned() } else { words::name(compose_name) };
        let table = self.networks.entry(compose_name.to_owned()).or_default();
        table.name = name.clone();
        name
    }

    pub(crate) fn admit(&mut self, port: u16, udp: bool) {
        self.admitted.insert((port, udp));
    }

    /// A volume that a service has; one of two services is two volumes.
    pub(crate) fn used(&mut self, volume: &str, service: &str, line: usize) {
        if let Some(other) = self.volumes.insert(volume.to_owned(), service.to_owned())
            && other != service
        {
            let what =
                format!("a volume belongs to one container: `{other}` and `{service}` have one each of this name");
            self.note(line, &format!("volumes.{volume}"), &what);
        }
    }

    /// The credential of a secret that the file declares for all services.
    pub(crate) fn credential(&mut self, secret: &str) -> String {
        words::name(secret)
    }

    /// A key of the file itself.
    pub(crate) fn top(&mut self, key: &str, line: usize, node: &YamlNode) {
        match key {
            "networks" => node.entries().iter().for_each(|(name, line, about)| self.declared(name, *line, about)),
            "volumes" => {
                for (name, line, about) in node.entries().iter().filter(|(_, _, about)| !about.entries().is_empty()) {
                    let external = about.get("external").is_some_and(YamlNode::is_true);
                    let what = match external {
                        true => {
                            "it exists already where docker compose runs, and is empty here: copy what is in it to the machine"
                        }
                        false => {
                            "volumes are directories on the machine's state; for another disk or a file server see `[mounts]`"
                        }
                    };
                    self.note(*line, &format!("volumes.{name}"), what);
                }
            }
            "secrets" => {
                for (name, line, _) in node.entries() {
                    let what = format!("give it to the machine as the credential `{}`", words::name(name));
                    self.note(*line, &format!("secrets.{name}"), &what);
                }
            }
            "services" | "version" | "name" => {}
            "configs" => self.note(line, key, "put the files into overlays of the containers"),
            "include" => self.note(line, key, "other files are not read: `docker compose config` joins them into one"),
            _ if key.starts_with("x-") => {}
            _ => self.note(line, key, "it has no counterpart here"),
        }
    }

    fn declared(&mut self, name: &str, line: usize, about: &YamlNode) {
        self.network(name);
        let subnet = about.get("ipam").and_then(|i| i.get("config")).map(YamlNode::items).unwrap_or_default();
        let subnet = subnet.first().and_then(|c| c.get("subnet")).and_then(YamlNode::text).filter(|s| s.contains('.'));
        if let Some(table) = self.networks.get_mut(name) {
            table.internal = about.get("internal").is_some_and(YamlNode::is_true);
            table.subnet = subnet.map(str::to_owned);
        }
        for (key, line, value) in about.entries() {
            let what = match key.as_str() {
                "internal" | "ipam" | "name" | "attachable" | "labels" | "enable_ipv6" => continue,
                "driver" if value.text() == Some("bridge") => continue,
                "external" if value.is_true() => {
                    "it is one of this machine's own here: what else is on it must be in this profile"
                }
                _ => "it has no counterpart here",
            };
            self.note(*line, &format!("networks.{name}.{key}"), what);
        }
        let _ = line;
    }
}
