//! `[containers.NAME]`.

use crate::Digest;
use crate::Result;
use crate::profile::section::At;
use crate::profile::{
    field::*,
    section::Section,
    values,
    written::{self, Written},
};
use crate::recipe::*;
use crate::tables::containers::wheels;
use crate::tables::firewall::parts::{protocol, protocol_of};
use std::collections::BTreeMap;

pub(crate) const CONTAINER: &[Field] = &[
    texts("packages", &values::PACKAGE, "Debian packages its root file system is made from, one at least"),
    text(
        "archive",
        &values::RELATIVE_PATH,
        "an image instead of packages: an OCI or docker archive, relative to the profile",
    ),
    text("oci", &values::IMAGE, "an image instead of packages: from a registry, by digest"),
    text(
        "wheels",
        &values::REQUIREMENTS_FILE,
        "a Python application: wheels for the `python3` among its packages, from a file of pip's requirements with hashes",
    ),
    texts("requirements", &values::REQUIREMENT, "the same without a file: one requirement each, with its hashes"),
    words("entrypoint", &values::ARGUMENT, "a program and arguments that stand before the command"),
    words("command", &values::ARGUMENT, "the program and its arguments; needed with `packages`"),
    text("user", &values::CONTAINER_USER, "the user it runs as, from the container's own accounts")
        .or_said("an image's own; with `packages` `65534:65534`, nobody"),
    text("workdir", &values::CONTAINER_PATH, "its working directory").or_said("an image's own, else `/`"),
    text("hostname", &values::HOSTNAME, "its host name").or_said("its name"),
    mapping(
        "environment",
        &values::VARIABLE,
        &values::ARGUMENT,
        "environment variables; no secrets: all can read them",
    ),
    tables("publish", PUBLISH, "published ports"),
    texts("networks", &values::NETWORK_NAME, "tables of `container_networks` it is connected to")
        .or_said("podman's own network, with a way out"),
    texts("overlays", &values::NAME, "directories of `overlays/` laid over its tree, in this order"),
    texts(
        "public",
        &values::CONTAINER_PATH,
        "files of its image, or directories with all that is in them, that look like secrets and that everybody may know",
    ),
    named("volumes", &values::NAME, VOLUME, "directories on state by name; they outlive container and image"),
    texts("writable", &values::CONTAINER_PATH, "directories in memory it may write to; everything else is read-only"),
    named("secrets", &values::NAME, SECRET, "secrets by name, from systemd credentials"),
    texts("devices", &values::DEVICE_NODE, "devices of the machine it may use"),
    texts("capabilities", &values::CAPABILITY, "capabilities it keeps"),
    boolean(
        "user_namespace",
        "run in a user namespace: its user IDs, root included, are mapped to a separate range on the machine",
    )
    .or(true),
    integer("ids", FIRST, LAST, "first of its 65536 user IDs on the machine")
        .or_said("a number that follows from its name"),
    boolean("init", "run a small init as its first process: it forwards signals and reaps dead children")
        .or_said("`true` with `packages`; an image may bring its own"),
    table("health", HEALTH, "health check; the container is restarted when it fails"),
    table("limits", LIMITS, "what it may use at most"),
    texts("after", &values::NAME, "containers that are started, and healthy, before it"),
    texts("requires", &values::NAME, "containers it depends on: as `after`, and stopped with them"),
];
const PUBLISH: &[Field] = &[
    port("host", "port of the machine").needed(),
    port("container", "port inside").or_said("the same"),
    protocol("protocol"),
    boolean(
        "local",
        "only the machine itself may reach it; any other published port must be admitted by `firewall.allow`",
    )
    .or(false),
];
const VOLUME: &[Field] = &[
    text("path", &values::CONTAINER_PATH, "where the container sees it").needed(),
    text("owner", &values::CONTAINER_OWNER, "its owner, in the container's tree").or_said("the user it runs as"),
    text("mode", &values::MODE, "its permissions").or_text("0700"),
    boolean("read_only", "the container cannot write to it").or(false),
    text("mount", &values::NAME, "the disk of `[mounts]` that it is on").or_said("state"),
];
const SECRET: &[Field] = &[
    text("credential", &values::CREDENTIAL, "the systemd credential that holds it").or_said("its name"),
    text("file", &values::CONTAINER_PATH, "the file the container reads it from").or_said("`/run/secrets/NAME`"),
    text("environment", &values::VARIABLE, "the environment variable that holds it, in place of a file"),
];
const HEALTH: &[Field] = &[
    words("command", &values::ARGUMENT, "a program in the container, and its arguments, that succeeds while it works")
        .needed(),
    text("interval", &values::SPAN, "time between runs").or_text("30s"),
    text("timeout", &values::SPAN, "time after which a run has failed").or_text("10s"),
    integer("retries", 1, 100, "failures in a row after which it is restarted").or_number(3),
    text("start_period", &values::SPAN, "time after its start in which failures do not count").or_text("60s"),
];
const LIMITS: &[Field] = &[
    text("memory", &values::SIZE, "memory").or_said("as much as there is"),
    text("cpus", &values::CPUS, "processors").or_said("all"),
    integer("pids", 1, 4_194_304, "processes and threads").or_number(2048),
    text("writable", &values::SIZE, "memory that each directory of `writable` takes").or_said("half of the machine's"),
    text("shm", &values::SIZE, "size of /dev/shm, shared memory of its processes").or_said("64 MiB"),
    integer("open_files", 64, 1_048_576, "files that each process may have open").or_said("podman's own"),
];

