//! The tables of a profile, each read into its part of the recipe. The fields declared here are the language.

use super::section::{At, Field, Section, field};
use super::source::{Files, Span, Value};
use super::{Settings, packages, values};
use crate::recipe::*;
use crate::{Digest, Result};
use std::collections::BTreeMap;

/// A table's name as in a profile, and its fields.
pub type TableFields = (&'static str, &'static [Field]);

const PROFILE: &[Field] = &[
    field("extends", "a profile in the same folder that this one is laid on"),
    field("overlays", "folders of overlays/ laid over the tree, in this order"),
    field("image", "name and version"),
    field("archive", "the Debian archive packages come from"),
    field("packages", "what is installed besides what the tables need"),
    field("kernel", "words for the kernel's command line"),
    field("disk", "sizes of the partitions"),
    field("network", "links by name; without one: DHCP and router advertisements on any Ethernet card"),
    field("firewall", "what may come in; everything else is dropped"),
    field("access", "who may log in"),
    field("containers", "containers by name"),
    field("monitoring", "who is watching"),
    field("services", "units switched on or off"),
    field("state", "the writable partition"),
];
const IMAGE: &[Field] = &[
    field("name", "IMAGE_ID of os-release; also the default host name"),
    field("version", "IMAGE_VERSION of os-release"),
    field("epoch", "latest time of any file, seconds since 1970; 1760000000 by default"),
];
const ARCHIVE: &[Field] = &[
    field("suite", "`trixie` by default; its updates and security updates always belong to it"),
    field("components", "`main` by default"),
    field("architecture", "`amd64` by default"),
    field("mirrors", "where the archive is, tried in this order; the build host's own sources by default"),
    field("snapshot", "where packages are that the archive has dropped, with `{timestamp}`"),
    field("debs", "local .deb files, paths relative to the profile"),
    field("extra", "further repositories by name"),
];
const EXTRA: &[Field] = &[
    field("uri", "where it is"),
    field("suite", "its suite"),
    field("components", "`main` by default"),
    field("keyring", "its OpenPGP keyring, path relative to the profile"),
    field("priority", "pin priority, 500 by default"),
];
const PACKAGES: &[Field] = &[
    field("include", "package names, with `=version` if only that one will do"),
    field("recommends", "install what these recommend as well; false by default"),
];
const KERNEL: &[Field] = &[field("command_line", "words, each one string")];
const DISK: &[Field] = &[
    field("esp", "EFI system partition, `128M` by default"),
    field("root", "each of the two root slots, `512M` by default"),
    field("verity", "each of the two verity slots, `8M` by default: enough for a root of 1015 MiB"),
];
const LINK: &[Field] = &[
    field("match", "which card: mac, name, driver; any Ethernet card by default"),
    field("dhcp", "DHCPv4 and DHCPv6; true unless there are addresses"),
    field("router_advertisements", "true by default"),
    field("addresses", "static addresses with prefix length"),
    field("gateways", "default gateways, at most one per family"),
    field("dns", "name servers"),
];
const MATCH: &[Field] =
    &[field("mac", "hardware address"), field("name", "interface name or pattern"), field("driver", "kernel driver")];
const FIREWALL: &[Field] = &[field("allow", "what may come in")];
const ALLOW: &[Field] = &[
    field("port", "destination port"),
    field("protocol", "`tcp` by default"),
    field("from", "source networks; from anywhere by default"),
];
const ACCESS: &[Field] = &[field("administrators", "login names")];
const ADMINISTRATOR: &[Field] = &[
    field("ssh_keys", "OpenSSH public keys"),
    field("uid", "number of the account and of its group; by default derived from the name"),
];
const CONTAINER: &[Field] = &[
    field("packages", "Debian packages its root file system is made from"),
    field("command", "program and arguments"),
    field("publish", "published ports"),
    field("overlays", "folders of overlays/ laid over its tree, in this order"),
    field("user", "whom it runs as; `65534:65534`, nobody, by default"),
];
const PUBLISH: &[Field] = &[
    field("host", "port of the machine"),
    field("container", "port inside; the same by default"),
    field("protocol", "`tcp` by default"),
];
const MONITORING: &[Field] = &[field("node_exporter", "prometheus-node-exporter on port 9100; false by default")];
const SERVICES: &[Field] = &[
    field("enable", "started at boot whatever their packages say"),
    field("disable", "not started at boot"),
    field("mask", "cannot be started at all"),
];
const STATE: &[Field] =
    &[field("minimum", "smallest size of /var; it grows to the end of the disk; `256M` by default")];

