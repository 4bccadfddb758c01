//! Recipe → the list of checks. Nobody writes a test for what the recipe already says.

mod firewall;
mod of;
mod sweep;

pub use of::Of;
pub use sweep::{Sweep, Vantage};

use crate::containers::{self, Declared};
use crate::own::{self, Own};
use crate::{
    agent,
    closed::{self, Closed},
    links::{self, Tagged},
    state,
    surroundings::Surroundings,
    unasked,
};
use diorite_lab::allow::Allowed;
use diorite_model::{
    Digest, Recipe,
    recipe::{FileSystem, Link, Rate, Sudo},
    report::{Evidence, plan_digest},
    verify::OwnCheck,
};
use std::net::IpAddr;

/// Internet protocol version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// What a port must answer to a SYN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Something listens.
    Open,
    /// The filter lets it through; whether something listens is not declared.
    Admitted,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// The machine takes an address by DHCP.
    Lease,
    /// It uses an address from the router's prefix.
    Address6,
    /// It has this address for good: the lab looks for it.
    Fixed(Family, IpAddr),
    /// It has this address inside a virtual network.
    Tagged(Tagged),
    /// networkd has made of a link what was declared.
    Link(String, Box<Link>),
    /// A command prints exactly this.
    Says(String, String),
    /// A command prints exactly this, if not at once.
    Settles(String, String),
    /// It answers an echo request.
    Ping(Family),
    /// It says SSH on port 22.
    Ssh(Family),
    /// It answers HTTP on this port.
    Http(u16),
    /// It gives metrics in Prometheus' text format on port 9100.
    Metrics,
    /// A TCP port's answer to a SYN.
    Port(Family, u16, Expected),
    /// A TCP port that a source over its rate hears nothing of.
    Limited(Family, u16, Rate),
    /// No port answers but those that are admitted.
    Ports(Sweep),
    /// No undeclared port has answered from power-on until now.
    Watched,
    /// The machine has said nothing without being asked but what its recipe declares.
    Unasked(Vec<Allowed>),
    /// No undeclared port answers while the packet filter is loaded again and these containers are started anew.
    Churn(Vec<String>),
    /// systemd calls the system running.
    Running,
    /// No unit has failed.
    NoFailedUnit,
    /// The root is read-only, EROFS, and on dm-verity.
    Root,
    /// A file cannot be made in this directory.
    WriteRefused(&'static str),
    /// The root cannot be made writable.
    RemountRefused,
    /// This container runs.
    Container(String),
    /// It is what was declared: image, users, rights, limits, volumes, networks.
    ContainerAsDeclared(Box<Declared>),
    /// This person has a locked account, and the secure shell lets their keys in, and nothing else.
    Administrator(Person),
    /// Every rule has a counter of this name.
    Counters(Vec<String>),
    /// Reloading and stopping the packet filter's unit leaves its rules in place.
    RulesStay,
    /// What may not go out does not: a connection to this address and port is dropped and counted.
    Kept(IpAddr, u16),
    /// What the image says of itself is so.
    ImageMetrics(Claims),
    /// What nobody needs is closed.
    Closed(Closed),
    /// The boot entry does not count any more.
    Blessed,
    /// /var is on a partition of its own, with this file system.
    State(FileSystem),
    /// /var is in a LUKS2 volume whose key the TPM keeps.
    Encrypted,
    /// What is written to /var cannot be found on the disks, while what is written beside it can.
    Unreadable,
    /// /var and the root share no disk.
    StateDisk,
    /// This directory is memory.
    Volatile(String),
    /// This kernel module is loaded.
    Module(String),
    /// A service of the profile's own runs or has ended well; with a timer, that waits for its time.
    Service(String, bool),
    /// Booted once more with nothing injected, the machine answers on the wire as it must.
    Untouched,
    /// Another machine from the same disk has another SSH host key.
    Clones(Family),
    /// The hypervisor's agent answers.
    Agent,
    /// The journal has no errors but those that have a reason.
    Journal,
    /// The kernel has found no fault in itself.
    Kernel,
    /// The power button ends the machine in order.
    PowerOff,
    /// What the profile itself wants asked.
    Own(Box<Own>),
    /// A flipped byte in the root is refused.
    Tamper,
    /// The disk has the same bytes afterwards.
    DiskUnchanged,
}

/// What an image says of itself, as declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Counters of the packet filter.
    pub counters: Vec<String>,
    /// Names of its containers.
    pub containers: Vec<String>,
}

/// An administrator, as declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Login name.
    pub name: String,
    /// Number of the account.
    pub uid: u32,
    /// Public keys, one line each.
    pub keys: Vec<String>,
    /// Where sshd looks for keys.
    pub keys_files: String,
    /// Names in a certificate that make it theirs, one per line.
    pub principals: Vec<String>,
    /// What sudo(8) allows; nothing is said of members of groups with rules.
    pub sudo: Option<Sudo>,
}

