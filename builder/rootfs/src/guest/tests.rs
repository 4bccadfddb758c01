//! Everything generated for one recipe, as text; and recipes no parser has checked.

mod config_drive;
mod monitoring;
mod mounts;
mod network;
mod signing;
mod state;
mod vpn;

use super::*;
use diorite_model::profile::{self, Loaded};
use diorite_model::recipe::{
    AcmeDns, Advertise, BackupRepository, BackupSftp, Container, DhcpServer, Forward, Link, LinkKind, LinkMatch,
    Publish, Route, RoutingRule, Vrf,
};
use std::net::Ipv4Addr;

const PROFILE: &str = r#"
[image]
name = "full"
version = "1.2"

[network.lan]
match = { mac = "52:54:00:12:34:56" }
addresses = ["192.0.2.10/24", "2001:db8::10/64"]
gateways = ["192.0.2.1"]
dns = ["192.0.2.53"]

[network.rest]
metric = 2000

[firewall]
allow = [
  { port = 22, from = ["192.0.2.0/24", "2001:db8::/32"] },
  { port = 53, protocol = "udp", from = ["192.0.2.0/24"], listener = "unbound" },
  { port = 8080, from = ["office"], rate = "30/minute", burst = 10 },
  { port = 5000, last_port = 5010, listener = "game", name = "game" },
]

[firewall.sets.office]
networks = ["192.0.2.0/24", "2001:db8::/32"]

[firewall.egress]
policy = "drop"
allow = [{ port = 443, to = ["office"], name = "updates" }, { protocol = "udp", to = ["198.51.100.0/24"] }]

[access]
user_ca = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ca@example"]
root_login = "credential"
idle_minutes = 15
banner = ["Authorised use only."]

[access.administrators.anna]
ssh_keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f anna@example"]

[access.users.ben]
principals = ["ben@example"]

[access.groups.web]
members = ["ben"]
commands = [
  { run = "/usr/bin/systemctl", arguments = ["--job-mode=replace", "restart", "web.service"] },
  { run = "/usr/bin/id" },
]

[hardening]
level = "strict"
sysctl = { "net.ipv4.tcp_rmem" = "4096 87380 6291456" }
exceptions = [
  { unit = "ssh.service", setting = "RestrictRealtime", why = "a test" },
  { unit = "web.service", setting = "CapabilityBoundingSet", why = "a test" },
]

[containers.web]
packages = ["busybox"]
command = ["busybox", "httpd", "-f", "a b\"c%d$e"]
publish = [{ host = 8080, container = 80 }, { host = 8081, local = true }]
hostname = "www.example"
environment = { A = "50% of $HOME \"x\" c:\\n", B = "" }
networks = ["back", "front"]
volumes.data = { path = "/data", owner = "33" }
volumes.old = { path = "/old", mode = "0755", read_only = true }
writable = ["/tmp"]
secrets.key = { credential = "web.key" }
secrets.token = { environment = "TOKEN" }
capabilities = ["CHOWN"]
health = { command = ["busybox", "wget", "-q", "$x%d"], interval = "1m" }
limits = { memory = "64M", cpus = "1.5", pids = 64, writable = "16M", shm = "128M", open_files = 4096 }
devices = ["/dev/ttyUSB0"]
requires = ["plain"]

[containers.plain]
packages = ["busybox"]
command = ["true"]
user = "0"
user_namespace = false

[container_networks.back]
internal = true

[container_networks.front]

[monitoring.node_exporter]
from = ["office"]

[services]
enable = ["extra.timer"]
disable = ["wanted.service"]
mask = ["foreign.service"]

[services.units.sync]
exec = ["/usr/bin/sudo", "--for", "a b\"c%d$e;"]
user = "www-data"
requires = ["extra.timer"]
timer = "Mon..Fri 03:30"
environment = { LOG_LEVEL = "debug" }
credentials = ["sync-key"]
state = true

[services.units.serve]
exec = ["/usr/bin/sudo"]
network = true

[kernel]
modules = ["nf_conntrack"]

[memory]
swap = "64M"
zram = "512M"

[hosts]
"db.example" = "192.0.2.7 2001:db8::7"

