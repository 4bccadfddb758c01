//! The server profile's files, judged by the programs that will read them: a configured tree is sealed, laid out on
//! disk, and its own nft, sshd, podman generator, systemd and dpkg are asked.
//!
//! Needs `DIORITE_TEST_TREE` (a configured tree of the server profile: a directory or a pack) and root for chroot.

mod access;
mod network;
mod nocloud;

use diorite_host::tools::{Tool, ToolsTree};
use diorite_model::hardening::{EXPOSURE, SETUID_AT_MOST};
use diorite_model::profile::{self, Loaded};
use diorite_model::recipe::{Allow, Peer, Period, Protocol, Rate, Traffic};
use diorite_model::{Error, Recipe};
use diorite_rootfs::clock::Times;
use diorite_rootfs::container_root::{self, ContainerTree};
use diorite_rootfs::origins::{ImageOrigins, Origins};
use diorite_rootfs::overlay::{self, Overlay};
use diorite_rootfs::seal::{self, SealedTree};
use diorite_rootfs::tree::{Node, NodeKind, Tree};
use diorite_rootfs::{guest, manifest, pack, privileges, read_directory};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn load(name: &str) -> diorite_model::Result<Loaded> {
    let name = if name.ends_with(".txt") { name.to_owned() } else { format!("{name}.toml") };
    let file = repository().join(format!("profiles/{name}"));
    let text = std::fs::read_to_string(&file).map_err(|e| Error::io("no such profile", &file, e))?;
    Ok(Loaded { file: format!("profiles/{name}"), text })
}

/// The server profile and whatever a test adds to it.
fn recipe(more: &str) -> Recipe {
    let loaded = load("server").unwrap();
    profile::parse(&format!("{}\n{more}", loaded.text), &loaded.file, &mut load).unwrap_or_else(|e| panic!("{e}")).0
}

/// A configured tree, and where its files come from.
fn configured() -> (Tree, ImageOrigins) {
    let place = std::env::var_os("DIORITE_TEST_TREE").map(PathBuf::from).expect(
        "DIORITE_TEST_TREE must name a configured tree of the server profile (a directory or a pack); `make test` sets it",
    );
    if place.join("index").is_file() {
        let machine = Origins::open(&place).unwrap_or_else(|e| panic!("{e}"));
        let tree = pack::open(&place).unwrap_or_else(|e| panic!("{e}"));
        return (tree, ImageOrigins { machine, ..ImageOrigins::default() });
    }
    let tree = read_directory::read_directory(&place, &Times::at_most(1_760_000_000)).unwrap_or_else(|e| panic!("{e}"));
    (tree, ImageOrigins::default())
}

/// A container's root with one program in it, taken from the image's own tree.
fn container(overlays: &[Overlay]) -> ContainerTree {
    let mut tree = Tree::new();
    tree.insert(*b"usr/bin/busybox", Node::file(0o755, "not a program"));
    tree.insert(*b"usr/bin/httpd", Node::new(0o755, NodeKind::HardLink(b"usr/bin/busybox".to_vec())));
    container_root::of_packages(tree, overlays, 1_760_000_000).unwrap_or_else(|e| panic!("{e}"))
}

fn sealed(recipe: &Recipe, overlays: &[Overlay]) -> SealedTree {
    let (tree, origins) = configured();
    let web = overlay::load(&repository().join("overlays/web")).unwrap_or_else(|e| panic!("{e}"));
    // Each with a root of its own, or they would share one layer.
    let of = |name: &String| if name == "web" { container(std::slice::from_ref(&web)) } else { container(&[]) };
    let containers: BTreeMap<_, _> = recipe.containers.keys().map(|name| (name.clone(), of(name))).collect();
    let generated = guest::generate(recipe, &tree, overlays, &containers).unwrap_or_else(|e| panic!("{e}"));
    seal::seal(tree, generated, overlays, recipe, &origins, &Default::default()).unwrap_or_else(|e| panic!("{e}"))
}