/// One thing that must be true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Stable short name.
    pub id: String,
    /// In words.
    pub what: String,
    /// Where the answer comes from.
    pub evidence: Evidence,
    /// What is asked.
    pub question: Question,
}

/// Every check of this recipe, and after them those of the profile's own, in the order in which they are asked. `sources` are the addresses that the questions come
/// from, one per family: a rule may admit only some networks.
pub fn plan(recipe: &Recipe, own: &[OwnCheck], sources: [IpAddr; 2]) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut add = |id: String, what: String, evidence, question| checks.push(Check { id, what, evidence, question });
    let outside = |q| (Evidence::Outside, q);
    let around = Surroundings::of(recipe);
    let front = around.front.as_ref().and_then(|name| recipe.network.get(name));
    let families = families(front, &around);
    if front.is_some_and(|link| link.dhcp_ipv4) {
        let (e, q) = outside(Question::Lease);
        add("lease".into(), "the machine takes an address by DHCP".into(), e, q);
    }
    for address in &around.fixed {
        let family = if address.is_ipv4() { Family::V4 } else { Family::V6 };
        let (e, q) = outside(Question::Fixed(family, *address));
        add(format!("address-{}-fixed", family.name()), format!("the machine answers at {address}"), e, q);
    }
    if front.is_some_and(|link| link.router_advertisements) {
        let (e, q) = outside(Question::Address6);
        add("address-ipv6".into(), "the machine uses an address of the announced IPv6 prefix".into(), e, q);
    }
    inside_first(recipe, &mut add);
    let what = "no undeclared port answers at any moment from power-on until the system runs";
    add("firewall-from-power-on".into(), what.into(), Evidence::Outside, Question::Watched);
    let what = "the machine has said nothing on the wire but what its recipe declares";
    add("nothing-unasked".into(), what.into(), Evidence::Outside, Question::Unasked(unasked::allowed(recipe)));
    for family in &families {
        let name = family.name();
        add(
            format!("ping-{name}"),
            format!("an echo request is answered ({name})"),
            Evidence::Outside,
            Question::Ping(*family),
        );
    }
    links::plan(recipe, &mut add);
    inside_last(recipe, &mut add);
    firewall::inside(recipe, sources[0], &mut add);
    // Last, because all ports are being asked while the machine answers the rest.
    let gateway = front.is_some_and(|link| link.dhcp_ipv4 || !link.gateways.is_empty());
    let announced = front.is_some_and(|link| link.router_advertisements);
    for family in &families {
        let gateway = if *family == Family::V6 { announced || gateway } else { gateway };
        firewall::ports(recipe, *family, sources[*family as usize], gateway, &mut add);
    }
    own::plan(own, recipe, &families, &mut add);
    // Last of these, because what a container is doing is looked at every half minute only.
    if recipe.monitoring.node_exporter.is_some() {
        let image = Claims {
            name: recipe.image.name.clone(),
            version: recipe.image.version.clone(),
            counters: firewall::counters(recipe),
            containers: recipe.containers.keys().cloned().collect(),
        };
        let what = "the image's metrics say its name, version and root hash, its rules and its containers";
        add("metrics-image".into(), what.into(), Evidence::Inside, Question::ImageMetrics(image));
    }
    if agent::promised(recipe) {
        add("guest-agent".into(), "the hypervisor's agent answers".into(), Evidence::Outside, Question::Agent);
    }
    let what = "the kernel has found no fault in itself";
    add("kernel-sound".into(), what.into(), Evidence::Console, Question::Kernel);
    let what = "the journal has no errors but those that have a reason";
    add("journal".into(), what.into(), Evidence::Inside, Question::Journal);
    if let Some(family) = families.iter().find(|f| firewall::speaks(recipe, sources[**f as usize])) {
        let what = "two machines from this disk have different SSH host keys";
        add("clones-differ".into(), what.into(), Evidence::Outside, Question::Clones(*family));
    }
    let what = "the power button ends the machine in order";
    add("power-off".into(), what.into(), Evidence::Console, Question::PowerOff);
    let what = "booted once more with nothing injected, the machine answers every question from the wire as it must";
    add("untouched".into(), what.into(), Evidence::Outside, Question::Untouched);
    let (id, what) = ("tamper-refused", "one flipped byte in the root partition keeps the machine from starting");
    add(id.into(), what.into(), Evidence::Console, Question::Tamper);
    let (id, what) = ("disk-unchanged", "the disk has the same bytes before and after");
    add(id.into(), what.into(), Evidence::Console, Question::DiskUnchanged);
    checks
}

