//! The tables of a profile, each read into its part of the recipe, and written from it. The fields declared here are the
//! language.

pub(crate) mod access {
    pub(crate) mod check;
    pub(crate) mod read;
    pub(crate) mod recipe;
}
pub(crate) mod archive {
    pub(crate) mod check;
    pub(crate) mod read;
    pub(crate) mod recipe;
}
pub(crate) mod audit {
    pub(crate) mod read;
}
pub(crate) mod backup {
    pub(crate) mod check;
    pub(crate) mod read;
    pub(crate) mod recipe;
}
pub(crate) mod certificates {
    pub(crate) mod check;
    mod dns;
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
    mod wheels;
}
pub(crate) mod firewall {
    pub(crate) mod check;
    pub(crate) mod parts;
    pub(crate) mod read;
    pub(crate) mod recipe;
    pub(crate) mod rule;
    pub(crate) mod traffic;
}
pub(crate) mod forwarding {
    pub(crate) mod check;
    pub(crate) mod groups;
    pub(crate) mod read;
    pub(crate) mod recipe;
}
pub(crate) mod hardening {
    pub(crate) mod check;
    pub(crate) mod read;
    pub(crate) mod recipe;
}
pub(crate) mod hosts {
    pub(crate) mod read;
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
pub(crate) mod memory {
    pub(crate) mod check;
    pub(crate) mod read;
    pub(crate) mod recipe;
}
pub(crate) mod monitoring {
    pub(crate) mod alertmanager;
    pub(crate) mod alerts;
    pub(crate) mod asked;
    pub(crate) mod check;
    pub(crate) mod logs;
    pub(crate) mod outgoing;
    pub(crate) mod probes;
    pub(crate) mod read;
    pub(crate) mod recipe;
    pub(crate) mod span;
}
pub(crate) mod mounts {
    pub(crate) mod check;
    pub(crate) mod read;
    pub(crate) mod recipe;
}
pub(crate) mod network {
    pub(crate) mod check;
    pub(crate) mod read;
    pub(crate) mod recipe;
    pub(crate) mod serve;
    pub(crate) mod subnet;
    pub(crate) mod topology;
}
pub(crate) mod packages {
    pub(crate) mod check;
    pub(crate) mod needs;
    pub(crate) mod read;
    pub(crate) mod recipe;
}
pub(crate) mod platform {
    pub(crate) mod check;
    pub(crate) mod read;
    pub(crate) mod recipe;
}
pub(crate) mod services {
    pub(crate) mod check;
    pub(crate) mod read;
    pub(crate) mod recipe;
}
pub(crate) mod signing {
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
pub(crate) mod trust {
    pub(crate) mod read;
}
pub(crate) mod vpn {
    mod admit;
    pub(crate) mod check;
    mod fortinet_ssl;
    mod ipsec;
    mod parts;
    pub(crate) mod read;
    pub(crate) mod recipe;
    mod tunnels;
    mod wireguard;