[trust]
school = "-----BEGIN CERTIFICATE-----\nMIIBlTCCAUegAwIBAgIUCTjgWrqqZkj6e/u+zUhgG5N7uDQwBQYDK2VwMDcxFzAVBgNVBAoMDkV4YW1wbGUgU2Nob29sMRwwGgYDVQQDDBNFeGFtcGxlIFNjaG9vbCBSb290MCAXDTI2MTEyOTE5MDAxNFoYDzIxMjYxMTA1MTkwMDE0WjA3MRcwFQYDVQQKDA5FeGFtcGxlIFNjaG9vbDEcMBoGA1UEAwwTRXhhbXBsZSBTY2hvb2wgUm9vdDAqMAUGAytlcAMhAD9aeVxPIv+xBfC0cP16JsinO2s+h/20L94We4MA3tHCo2MwYTAdBgNVHQ4EFgQU/IFOfmy/RIhQx9P8PoE2J0RB8o4wHwYDVR0jBBgwFoAU/IFOfmy/RIhQx9P8PoE2J0RB8o4wDwYDVR0TAQH/BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAQYwBQYDK2VwA0EAcOmEBmZuyKr9KtqyZiY2L5ZiD4wpranEX9sBnIMNqPIPKY9vzvoRVva1PsXMiGr0lFMFe7tiB+Bi4pce1tC+CA==\n-----END CERTIFICATE-----"

[backup]
directories = ["/srv/books"]
directory = "/var/backups/restic"
password = "backup.password"

[backup.dumps.web]
container = "web"
command = ["dump", "a b%c$d"]

[certificates.site]
names = ["web.example", "192.0.2.10"]
credential = "site.certificate"
container = "web"
reload = "HUP"

[certificates.public]
names = ["public.example"]
acme = { directory = "https://acme.example/directory", email = "team@example.org" }
container = "web"

[certificates.wildcard]
names = ["*.web.example", "web.example"]
container = "web"

[certificates.wildcard.acme]
directory = "https://acme.example/directory"
challenge = "dns-01"
dns = { server = "192.0.2.53", zone = "web.example", credential = "wildcard.tsig", secondaries = ["192.0.2.54"] }

[state]
volatile = ["/var/cache", "/var/tmp"]
"#;

fn recipe(text: &str) -> Recipe {
    let mut none = |name: &str| -> Result<Loaded> { panic!("{name} is asked for") };
    profile::parse(text, "full.toml", &mut none).unwrap_or_else(|e| panic!("{e}")).0
}

/// As much of a configured tree as the generators look at.
fn tree() -> Tree {
    let mut tree = Tree::new();
    let file = |text: &str| Node::file(0o644, text);
    for (path, text) in [
        ("usr/lib/os-release", "ID=debian\nIMAGE_ID=other\n"),
        ("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n"),
        ("etc/shadow", "root:*:20370:0:99999:7:::\n"),
        ("etc/group", "root:x:0:\nshadow:x:42:\n"),
        ("etc/gshadow", "root:*::\nshadow:*::\n"),
        ("usr/bin/sudo", ""),
        ("usr/bin/systemctl", ""),
        ("usr/bin/id", ""),
        ("usr/lib/systemd/system/sshd-keygen.service", "[Unit]\n"),
        ("etc/ssl/certs/ca-certificates.crt", "Debian's\n"),
    ] {
        tree.insert(path, file(text));
    }
    let units =
        ["ssh", "systemd-networkd", "systemd-resolved", "systemd-timesyncd", "prometheus-node-exporter", "wanted"];
    for unit in units {
        let path = format!("usr/lib/systemd/system/{unit}.service");
        tree.insert(path, file("[Install]\nWantedBy=multi-user.target\n"));
    }
    tree.insert("usr/lib/systemd/system/extra.timer", file("[Install]\nWantedBy=timers.target\n"));
    let wanted = Node::symlink("/usr/lib/systemd/system/wanted.service");
    tree.insert("etc/systemd/system/multi-user.target.wants/wanted.service", wanted);
    tree
}

fn containers(recipe: &Recipe) -> BTreeMap<String, ContainerTree> {
    let mut tree = Tree::new();
    tree.insert("bin/busybox", Node::file(0o755, "program"));
    tree.insert("bin/sh", Node::new(0o755, NodeKind::HardLink(b"bin/busybox".to_vec())));
    recipe.containers.keys().map(|n| (n.clone(), ContainerTree::of(tree.clone()))).collect()
}

fn generated(recipe: &Recipe) -> Result<GuestFiles> {
    generate(recipe, &tree(), &[], &containers(recipe))
}

