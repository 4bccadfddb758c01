//! The tables of a profile, each read into its part of the recipe, and written from it. The fields declared here are the
//! language.

mod access;
mod archive;
mod container_networks;
mod containers;
pub(super) mod firewall;
mod hardening;
mod image;
mod instances;
mod machine;
pub(super) mod monitoring;
mod network;
mod services;
mod state;
mod time;
pub(super) mod verify;

use super::field::*;
use super::section::Section;
use super::source::{Files, Value};
use super::written::{self, Written, word};
use super::{Settings, check, packages, values};
use crate::recipe::*;
use crate::{Error, Result};

/// The whole profile.
pub(super) const PROFILE: &[Field] = &[
    text("extends", &values::PROFILE, "a profile in the same directory that this one is laid on"),
    texts("overlays", &values::NAME, "directories of `overlays/` laid over the tree, in this order"),
    table("image", image::IMAGE, "name and version of the image").needed(),
    table("archive", archive::ARCHIVE, "the Debian archive packages come from"),
    table("packages", archive::PACKAGES, "what is installed besides what the tables need"),
    table("kernel", image::KERNEL, "which kernel, its command line and modules"),
    table("disk", image::DISK, "sizes of the partitions"),
    named("network", &values::NAME, network::LINK, "links by name")
        .or_said("one link, `ethernet`: DHCP and router advertisements on any Ethernet card"),
    table("time", time::TIME, "clock and time zone"),
    table("locale", time::LOCALE, "language of programs"),
    table("firewall", firewall::FIREWALL, "what may come in and go out; everything else that comes is dropped"),
    table("access", access::ACCESS, "who may log in"),
    table("hardening", hardening::HARDENING, "how much is closed, and what is not"),
    named("containers", &values::NAME, containers::CONTAINER, "containers by name"),
    named(
        "container_networks",
        &values::NETWORK_NAME,
        container_networks::NETWORK,
        "networks between containers, by name",
    ),
    table("monitoring", monitoring::MONITORING, "who is watching"),
    table("services", services::SERVICES, "units switched on or off, and the profile's own"),
    table("state", state::STATE, "the writable partition"),
    table("config_drive", instances::CONFIG_DRIVE, "values of its own that a machine may be given on a drive"),
    named(
        "instances",
        &values::HOST_NAME,
        instances::INSTANCE,
        "machines made from this image, by host name; no byte of the image",
    ),
    table("machine", machine::MACHINE, "the virtual machine that `diorite deploy` makes; no byte of the image"),
    table("verify", verify::VERIFY, "what `diorite verify` asks besides"),
];

/// Reads the whole profile and checks it against itself.
pub(super) fn recipe(files: &Files, value: &Value) -> Result<(Recipe, Settings)> {
    let (recipe, mut settings) = single(files, value)?;
    let top = Section::new(files, String::new(), value, PROFILE)?;
    let network_of = |value: &Value| single(files, value).map(|(recipe, _)| recipe.network);
    settings.instances = instances::instances(&top, value, &settings.machine, &network_of)?;
    Ok((recipe, settings))
}

/// The profile that says a recipe, every default written out.
pub(super) fn written(recipe: &Recipe) -> Written {
    let mut said = recipe.clone();
    monitoring::unadmit(&mut said);
    Written::default()
        .with("image", image::image_written(&said.image))
        .with("archive", archive::written(&said.archive))
        .with("packages", archive::packages_written(&said.packages))
        .with("kernel", image::kernel_written(&said.kernel))
        .with("disk", image::disk_written(&said.disk))
        .named("network", &said.network, network::written)
        .with("time", time::written(&said.time))
        .with("locale", time::locale_written(&said.locale))
        .with("firewall", firewall::written(&said.firewall))
        .with("access", access::written(&said.access))
        .with("hardening", hardening::written(&said.hardening))
        .named("containers", &said.containers, containers::written)
        .named("container_networks", &said.container_networks, container_networks::written)
        .with("monitoring", monitoring::written(&said.monitoring))
        .with("services", services::written(&said.services))
        .with("state", state::written(&said.state))
        .maybe("config_drive", said.config_drive.as_ref().map(instances::config_drive_written))
        .list("overlays", &said.overlays)
}

/// The profile without its instances.
pub(super) fn single(files: &Files, value: &Value) -> Result<(Recipe, Settings)> {
    let top = Section::new(files, String::new(), value, PROFILE)?;
    let image = image::image(&top)?;
    let (archive, mut settings) = archive::archive(&top)?;
    settings.checks = verify::checks(&top)?;
    let state = state::state(&top)?;
    settings.machine = machine::machine(&top, &state)?;
    let mut recipe = Recipe {
        image,
        archive,
        packages: archive::packages(&top)?,
        kernel: image::kernel(&top)?,
        disk: image::disk(&top)?,
        network: network::network(&top)?,
        time: time::time(&top)?,
        locale: time::locale(&top)?,
        firewall: firewall::firewall(&top)?,
        access: access::access(&top)?,
        hardening: hardening::hardening(&top)?,
        containers: containers::containers(&top)?,
        container_networks: container_networks::networks(&top)?,
        monitoring: monitoring::monitoring(&top)?,
        services: services::services(&top)?,
        state,
        config_drive: instances::config_drive(&top)?,
        overlays: top.plain("overlays")?,
    };
    let places = check::Places { files, value };
    check::check(&recipe, &places)?;
    check::own_checks(&settings.checks, &recipe, &places)?;
    monitoring::admit(&mut recipe);
    packages::complete(&mut recipe);
    Ok((recipe, settings))
}
