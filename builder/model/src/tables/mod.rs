//! The tables of a profile, each read into its part of the recipe, and written from it. The fields declared here are the
//! language.

pub(crate) mod access {
    pub(crate) mod check;
    pub(crate) mod read;
    pub(crate) mod recipe;
}
pub(crate) mod archive {
    pub(crate) mod read;
    pub(crate) mod recipe;
}
pub(crate) mod config_drive {
    pub(crate) mod read;
    pub(crate) mod recipe;
}
pub(crate) mod container_networks {
    pub(crate) mod read;
    pub(crate) mod recipe;
}
pub(crate) mod containers {
    pub(crate) mod check;
    pub(crate) mod read;
    pub(crate) mod recipe;
}
pub(crate) mod firewall {
    pub(crate) mod check;
    pub(crate) mod read;
    pub(crate) mod recipe;
}
pub(crate) mod hardening {
    pub(crate) mod check;
    pub(crate) mod read;
    pub(crate) mod recipe;
}
pub(crate) mod image {
    pub(crate) mod read;
    pub(crate) mod recipe;
}
pub(crate) mod instances {
    pub(crate) mod read;
}
pub(crate) mod locale {
    pub(crate) mod read;
    pub(crate) mod recipe;
}
pub(crate) mod machine {
    pub(crate) mod read;
}
pub(crate) mod monitoring {
    pub(crate) mod read;
    pub(crate) mod recipe;
}
pub(crate) mod network {
    pub(crate) mod check;
    pub(crate) mod read;
    pub(crate) mod recipe;
    pub(crate) mod topology;
}
pub(crate) mod packages {
    pub(crate) mod check;
    pub(crate) mod needs;
    pub(crate) mod read;
    pub(crate) mod recipe;
}
pub(crate) mod services {
    pub(crate) mod check;
    pub(crate) mod read;
    pub(crate) mod recipe;
}
pub(crate) mod state {
    pub(crate) mod check;
    pub(crate) mod read;
    pub(crate) mod recipe;
}
pub(crate) mod time {
    pub(crate) mod read;
    pub(crate) mod recipe;
}
pub(crate) mod verify {
    pub(crate) mod check;
    pub(crate) mod read;
}

pub(crate) mod listeners;
pub(crate) mod places;

use crate::Result;
use crate::profile::field::*;
use crate::profile::section::Section;
use crate::profile::source::{Files, Value};
use crate::profile::{settings::Settings, values, written::Written};
use crate::recipe::Recipe;

/// The whole profile.
pub(crate) const PROFILE: &[Field] = &[
    text("extends", &values::PROFILE, "a profile in the same directory that this one extends"),
    texts("overlays", &values::NAME, "directories of `overlays/` laid over the tree, in this order"),
    table("image", image::read::IMAGE, "name and version of the image").needed(),
    table("archive", archive::read::ARCHIVE, "the Debian archive packages come from"),
    table("packages", packages::read::PACKAGES, "packages to install in addition to those that other tables need"),
    table("kernel", image::read::KERNEL, "which kernel, its command line and modules"),
    table("disk", image::read::DISK, "sizes of the partitions"),
    named("network", &values::NAME, network::read::LINK, "links by name")
        .or_said("one link, `ethernet`: DHCP and router advertisements on any Ethernet card"),
    table("time", time::read::TIME, "clock and time zone"),
    table("locale", locale::read::LOCALE, "language of programs"),
    table("firewall", firewall::read::FIREWALL, "what may come in and go out; everything else that comes is dropped"),
    table("access", access::read::ACCESS, "who may log in"),
    table("hardening", hardening::read::HARDENING, "hardening level and exceptions"),
    named("containers", &values::NAME, containers::read::CONTAINER, "containers by name"),
    named(
        "container_networks",
        &values::NETWORK_NAME,
        container_networks::read::NETWORK,
        "networks between containers, by name",
    ),
    table("monitoring", monitoring::read::MONITORING, "monitoring (node-exporter)"),
    table("services", services::read::SERVICES, "units switched on or off, and the profile's own"),
    table("state", state::read::STATE, "the writable partition"),
    table("config_drive", config_drive::read::CONFIG_DRIVE, "per-machine values from a config drive"),
    named(
        "instances",
        &values::HOST_NAME,
        instances::read::INSTANCE,
        "machines made from this image, by host name; no byte of the image depends on them",
    ),
    table(
        "machine",
        machine::read::MACHINE,
        "the virtual machine that `diorite deploy` creates; no byte of the image depends on it",
    ),
    table("verify", verify::read::VERIFY, "additional checks for `diorite verify`"),
];