/// User numbers that systemd's uid and gid documentation sets aside for containers, in ranges of 65536.
const FIRST: i64 = 524_288;
const LAST: i64 = 1_879_048_192 - RANGE;
const RANGE: i64 = 65_536;

pub(crate) fn containers(top: &Section) -> Result<BTreeMap<String, Container>> {
    top.each("containers", container)
}

fn container(name: &str, t: &Section) -> Result<Container> {
    let source = source(t)?;
    let image = !matches!(source, ContainerSource::Packages(_));
    let (command, entrypoint) = (t.texts("command")?, t.texts("entrypoint")?);
    if command.is_empty() && !image {
        return Err(t.missing("command"));
    }
    // Behind an image's own entrypoint a command may be anything.
    match (entrypoint.is_empty(), image) {
        (false, _) => program(t, "entrypoint", &entrypoint, &values::PROGRAM)?,
        (true, false) => program(t, "command", &command, &values::PROGRAM)?,
        (true, true) => {}
    }
    let public = t.texts("public")?;
    if let (false, Some(first)) = (image, public.first()) {
        let error =
            t.files.error(first.span, format!("`{}` is made of packages, and what they ship is public anyway", t.path));
        return Err(error.hint("remove `public`; a file of an overlay is declared public in its overlay.toml"));
    }
    let wheels = wheels::wheels(t, image)?;
    let mut publish = Vec::new();
    for p in t.tables("publish")? {
        let host = p.needed_number("host")?.value;
        let container = p.number("container")?.map_or(host, |c| c.value);
        publish.push(Publish { host, container, protocol: protocol_of(&p)?, local: p.flag("local")? });
    }
    let word = |key| Ok(t.text(key)?.map(|v| v.value));
    let secret = |variable: &str| {
        format!(
            "give it to the machine as a systemd credential, and write \
             `secrets.NAME = {{ credential = \"CREDENTIAL\", environment = \"{variable}\" }}`, or `file` in place of \
             `environment` if the program can read one; change it as well, since it has been written down"
        )
    };
    Ok(Container {
        source,
        wheels,
        entrypoint: plain(entrypoint),
        command: plain(command),
        user: word("user")?.or_else(|| (!image).then(|| "65534:65534".into())),
        workdir: word("workdir")?,
        hostname: word("hostname")?.unwrap_or_else(|| name.to_owned()),
        environment: t.environment("environment", secret)?,
        publish,
        networks: t.plain("networks")?,
        overlays: t.plain("overlays")?,
        public: plain(public),
        volumes: t.named("volumes")?.into_iter().map(|(n, v)| Ok((n, volume(&v)?))).collect::<Result<_>>()?,
        writable: t.plain("writable")?,
        secrets: secrets(t)?,
        devices: t.plain("devices")?,
        capabilities: t.plain("capabilities")?,
        ids: ids(name, t)?,
        init: t.boolean("init")?.unwrap_or(!image),
        health: t.table("health")?.map(|h| health(&h)).transpose()?,
        limits: limits(&t.table_or_empty("limits")?)?,
        after: t.plain("after")?,
        requires: t.plain("requires")?,
    })
}