/// Every table of the language with its fields, for reference pages and schemas.
pub fn fields() -> Vec<TableFields> {
    vec![
        ("", PROFILE),
        ("image", IMAGE),
        ("archive", ARCHIVE),
        ("archive.extra.NAME", EXTRA),
        ("packages", PACKAGES),
        ("kernel", KERNEL),
        ("disk", DISK),
        ("network.NAME", LINK),
        ("network.NAME.match", MATCH),
        ("firewall", FIREWALL),
        ("firewall.allow[]", ALLOW),
        ("access", ACCESS),
        ("access.administrators.NAME", ADMINISTRATOR),
        ("containers.NAME", CONTAINER),
        ("containers.NAME.publish[]", PUBLISH),
        ("monitoring", MONITORING),
        ("services", SERVICES),
        ("state", STATE),
    ]
}

/// The time files are clamped to when a profile names none: 2025-10-09T08:53:20Z.
const EPOCH: i64 = 1_760_000_000;
/// Ports that the image's own services listen on.
const SSH: u16 = 22;
const NODE_EXPORTER: u16 = 9100;

/// Reads the whole profile.
pub(super) fn recipe(files: &Files, value: &Value) -> Result<(Recipe, Settings)> {
    let top = Section::new(files, String::new(), value, PROFILE)?;
    let image = image(&top)?;
    let (archive, settings) = archive(&top)?;
    let monitoring = Monitoring {
        node_exporter: match top.table("monitoring", MONITORING)? {
            Some(t) => t.boolean("node_exporter", false)?,
            None => false,
        },
    };
    let mut recipe = Recipe {
        image,
        archive,
        packages: match top.table("packages", PACKAGES)? {
            Some(t) => Packages {
                include: plain(t.texts("include", &values::PACKAGE, false)?),
                recommends: t.boolean("recommends", false)?,
            },
            None => Packages { include: vec![], recommends: false },
        },
        kernel: Kernel {
            command_line: match top.table("kernel", KERNEL)? {
                Some(t) => plain(t.texts("command_line", &values::KERNEL_WORD, true)?),
                None => vec![],
            },
        },
        disk: disk(&top)?,
        network: network(&top)?,
        firewall: firewall(&top)?,
        access: access(&top)?,
        containers: containers(&top, monitoring.node_exporter)?,
        monitoring,
        services: services(&top)?,
        state: State {
            minimum: match top.table("state", STATE)? {
                Some(t) => amount(&t, "minimum", 256 << 20, 64 << 20)?,
                None => 256 << 20,
            },
        },
        overlays: plain(top.texts("overlays", &values::NAME, false)?),
    };
    packages::complete(&mut recipe);
    Ok((recipe, settings))
}

fn plain<T>(list: Vec<At<T>>) -> Vec<T> {
    list.into_iter().map(|i| i.value).collect()
}

fn image(top: &Section) -> Result<Image> {
    let t = top.table("image", IMAGE)?.ok_or_else(|| top.missing("image", "a table with `name` and `version`"))?;
    let epoch = t.integer("epoch", 946_684_800..=4_102_444_800)?.map_or(EPOCH, |e| e.value);
    Ok(Image {
        name: t.needed("name", &values::IMAGE_NAME)?.value,
        version: t.needed("version", &values::IMAGE_VERSION)?.value,
        epoch: u64::try_from(epoch).expect("checked range"),
    })
}

fn archive(top: &Section) -> Result<(Archive, Settings)> {
    let mut archive = Archive {
        suite: "trixie".into(),
        components: vec!["main".into()],
        architecture: "amd64".into(),
        extra: BTreeMap::new(),
        debs: vec![],
    };
    let Some(t) = top.table("archive", ARCHIVE)? else { return Ok((archive, Settings::default())) };
    if let Some(suite) = t.text("suite", &values::SUITE)? {
        archive.suite = suite.value;
    }
    if let Some(architecture) = t.text("architecture", &values::ARCHITECTURE)? {
        archive.architecture = architecture.value;
    }
    archive.components = components(&t)?;
    archive.debs = plain(t.texts("debs", &values::RELATIVE_PATH, false)?);
    for (name, e) in t.named("extra", &values::NAME, EXTRA)? {
        let repository = ExtraRepository {
            uri: e.needed("uri", &values::ARCHIVE_URI)?.value,
            suite: e.needed("suite", &values::SUITE)?.value,
            components: components(&e)?,
            keyring: e.needed("keyring", &values::RELATIVE_PATH)?.value,
            priority: e.integer("priority", -32_768..=32_767)?.map_or(500, |p| i32::try_from(p.value).expect("range")),
        };
        archive.extra.insert(name, repository);
    }
    let settings = Settings {
        mirrors: plain(t.texts("mirrors", &values::ARCHIVE_URI, false)?),
        snapshot: t.text("snapshot", &values::SNAPSHOT)?.map(|s| s.value),
    };
    Ok((archive, settings))
}

