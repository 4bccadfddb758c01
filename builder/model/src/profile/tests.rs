//! The profiles of the repository, and every error with its exact text.

mod access;
mod containers;
mod firewall;
mod hardening;
mod hostile;
mod instances;
mod network;
mod secrets;
mod services;
mod state;
mod verify;

use super::*;

/// Profiles of the repository, as they are.
fn shipped(name: &str) -> Result<Loaded> {
    let text = match name {
        "base" => include_str!("../../../../profiles/base.toml"),
        "server" => include_str!("../../../../profiles/server.toml"),
        _ => return Err(Error::input(format!("there is no profile `{name}`")).hint("profiles here: base, server")),
    };
    Ok(Loaded { file: format!("profiles/{name}.toml"), text: text.into() })
}

#[test]
fn shipped_profiles_parse() {
    for name in ["base", "server"] {
        let loaded = shipped(name).unwrap();
        let (recipe, settings) = parse(&loaded.text, &loaded.file, &mut shipped).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(recipe.image.name, name);
        assert_eq!(settings, Settings::default());
        assert!(recipe.firewall.allow.iter().any(|a| a.port == 22));
    }
}

/// A profile that says everything.
const FULL: &str = r#"
extends = "base"
overlays = ["motd"]

[image]
name = "full"
version = "1.2"
hostname = "full.example"
epoch = 1760000000

[archive]
suite = "trixie"
components = ["main", "contrib"]
architecture = "amd64"
mirrors = ["https://mirror.example/debian"]
snapshot = "https://snapshot.example/{timestamp}/"
debs = ["local/thing_1_amd64.deb"]

[archive.extra.vendor]
uri = "https://vendor.example/apt"
suite = "stable"
components = ["main"]
keyring = "keys/vendor.pgp"
priority = 400

[packages]
include = ["less", "nginx=1.26.3-3+deb13u1"]
recommends = false

[kernel]
flavour = "cloud"
command_line = ["quiet", "mitigations=auto"]
modules = ["nf_conntrack"]

[disk]
esp = "256M"
root = "1G"
verity = "16M"

[network.lan]
match = { mac = "52:54:00:12:34:56", name = "en*", driver = "virtio_net" }
addresses = ["192.0.2.10/24", "2001:db8::10/64"]
gateways = ["192.0.2.1", "2001:db8::1"]
routes = [{ to = "198.51.100.0/24", via = "192.0.2.254", metric = 10 }]
metric = 100
mtu = 9000
dns = ["192.0.2.53#dns.example"]
dns_over_tls = "yes"
learn_dns = false
search = ["lan.example"]
route_domains = ["corp.example"]
ntp = ["ntp.example"]
required = true
router_advertisements = false
dhcp = false
dhcp_ipv4 = false
dhcp_ipv6 = false

[network.left]
match = { order = 2 }
[network.right]
match = { order = 3 }
[network.pair]
bond = { members = ["left", "right"], mode = "active-backup", interval = 200, arp_targets = ["203.0.113.1"] }
addresses = ["203.0.113.10/24"]
[network.guests]
vlan = { id = 10, parent = "pair" }
[network.inner]
bridge = { members = ["guests"], stp = true }
addresses = ["fd00:1::1/64"]

[time]
timezone = "Europe/Vienna"
ntp = ["192.0.2.123"]
fallback_ntp = []

[locale]
lang = "de_AT.UTF-8"
more = ["en_US.UTF-8"]

[firewall]
allow = [
  { port = 443, protocol = "tcp", from = ["192.0.2.0/24", "2001:db8::/32", "office"], last_port = 444, rate = "10/second", burst = 20, listener = "nginx", name = "site", why = "the public site" },
  { port = 8080, rate = "1/minute" },
]

[firewall.sets.office]
networks = ["198.51.100.0/24"]
why = "the school"

[firewall.egress]
policy = "drop"
allow = [
  { port = 5432, last_port = 5433, protocol = "tcp", to = ["office", "2001:db8:1::/48"], name = "database", why = "the ledger" },
  { protocol = "udp" },
]