/// Exactly one of the keys that say what a container's root is.
fn source(t: &Section) -> Result<ContainerSource> {
    let packages = t.texts("packages")?;
    let mut said = Vec::new();
    if let Some(first) = packages.first() {
        said.push(("packages", first.span));
    }
    let (archive, oci) = (t.text("archive")?, t.text("oci")?);
    said.extend(archive.as_ref().map(|a| ("archive", a.span)));
    said.extend(oci.as_ref().map(|o| ("oci", o.span)));
    if let [(one, a), (two, b), ..] = said[..] {
        let what = format!("`{}` has two roots: `{one}` and `{two}`", t.path);
        let second = format!("`{two}` is at {}\n{}", t.files.place(b), t.files.show(b));
        let error = t.files.error(a, what).detail(format!("{}\n{second}", t.files.show(a)));
        return Err(error.hint("a container has one: remove the other"));
    }
    match (archive, oci) {
        (Some(archive), _) => Ok(ContainerSource::Archive(archive.value)),
        (_, Some(oci)) => Ok(ContainerSource::Oci(oci.value)),
        _ if packages.is_empty() => Err(t.missing("packages").hint(
            "write `packages = […]`, Debian packages, or an image: `archive = …`, a file beside the profile, or `oci = …`, \
             one of a registry",
        )),
        _ => Ok(ContainerSource::Packages(plain(packages))),
    }
}

fn plain(list: Vec<At<String>>) -> Vec<String> {
    list.into_iter().map(|i| i.value).collect()
}

/// Refuses a command whose first word is no program.
fn program(t: &Section, key: &str, command: &[At<String>], form: &values::Form) -> Result<()> {
    let program = command.first().ok_or_else(|| t.missing(key))?;
    (form.check)(&program.value).map_err(|cause| {
        let what = format!("`{}.{key}` cannot start this program", t.path);
        t.files.error(program.span, what).because(cause).hint(format!("allowed: {}", form.allowed))
    })
}

fn volume(t: &Section) -> Result<Volume> {
    Ok(Volume {
        path: t.needed("path")?.value,
        owner: t.text("owner")?.map(|o| o.value),
        mode: t.needed("mode")?.value,
        read_only: t.flag("read_only")?,
        mount: t.text("mount")?.map(|m| m.value),
    })
}

fn secrets(t: &Section) -> Result<BTreeMap<String, Secret>> {
    let mut all = BTreeMap::new();
    for (name, t) in t.named("secrets")? {
        let (file, variable) = (t.text("file")?, t.text("environment")?);
        let to = match (file, variable) {
            (Some(_), Some(variable)) => {
                let error = t.files.error(variable.span, format!("`{}` goes to two places", t.path));
                return Err(error.hint("keep `file` or `environment`; a file is visible to fewer processes"));
            }
            (None, Some(variable)) => SecretTo::Environment(variable.value),
            (file, None) => SecretTo::File(file.map_or_else(|| format!("/run/secrets/{name}"), |f| f.value)),
        };
        let credential = t.text("credential")?.map_or_else(|| name.clone(), |c| c.value);
        all.insert(name, Secret { credential, to });
    }
    Ok(all)
}

/// The container's range of numbers. It follows from the name alone, so that what is on state keeps its owner whatever
/// other containers come and go.
fn ids(name: &str, t: &Section) -> Result<Option<u32>> {
    let said = t.number::<u32>("ids")?;
    if !t.flag("user_namespace")? {
        return match said {
            None => Ok(None),
            Some(ids) => Err(t
                .files
                .error(ids.span, format!("`{}` has `ids` and no user namespace to use them in", t.path))
                .hint("remove `ids`, or `user_namespace = false`")),
        };
    }
    let hash = Digest::of(format!("diorite container ids {name}").as_bytes()).0;
    let slots = (LAST - FIRST) / RANGE + 1;
    let slot = i64::from(u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]])) % slots;
    let chosen = u32::try_from(FIRST + slot * RANGE).expect("the range ends below 2^31");
    Ok(Some(said.map_or(chosen, |s| s.value)))
}