#[test]
fn everything_that_is_generated() {
    let all = generated(&recipe(PROFILE)).unwrap_or_else(|e| panic!("{e}"));
    let mut text = String::new();
    for path in &all.removed {
        text += &format!("remove /{}\n", String::from_utf8_lossy(path));
    }
    for (path, node) in &all.nodes {
        let path = String::from_utf8_lossy(path);
        text += &match &node.kind {
            NodeKind::Directory => format!("\n=== /{path}/ {:04o}\n", node.mode),
            NodeKind::Symlink(to) => format!("\n=== /{path} -> {}\n", String::from_utf8_lossy(to)),
            NodeKind::HardLink(to) => format!("\n=== /{path} = /{}\n", String::from_utf8_lossy(to)),
            NodeKind::File(c) => {
                let (mode, gid) = (node.mode, node.gid);
                format!("\n=== /{path} {mode:04o} 0:{gid}\n{}", String::from_utf8_lossy(c.bytes()))
            }
            other => panic!("{path}: {other:?}"),
        };
    }
    insta::assert_snapshot!("generated", text);
}

#[test]
fn names_that_are_taken_are_refused() {
    let container =
        PROFILE.replace("[containers.web]", "[containers.ssh]").replace("container = \"web\"", "container = \"ssh\"");
    insta::assert_snapshot!("container_is_a_unit", generated(&recipe(&container)).unwrap_err().to_string());
    let account = PROFILE.replace("administrators.anna]", "administrators.shadow]");
    insta::assert_snapshot!("account_is_taken", generated(&recipe(&account)).unwrap_err().to_string());
    let unit = PROFILE.replace("extra.timer", "none.timer");
    insta::assert_snapshot!("unit_is_missing", generated(&recipe(&unit)).unwrap_err().to_string());
}

fn web(recipe: &mut Recipe) -> &mut Container {
    recipe.containers.get_mut("web").unwrap()
}

/// The server of SFTP that backups go to from now on.
fn sftp(recipe: &mut Recipe) -> &mut BackupSftp {
    let server = BackupSftp {
        host: "backup.example".into(),
        port: 22,
        user: "ledger".into(),
        path: "/backups".into(),
        host_keys: Vec::new(),
        credential: "backup.key".into(),
    };
    let backup = recipe.backup.as_mut().unwrap();
    backup.repository = BackupRepository::Sftp(server);
    match &mut backup.repository {
        BackupRepository::Sftp(sftp) => sftp,
        other => panic!("{other:?}"),
    }
}

fn zone(recipe: &mut Recipe) -> &mut AcmeDns {
    recipe.certificates.get_mut("wildcard").unwrap().acme.as_mut().unwrap().dns.as_mut().unwrap()
}