[access]
user_ca = ["sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fAAAABHNzaDo= ca@example"]
root_login = "credential"
second_factor = "none"
idle_minutes = 30
sessions = 4
banner = ["Authorised use only.", "Everything is logged."]

[access.administrators.anna]
uid = 21000
principals = ["anna@example"]
sudo = "listed"
commands = [{ run = "/usr/bin/systemctl", arguments = ["restart", "web.service"] }]
ssh_keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f anna@example"]

[access.users.ben]
uid = 21001
principals = ["ben"]
ssh_keys = ["sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fAAAABHNzaDo= ben@example"]

[access.groups.web]
gid = 22000
members = ["ben"]
sudo = "listed"
commands = [{ run = "/usr/bin/journalctl", arguments = ["-u", "ssh.service"] }]

[hardening]
level = "strict"
sysctl = { "vm.swappiness" = "10" }
blocked_modules = ["usb-storage"]
exceptions = [{ unit = "ssh.service", setting = "ProtectClock", why = "a test" }]
setuid = [{ path = "/usr/bin/su", why = "a test" }]

[containers.web]
packages = ["busybox"]
command = ["busybox", "httpd", "-f"]
publish = [{ host = 8080, container = 80, protocol = "tcp", local = false }]
overlays = ["web"]
user = "www-data"
workdir = "/srv"
hostname = "web.example"
environment = { LOG_LEVEL = "a b\"c%d$e" }
networks = ["front"]
volumes.data = { path = "/data", owner = "33:33", mode = "0750", read_only = true }
writable = ["/tmp"]
secrets.password = { credential = "web.password", file = "/run/secrets/db" }
secrets.token = { environment = "TOKEN" }
capabilities = ["NET_BIND_SERVICE"]
user_namespace = true
ids = 1000013824
init = true
limits = { memory = "64M", cpus = "0.5", pids = 64 }
after = ["db"]
requires = ["db"]

[containers.web.health]
command = ["wget", "-qO-", "http://127.0.0.1/"]
interval = "5s"
timeout = "2s"
retries = 2
start_period = "1m"

[containers.db]
packages = ["busybox"]
entrypoint = ["busybox", "nc"]
command = ["-lk", "-p", "5432"]
networks = ["back"]

[containers.app]
archive = "images/app.tar"

[containers.hub]
oci = "registry.example/team/hub:1.2@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

[container_networks.front]
subnet = "10.90.0.0/24"

[container_networks.back]
internal = true

[monitoring.node_exporter]
from = ["office"]

[services]
enable = ["fstrim.timer"]
disable = ["a.service"]
mask = ["b.socket"]

[services.units.sync]
exec = ["/usr/bin/sync-it", "--all", "a b"]
description = "Copies"
user = "dynamic"
after = ["ssh.service"]
requires = ["dbus.socket"]
timer = "15min"
restart = "on-failure"
environment = { LOG_LEVEL = "debug" }
credentials = ["sync-key"]
state = true
network = true

[state]
disk = "own"
encryption = "tpm2"
filesystem = "xfs"
minimum = "1G"
volatile = ["/var/cache"]

[config_drive]
signers = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f drive@example"]

[instances.web-1]
mac = "52:54:00:12:34:58"

[instances.web-1.network.lan]
addresses = ["192.0.2.40/24"]
gateways = ["192.0.2.1"]
dns = ["192.0.2.53"]
search = ["example.org"]

[instances.web-1.credentials]
one = { env = "ONE" }
two = { file = "two" }
three = { command = ["pass", "three"] }

[machine]
memory = "4G"
cores = 4
state = "20G"
vlan = 7
mac = "52:54:00:12:34:57"
tpm = true
start_at_boot = false
keep = 3

