//! The table `[containers]`: one Quadlet unit each, podman-systemd.unit(5), started from a store that is part of the image.

mod store;

use crate::accounts::lookup::number;
use crate::container_root::ContainerTree;
use crate::guest::ini::{Ini, literal, unexpanded, word};
use crate::guest::{Guest, PlacedRoot, certificates, container_networks, firewall, trust};
use crate::paths::CONTAINER_STORE;
use crate::tree::Tree;
use diorite_model::recipe::{CERTIFICATES, SecretTo, ServerCertificate, VOLUMES};
use diorite_model::{Error, Recipe, Result};
use std::collections::{BTreeMap, BTreeSet};

/// Where secrets are in memory while their container runs, a directory per container.
const SECRETS: &str = "diorite-secrets";
/// User numbers of a container.
const RANGE: u32 = 65_536;

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe, trees: &BTreeMap<String, ContainerTree>) -> Result<()> {
    if recipe.containers.is_empty() {
        return Ok(());
    }
    let mut images = Vec::new();
    let mut directories = format!("d {VOLUMES} 0711 root root -\n");
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
        let started = store::ContainerProcess::of(container, tree.config());
        let user = started.user.as_str();
        let owner = |who: Option<&str>| {
            owner(tree.tree(), who.unwrap_or(user), container.ids).map_err(|e| e.at(format!("containers.{name}")))
        };
        let roots: BTreeSet<String> =
            container.volumes.values().map(|about| recipe.volumes_directory(name, about)).collect();
        directories.extend(roots.iter().map(|root| format!("d {root} 0711 root root -\n")));
        for (volume, about) in &container.volumes {
            let (uid, gid) = owner(about.owner.as_deref())?;
            let root = recipe.volumes_directory(name, about);
            directories += &format!("d {root}/{volume} {} {uid} {gid} -\n", about.mode);
        }
        certificates::generate(guest, recipe, name, owner(None)?)?;
        let file = quadlet(name, &reference, recipe, owner(None)?);
        guest.file(&format!("etc/containers/systemd/{name}.container"), 0o644, file.finish()?)?;
        images.push(store::StoredImage { name, reference, tree, container, started, epoch: recipe.image.epoch });
    }
    if directories.chars().any(|c| c.is_control() && c != '\n')
        || directories.lines().any(|l| l.split(' ').count() != 6)
    {
        return Err(Error::bug(format!("{directories:?} would not stay on its own lines")));
    }
    guest.file("usr/lib/tmpfiles.d/20-diorite-containers.conf", 0o644, directories)?;
    let written = store::write(&images, &recipe.archive.architecture)?;
    let inside = |path: &[u8]| [CONTAINER_STORE.as_bytes(), b"/", path].concat();
    guest.extend(written.nodes.into_iter().map(|(path, node)| (inside(&path), node)));
    for (layer, name) in written.layers {
        let (image, overlaid) = (recipe.containers[&name].is_image(), trees[&name].overlaid().clone());
        guest.roots.insert(inside(layer.as_bytes()), PlacedRoot { name, image, overlaid });
    }
    guest.put(CONTAINER_STORE, crate::tree::Node::directory(0o755))?;
    // containers-storage.conf(5), TOML. What podman notes of containers is memory: their roots are in the image, their
    // volumes elsewhere, and notes on disk would keep them from starting when the disk is full or lost its power.
    let storage = format!(
        "[storage]\ndriver = \"overlay\"\nrunroot = \"/run/containers/storage\"\n\
         graphroot = \"/run/containers/graph\"\n\n[storage.options]\nadditionalimagestores = [\"/{}\"]\n",
        CONTAINER_STORE
    );
    guest.file("etc/containers/storage.conf", 0o644, storage)
}