fn components(t: &Section) -> Result<Vec<String>> {
    let list = plain(t.texts("components", &values::COMPONENT, false)?);
    Ok(if list.is_empty() { vec!["main".into()] } else { list })
}

fn amount(t: &Section, key: &str, default: u64, least: u64) -> Result<u64> {
    let Some(text) = t.text(key, &values::SIZE)? else { return Ok(default) };
    let bytes = values::size(&text.value).expect("its form was checked");
    if bytes < least {
        return Err(t
            .files
            .error(text.span, format!("`{}.{key}` is too small", t.path))
            .hint(format!("allowed: {}M or more", least >> 20)));
    }
    Ok(bytes)
}

fn disk(top: &Section) -> Result<Disk> {
    let (mut disk, m) = (Disk { esp: 128 << 20, root: 512 << 20, verity: 8 << 20 }, 1 << 20);
    if let Some(t) = top.table("disk", DISK)? {
        disk.esp = amount(&t, "esp", disk.esp, 64 * m)?;
        disk.root = amount(&t, "root", disk.root, 64 * m)?;
        disk.verity = amount(&t, "verity", disk.verity, m)?;
        // A SHA-256 tree over 4 KiB blocks: 1/128 of the data and 1/128 of that again.
        if disk.verity < disk.root / 127 {
            let error =
                t.files.error(t.key("verity").unwrap_or(t.span), "the verity slot is too small for the root slot");
            return Err(error.hint(format!("allowed: {}M or more", (disk.root / 127).div_ceil(m))));
        }
    }
    Ok(disk)
}

fn network(top: &Section) -> Result<BTreeMap<String, Link>> {
    let mut links = BTreeMap::new();
    for (name, t) in top.named("network", &values::NAME, LINK)? {
        let matching = match t.table("match", MATCH)? {
            Some(m) => LinkMatch {
                mac: m.text("mac", &values::MAC)?.map(|v| v.value),
                name: m.text("name", &values::INTERFACE)?.map(|v| v.value),
                driver: m.text("driver", &values::DRIVER)?.map(|v| v.value),
            },
            None => LinkMatch::default(),
        };
        let addresses = plain(t.texts("addresses", &values::ADDRESS, false)?);
        let gateways = t.texts("gateways", &values::IP, false)?;
        for (i, gateway) in gateways.iter().enumerate() {
            if gateways[..i].iter().any(|g| g.value.contains(':') == gateway.value.contains(':')) {
                return Err(t
                    .files
                    .error(gateway.span, format!("`{}.gateways` names two of one family", t.path))
                    .hint("at most one IPv4 and one IPv6 gateway"));
            }
        }
        let link = Link {
            matching,
            dhcp: t.boolean("dhcp", addresses.is_empty())?,
            router_advertisements: t.boolean("router_advertisements", true)?,
            addresses,
            gateways: plain(gateways),
            dns: plain(t.texts("dns", &values::IP, false)?),
        };
        links.insert(name, link);
    }
    if links.is_empty() {
        let (none, matching) = (Vec::new, LinkMatch::default());
        let (dhcp, router_advertisements) = (true, true);
        let link = Link { matching, dhcp, router_advertisements, addresses: none(), gateways: none(), dns: none() };
        links.insert("ethernet".into(), link);
    }
    Ok(links)
}

fn protocol(t: &Section) -> Result<Protocol> {
    let text = t.text("protocol", &values::PROTOCOL)?;
    Ok(if text.is_some_and(|p| p.value == "udp") { Protocol::Udp } else { Protocol::Tcp })
}

fn firewall(top: &Section) -> Result<Firewall> {
    let mut all: Vec<Allow> = Vec::new();
    let Some(t) = top.table("firewall", FIREWALL)? else { return Ok(Firewall::default()) };
    for a in t.tables("allow", ALLOW)? {
        let (port, protocol) = (a.port("port")?, protocol(&a)?);
        if all.iter().any(|o| o.port == port.value && o.protocol == protocol) {
            return Err(a
                .files
                .error(port.span, format!("`firewall.allow` admits port {} twice", port.value))
                .hint("keep one of them, with all its networks in `from`"));
        }
        all.push(Allow { port: port.value, protocol, from: plain(a.texts("from", &values::NETWORK, false)?) });
    }
    Ok(Firewall { allow: all })
}

/// Numbers of accounts whose profile names none: the same name has the same number in every version of an image,
/// whoever else comes or goes, because the files of its owner outlive the image.
fn derived_uid(name: &str) -> u32 {
    let digest = Digest::of(name.as_bytes()).0;
    20_000 + u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]) % 30_000
}

