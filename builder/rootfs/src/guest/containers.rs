//! Containers: one Quadlet unit each, podman-systemd.unit(5), started from a store that is part of the image.

use super::ini::{Ini, literal};
use super::{Guest, nft, store};
use crate::seal::ContainerTree;
use diorite_model::recipe::Container;
use diorite_model::{Error, Recipe, Result};
use std::collections::BTreeMap;

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe, trees: &BTreeMap<String, ContainerTree>) -> Result<()> {
    if recipe.containers.is_empty() {
        return Ok(());
    }
    let mut images = Vec::new();
    for (name, container) in &recipe.containers {
        let unit = format!("{name}.service");
        if guest.has(&format!("usr/lib/systemd/system/{unit}")) {
            return Err(Error::input(format!("a container cannot be called `{name}`"))
                .at(format!("containers.{name}"))
                .because(format!("`{unit}` is a unit of the system"))
                .hint("give it another name"));
        }
        let tree = trees.get(name).ok_or_else(|| Error::bug(format!("container `{name}` has no tree")))?;
        let reference = format!("localhost/{name}:{}", recipe.image.version);
        let file = quadlet(name, &reference, container);
        guest.file(&format!("etc/containers/systemd/{name}.container"), 0o644, file.finish()?)?;
        images.push(store::Image { reference, tree, container, epoch: recipe.image.epoch });
    }
    for (path, node) in store::write(&images, &recipe.archive.architecture)? {
        guest.nodes.insert([store::ROOT.as_bytes(), b"/", &path].concat(), node);
    }
    guest.put(store::ROOT, crate::tree::Node::directory(0o755))?;
    // containers-storage.conf(5), TOML.
    let storage = format!(
        "[storage]\ndriver = \"overlay\"\nrunroot = \"/run/containers/storage\"\n\
         graphroot = \"/var/lib/containers/storage\"\n\n[storage.options]\nadditionalimagestores = [\"/{}\"]\n",
        store::ROOT
    );
    guest.file("etc/containers/storage.conf", 0o644, storage)
}

/// The program and its arguments are in the image's configuration, in JSON: nothing is quoted here.
fn quadlet(name: &str, reference: &str, container: &Container) -> Ini {
    let published = container.publish.iter().map(|p| {
        // What only the machine itself may reach is not even translated for others.
        let address = if p.local { "127.0.0.1:" } else { "" };
        format!("{address}{}:{}/{}", p.host, p.container, p.protocol.name())
    });
    Ini::new()
        .section("Unit")
        .set("Description", literal(&format!("Container {name}")))
        .set("Requires", nft::UNIT)
        .set("After", nft::UNIT)
        .section("Container")
        .set("ContainerName", name)
        .set("Image", reference)
        .set("Pull", "never")
        .set("ReadOnly", "true")
        .set("NoNewPrivileges", "true")
        .set("DropCapability", "all")
        // It has a network of its own: low ports there are nobody else's.
        .set("Sysctl", "net.ipv4.ip_unprivileged_port_start=0")
        .each("PublishPort", published)
        .section("Service")
        .set("Restart", "on-failure")
        // The first start on a fresh /var takes half a minute under emulation, and more on a loaded host.
        .set("TimeoutStartSec", "300")
        .section("Install")
        .set("WantedBy", "multi-user.target")
        .section("Quadlet")
        // A container listens whether or not the network is up already.
        .set("DefaultDependencies", "false")
}