    pub(crate) use admit::{admit, rules, unadmit};
}
pub(crate) mod verify {
    pub(crate) mod check;
    pub(crate) mod read;
}

pub(crate) mod listeners;
pub(crate) mod places;

use crate::profile::field::*;
use crate::profile::section::Section;
use crate::profile::source::{Files, Value};
use crate::profile::{settings::Settings, values, written::Written};
use crate::recipe::{Link, Platform, Recipe};
use crate::{Error, Result};
use std::collections::BTreeMap;

/// The whole profile.
pub(crate) const PROFILE: &[Field] = &[
    text("extends", &values::PROFILE, "a profile in the same directory that this one extends"),
    texts("overlays", &values::NAME, "directories of `overlays/` laid over the tree, in this order"),
    table("image", image::read::IMAGE, "name and version of the image, and what its documentation says of it").needed(),
    table("archive", archive::read::ARCHIVE, "the Debian archive packages come from"),
    table("packages", packages::read::PACKAGES, "packages to install in addition to those that other tables need"),
    table("platform", platform::read::PLATFORM, "what kind of machine the image starts on"),
    table("kernel", image::read::KERNEL, "which kernel, its command line and modules"),
    table("disk", image::read::DISK, "sizes of the partitions"),
    table(
        "signing",
        signing::read::SIGNING,
        "Secure Boot: with this table the boot programs are signed when the image is built, by a key that is named there",
    ),
    named("network", &values::NAME, network::read::LINK, "links by name")
        .or_said("one link, `ethernet`: DHCP and router advertisements on any Ethernet card"),
    named("vpn", &values::NAME, vpn::read::TUNNEL, "tunnels to other machines and networks, by name"),
    mapping(
        "hosts",
        &values::HOST_NAME,
        &values::ADDRESSES,
        "addresses of hosts by name, which no name server is asked for",
    ),
    mapping("trust", &values::NAME, &trust::read::CERTIFICATE, "certificates of authorities besides Debian's, by name"),
    named(
        "certificates",
        &values::NAME,
        certificates::read::CERTIFICATE,
        "certificates of servers in containers, given or self-signed, by name",
    ),
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
    table(
        "monitoring",
        monitoring::read::MONITORING,
        "what the machine says of itself, what it asks of others, and who is told",
    ),
    table("services", services::read::SERVICES, "units switched on or off, and the profile's own"),
    table("state", state::read::STATE, "the writable partition"),
    table("backup", backup::read::BACKUP, "what of state is saved, when, and where to"),
    table("memory", memory::read::MEMORY, "swap space"),
    named(
        "mounts",
        &values::NAME,
        mounts::read::MOUNT,
        "further disks, directories of file servers, and bind mounts, by name",
    ),
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
    table(
        "audit",
        audit::read::AUDIT,
        "known vulnerabilities: where `diorite audit` looks, and what is put up with; no byte of the image depends on it",
    ),
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
    // In the opposite order of what admitted.
    vpn::unadmit(&mut said);
    monitoring::read::unadmit(&mut said);
    certificates::read::unadmit(&mut said);
    let tunnel = |link: &Link| link.kind.is_tunnel();
    let (tunnels, links): (BTreeMap<_, _>, BTreeMap<_, _>) =
        std::mem::take(&mut said.network).into_iter().partition(|(_, link)| tunnel(link));
    Written::default()
        .with("image", image::read::image_written(&said.image))
        .with("archive", archive::read::written(&said.archive))
        .with("packages", packages::read::written(&said.packages))
        .maybe("platform", platform::read::written(&said.platform))
        .with("kernel", image::read::kernel_written(&said.kernel))
        .with("disk", image::read::disk_written(&said.disk))
        .maybe("signing", said.signing.as_ref().map(signing::read::written))
        .named("network", &links, network::read::written)
        .named("vpn", &tunnels, vpn::read::written)
        .named("hosts", &said.hosts, |addresses| hosts::read::written(addresses))
        .named("trust", &said.trust, |certificate| trust::read::written(certificate))
        .named("certificates", &said.certificates, certificates::read::written)
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
        .maybe("backup", said.backup.as_ref().map(backup::read::written))
        .with("memory", memory::read::written(&said.memory))
        .named("mounts", &said.mounts, mounts::read::written)
        .maybe("config_drive", said.config_drive.as_ref().map(config_drive::read::written))
        .list("overlays", &said.overlays)
}

/// The profile without its instances. Whatever is wrong in its text is said at once; only what is well-formed is checked
/// against itself.
pub(crate) fn single(files: &Files, value: &Value) -> Result<(Recipe, Settings)> {
    files.gather();
    let read = read(files, value);
    files.gathered()?;
    let (mut recipe, settings) = read?;
    let places = places::Places { files, value };
    check(&recipe, &settings, &places)?;
    certificates::read::complete(&mut recipe);
    monitoring::read::complete(&mut recipe);
    vpn::admit(&mut recipe);
    forwarding::groups::assign(&mut recipe);
    forwarding::groups::gateways(&mut recipe);
    packages::needs::complete(&mut recipe);
    Ok((recipe, settings))
}

/// Every table by itself.
fn read(files: &Files, value: &Value) -> Result<(Recipe, Settings)> {
    let top = &Section::new(files, String::new(), value, PROFILE)?;
    // A table with an unknown key is told once.
    let (image, purpose) = match top.part(image::read::image)? {
        None => (None, None),
        Some(image) => (Some(image), top.part(image::read::purpose)?),
    };
    let archive = top.part(archive::read::archive)?;
    let packages = top.part(packages::read::packages)?;
    let platform = top.part(platform::read::platform)?;
    let metal = platform.as_ref().is_some_and(Platform::is_metal);
    let kernel = top.part(|top| image::read::kernel(top, metal))?;
    let disk = top.part(image::read::disk)?;
    let signing = top.part(signing::read::signing)?;
    let network = top.part(network::read::network)?;
    let tunnels = top.part(|top| vpn::read::tunnels(top, network.as_ref()))?;
    let hosts = top.part(hosts::read::hosts)?;
    let trust = top.part(trust::read::trust)?;
    let certificates = top.part(certificates::read::certificates)?;
    let time = top.part(time::read::time)?;
    let locale = top.part(locale::read::locale)?;
    let firewall = top.part(firewall::read::firewall)?;
    let access = top.part(access::read::access)?;
    let hardening = top.part(hardening::read::hardening)?;
    let containers = top.part(containers::read::containers)?;
    let container_networks = top.part(container_networks::read::networks)?;
    let monitoring = top.part(monitoring::read::monitoring)?;
    let services = top.part(services::read::services)?;
    let backup = top.part(backup::read::backup)?;
    let memory = top.part(memory::read::memory)?;
    let mounts = top.part(mounts::read::mounts)?;
    let config_drive = top.part(config_drive::read::config_drive)?;
    let checks = top.part(verify::read::checks)?;
    let audit = top.part(audit::read::audit)?;
    let overlays = top.part(|top| top.plain("overlays"))?;
    let state = got(top.part(state::read::state)?)?;
    let machine = top.part(|top| machine::read::machine(top, &state))?;
    let (archive, settings) = got(archive)?;
    let recipe = Recipe {
        image: got(image)?,
        archive,
        packages: got(packages)?,
        platform: got(platform)?,
        kernel: got(kernel)?,
        disk: got(disk)?,
        signing: got(signing)?,
        network: got(network)?.into_iter().chain(got(tunnels)?).collect(),
        hosts: got(hosts)?,
        trust: got(trust)?,
        certificates: got(certificates)?,
        time: got(time)?,
        locale: got(locale)?,
        firewall: got(firewall)?,
        access: got(access)?,
        hardening: got(hardening)?,
        containers: got(containers)?,
        container_networks: got(container_networks)?,
        monitoring: got(monitoring)?,
        services: got(services)?,
        state,
        backup: got(backup)?,
        memory: got(memory)?,
        mounts: got(mounts)?,
        config_drive: got(config_drive)?,
        overlays: got(overlays)?,
    };
    let (purpose, checks, machine, audit) = (got(purpose)?, got(checks)?, got(machine)?, got(audit)?);
    Ok((recipe, Settings { purpose, checks, machine, audit, ..settings }))
}

/// A table that was read; of one that was not, its mistakes have been gathered.
fn got<T>(part: Option<T>) -> Result<T> {
    part.ok_or_else(|| Error::bug("a table of the profile was neither read nor refused"))
}

/// The profile checked against itself: what is well-formed in every field and still cannot be meant. The first finding is
/// the answer.
fn check(recipe: &Recipe, settings: &Settings, places: &places::Places) -> Result<()> {
    listeners::check(recipe, places)?;
    archive::check::check(recipe, places)?;
    packages::check::check(recipe, places)?;
    platform::check::check(recipe, places)?;
    network::topology::check(recipe, places)?;
    network::check::check(recipe, places)?;
    vpn::check::check(recipe, places)?;
    containers::check::check(recipe, places)?;
    certificates::check::check(recipe, places)?;
    firewall::check::check(recipe, places)?;
    forwarding::check::check(recipe, places)?;
    services::check::check(recipe, places)?;
    access::check::check(recipe, places)?;
    hardening::check::check(recipe, places)?;
    state::check::check(recipe, places)?;
    mounts::check::check(recipe, places)?;
    memory::check::check(recipe, places)?;
    backup::check::check(recipe, places)?;
    monitoring::check::check(recipe, places)?;
    verify::check::check(&settings.checks, recipe, places)
}