/// The machine's numbers of a container's user and group; a user without a group has the one of its account, or 0.
fn owner(tree: &Tree, who: &str, ids: Option<u32>) -> Result<(u32, u32)> {
    let (user, group) = who.split_once(':').map_or((who, None), |(u, g)| (u, Some(g)));
    let unknown = |what: &str, name: &str| {
        Error::input(format!("the container has no {what} `{name}`"))
            .hint("name an account that one of its packages makes, or a number")
    };
    let uid = number(tree, "etc/passwd", user).ok_or_else(|| unknown("user", user))?;
    let gid = match group {
        Some(group) => number(tree, "etc/group", group).ok_or_else(|| unknown("group", group))?,
        None => {
            let passwd = tree.read(b"etc/passwd").and_then(|t| std::str::from_utf8(t).ok()).unwrap_or_default();
            let account = passwd.lines().map(|l| l.split(':').collect::<Vec<_>>());
            let own = account.into_iter().find(|f| f.get(2).is_some_and(|n| *n == uid.to_string()));
            own.and_then(|f| f.get(3)?.parse().ok()).unwrap_or(0)
        }
    };
    let Some(first) = ids else { return Ok((uid, gid)) };
    match (uid.max(gid) < RANGE, first.checked_add(RANGE)) {
        (true, Some(_)) => Ok((first + uid, first + gid)),
        _ => Err(Error::input(format!("`{who}` is not inside the container's user namespace"))
            .because("its numbers end at 65535")
            .hint("use a smaller number, or set `user_namespace = false`")),
    }
}