/// A recipe can come from elsewhere than our parser: still no value may begin a line in any file.
#[test]
fn a_hostile_recipe_injects_no_line() {
    const HOSTILE: &str = "x\nINJECTED=1\nINJECTED 1;";
    type Change = fn(&mut Recipe);
    let changes: &[(&str, Change)] = &[
        ("image.name", |r| r.image.name = HOSTILE.into()),
        ("image.version", |r| r.image.version = HOSTILE.into()),
        ("network name", |r| drop(r.network.insert(HOSTILE.into(), r.network["rest"].clone()))),
        ("mac", |r| {
            r.network.get_mut("lan").unwrap().kind =
                LinkKind::Card(LinkMatch { mac: Some(HOSTILE.into()), ..LinkMatch::default() });
        }),
        ("dns", |r| r.network.get_mut("lan").unwrap().dns.push(HOSTILE.into())),
        ("search", |r| r.network.get_mut("lan").unwrap().search.push(HOSTILE.into())),
        ("route", |r| {
            let route = Route::to(HOSTILE);
            r.network.get_mut("lan").unwrap().routes.push(route);
        }),
        ("routing rule", |r| {
            let rule = RoutingRule { from: Some(HOSTILE.into()), to: None, table: 1, priority: 1 };
            r.network.get_mut("lan").unwrap().rules.push(rule);
        }),
        ("VRF's name", |r| {
            let vrf = Link { kind: LinkKind::Vrf(Vrf { members: vec![], table: 1 }), ..r.network["rest"].clone() };
            drop(r.network.insert(HOSTILE.into(), vrf));
        }),
        ("advertised", |r| {
            let prefixes = vec![HOSTILE.to_owned()];
            let advertise = Advertise { prefixes, dns: vec![], search: vec![], router: None };
            r.network.get_mut("lan").unwrap().advertise = Some(advertise);
        }),
        ("leased", |r| {
            let (first, last) = (Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST);
            let dns = vec![HOSTILE.to_owned()];
            let server = DhcpServer { first, last, dns, ntp: vec![], lease: 1, router: None, reservations: vec![] };
            r.network.get_mut("lan").unwrap().dhcp_server = Some(server);
        }),
        ("forwarding rule", |r| {
            let (from, to) = (Vec::new(), Vec::new());
            let links = || vec!["lan".to_owned()];
            let (name, what) = (Some(HOSTILE.to_owned()), diorite_model::recipe::Traffic::Any);
            let rule = Forward { name, why: None, input: links(), output: links(), what, from, to };
            r.firewall.forward.push(rule);
        }),
        ("hostname", |r| r.image.hostname = HOSTILE.into()),
        ("timezone", |r| r.time.timezone = HOSTILE.into()),
        ("ntp", |r| r.time.ntp.push(HOSTILE.into())),
        ("lang", |r| r.locale.lang = HOSTILE.into()),
        ("address", |r| r.network.get_mut("lan").unwrap().addresses.push(HOSTILE.into())),
        ("gateway", |r| r.network.get_mut("lan").unwrap().gateways.push(HOSTILE.into())),
        ("rule", |r| r.firewall.allow[0].name = Some(HOSTILE.into())),
        ("egress rule", |r| r.firewall.egress.allow[0].name = Some(HOSTILE.into())),
        ("key", |r| r.access.administrators.get_mut("anna").unwrap().ssh_keys.push(HOSTILE.into())),
        ("administrator", |r| {
            drop(r.access.administrators.insert(HOSTILE.into(), r.access.administrators["anna"].clone()))
        }),
        ("user", |r| drop(r.access.users.insert(HOSTILE.into(), r.access.users["ben"].clone()))),
        ("group", |r| drop(r.access.groups.insert(HOSTILE.into(), r.access.groups["web"].clone()))),
        ("member", |r| r.access.groups.get_mut("web").unwrap().members.push(HOSTILE.into())),
        ("principal", |r| r.access.users.get_mut("ben").unwrap().principals.push(HOSTILE.into())),
        ("authority", |r| r.access.user_ca.push(HOSTILE.into())),
        ("banner", |r| r.access.banner.push(HOSTILE.into())),
        ("sysctl", |r| drop(r.hardening.sysctl.insert("vm.swappiness".into(), HOSTILE.into()))),
        ("module", |r| r.hardening.blocked_modules.push(HOSTILE.into())),
        ("sshd", |r| drop(r.hardening.sshd.insert("Banner".into(), HOSTILE.into()))),
        ("container", |r| drop(r.containers.insert(HOSTILE.into(), r.containers["web"].clone()))),
        ("environment", |r| drop(web(r).environment.insert("A".into(), HOSTILE.into()))),
        ("variable", |r| drop(web(r).environment.insert(HOSTILE.into(), "1".into()))),
        ("volume", |r| {
            drop({
                let data = web(r).volumes["data"].clone();
                web(r).volumes.insert(HOSTILE.into(), data)
            })
        }),
        ("volume's path", |r| web(r).volumes.get_mut("data").unwrap().path = HOSTILE.into()),
        ("volume's mode", |r| web(r).volumes.get_mut("data").unwrap().mode = HOSTILE.into()),
        ("writable", |r| web(r).writable.push(HOSTILE.into())),
        ("credential", |r| web(r).secrets.get_mut("key").unwrap().credential = HOSTILE.into()),
        ("secret", |r| {
            drop({
                let key = web(r).secrets["key"].clone();
                web(r).secrets.insert(HOSTILE.into(), key)
            })
        }),
        ("capability", |r| web(r).capabilities.push(HOSTILE.into())),
        ("container's network", |r| web(r).networks.push(HOSTILE.into())),
        ("hostname", |r| web(r).hostname = HOSTILE.into()),
        ("after", |r| web(r).after.push(HOSTILE.into())),
        ("subnet", |r| r.container_networks.get_mut("back").unwrap().subnet = HOSTILE.into()),
        ("container network", |r| {
            drop(r.container_networks.insert(HOSTILE.into(), r.container_networks["back"].clone()))
        }),
        ("enable", |r| r.services.enable.push(HOSTILE.into())),
        ("mask", |r| r.services.mask.push(HOSTILE.into())),
        ("exec", |r| r.services.units.get_mut("sync").unwrap().exec.push(HOSTILE.into())),
        ("user", |r| r.services.units.get_mut("sync").unwrap().user = HOSTILE.into()),
        ("environment", |r| {
            drop(r.services.units.get_mut("sync").unwrap().environment.insert("X".into(), HOSTILE.into()))
        }),
        ("credential", |r| r.services.units.get_mut("sync").unwrap().credentials.push(HOSTILE.into())),
        ("module", |r| r.kernel.modules.push(HOSTILE.into())),
        ("host", |r| drop(r.hosts.insert(HOSTILE.into(), Vec::new()))),
        ("certificate", |r| drop(r.trust.insert("school".into(), HOSTILE.into()))),
        ("authority", |r| drop(r.trust.insert(HOSTILE.into(), r.trust["school"].clone()))),
        ("saved", |r| r.backup.as_mut().unwrap().directories.push(HOSTILE.into())),
        ("backup's password", |r| r.backup.as_mut().unwrap().password = HOSTILE.into()),
        ("backup's repository", |r| {
            r.backup.as_mut().unwrap().repository = BackupRepository::Directory(HOSTILE.into());
        }),
        ("backup's server", |r| sftp(r).host = HOSTILE.into()),
        ("backup's account", |r| sftp(r).user = HOSTILE.into()),
        ("backup's path there", |r| sftp(r).path = HOSTILE.into()),
        ("server's key", |r| sftp(r).host_keys.push(HOSTILE.into())),
        ("server's credential", |r| sftp(r).credential = HOSTILE.into()),
        ("dump", |r| {
            let backup = r.backup.as_mut().unwrap();
            backup.dumps.insert(HOSTILE.into(), backup.dumps["web"].clone());
        }),
        ("dump's command", |r| {
            r.backup.as_mut().unwrap().dumps.get_mut("web").unwrap().command.push(HOSTILE.into());
        }),
        ("certificate's name", |r| drop(r.certificates.insert(HOSTILE.into(), r.certificates["site"].clone()))),
        ("certificate's host", |r| r.certificates.get_mut("site").unwrap().names.push(HOSTILE.into())),
        ("certificate's credential", |r| {
            r.certificates.get_mut("site").unwrap().credential = Some(HOSTILE.into());
        }),
        ("authority's address", |r| {
            r.certificates.get_mut("public").unwrap().acme.as_mut().unwrap().directory = HOSTILE.into();
        }),
        ("authority's mail", |r| {
            r.certificates.get_mut("public").unwrap().acme.as_mut().unwrap().email = Some(HOSTILE.into());
        }),
        ("updates' server", |r| zone(r).server = HOSTILE.into()),
        ("updates' other server", |r| zone(r).secondaries.push(HOSTILE.into())),
        ("updates' zone", |r| zone(r).zone = HOSTILE.into()),
        ("updates' key", |r| zone(r).key = HOSTILE.into()),
        ("updates' credential", |r| zone(r).credential = HOSTILE.into()),
        ("certificate's path", |r| r.certificates.get_mut("site").unwrap().path = HOSTILE.into()),
        ("certificate's container", |r| r.certificates.get_mut("site").unwrap().container = HOSTILE.into()),
        ("device", |r| web(r).devices.push(HOSTILE.into())),
        ("volatile", |r| r.state.volatile.push(format!("/var/{HOSTILE}"))),
    ];
    for (name, change) in changes {
        let mut recipe = recipe(PROFILE);
        change(&mut recipe);
        assert!(generated(&recipe).is_err(), "{name} lets a line through");
    }
    // What goes into JSON may hold anything and stays one string.
    let mut open = recipe(PROFILE);
    let web = open.containers.get_mut("web").unwrap();
    web.command.push(HOSTILE.into());
    let all = generated(&open).unwrap();
    for (path, node) in &all.nodes {
        if let NodeKind::File(content) = &node.kind {
            let text = String::from_utf8_lossy(content.bytes());
            assert!(!text.lines().any(|l| l.starts_with("INJECTED")), "{}", String::from_utf8_lossy(path));
        }
    }
}

#[test]
fn two_containers_with_one_root_share_its_layer() {
    let mut recipe = recipe(PROFILE);
    let second = Container {
        publish: vec![Publish {
            host: 81,
            container: 81,
            protocol: diorite_model::recipe::Protocol::Udp,
            local: false,
        }],
        ..recipe.containers["web"].clone()
    };
    recipe.containers.insert("two".into(), second);
    let all = generated(&recipe).unwrap();
    let layers = all
        .nodes
        .keys()
        .filter(|p| p.ends_with(b"/link") && p.starts_with(crate::paths::CONTAINER_STORE.as_bytes()))
        .count();
    assert_eq!(layers, 1);
    let images =
        all.nodes[&format!("{}/overlay-images/images.json", crate::paths::CONTAINER_STORE).into_bytes()].clone();
    let NodeKind::File(images) = images.kind else { panic!("images.json is a file") };
    let images: serde_json::Value = serde_json::from_slice(images.bytes()).unwrap();
    assert_eq!(images.as_array().unwrap().len(), 3);
}