fn span(t: &Section, key: &str) -> Result<u32> {
    Ok(values::seconds(&t.needed(key)?.value).expect("the form was checked"))
}

fn health(t: &Section) -> Result<Health> {
    let command = t.texts("command")?;
    program(t, "command", &command, &values::HEALTH_PROGRAM)?;
    let (interval, timeout) = (span(t, "interval")?, span(t, "timeout")?);
    for (key, value) in [("interval", interval), ("timeout", timeout)] {
        if value == 0 {
            let span = t.needed(key)?.span;
            return Err(t.files.error(span, format!("`{}.{key}` cannot be nothing", t.path)));
        }
    }
    Ok(Health {
        command: plain(command),
        interval,
        timeout,
        retries: t.needed_number("retries")?.value,
        start_period: span(t, "start_period")?,
    })
}

fn limits(t: &Section) -> Result<Limits> {
    let text = |key| Ok(t.text(key)?.map(|v| v.value));
    let size = |key| Ok(text(key)?.map(|v| values::size(&v).expect("the form was checked")));
    Ok(Limits {
        memory: size("memory")?,
        writable: size("writable")?,
        shm: size("shm")?,
        open_files: t.number("open_files")?.map(|n| n.value),
        cpus: text("cpus")?.map(|v| values::thousandths(&v).expect("the form was checked")),
        pids: t.needed_number("pids")?.value,
    })
}

/// The table that says this.
pub(crate) fn written(c: &Container) -> Written {
    let t = match &c.source {
        ContainerSource::Packages(list) => Written::default().list("packages", list),
        ContainerSource::Archive(path) => Written::default().with("archive", &**path),
        ContainerSource::Oci(reference) => Written::default().with("oci", &**reference),
    };
    let publish = |p: &Publish| {
        Written::default()
            .with("host", u32::from(p.host))
            .with("container", u32::from(p.container))
            .with("protocol", p.protocol.name())
            .with("local", p.local)
    };
    let volume = |v: &Volume| {
        Written::default()
            .with("path", &*v.path)
            .maybe("owner", v.owner.as_deref())
            .with("mode", &*v.mode)
            .with("read_only", v.read_only)
            .maybe("mount", v.mount.as_deref())
    };
    let secret = |s: &Secret| {
        let t = Written::default().with("credential", &*s.credential);
        match &s.to {
            SecretTo::File(path) => t.with("file", &**path),
            SecretTo::Environment(variable) => t.with("environment", &**variable),
        }
    };
    let wheels: Vec<String> = c.wheels.iter().map(ToString::to_string).collect();
    t.list("requirements", &wheels)
        .list("entrypoint", &c.entrypoint)
        .list("command", &c.command)
        .maybe("user", c.user.as_deref())
        .maybe("workdir", c.workdir.as_deref())
        .with("hostname", &*c.hostname)
        .named("environment", &c.environment, String::clone)
        .tables("publish", &c.publish, publish)
        .list("networks", &c.networks)
        .list("overlays", &c.overlays)
        .list("public", &c.public)
        .named("volumes", &c.volumes, volume)
        .list("writable", &c.writable)
        .named("secrets", &c.secrets, secret)
        .list("devices", &c.devices)
        .list("capabilities", &c.capabilities)
        .with("user_namespace", c.ids.is_some())
        .maybe("ids", c.ids)
        .with("init", c.init)
        .maybe("health", c.health.as_ref().map(health_written))
        .with("limits", limits_written(&c.limits))
        .list("after", &c.after)
        .list("requires", &c.requires)
}

fn health_written(health: &Health) -> Written {
    let span = |seconds: u32| format!("{seconds}s");
    Written::default()
        .list("command", &health.command)
        .with("interval", span(health.interval))
        .with("timeout", span(health.timeout))
        .with("retries", health.retries)
        .with("start_period", span(health.start_period))
}

fn limits_written(limits: &Limits) -> Written {
    Written::default()
        .maybe("memory", limits.memory.map(written::amount))
        .maybe("cpus", limits.cpus.map(|n| format!("{}.{:03}", n / 1000, n % 1000)))
        .with("pids", limits.pids)
        .maybe("writable", limits.writable.map(written::amount))
        .maybe("shm", limits.shm.map(written::amount))
        .maybe("open_files", limits.open_files)
}