/// Reads the whole profile and checks it against itself.
pub(crate) fn recipe(files: &Files, value: &Value) -> Result<(Recipe, Settings)> {
    let (recipe, mut settings) = single(files, value)?;
    let top = Section::new(files, String::new(), value, PROFILE)?;
    let network_of = |value: &Value| single(files, value).map(|(recipe, _)| recipe.network);
    settings.instances = instances::read::instances(&top, value, &settings.machine, &network_of)?;
    Ok((recipe, settings))
}

/// The profile that says a recipe, every default written out.
pub(crate) fn written(recipe: &Recipe) -> Written {
    let mut said = recipe.clone();
    monitoring::read::unadmit(&mut said);
    Written::default()
        .with("image", image::read::image_written(&said.image))
        .with("archive", archive::read::written(&said.archive))
        .with("packages", packages::read::written(&said.packages))
        .with("kernel", image::read::kernel_written(&said.kernel))
        .with("disk", image::read::disk_written(&said.disk))
        .named("network", &said.network, network::read::written)
        .with("time", time::read::written(&said.time))
        .with("locale", locale::read::written(&said.locale))
        .with("firewall", firewall::read::written(&said.firewall))
        .with("access", access::read::written(&said.access))
        .with("hardening", hardening::read::written(&said.hardening))
        .named("containers", &said.containers, containers::read::written)
        .named("container_networks", &said.container_networks, container_networks::read::written)
        .with("monitoring", monitoring::read::written(&said.monitoring))
        .with("services", services::read::written(&said.services))
        .with("state", state::read::written(&said.state))
        .maybe("config_drive", said.config_drive.as_ref().map(config_drive::read::written))
        .list("overlays", &said.overlays)
}

/// The profile without its instances.
pub(crate) fn single(files: &Files, value: &Value) -> Result<(Recipe, Settings)> {
    let top = Section::new(files, String::new(), value, PROFILE)?;
    let image = image::read::image(&top)?;
    let (archive, mut settings) = archive::read::archive(&top)?;
    settings.checks = verify::read::checks(&top)?;
    let state = state::read::state(&top)?;
    settings.machine = machine::read::machine(&top, &state)?;
    let mut recipe = Recipe {
        image,
        archive,
        packages: packages::read::packages(&top)?,
        kernel: image::read::kernel(&top)?,
        disk: image::read::disk(&top)?,
        network: network::read::network(&top)?,
        time: time::read::time(&top)?,
        locale: locale::read::locale(&top)?,
        firewall: firewall::read::firewall(&top)?,
        access: access::read::access(&top)?,
        hardening: hardening::read::hardening(&top)?,
        containers: containers::read::containers(&top)?,
        container_networks: container_networks::read::networks(&top)?,
        monitoring: monitoring::read::monitoring(&top)?,
        services: services::read::services(&top)?,
        state,
        config_drive: config_drive::read::config_drive(&top)?,
        overlays: top.plain("overlays")?,
    };
    let places = places::Places { files, value };
    check(&recipe, &settings, &places)?;
    monitoring::read::admit(&mut recipe);
    packages::needs::complete(&mut recipe);
    Ok((recipe, settings))
}

/// The profile checked against itself: what is well-formed in every field and still cannot be meant. The first finding is
/// the answer.
fn check(recipe: &Recipe, settings: &Settings, places: &places::Places) -> Result<()> {
    listeners::check(recipe, places)?;
    packages::check::check(recipe, places)?;
    network::topology::check(recipe, places)?;
    network::check::check(recipe, places)?;
    containers::check::check(recipe, places)?;
    firewall::check::check(recipe, places)?;
    services::check::check(recipe, places)?;
    access::check::check(recipe, places)?;
    hardening::check::check(recipe, places)?;
    state::check::check(recipe, places)?;
    verify::check::check(&settings.checks, recipe, places)
}
