//! A compose file as a whole: services, networks, volumes, secrets.

use crate::toml_text::text;
use crate::yaml::{self, Node};
use crate::{Imported, Note, service, words};
use diorite_model::profile::{self, Loaded};
use diorite_model::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};

/// Stands for the digest that nobody has written yet while the rest is checked.
const SOME_DIGEST: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
/// Where every service is that names no network.
const STACK: &str = "stack";

/// What the services of a file share.
#[derive(Default)]
pub(crate) struct Stack {
    notes: Vec<Note>,
    /// Networks by their names in the file.
    networks: BTreeMap<String, NetworkTable>,
    /// Ports that the firewall has to admit; whether they are UDP.
    admitted: BTreeSet<(u16, bool)>,
    /// Volumes by their names in the file, and which service has them.
    volumes: BTreeMap<String, String>,
}

#[derive(Default)]
struct NetworkTable {
    name: String,
    internal: bool,
    subnet: Option<String>,
}

impl Stack {
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

    fn top(&mut self, key: &str, line: usize, node: &Node) {
        match key {
            "networks" => node.entries().iter().for_each(|(name, line, about)| self.declared(name, *line, about)),
            "volumes" => {
                for (name, line, about) in node.entries().iter().filter(|(_, _, about)| !about.entries().is_empty()) {
                    let external = about.get("external").is_some_and(Node::is_true);
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

    fn declared(&mut self, name: &str, line: usize, about: &Node) {
        self.network(name);
        let subnet = about.get("ipam").and_then(|i| i.get("config")).map(Node::items).unwrap_or_default();
        let subnet = subnet.first().and_then(|c| c.get("subnet")).and_then(Node::text).filter(|s| s.contains('.'));
        if let Some(table) = self.networks.get_mut(name) {
            table.internal = about.get("internal").is_some_and(Node::is_true);
            table.subnet = subnet.map(str::to_owned);
        }
        for (key, line, value) in about.entries() {
            let what = match key.as_str() {
                "internal" | "ipam" | "name" | "attachable" | "labels" => continue,
                "driver" if value.text() == Some("bridge") => continue,
                "external" if value.is_true() => {
                    "it is one of this machine's own here: what else is on it must be in this profile"
                }
                "enable_ipv6" => "networks of containers have IPv4",
                _ => "it has no counterpart here",
            };
            self.note(*line, &format!("networks.{name}.{key}"), what);
        }
        let _ = line;
    }
}

/// The tables that say what a compose file says. `file` is its name for people.
///
/// # Errors
/// [`Exit::Input`](diorite_model::Exit::Input): not YAML, or without services.
pub fn compose(source: &str, file: &str) -> Result<Imported> {
    let whole = yaml::parse(source, file)?;
    let services = whole.get("services").map(Node::entries).unwrap_or_default();
    if services.is_empty() {
        let error = Error::input("this compose file has no services").at(file);
        return Err(error.hint("name a file with `services:`, such as compose.yaml or docker-compose.yml"));
    }
    let mut stack = Stack::default();
    for (key, line, node) in whole.entries() {
        stack.top(key, *line, node);
    }
    let tables: Vec<String> = services.iter().map(|(name, _, node)| service::table(&mut stack, name, node)).collect();
    let mut profile = String::new();
    if !stack.admitted.is_empty() {
        let all: Vec<String> = stack
            .admitted
            .iter()
            .map(|(port, udp)| format!("{{ port = {port}{} }}", if *udp { ", protocol = \"udp\"" } else { "" }))
            .collect();
        profile += &format!("[firewall]\nallow = [{}]\n\n", all.join(", "));
    }
    profile += &tables.join("\n");
    let mut written = BTreeSet::new();
    for table in stack.networks.values().filter(|table| written.insert(table.name.clone())) {
        profile += &format!("\n[container_networks.{}]\n", table.name);
        if table.internal {
            profile += "internal = true\n";
        }
        if let Some(subnet) = &table.subnet {
            profile += &format!("subnet = {}\n", text(subnet));
        }
    }
    check(&profile, &mut stack);
    stack.notes.sort();
    stack.notes.dedup();
    Ok(Imported { profile, notes: stack.notes })
}

/// What the reader of profiles says to the tables: notes without a line of their own.
fn check(tables: &str, stack: &mut Stack) {
    let text = tables.replace("@sha256:DIGEST", &format!("@sha256:{SOME_DIGEST}"));
    let whole = format!("{text}\n[image]\nname = \"imported\"\nversion = \"1\"\n");
    let mut none = |name: &str| -> Result<Loaded> { Err(Error::bug(format!("{name} is asked for"))) };
    if let Err(error) = profile::parse(&whole, "imported", &mut none) {
        for error in error.apart() {
            let because = error.cause.map(|cause| format!(", because {cause}")).unwrap_or_default();
            stack.note(0, "", &format!("{}{because}", error.what));
        }
    }
}
