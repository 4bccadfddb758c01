//! A compose file as a whole: services, networks, volumes, secrets.

use crate::stack::ComposeStack;
use crate::toml_text::text;
use crate::yaml::{self, YamlNode};
use crate::{Imported, service};
use diorite_model::profile::{self, Loaded};
use diorite_model::{Error, Result};
use std::collections::BTreeSet;

/// Stands for the digest that nobody has written yet while the rest is checked.
const SOME_DIGEST: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// The tables that say what a compose file says. `file` is its name for people.
///
/// # Errors
/// [`Exit::Input`](diorite_model::Exit::Input): not YAML, or without services.
pub fn compose(source: &str, file: &str) -> Result<Imported> {
    let whole = yaml::parse(source, file)?;
    let services = whole.get("services").map(YamlNode::entries).unwrap_or_default();
    if services.is_empty() {
        let error = Error::input("this compose file has no services").at(file);
        return Err(error.hint("name a file with `services:`, such as compose.yaml or docker-compose.yml"));
    }
    let mut stack = ComposeStack::default();
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
fn check(tables: &str, stack: &mut ComposeStack) {
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