/// What a package container is started with stands in its image's configuration, in JSON; everything else is quoted
/// here. `owner` is the machine's number of its user and group.
fn quadlet(name: &str, reference: &str, recipe: &Recipe, owner: (u32, u32)) -> Ini {
    let container = &recipe.containers[name];
    let dns = container_networks::name_server(recipe).filter(|_| container.networks.is_empty());
    let waits: Vec<String> =
        container.after.iter().chain(&container.requires).map(|o| format!("{o}.service")).collect();
    let published = container.publish.iter().map(|p| {
        // Bound to loopback, so that no other machine's packets are translated.
        let address = if p.local { "127.0.0.1:" } else { "" };
        format!("{address}{}:{}/{}", p.host, p.container, p.protocol.name())
    });
    let ids = container.ids.map(|first| format!("0:{first}:{RANGE}"));
    let size = container.limits.writable.map(|bytes| format!(",size={bytes}")).unwrap_or_default();
    let volumes = container.volumes.iter().map(|(volume, about)| {
        let access = if about.read_only { "ro" } else { "rw" };
        format!("{}/{volume}:{}:{access},nosuid,nodev", recipe.volumes_directory(name, about), about.path)
    });
    let trusted = (!recipe.trust.is_empty()).then(|| format!("/{0}:/{0}:ro,nosuid,nodev,noexec", trust::BUNDLE));
    let keepers: Vec<String> = recipe.certificates_of(name).map(|(own, _)| ServerCertificate::unit(own)).collect();
    let certificates = recipe
        .certificates_of(name)
        .map(|(own, about)| format!("{CERTIFICATES}/{own}:{}:ro,nosuid,nodev,noexec", about.path));
    let mounts = container.volumes.values().filter_map(|about| recipe.mounts.get(about.mount.as_ref()?));
    let disks: BTreeSet<String> = mounts.map(|mount| mount.directory()).collect();
    let mut ini = Ini::new()
        .section("Unit")
        .set("Description", literal(&format!("Container {name}")))
        .set("Requires", firewall::UNIT)
        .set("After", firewall::UNIT)
        .each("Requires", container.requires.iter().map(|o| format!("{o}.service")))
        .each("After", waits)
        // Where no new one can be had, the old one may still serve.
        .each("Wants", &keepers)
        .each("After", &keepers)
        .each("RequiresMountsFor", disks)
        .set("StartLimitIntervalSec", "600")
        .set("StartLimitBurst", "5")
        .section("Container")
        .set("ContainerName", name)
        .set("Image", reference)
        .set("Pull", "never")
        .set("HostName", &*container.hostname)
        .set("ReadOnly", "true")
        // Only what is declared can be written.
        .set("ReadOnlyTmpfs", "false")
        .set("NoNewPrivileges", "true")
        .set("DropCapability", "all")
        .each("AddCapability", container.capabilities.iter().map(|c| format!("CAP_{c}")))
        .each("UIDMap", ids.clone())
        .each("GIDMap", ids)
        // It has a network of its own: its low ports are not the machine's.
        .set("Sysctl", "net.ipv4.ip_unprivileged_port_start=0")
        .each("Network", &container.networks)
        .each("DNS", dns)
        .each("PublishPort", published)
        .each("Volume", volumes)
        .each("Volume", trusted)
        .each("Volume", certificates)
        .each("Tmpfs", container.writable.iter().map(|path| format!("{path}:rw,nosuid,nodev,noexec,mode=1777{size}")))
        .each("AddDevice", container.devices.iter().map(|device| format!("{device}:{device}:rw")))
        .each("ShmSize", container.limits.shm.map(|bytes| format!("{bytes}b")))
        .each("Ulimit", container.limits.open_files.map(|most| format!("nofile={most}:{most}")))
        .each("Environment", container.environment.iter().map(|(key, value)| word(&format!("{key}={value}"))));
    let directory = format!("/run/{SECRETS}/{name}");
    for (secret, about) in &container.secrets {
        ini = match &about.to {
            SecretTo::File(path) => ini.set("Volume", format!("{directory}/{secret}:{path}:ro,nosuid,nodev,noexec")),
            SecretTo::Environment(_) => ini.set("EnvironmentFile", format!("{directory}/{secret}")),
        };
    }
    if let Some(health) = &container.health {
        let command = serde_json::Value::from(health.command.clone()).to_string();
        ini = ini
            .set("HealthCmd", unexpanded(&command))
            .set("HealthInterval", format!("{}s", health.interval))
            .set("HealthTimeout", format!("{}s", health.timeout))
            .set("HealthRetries", health.retries.to_string())
            .set("HealthStartPeriod", format!("{}s", health.start_period))
            // The unit's own restart follows.
            .set("HealthOnFailure", "kill")
            // Who waits for it waits until it works.
            .set("Notify", "healthy");
    }
    if container.init {
        ini = ini.set("RunInit", "true");
    }
    ini = ini.set("PidsLimit", container.limits.pids.to_string());
    if let Some(bytes) = container.limits.memory {
        ini = ini.set("PodmanArgs", format!("--memory={bytes}b"));
    }
    if let Some(cpus) = container.limits.cpus {
        ini = ini.set("PodmanArgs", format!("--cpus={}.{:03}", cpus / 1000, cpus % 1000));
    }
    ini = ini
        .section("Service")
        .set("Restart", "on-failure")
        // Half a minute of attempts; then it counts as failed, and `retry` goes on.
        .set("RestartSec", "1s")
        .set("RestartSteps", "4")
        .set("RestartMaxDelaySec", "10s")
        // The first start on a fresh /var takes half a minute under emulation, and more on a loaded host.
        .set("TimeoutStartSec", "300");
    let signals: BTreeSet<&str> = recipe.certificates_of(name).filter_map(|(_, c)| c.reload.signal()).collect();
    ini = ini.each("ExecReload", signals.iter().map(|signal| format!("/usr/bin/podman kill --signal {signal} {name}")));
    if !container.secrets.is_empty() {
        ini = ini.set("RuntimeDirectory", format!("{SECRETS}/{name}")).set("RuntimeDirectoryMode", "0711");
    }
    for (secret, about) in &container.secrets {
        let file = format!("{directory}/{secret}");
        let give = match &about.to {
            SecretTo::File(_) => {
                format!("/usr/bin/install -m 0400 -o {} -g {} %d/{secret} {file}", owner.0, owner.1)
            }
            SecretTo::Environment(variable) => {
                let script = "umask 077; printf '%s=%s\\n' \"$1\" \"$(cat \"$2\")\" >\"$3\"";
                format!("/bin/sh -ec {} sh {variable} %d/{secret} {file}", word(script))
            }
        };
        ini = ini.set("LoadCredential", format!("{secret}:{}", about.credential)).set("ExecStartPre", give);
    }
    ini.section("Install")
        .set("WantedBy", "multi-user.target")
        .section("Quadlet")
        // A container listens whether or not the network is up already.
        .set("DefaultDependencies", "false")
}
