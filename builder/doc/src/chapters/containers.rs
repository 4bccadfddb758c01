//! Containers: what they are made of, what they may do, and the networks between them.

use crate::content::{Block, Cell, DocumentSection, DocumentTable, Fact, bytes};
use crate::context::DocumentContext;
use crate::terms;
use diorite_model::LockedPackage;
use diorite_model::python::Pinned;
use diorite_model::recipe::{Container, ContainerSource, SecretTo};

/// First so many digits of a digest name a file of an image well enough on paper.
const SHORT: usize = 19;

pub(super) fn section(c: &DocumentContext) -> DocumentSection {
    let (recipe, language) = (c.recipe, c.language);
    let mut blocks = Vec::new();
    if recipe.containers.is_empty() {
        blocks.push(Block::Text(language.no_containers().into()));
    } else {
        blocks.push(Block::Text(language.containers_about().into()));
    }
    for (name, container) in &recipe.containers {
        blocks.push(Block::Heading(name.clone()));
        blocks.push(Block::Facts(facts(c, name, container)));
    }
    let bridges = recipe.container_bridges();
    if !bridges.is_empty() {
        let mut table = DocumentTable::new([language.network(), "IPv4".into(), "IPv6".into(), language.way_out()]);
        for bridge in &bridges {
            let out = terms::yes(!bridge.internal, language);
            let (v4, v6) = (Cell::code(&*bridge.ipv4.0), Cell::code(&*bridge.ipv6.0));
            table.row([Cell::code(&*bridge.network), v4, v6, out.into()]);
        }
        blocks.extend([Block::Heading(language.container_networks()), Block::Table(table)]);
    }
    DocumentSection { id: "containers", title: language.chapter_containers(), blocks }
}

fn facts(c: &DocumentContext, name: &str, container: &Container) -> Vec<Fact> {
    let language = c.language;
    let locked = c.lock.and_then(|lock| lock.container.get(name));
    let image = language.the_images_own();
    let said = |value: &Option<String>| value.as_ref().map_or_else(|| Cell::from(image.clone()), |v| Cell::code(&**v));
    let words = |all: &[String]| if all.is_empty() { Cell::from(image.clone()) } else { Cell::code(all.join(" ")) };
    let mut all = vec![
        (language.made_from(), source(c, container, locked.map(Vec::as_slice))),
        (language.command(), words(&[&container.entrypoint[..], &container.command].concat())),
        (language.user(), said(&container.user)),
        (
            language.user_numbers(),
            container.ids.map_or_else(|| language.the_machines_own(), |first| language.numbers_from(first)).into(),
        ),
    ];
    if !container.wheels.is_empty() {
        all.insert(1, (language.python_wheels(), Cell::lines(container.wheels.iter().map(|pinned| wheel(c, pinned)))));
    }
    let published = container.publish.iter().map(|p| {
        let local = if p.local { format!(" ({})", language.only_from_the_machine()) } else { String::new() };
        Cell::from(format!("{} → {}/{}{local}", p.host, p.container, p.protocol.name()))
    });
    all.push((language.published_ports(), Cell::lines(published).or_dash()));
    let networks = if container.networks.is_empty() { vec!["podman".to_owned()] } else { container.networks.clone() };
    all.push((language.networks(), Cell::codes(networks)));
    let volumes = container.volumes.iter().map(|(volume, v)| {
        let place = format!("/var/lib/diorite/containers/{name}/{volume} → {}", v.path);
        let only = if v.read_only { format!(" ({})", language.read_only()) } else { String::new() };
        Cell::code(place).then(only)
    });
    all.push((language.volumes(), Cell::lines(volumes).or_dash()));
    if !container.writable.is_empty() {
        all.push((language.memory_directories(), Cell::codes(&container.writable)));
    }
    let secrets = container.secrets.values().map(|secret| {
        let to = match &secret.to {
            SecretTo::File(path) => language.as_file(path),
            SecretTo::Environment(name) => language.as_variable(name),
        };
        Cell::code(&*secret.credential).then(format!(" ({to})"))
    });
    all.push((language.credentials(), Cell::lines(secrets).or_dash()));
    all.push((language.capabilities(), Cell::codes(&container.capabilities).or_dash()));
    if !container.devices.is_empty() {
        all.push((language.devices(), Cell::codes(&container.devices)));
    }
    if !container.environment.is_empty() {
        all.push((language.variables(), Cell::codes(container.environment.keys())));
    }
    if !container.overlays.is_empty() {
        all.push((language.overlays(), Cell::codes(container.overlays.iter().map(|o| format!("overlays/{o}")))));
    }
    if !container.public.is_empty() {
        all.push((language.public_files(), Cell::codes(&container.public)));
    }
    all.push((language.limits(), limits(c, container)));
    if let Some(health) = &container.health {
        let every = terms::seconds(health.interval.into(), language);
        let about = language.health_about(every, health.retries);
        all.push((language.health_check(), Cell::lines([Cell::code(health.command.join(" ")), about.into()])));
    }
    let needs: Vec<&String> = container.requires.iter().chain(&container.after).collect();
    if !needs.is_empty() {
        let mut needs: Vec<String> = needs.into_iter().cloned().collect();
        needs.dedup();
        all.push((language.starts_after(), Cell::codes(needs)));
    }
    let prefix = format!("container-{name}-");
    let mine = |id: &str| {
        id.strip_prefix(&prefix)
            .is_some_and(|rest| ["running", "as-declared", "dns", "healthy", "wheels"].contains(&rest))
    };
    all.push((language.evidence(), c.evidence.matching(mine)));
    all
}