fn access(top: &Section) -> Result<Access> {
    let mut access = Access::default();
    let Some(t) = top.table("access", ACCESS)? else { return Ok(access) };
    let mut numbers: BTreeMap<u32, String> = BTreeMap::new();
    for (name, a) in t.named("administrators", &values::USER, ADMINISTRATOR)? {
        let keys = a.texts("ssh_keys", &values::SSH_KEY, false)?;
        if keys.is_empty() {
            return Err(
                a.missing("ssh_keys", "a list of OpenSSH public keys, one at least: nothing else lets anybody in")
            );
        }
        let named = a.integer("uid", 1000..=59_999)?;
        let uid = named.as_ref().map_or_else(|| derived_uid(&name), |n| u32::try_from(n.value).expect("range"));
        if let Some(other) = numbers.insert(uid, name.clone()) {
            let place = named.map_or(a.span, |n| n.span);
            let error = a.files.error(place, format!("`{name}` and `{other}` have the same number, {uid}"));
            return Err(error.hint("give one of them another `uid`"));
        }
        access.administrators.insert(name, Administrator { ssh_keys: plain(keys), uid });
    }
    Ok(access)
}

fn containers(top: &Section, node_exporter: bool) -> Result<BTreeMap<String, Container>> {
    let mut all = BTreeMap::new();
    let mut taken: Vec<(u16, Protocol, String)> = vec![(SSH, Protocol::Tcp, "the secure shell".into())];
    if node_exporter {
        taken.push((NODE_EXPORTER, Protocol::Tcp, "node-exporter".into()));
    }
    for (name, t) in top.named("containers", &values::NAME, CONTAINER)? {
        let packages = plain(t.texts("packages", &values::PACKAGE, false)?);
        if packages.is_empty() {
            return Err(t.missing("packages", "a list of Debian packages, one at least"));
        }
        let command = t.texts("command", &values::ARGUMENT, true)?;
        let Some(program) = command.first() else {
            return Err(t.missing("command", "a list of strings, the program first"));
        };
        (values::PROGRAM.check)(&program.value).map_err(|cause| {
            let what = format!("`{}.command` cannot start this program", t.path);
            t.files.error(program.span, what).because(cause).hint(format!("allowed: {}", values::PROGRAM.allowed))
        })?;
        let mut publish = Vec::new();
        for p in t.tables("publish", PUBLISH)? {
            let (host, protocol) = (p.port("host")?, protocol(&p)?);
            let inside = if p.key("container").is_some() { p.port("container")?.value } else { host.value };
            let owner = format!("container `{name}`");
            if let Some((_, _, other)) = taken.iter().find(|(n, q, _)| (*n, *q) == (host.value, protocol)) {
                return Err(two_listeners(p.files, host.span, host.value, &owner, other));
            }
            taken.push((host.value, protocol, owner));
            publish.push(Publish { host: host.value, container: inside, protocol });
        }
        let container = Container {
            packages,
            command: plain(command),
            publish,
            overlays: plain(t.texts("overlays", &values::NAME, false)?),
            user: t.text("user", &values::CONTAINER_USER)?.map_or_else(|| "65534:65534".into(), |u| u.value),
        };
        all.insert(name, container);
    }
    Ok(all)
}

fn two_listeners(files: &Files, span: Span, port: u16, one: &str, other: &str) -> crate::Error {
    files
        .error(span, format!("port {port} has two listeners"))
        .because(format!("{other} already listens on it, and {one} publishes it"))
        .hint("publish another port of the machine")
}

fn services(top: &Section) -> Result<Services> {
    let Some(t) = top.table("services", SERVICES)? else { return Ok(Services::default()) };
    let list = |key| t.texts(key, &values::UNIT, false);
    let (enable, disable, mask) = (list("enable")?, list("disable")?, list("mask")?);
    for unit in &enable {
        if let Some(other) = disable.iter().chain(&mask).find(|o| o.value == unit.value) {
            return Err(t
                .files
                .error(other.span, format!("`{}` is switched on and off", unit.value))
                .because(format!("`services.enable` names it at {}", t.files.place(unit.span))));
        }
    }
    const OURS: [&str; 4] =
        ["diorite-firewall.service", "ssh.service", "systemd-networkd.service", "systemd-udevd.service"];
    for unit in disable.iter().chain(&mask) {
        if OURS.contains(&unit.value.as_str()) {
            return Err(t
                .files
                .error(unit.span, format!("`{}` cannot be switched off", unit.value))
                .because("the image would come up unreachable or unprotected"));
        }
    }
    Ok(Services { enable: plain(enable), disable: plain(disable), mask: plain(mask) })
}