/// Every check of this recipe and of the profile's own, asked from where the lab stands.
pub fn of(recipe: &Recipe, own: &[OwnCheck]) -> Vec<Check> {
    let around = Surroundings::of(recipe);
    plan(recipe, own, [around.config.ipv4.into(), around.config.ipv6.into()])
}

/// The digest of a whole plan, which its report records.
pub fn digest(checks: &[Check], own: &[OwnCheck]) -> Digest {
    plan_digest(checks.iter().map(|check| check.id.as_str()), own)
}

/// A check as it is added: id, words, evidence, question.
pub(crate) type Add<'a> = &'a mut dyn FnMut(String, String, Evidence, Question);

/// Asked before the wire: the system must have settled.
fn inside_first(_: &Recipe, add: Add<'_>) {
    let inside = Evidence::Inside;
    add("running".into(), "systemd calls the system running".into(), inside, Question::Running);
    add("no-failed-unit".into(), "no unit has failed".into(), inside, Question::NoFailedUnit);
}

fn inside_last(recipe: &Recipe, add: Add<'_>) {
    let inside = Evidence::Inside;
    add("root-verity".into(), "the root is EROFS, read-only and on dm-verity".into(), inside, Question::Root);
    for (name, path) in [("etc", "/etc"), ("usr", "/usr"), ("root", "/")] {
        let what = format!("{path} takes no new file");
        add(format!("write-{name}-refused"), what, inside, Question::WriteRefused(path));
    }
    add("remount-refused".into(), "the root cannot be made writable".into(), inside, Question::RemountRefused);
    state::plan(recipe, add);
    for name in &recipe.kernel.modules {
        let what = format!("kernel module {name} is loaded");
        add(format!("module-{name}"), what, inside, Question::Module(name.clone()));
    }
    for (name, unit) in &recipe.services.units {
        let timer = unit.timer.is_some();
        let what = format!("service {name} {}", if timer { "has its timer, and has not failed" } else { "is fine" });
        add(format!("service-{name}"), what, inside, Question::Service(name.clone(), timer));
    }
    for name in recipe.containers.keys() {
        let question = Question::Container(name.clone());
        add(format!("container-{name}-running"), format!("container {name} is running"), inside, question);
    }
    for declared in containers::declared(recipe) {
        let (id, name) = (format!("container-{}-as-declared", declared.name), declared.name.clone());
        let what = format!("container {name} is confined, limited and connected as declared");
        add(id, what, inside, Question::ContainerAsDeclared(Box::new(declared)));
    }
    let access = &recipe.access;
    for (name, declared) in access.people() {
        let by_group = access.groups.values().any(|g| g.sudo != Sudo::None && g.members.contains(name));
        let person = Person {
            name: name.clone(),
            uid: declared.uid,
            keys: declared.ssh_keys.clone(),
            keys_files: recipe.keys_files(),
            principals: declared.principals.clone(),
            sudo: (!by_group).then(|| declared.sudo.clone()),
        };
        let what = format!("{name} has an account without a password, which the declared keys open");
        add(format!("administrator-{name}"), what, inside, Question::Administrator(person));
    }
    for (id, what, question) in closed::plan(recipe) {
        add(id, what, inside, Question::Closed(question));
    }
    add("boot-blessed".into(), "the boot entry is blessed: it counts no tries".into(), inside, Question::Blessed);
}

impl Family {
    /// `ipv4` or `ipv6`.
    pub fn name(self) -> &'static str {
        match self {
            Self::V4 => "ipv4",
            Self::V6 => "ipv6",
        }
    }
}