/// What it is made of, with versions and digests where a lock says them.
fn source(c: &DocumentContext, container: &Container, locked: Option<&[LockedPackage]>) -> Cell {
    let language = c.language;
    match &container.source {
        ContainerSource::Packages(names) => {
            let version = |name: &String| {
                let plain = name.split('=').next().unwrap_or(name);
                let found = locked.and_then(|all| all.iter().find(|p| p.name == plain));
                Cell::code(found.map_or_else(|| name.clone(), |p| format!("{} {}", p.name, p.version)))
            };
            let count = locked.map(|all| Cell::from(language.debian_packages(all.len())));
            let unknown = locked.is_none().then(|| Cell::soft(language.versions_unknown()));
            Cell::lines(names.iter().map(version).chain(count).chain(unknown))
        }
        ContainerSource::Archive(path) => {
            Cell::lines([Cell::from(language.image_file(path))].into_iter().chain(files(c, locked)))
        }
        ContainerSource::Oci(reference) => Cell::lines([Cell::code(&**reference)].into_iter().chain(files(c, locked))),
    }
}

/// Name and version, and when it is installed if that depends on the interpreter.
fn wheel(c: &DocumentContext, pinned: &Pinned) -> Cell {
    match &pinned.marker {
        None => Cell::code(pinned.words()),
        Some(marker) => c.language.wheel_under(pinned.words(), marker).into(),
    }
}

fn files(c: &DocumentContext, locked: Option<&[LockedPackage]>) -> Vec<Cell> {
    match locked {
        None => vec![Cell::soft(c.language.versions_unknown())],
        Some(all) => {
            let one = |p: &LockedPackage| {
                Cell::from(format!("{} ", p.name))
                    .then(Cell::code(format!("sha256:{}…", p.sha256.short(SHORT))))
                    .then(format!(", {}", bytes(p.size)))
            };
            all.iter().map(one).collect()
        }
    }
}

fn limits(c: &DocumentContext, container: &Container) -> Cell {
    let (limits, language) = (&container.limits, c.language);
    let memory = limits.memory.map(|m| language.limit_memory(bytes(m)));
    let thousandths =
        |n: u32| format!("{}.{:03}", n / 1000, n % 1000).trim_end_matches('0').trim_end_matches('.').to_owned();
    let cpus = limits.cpus.map(|n| language.limit_processors(thousandths(n)));
    let files = limits.open_files.map(|n| language.limit_files(n));
    let all = [memory, cpus, Some(language.limit_processes(limits.pids)), files];
    Cell::from(all.into_iter().flatten().collect::<Vec<_>>().join(", "))
}