[verify]
check = [
  { name = "site", retry = "30s", level = "outside", port = { port = 444, protocol = "tcp", state = "open", family = "ipv4" } },
  { http = { port = 8080, path = "/health?full=1", status = 200, contains = ["<b>it's \"fine\"; $(id)</b>"], lacks = ["error"], family = "ipv6" } },
  { dns = { name = "ledger.example", resolvable = true, addresses = ["192.0.2.77"] } },
  { unit = { name = "ssh.service", running = true, enabled = true } },
  { file = { path = "/etc/motd", exists = true, kind = "file", mode = "0644", owner = "root", group = "root", sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", contains = ["Welcome"], lacks = ["Debian"] } },
  { file = { path = "/etc/localtime", kind = "symlink", target = "../usr/share/zoneinfo/Europe/Vienna" } },
  { command = { exec = ["/usr/bin/test", "-e", "/srv; rm -rf /"], status = 1, stdout = ["a 'b'"], stderr = ["none"], timeout = "20s" } },
  { metric = { name = "node_load1", labels = { instance = "a" }, at_least = 0, at_most = 64, port = 9100, path = "/metrics" }, level = "inside" },
  { container = { name = "db", running = true, healthy = false } },
  { process = { name = "sshd", running = true, user = "root" } },
  { sysctl = { name = "net.ipv4.tcp_syncookies", value = "1" } },
  { user = { name = "anna", exists = true, uid = 21_000, home = "/home/anna", shell = "/bin/bash", groups = ["users"] } },
  { package = { name = "openssh-server", installed = true, version = "1:10.0p1-7" } },
]
"#;

fn error(text: &str) -> String {
    match parse(text, "profiles/full.toml", &mut shipped) {
        Ok((recipe, _)) => panic!("accepted:\n{text}\n{recipe:?}"),
        Err(e) => {
            assert_eq!(e.exit, crate::Exit::Input);
            e.to_string()
        }
    }
}

/// The full profile with one thing changed.
#[track_caller]
fn with(from: &str, to: &str) -> String {
    assert_eq!(FULL.matches(from).count(), 1, "`{from}` must stand in the full profile once");
    error(&FULL.replace(from, to))
}

/// What a list of tables or tables by name hold.
fn inner(value: &toml::Value) -> Vec<&toml::Value> {
    match value {
        toml::Value::Array(list) => list.iter().collect(),
        toml::Value::Table(table) => table.values().collect(),
        _ => vec![],
    }
}

/// Every declared key that no example says: the fields, and the tables that may hold them.
fn unsaid(fields: &[Field], path: &str, there: &[&toml::Value], all: &mut Vec<String>) {
    for field in fields {
        let path = format!("{path}.{}", field.name);
        let values: Vec<&toml::Value> = there.iter().filter_map(|t| t.get(field.name)).collect();
        if values.is_empty() {
            all.push(path.clone());
        }
        match field.holds {
            Holds::Table(below) => unsaid(below, &path, &values, all),
            Holds::Tables(below) | Holds::Named(_, below) => {
                unsaid(below, &path, &values.iter().flat_map(|v| inner(v)).collect::<Vec<_>>(), all);
            }
            _ => {}
        }
    }
}

/// So that the test with hostile strings, below, reaches every field there is.
#[test]
fn the_full_profile_says_everything() {
    let full = FULL.parse::<toml::Table>().map(toml::Value::Table).unwrap();
    let mut all = Vec::new();
    unsaid(language(), "", &[&full], &mut all);
    assert_eq!(all, Vec::<String>::new(), "the full profile must say these as well");
}

#[test]
fn a_full_profile_is_meant_as_written() {
    let (recipe, settings) = parse(FULL, "profiles/full.toml", &mut shipped).unwrap_or_else(|e| panic!("{e}"));
    insta::assert_snapshot!("recipe", serde_json::to_string_pretty(&recipe).unwrap());
    assert_eq!(settings.mirrors, ["https://mirror.example/debian"]);
    assert_eq!(settings.snapshot.as_deref(), Some("https://snapshot.example/{timestamp}/"));
    let mac = Some("52:54:00:12:34:57".to_owned());
    let machine = Machine {
        memory: 4 << 30,
        cores: 4,
        state: 20 << 30,
        vlan: Some(7),
        mac,
        tpm: true,
        start_at_boot: false,
        keep: 3,
    };
    assert_eq!(settings.machine, machine);
}

#[test]
fn a_machine_follows_from_its_state_and_is_checked_against_it() {
    let machine = |text: &str| {
        let text = format!("[image]\nname = \"x\"\nversion = \"1\"\n{text}");
        parse(&text, "x.toml", &mut shipped).map(|(_, settings)| settings.machine)
    };
    assert_eq!(machine("").unwrap(), Machine::default());
    assert!(machine("[state]\nencryption = \"tpm2\"").unwrap().tpm);
    let refused = [
        "[state]\nencryption = \"tpm2\"\n[machine]\ntpm = false",
        "[state]\ndisk = \"own\"\nminimum = \"9G\"\n[machine]\nstate = \"8G\"",
        "[machine]\nmemory = \"128M\"",
        "[machine]\nvlan = 4095",
    ];
    let refused: Vec<_> = refused.iter().map(|text| machine(text).unwrap_err().to_string()).collect();
    insta::assert_snapshot!("machine", refused.join("\n\n"));
}

#[test]
fn what_cannot_change_bytes_is_not_in_the_recipe() {
    let other = FULL.replace("mirror.example", "other.example").replace("snapshot.example", "old.example");
    let other = other.replace("memory = \"4G\"", "memory = \"8G\"").replace("vlan = 7", "vlan = 8");
    let digest = |text: &str| parse(text, "full.toml", &mut shipped).unwrap().0.digest();
    assert_eq!(digest(FULL), digest(&other));
    assert_ne!(digest(FULL), digest(&FULL.replace("\"1.2\"", "\"1.3\"")));
}

#[test]
fn errors_of_form_show_the_line() {
    let all = [
        with("[packages]", "[pakages]"),
        with("{ port = 443,", "{ prot = 443,"),
        with("port = 443", "port = \"443\""),
        with("port = 443", "port = 65536"),
        with("port = 443", "port = 0"),
        with("{ port = 443, protocol", "{ protocol"),
        with("protocol = \"tcp\", from", "protocol = \"icmp\", from"),
        with("192.0.2.0/24", "192.0.2.1/24"),
        with("192.0.2.0/24", "192.0.2.0/33"),
        with("192.0.2.0/24", "192.0.2.0"),
        with("192.0.2.10/24", "192.0.2/24"),
        with("gateways = [\"192.0.2.1\",", "gateways = [\"192.0.2.1\", \"192.0.2.2\","),
        with("52:54:00:12:34:56", "52-54-00-12-34-56"),
        with("\"en*\"", "\"a-name-that-is-too-long\""),
        with("name = \"full\"", "name = \"Full Server\""),
        with("version = \"1.2\"", "version = 1.2"),
        with("version = \"1.2\"", "version = \"1.2-3\""),
        with("\"less\"", "\"Less\""),
        with("\"less\"", "\"less\", \"less\""),
        with("recommends = false", "recommends = \"no\""),
        with("\"quiet\"", "\"quiet splash\""),
        with("\"quiet\"", "\"roothash=0\""),
        with("root = \"1G\"", "root = \"1 GB\""),
        with("root = \"1G\"", "root = \"8M\""),
        with("root = \"1G\"", "root = \"4G\""),
        with("[access.administrators.anna]", "[access.administrators.root]"),
        with("ssh_keys = [\"ssh-ed25519 AAAA", "ssh_keys = [\"ssh-ed25519 AAA"),
        with("ssh_keys = [\"ssh-ed25519 AAAA", "ssh_keys = [\"ssh-dss AAAA"),
        with("uid = 21000", "uid = 5"),
        with("last_port = 444", "last_port = 442"),
        with("rate = \"10/second\"", "rate = \"0/second\""),
        with("rate = \"10/second\"", "rate = \"10/fortnight\""),
        with("rate = \"10/second\", ", ""),
        with("\"office\"], last_port", "\"Office\"], last_port"),
        with("networks = [\"198.51.100.0/24\"]", "networks = []"),
        with("policy = \"drop\"", "policy = \"reject\""),
        with("{ port = 5432, last_port", "{ last_port"),
        with("[monitoring.node_exporter]\nfrom = [\"office\"]", "[monitoring]\nnode_exporter = true"),
        with("[monitoring.node_exporter]\nfrom = [\"office\"]", "[monitoring.node_exporter]"),
        with("[containers.web]", "[containers.\"Web Server\"]"),
        with("command = [\"busybox\", \"httpd\", \"-f\"]", ""),
        with("command = [\"busybox\"", "command = [\"../busybox\""),
        with("user = \"www-data\"", "user = \"4294967296\""),
        with("host = 8080", "host = 22"),
        with("\"fstrim.timer\"", "\"fstrim\""),
        with("\"fstrim.timer\"", "\"a.service\""),
        with("\"b.socket\"", "\"ssh.service\""),
        with("uri = \"https", "uri = \"ftp"),
        with("{timestamp}/", "/"),
        with("architecture = \"amd64\"", "architecture = \"sparc\""),
        with("epoch = 1760000000", "epoch = 2025-10-09"),
        with("extends = \"base\"", "extends = \"nothing\""),
        with("extends = \"base\"", "extends = \"../base\""),
        with("extends = \"base\"", "extends = [\"base\"]"),
    ];
    insta::assert_snapshot!("errors_of_form", all.join("\n\n"));
}

#[test]
fn errors_of_text_show_the_line() {
    let all = [
        error(""),
        error("[image]\nname = \"x\"\n"),
        error("image = 3\n"),
        with("[packages]", "[packages"),
        with("[packages]", "[image]"),
        with("epoch = 1760000000", "epoch = 99999999999999999999999"),
        with("name = \"full\"", "name = \"fu\0ll\""),
        error(&format!("[image]\nname = \"{}\"\nversion = \"1\"\n", "x".repeat(300))),
        error(&format!("a = {}1{}\n", "[".repeat(5000), "]".repeat(5000))),
    ];
    insta::assert_snapshot!("errors_of_text", all.join("\n\n"));
}

#[test]
fn a_circle_of_profiles_ends() {
    let mut load = |name: &str| {
        let next = if name == "b" { "c" } else { "a" };
        Ok(Loaded { file: format!("profiles/{name}.toml"), text: format!("extends = \"{next}\"\n") })
    };
    let error = parse("extends = \"b\"\n", "profiles/a.toml", &mut load).unwrap_err().to_string();
    insta::assert_snapshot!("circle", error);
    let mut endless = 0;
    let mut load = |name: &str| {
        endless += 1;
        Ok(Loaded { file: format!("profiles/{name}.toml"), text: format!("extends = \"p{endless}\"\n") })
    };
    assert!(parse("extends = \"p\"\n", "profiles/a.toml", &mut load).is_err());
}

#[test]
fn large_text_and_a_byte_order_mark() {
    let begun = std::time::Instant::now();
    assert!(error(&"# x\n".repeat(25 << 20)).contains("too large"));
    assert!(begun.elapsed().as_secs() < 5);
    parse(&format!("\u{feff}{FULL}"), "profiles/full.toml", &mut shipped).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn joining_follows_its_rule() {
    let over = "extends = \"base\"\n[image]\nname = \"x\"\n[firewall]\nallow = [{ port = 80, listener = \"nginx\" }]\n[network.ethernet]\ndns = [\"192.0.2.1\"]\n";
    let (recipe, _) = parse(over, "x.toml", &mut shipped).unwrap();
    assert_eq!(recipe.image.version, "1", "the base's, where nothing is said");
    assert_eq!(recipe.firewall.allow.iter().map(|a| a.port).collect::<Vec<_>>(), [22, 80], "lists grow");
    assert!(recipe.network["ethernet"].dhcp_ipv4 && recipe.network["ethernet"].dns == ["192.0.2.1"]);
}

#[test]
fn depth_ends_in_an_error() {
    let header = format!("[{}]\n", vec!["a"; 200_000].join("."));
    let dotted = format!("{} = 1\n", vec!["a"; 200_000].join("."));
    let inline = format!("a = {}1{}\n", "{ a = ".repeat(20_000), " }".repeat(20_000));
    for text in [header, dotted, inline] {
        assert!(error(&text).contains("recurs"), "{}", error(&text));
    }
}