/// IPv4 comes by DHCP in the lab, IPv6 by router advertisements; a fixed address is there without either.
fn families(front: Option<&Link>, around: &Surroundings) -> Vec<Family> {
    let four = front.is_some_and(|l| l.dhcp_ipv4) || around.fixed.iter().any(IpAddr::is_ipv4);
    let six = front.is_some_and(|l| l.router_advertisements) || around.fixed.iter().any(IpAddr::is_ipv6);
    [(four, Family::V4), (six, Family::V6)].into_iter().filter(|(has, _)| *has).map(|(_, family)| family).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use diorite_model::recipe::*;
    use std::collections::{BTreeMap, BTreeSet};

    pub(crate) fn recipe() -> Recipe {
        let allow = |port, from: &[&str]| Allow {
            from: from.iter().map(|f| Peer::try_from((*f).to_owned()).unwrap()).collect(),
            ..Allow::port(port, Protocol::Tcp)
        };
        let web = Container {
            source: ContainerSource::Packages(vec![]),
            entrypoint: vec![],
            command: vec![],
            user: Some("root".into()),
            workdir: None,
            hostname: "web".into(),
            environment: BTreeMap::new(),
            publish: vec![Publish { host: 8080, container: 80, protocol: Protocol::Tcp, local: false }],
            networks: vec![],
            overlays: vec![],
            volumes: BTreeMap::new(),
            writable: vec![],
            secrets: BTreeMap::new(),
            capabilities: vec![],
            ids: Some(600_000),
            init: true,
            health: None,
            limits: Limits { memory: None, cpus: None, pids: 2048 },
            after: vec![],
            requires: vec![],
        };
        let link = Link {
            kind: LinkKind::Card(LinkMatch::default()),
            dhcp_ipv4: true,
            dhcp_ipv6: true,
            router_advertisements: true,
            addresses: vec![],
            gateways: vec![],
            routes: vec![],
            metric: None,
            mtu: None,
            dns: vec![],
            dns_over_tls: DnsOverTls::No,
            learn_dns: true,
            search: vec![],
            route_domains: vec![],
            ntp: vec![],
            required: true,
        };
        Recipe {
            image: Image { name: "server".into(), version: "1".into(), hostname: "server".into(), epoch: 0 },
            archive: Archive {
                suite: "trixie".into(),
                components: vec!["main".into()],
                architecture: "amd64".into(),
                extra: BTreeMap::new(),
                debs: vec![],
            },
            packages: Packages { include: vec![], recommends: false },
            kernel: Kernel { flavour: Flavour::Cloud, command_line: vec![], modules: vec![] },
            disk: Disk { esp: 1 << 28, root: 1 << 29, verity: 1 << 24 },
            network: BTreeMap::from([("lan".to_owned(), link)]),
            time: Time { timezone: "UTC".into(), ntp: vec![], fallback_ntp: None },
            locale: Locale { lang: C_UTF8.into(), more: vec![] },
            firewall: Firewall {
                allow: vec![allow(22, &[]), allow(8080, &[]), allow(9100, &["10.77.0.0/24"])],
                ..Firewall::default()
            },
            access: Access::default(),
            hardening: Hardening::default(),
            config_drive: None,
            containers: BTreeMap::from([("web".to_owned(), web)]),
            container_networks: BTreeMap::new(),
            monitoring: Monitoring {
                node_exporter: Some(NodeExporter { from: vec![Peer::Network("10.77.0.0/24".parse().unwrap())] }),
            },
            services: Services::default(),
            state: State {
                disk: StateDisk::Same,
                encryption: Encryption::None,
                filesystem: FileSystem::Ext4,
                minimum: 1 << 30,
                volatile: vec![],
            },
            overlays: vec![],
        }
    }

    pub(crate) const SOURCES: [IpAddr; 2] = [
        IpAddr::V4(std::net::Ipv4Addr::new(10, 77, 0, 1)),
        IpAddr::V6(std::net::Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1)),
    ];

    pub(crate) fn ids(recipe: &Recipe) -> Vec<String> {
        plan(recipe, &[], SOURCES).into_iter().map(|c| c.id).collect()
    }

    #[test]
    fn everything_the_recipe_says_is_asked() {
        let ids = ids(&recipe());
        for id in [
            "lease",
            "address-ipv6",
            "ping-ipv4",
            "ping-ipv6",
            "port-ipv4-tcp-22-open",
            "port-ipv6-tcp-22-open",
            "port-ipv4-tcp-8080-open",
            "port-ipv4-tcp-9100-open",
            "ssh-banner-ipv4",
            "http-8080",
            "metrics-9100",
            "ports-ipv4-tcp",
            "ports-ipv6-udp",
            "ports-ipv4-tcp-other-network",
            "ports-ipv6-tcp-fragments",
            "firewall-from-power-on",
            "nothing-unasked",
            "firewall-under-churn",
            "container-web-running",
            "tamper-refused",
        ] {
            assert!(ids.iter().any(|i| i == id), "{id} is not among {ids:#?}");
        }
        // 9100 admits only an IPv4 network.
        assert!(!ids.iter().any(|i| i == "port-ipv6-tcp-9100-open" || i == "port-ipv6-tcp-8080-open"));
        let unique: BTreeSet<&String> = ids.iter().collect();
        assert_eq!(unique.len(), ids.len(), "names are unique");
    }

    #[test]
    fn what_the_recipe_does_not_allow_must_be_silent() {
        let mut recipe = recipe();
        recipe.firewall.allow.clear();
        let checks = plan(&recipe, &[], SOURCES);
        let sweeps: Vec<&Sweep> = checks
            .iter()
            .filter_map(|c| match &c.question {
                Question::Ports(sweep) => Some(sweep),
                _ => None,
            })
            .collect();
        assert_eq!(sweeps.len(), 12);
        assert!(sweeps.iter().all(|s| s.must(22) == Some(false) && s.must(9100) == Some(false)));
        let begins = |start: &str| checks.iter().any(|c| c.id.starts_with(start));
        assert!(!begins("port-") && !begins("http") && !begins("ssh"));
    }
}