/// Writes a tree to disk as root would find it mounted.
fn lay_out(tree: &Tree, root: &Path) {
    let at = |path: &[u8]| root.join(OsStr::from_bytes(path));
    for (path, node) in &tree.nodes {
        let file = at(path);
        match &node.kind {
            NodeKind::Directory => std::fs::create_dir_all(&file).unwrap(),
            NodeKind::File(content) => std::fs::write(&file, content.bytes()).unwrap(),
            NodeKind::HardLink(first) => std::fs::hard_link(at(first), &file).unwrap(),
            NodeKind::Symlink(target) => std::os::unix::fs::symlink(OsStr::from_bytes(target), &file).unwrap(),
            other => panic!("/{} is {other:?}: no such thing belongs in an image", String::from_utf8_lossy(path)),
        }
        std::os::unix::fs::lchown(&file, Some(node.uid), Some(node.gid)).unwrap();
        if matches!(node.kind, NodeKind::Directory | NodeKind::File(_)) {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(node.mode)).unwrap();
        }
    }
}

/// Runs a program of the tree in it; its output, and whether it ended well.
fn inside(root: &Path, argv: &[&str]) -> (bool, String) {
    let output = Command::new("chroot")
        .arg(root)
        .args(argv)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin")
        .env("LC_ALL", "C.UTF-8")
        .output()
        .expect("chroot can be run");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[track_caller]
fn content(root: &Path, argv: &[&str]) -> String {
    let (fine, text) = inside(root, argv);
    assert!(fine, "{argv:?} is not content:\n{text}");
    text
}

/// An administrator, and everything that changes how people come in.
const PEOPLE: &str = "[access]\nbanner = [\"Authorised use only.\"]\nidle_minutes = 15\n\
    user_ca = [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ca\"]\n\
    [access.users.ben]\n[access.groups.web]\nmembers = [\"ben\"]\n\
    commands = [{ run = \"/usr/bin/systemctl\", arguments = [\"--job-mode=replace\", \"restart\", \"web.service\"] }, \
    { run = \"/usr/bin/id\" }]\n[hardening]\nlevel = \"strict\"\n";

const ANNA: &str = "[access.administrators.anna]\n\
    ssh_keys = [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f anna\"]\n";

/// nft(8) reads every kind of rule; and does not read what is none.
fn everything_a_firewall_can_say(root: &Path) {
    let all = "[firewall.sets.office]\nnetworks = [\"198.51.100.0/24\", \"198.51.0.0/16\", \"2001:db8::/32\"]\n\
        [firewall.sets.all]\nnetworks = [\"0.0.0.0/0\", \"::/0\"]\n\
        [firewall.egress]\npolicy = \"drop\"\n\
        allow = [{ port = 443, to = [\"office\"] }, { protocol = \"udp\", to = [\"192.0.2.0/24\"], name = \"any\" }, \
        { port = 25, to = [\"all\"] }]\n";
    let mut recipe = recipe(all);
    let rate = |connections, per, burst| Some(Rate { connections, per, burst });
    let office = || vec![Peer::Set("office".into())];
    let ports = |protocol, first, last| Traffic::Ports { protocol, first, last };
    let minute = rate(6, Period::Minute, 5);
    recipe.firewall.allow = vec![
        Allow { rate: minute, ..Allow::port(22, Protocol::Tcp) },
        // A published port between two that are the machine's own.
        Allow { from: office(), rate: minute, ..Allow::of(ports(Protocol::Tcp, 8079, 8081)) },
        Allow { from: vec![Peer::Set("all".into())], ..Allow::of(ports(Protocol::Udp, 1, 65_535)) },
        Allow { rate: rate(10_000, Period::Second, 10_000), from: office(), ..Allow::port(53, Protocol::Udp) },
        Allow { rate: rate(1, Period::Day, 10_000), name: Some("rare".into()), ..Allow::port(80, Protocol::Tcp) },
    ];
    let text = guest::firewall::render(&guest::firewall::ruleset(&recipe)).unwrap();
    std::fs::write(root.join("run/all.nft"), &text).unwrap();
    content(root, &["nft", "-c", "-f", "/run/all.nft"]);
    std::fs::write(root.join("run/all.nft"), text.replacen("burst 5 packets", "burst 5 parcels", 1)).unwrap();
    assert!(!inside(root, &["nft", "-c", "-f", "/run/all.nft"]).0, "nft accepts everything");
}

/// nft(8) reads what a router says: other protocols, links, forwarding and translation in both families.
fn everything_a_router_can_say(root: &Path) {
    let mut recipe = recipe(
        "[network.wan]\nmatch = { order = 1 }\ndhcp = true\n[network.lan]\nmatch = { order = 2 }\n\
         addresses = [\"10.1.0.1/24\", \"fd00:1::1/64\"]\nadvertise = {}\n\
         dhcp_server = { first = \"10.1.0.100\", last = \"10.1.0.199\" }\n\
         [firewall.forward]\nallow = [{ in = [\"lan\"], out = [\"wan\"] }, { in = [\"wan\"], out = [\"lan\"], protocol = \"icmpv6\" },\n\
         { in = [\"wan\"], out = [\"lan\", \"wan\"], protocol = \"icmp\", to = [\"10.1.0.0/24\"] }]\n\
         [firewall.nat]\nmasquerade = [{ out = [\"wan\"] }, { out = [\"wan\"], from = [\"fd00:1::/64\"], address = \"2001:db8::1\" }]\n\
         ports = [{ in = [\"wan\"], port = 443, to = \"10.1.0.5\", to_port = 8443 },\n\
         { in = [\"wan\"], port = 7000, last_port = 7010, to = \"fd00:1::5\" },\n\
         { in = [\"wan\"], port = 53, protocol = \"udp\", to = \"fd00:1::6\", to_port = 5353, from = [\"2001:db8::/32\"] }]\n\
         [firewall.egress]\npolicy = \"drop\"\nallow = [{ protocol = \"icmp\", type = \"echo-request\" }, { number = 88 }]\n",
    );
    let rate = Some(Rate { connections: 6, per: Period::Minute, burst: 5 });
    let links = || vec!["lan".to_owned(), "wan".to_owned()];
    let from = vec![Peer::Network("fd00::/8".parse().unwrap()), Peer::Network("10.0.0.0/8".parse().unwrap())];
    recipe.firewall.allow.extend([
        Allow::of(Traffic::Other(50)),
        Allow { links: links(), ..Allow::of(Traffic::Other(2)) },
        Allow { rate, ..Allow::of(Traffic::Icmp { v6: false, kind: Some(13) }) },
        Allow { from, links: links(), rate, ..Allow::of(Traffic::Other(99)) },
        Allow::of(Traffic::Icmp { v6: true, kind: None }),
    ]);
    let text = guest::firewall::render(&guest::firewall::ruleset(&recipe)).unwrap();
    std::fs::write(root.join("run/router.nft"), text).unwrap();
    content(root, &["nft", "-c", "-f", "/run/router.nft"]);
}

/// The script's words, with the tree's own dash, mawk and sed, from what nft(8) prints.
fn metrics(root: &Path) {
    std::fs::create_dir_all(root.join("run/fake")).unwrap();
    let fake = |name: &str, text: &str| {
        let file = root.join("run/fake").join(name);
        std::fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    fake(
        "nft",
        "printf 'table inet diorite {\\n\\tcounter input_tcp_22 {\\n\\t\\tpackets 3 bytes 180\\n\\t}\\n\\n\\tcounter \
         input_dropped {\\n\\t\\tpackets 0 bytes 0\\n\\t}\\n}\\n'",
    );
    fake("systemctl", "[ \"$3\" = web.service ]");
    std::fs::create_dir_all(root.join("proc")).unwrap();
    std::fs::write(root.join("proc/cmdline"), "initrd=x roothash=00ff root=/dev/x\n").unwrap();
    let path = "PATH=/run/fake:/usr/sbin:/usr/bin";
    content(root, &["env", path, "/usr/lib/diorite/metrics", "/run", "0", "web.service", "other.service"]);
    std::fs::remove_file(root.join("proc/cmdline")).unwrap();
    let written = std::fs::read_to_string(root.join("run/diorite.prom")).unwrap();
    let samples: Vec<&str> = written.lines().filter(|l| !l.starts_with('#')).collect();
    assert_eq!(
        samples,
        [
            r#"diorite_image_info{name="server",version="1",root_hash="00ff",slot="unknown"} 1"#,
            "diorite_boot_blessed 1",
            r#"diorite_firewall_packets_total{rule="input_tcp_22"} 3"#,
            r#"diorite_firewall_packets_total{rule="input_dropped"} 0"#,
            r#"diorite_firewall_bytes_total{rule="input_tcp_22"} 180"#,
            r#"diorite_firewall_bytes_total{rule="input_dropped"} 0"#,
            r#"diorite_container_active{name="web"} 1"#,
            r#"diorite_container_active{name="other"} 0"#,
        ]
    );
    // Where the rules cannot be read, nothing is written: an old time is seen, a wrong value is not.
    fake("nft", "exit 1");
    assert!(!inside(root, &["env", path, "/usr/lib/diorite/metrics", "/run"]).0);
    assert_eq!(std::fs::read_to_string(root.join("run/diorite.prom")).unwrap(), written);
}

/// A container that says everything there is to say about one.
const APP: &str = r#"
[containers.app]
packages = ["busybox"]
command = ["busybox", "httpd"]
environment = { A = "50% of $HOME \"x\" c:\\n", PLAIN = "1" }
networks = ["back", "front"]
volumes.data = { path = "/data", read_only = true }
writable = ["/tmp"]
secrets.key = { credential = "app.key" }
secrets.token = { environment = "TOKEN" }
capabilities = ["CHOWN"]
health = { command = ["busybox", "test", "a b"], interval = "1m" }
limits = { memory = "64M", cpus = "1.5", pids = 64 }
ids = 600000
after = ["web"]
requires = ["web"]

[container_networks.back]
internal = true

[container_networks.front]
"#;

/// Services of every kind: with and without network, account, timer; arguments that would be something else unquoted.
const SERVICES: &str = r#"
[services.units.one]
exec = ["/usr/bin/true", "a b", "100% $HOME ${X}", "\"q\"", "'", ";", "back\\slash", "%n", "$$", "-", ""]
state = true
network = true
credentials = ["one-key"]
environment = { LOG_LEVEL = "a=b/c" }
[services.units.two]
exec = ["/usr/bin/true"]
user = "www-data"
timer = "Mon..Fri 03:30"
requires = ["one.service"]
[services.units.three]
exec = ["/usr/bin/true"]
user = "root"
network = true
timer = "15min"
restart = "on-failure"
"#;

#[test]
fn programs_of_the_tree_accept_what_was_generated() {
    let recipe = recipe(&format!("{ANNA}{APP}{SERVICES}"));
    let sealed = sealed(&recipe, &[]);
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    lay_out(sealed.tree(), root);
    std::fs::write(root.join("dev/null"), "").unwrap();

    // nft(8): checked, not loaded.
    for file in [guest::firewall::RULES, guest::firewall::CLOSED] {
        content(root, &["nft", "-c", "-f", &format!("/{file}")]);
    }
    everything_a_firewall_can_say(root);
    everything_a_router_can_say(root);
    metrics(root);

    // sshd(8) wants a host key and its directory; both are made at boot.
    for dir in ["run/sshd", "var/lib/ssh"] {
        std::fs::create_dir_all(root.join(dir)).unwrap();
    }
    let key = "/var/lib/ssh/ssh_host_ed25519_key";
    content(root, &["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key]);
    content(root, &["sshd", "-t"]);
    let effective = content(root, &["sshd", "-T", "-C", "user=anna,host=h,addr=192.0.2.1"]);
    for line in [
        "passwordauthentication no",
        "kbdinteractiveauthentication no",
        "permitrootlogin without-password",
        "allowusers anna",
        "allowusers root",
        "maxsessions 10",
        "authorizedkeysfile /etc/ssh/authorized_keys.d/%u",
        "hostkey /var/lib/ssh/ssh_host_ed25519_key",
        "x11forwarding no",
    ] {
        assert!(effective.lines().any(|l| l == line), "sshd does not say `{line}`:\n{effective}");
    }
    let root_user = content(root, &["sshd", "-T", "-C", "user=root,host=h,addr=192.0.2.1"]);
    assert!(root_user.contains("authorizedkeysfile /root/.ssh/authorized_keys"), "{root_user}");
    content(root, &["ssh-keygen", "-l", "-f", "/etc/ssh/authorized_keys.d/anna"]);

    // podman-systemd.unit(5)
    let units = content(root, &["/usr/libexec/podman/quadlet", "--dryrun"]);
    for word in ["---web.service---", "--publish 8080:80/tcp", "--pull never", "--read-only", "localhost/web:1"] {
        assert!(units.contains(word), "the generator's unit has no `{word}`:\n{units}");
    }
    assert!(!units.contains("network-online"), "{units}");
    quadlet(root, &units);

    // systemd-analyze(1): the units we wrote, and those we changed.
    let verify = |unit: &str| inside(root, &["systemd-analyze", "verify", "--recursive-errors=no", "--man=no", unit]).1;
    for unit in [
        "diorite-firewall.service",
        "diorite-host-key.service",
        "diorite-health.service",
        "diorite-metrics.service",
        "diorite-metrics.timer",
        "ssh.service",
        "systemd-networkd.service",
        "prometheus-node-exporter.service",
        "one.service",
        "two.service",
        "two.timer",
        "three.service",
        "three.timer",
    ] {
        assert_eq!(verify(unit), "", "{unit}");
    }
    let security = ["systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold=25"];
    for unit in ["prometheus-node-exporter.service", "diorite-firewall.service", "diorite-metrics.service"] {
        content(root, &[&security[..], &[unit]].concat());
    }
    let security = ["systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold=30"];
    content(root, &[&security[..], &["one.service", "two.service", "three.service"]].concat());
    content(root, &["systemd-analyze", "calendar", "Mon..Fri *-*-* 03:30:00"]);
    access::closed(sealed.tree(), root);

    // tmpfiles.d(5): /var comes back.
    // It insists on /proc, so it is asked from outside, by the tree's own loader.
    let libraries = ["usr/lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu/systemd"].map(|d| root.join(d));
    let made = Command::new(root.join("usr/lib64/ld-linux-x86-64.so.2"))
        .arg("--library-path")
        .arg(std::env::join_paths(libraries).unwrap())
        .arg(root.join("usr/bin/systemd-tmpfiles"))
        .args(["--create", "--prefix=/var"])
        .arg(format!("--root={}", root.display()))
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&made.stderr).into_owned();
    assert!(made.status.success(), "{words}");
    for dir in
        ["var/lib/systemd/network", "var/home/anna", "var/log/journal", "var/cache", "var/lib/prometheus/node-exporter"]
    {
        assert!(root.join(dir).is_dir(), "/{dir} does not come back:\n{words}");
    }

    // dpkg(1), through the link on what will be state.
    assert_eq!(content(root, &["dpkg", "--audit"]), "");
    let (_, changed) = inside(root, &["dpkg", "--verify"]);
    assert_eq!(changed, "");
}

/// The generator's unit of [`APP`]: what podman is told, and that systemd reads every unit of it without a complaint.
fn quadlet(root: &Path, units: &str) {
    for word in [
        "--uidmap 0:600000:65536",
        "--gidmap 0:600000:65536",
        "-v /var/lib/diorite/containers/app/data:/data:ro,nosuid,nodev",
        "-v /run/diorite-secrets/app/key:/run/secrets/key:ro",
        "--env-file /run/diorite-secrets/app/token",
        "--tmpfs /tmp:rw,nosuid,nodev,noexec,mode=1777",
        "--cap-add cap_chown",
        "--network back --network front",
        "--health-on-failure kill",
        "--sdnotify=healthy",
        "--pids-limit 64",
        "--memory=67108864b --cpus=1.500",
        "--env PLAIN=1",
        // Read once more by systemd, this is the declared value.
        r#"--env "A=50%% of $$HOME \"x\" c:\\n""#,
        "Requires=web.service",
        "LoadCredential=key:app.key",
        "ExecStartPre=/usr/bin/install -m 0400 -o 665534 -g 665534 %d/key /run/diorite-secrets/app/key",
    ] {
        assert!(units.contains(word), "the generator's unit has no `{word}`:\n{units}");
    }
    let directory = root.join("run/quadlet");
    std::fs::create_dir_all(&directory).unwrap();
    content(root, &["/usr/libexec/podman/quadlet", "/run/quadlet"]);
    // Beside the units they name, as the generator's directory is at boot.
    for entry in std::fs::read_dir(&directory).unwrap().flatten().filter(|e| e.path().is_file()) {
        std::fs::copy(entry.path(), root.join("etc/systemd/system").join(entry.file_name())).unwrap();
    }
    for unit in ["web.service", "app.service"] {
        let (_, said) = inside(root, &["systemd-analyze", "verify", "--recursive-errors=no", "--man=no", unit]);
        assert_eq!(said, "", "{unit}");
    }
}

/// What the initrd looks for state's own disk and the TPM with: udev's rules, units and programs of the shell; and none
/// that is wrong.
#[test]
fn programs_of_the_tree_accept_what_finds_and_opens_state() {
    let sealed = sealed(&recipe("[state]\ndisk = \"own\"\nencryption = \"tpm2\"\n"), &[]);
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    lay_out(sealed.tree(), root);
    std::fs::write(root.join("dev/null"), "").unwrap();
    let initrd = "/usr/lib/diorite/initrd";
    let rules = format!("{initrd}/etc/udev/rules.d/70-diorite-state.rules");
    content(root, &["udevadm", "verify", "--resolve-names=never", &rules]);
    std::fs::write(root.join("tmp/70-wrong.rules"), "ATTR{size}!=\"0\", SIMLINK+=\"x\"\n").unwrap();
    assert!(!inside(root, &["udevadm", "verify", "--resolve-names=never", "/tmp/70-wrong.rules"]).0);
    for program in ["state-disk", "state-tpm"] {
        content(root, &["sh", "-n", &format!("{initrd}/usr/lib/diorite/{program}")]);
    }
    for unit in ["diorite-state-disk.service", "diorite-state-tpm.service"] {
        content(root, &["cp", "-r", &format!("{initrd}/etc/systemd/system/{unit}"), "/etc/systemd/system"]);
    }
    let dropin = "diorite-state-disk.service.d";
    content(root, &["cp", "-r", &format!("{initrd}/etc/systemd/system/{dropin}"), "/etc/systemd/system"]);
    for unit in ["diorite-state-disk.service", "diorite-state-tpm.service"] {
        let said = inside(root, &["systemd-analyze", "verify", "--recursive-errors=no", "--man=no", unit]).1;
        assert_eq!(said, "", "{unit}");
    }
    // crypttab(5), as systemd's own generator reads it: the unit that the drop-in is for.
    let generator = "/usr/lib/systemd/system-generators/systemd-cryptsetup-generator";
    content(root, &["mkdir", "-p", "/tmp/units"]);
    content(root, &["env", "SYSTEMD_PROC_CMDLINE=quiet", generator, "/tmp/units", "/tmp/units", "/tmp/units"]);
    let unit = std::fs::read_to_string(root.join("tmp/units/systemd-cryptsetup@var.service")).unwrap();
    assert!(unit.contains("tpm2-device=auto,x-initrd.attach,noauto,timeout=5min"), "{unit}");
    assert!(root.join(&initrd[1..]).join("etc/systemd/system/systemd-cryptsetup@var.service.d").is_dir());
}

#[test]
fn sealing_twice_gives_the_same_manifest_and_no_leftovers() {
    let recipe = recipe(ANNA);
    let (one, two) = (sealed(&recipe, &[]), sealed(&recipe, &[]));
    assert_eq!(manifest::write(&one, &recipe.packages.files, &[]), manifest::write(&two, &recipe.packages.files, &[]));
    let tree = one.tree();
    for gone in ["etc/hostname", "var/log", "initrd.img", "etc/passwd-", "etc/ssh/ssh_host_rsa_key", "root/.ssh"] {
        assert!(tree.get(gone).is_none(), "/{gone} is left");
    }
    assert!(tree.children(b"boot").next().is_none());
    assert!(one.kernel().starts_with(b"MZ") && one.stub().starts_with(b"MZ") && one.boot_manager().starts_with(b"MZ"));
    assert!(tree.get(format!("usr/lib/modules/{}", one.kernel_release())).is_some());
    let os_release = String::from_utf8(one.os_release().to_vec()).unwrap();
    assert!(os_release.contains("IMAGE_ID=server\nIMAGE_VERSION=1\n"), "{os_release}");
    for (path, node) in &tree.nodes {
        if let NodeKind::HardLink(first) = &node.kind {
            let first = tree.get(first).map(|n| &n.kind);
            assert!(matches!(first, Some(NodeKind::File(_))), "{} leads nowhere", String::from_utf8_lossy(path));
        }
        assert!(node.mtime <= 1_760_000_000);
        let parent = path.iter().rposition(|&b| b == b'/').map_or(&b""[..], |i| &path[..i]);
        assert!(matches!(tree.get(parent).map(|n| &n.kind), Some(NodeKind::Directory)), "{path:?}");
    }
}
