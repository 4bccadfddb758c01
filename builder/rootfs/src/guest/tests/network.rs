//! Files of the network, the clock and the language.

use super::*;

/// Every kind of link, and everything a link can say.
pub(crate) const LINKS: &str = r#"
[image]
name = "net"
version = "1"
hostname = "gate.example"

[network.lan]
match = { order = 1 }
addresses = ["192.0.2.10/24", "2001:db8::10/64"]
gateways = ["192.0.2.1", "fe80::1"]
routes = [
  { to = "198.51.100.0/24", via = "192.0.2.254", metric = 10 },
  { to = "203.0.113.7/32" },
]
metric = 100
mtu = 9000
dns = ["192.0.2.53#dns.example", "2001:db8::53#dns.example"]
dns_over_tls = "yes"
search = ["lan.example"]
route_domains = ["corp.example", "."]
ntp = ["ntp.example", "192.0.2.123"]

[network.a]
match = { mac = "52:54:00:00:00:01" }
[network.b]
match = { mac = "52:54:00:00:00:02" }
[network.c]
match = { mac = "52:54:00:00:00:03" }
[network.pair]
bond = { members = ["a", "b"], mode = "802.3ad" }
[network.watched]
bond = { members = ["c"], interval = 500, arp_targets = ["10.3.0.1", "10.3.0.2"] }
addresses = ["10.3.0.9/24"]

[network.guests]
vlan = { id = 10, parent = "pair" }
dhcp_ipv6 = false
metric = 200
learn_dns = false

[network.inner]
bridge = { members = ["staff"], stp = true }
addresses = ["10.4.0.1/24"]
[network.staff]
vlan = { id = 20, parent = "pair" }

[network.alone]
bridge = { members = [] }
addresses = ["fd00:5::1/64"]
router_advertisements = false

[network.usb]
match = { name = "enx*", driver = "cdc_ether" }
dhcp_ipv4 = false
router_advertisements = false
required = false

[time]
timezone = "Europe/Vienna"
ntp = ["192.0.2.123", "ntp.example"]
fallback_ntp = []

[locale]
lang = "de_AT.UTF-8"
more = ["nds_DE.UTF-8"]
"#;

fn with_database() -> Tree {
    let mut tree = tree();
    for zone in ["Europe/Vienna", "Etc/UTC", "posix/Europe/Vienna"] {
        tree.insert(format!("usr/share/zoneinfo/{zone}"), Node::file(0o644, "TZif2"));
    }
    tree.insert("usr/lib/locale/locale-archive", Node::file(0o644, "\0de_AT.utf8\0nds_DE.utf8\0"));
    tree.insert("etc/timezone", Node::file(0o644, "Etc/UTC\n"));
    tree
}

fn made(text: &str) -> Result<GuestFiles> {
    generate(&recipe(text), &with_database(), &[], &BTreeMap::new())
}

#[test]
fn files_of_every_kind_of_link() {
    let all = made(LINKS).unwrap_or_else(|e| panic!("{e}"));
    let mut text = String::new();
    for (path, node) in &all.nodes {
        let path = String::from_utf8_lossy(path);
        let ours = ["systemd/network/", "localtime", "etc/timezone", "timesyncd", "locale", "card-order"];
        if !ours.iter().any(|o| path.contains(o)) || path.contains(".wants/") {
            continue;
        }
        text += &match &node.kind {
            NodeKind::File(c) => format!("=== /{path} {:04o}\n{}\n", node.mode, String::from_utf8_lossy(c.bytes())),
            NodeKind::Symlink(to) => format!("=== /{path} -> {}\n\n", String::from_utf8_lossy(to)),
            other => panic!("{path}: {other:?}"),
        };
    }
    insta::assert_snapshot!("links", text);
    let NodeKind::File(release) = &all.nodes[&b"etc/os-release"[..]].kind else { panic!("os-release is a file") };
    assert!(String::from_utf8_lossy(release.bytes()).ends_with("DEFAULT_HOSTNAME=gate.example\n"));
    assert!(all.removed.contains(&b"etc/hostname"[..]), "a static host name would win over DHCP and credentials");
}

#[test]
fn the_firewall_follows_each_family() {
    let rules = |text: &str| firewall::render(&firewall::ruleset(&recipe(text))).unwrap();
    let head = "[image]\nname = \"x\"\nversion = \"1\"\n[network.a]\n";
    let both = rules(head);
    assert!(both.contains("sport 67") && both.contains("sport 547"), "{both}");
    let four = rules(&format!("{head}dhcp_ipv6 = false\n"));
    assert!(four.contains("sport 67") && !four.contains("sport 547"), "{four}");
    let none = rules(&format!("{head}dhcp = false\n"));
    assert!(!none.contains("sport 67") && !none.contains("sport 547"), "{none}");
}

#[test]
fn name_servers_over_tls_can_be_asked() {
    let text = LINKS.replace("[time]", "[firewall.egress]\npolicy = \"drop\"\n[time]");
    let rules = firewall::render(&firewall::ruleset(&recipe(&text))).unwrap();
    let out = |port: &str| rules.lines().find(|l| l.contains(port) && l.contains("egress_dns")).map(str::trim).unwrap();
    assert!(out("dport 853").contains("192.0.2.53"), "{rules}");
    assert!(!rules.contains("udp dport 853"), "{rules}");
}

#[test]
fn a_zone_or_locale_that_is_not_there() {
    let zone = made(&LINKS.replace("Europe/Vienna", "Austria/Vienna")).unwrap_err();
    let locale = made(&LINKS.replace("nds_DE", "fr_FR")).unwrap_err();
    insta::assert_snapshot!("not_there", format!("{zone}\n\n{locale}"));
}

/// What a gateway's links say besides: other tables, rules, a VRF, and what is served.
#[test]
fn files_of_a_gateway() {
    let text = r#"
[image]
name = "net"
version = "1"
[network.wan]
match = { order = 1 }
addresses = ["203.0.113.7/32"]
gateways = ["172.31.1.1"]
gateway_on_link = true
[network.second]
match = { order = 2 }
dhcp = true
table = 200
rules = [{ from = "198.51.100.0/24", to = "192.0.2.0/24", table = 200, priority = 50 }]
routes = [{ to = "10.9.0.0/16", via = "10.8.0.1", on_link = true }]
[network.lan]
match = { order = 3 }
addresses = ["10.1.0.1/24", "fd00:1::1/64"]
dhcp_server = { first = "10.1.0.100", last = "10.1.0.199", dns = ["10.1.0.1"], reservations = [{ mac = "52:54:00:00:00:01", address = "10.1.0.9" }] }
advertise = { dns = ["fd00:1::1"], router = false }
[network.blue]
vrf = { members = ["lan"], table = 300 }
[firewall.forward]
allow = [{ in = ["lan"], out = ["wan"] }]
"#;
    let all = made(text).unwrap_or_else(|e| panic!("{e}"));
    let mut text = String::new();
    for (path, node) in &all.nodes {
        let path = String::from_utf8_lossy(path);
        if let NodeKind::File(content) = &node.kind
            && (path.contains("systemd/network/") || path.contains("networkd.conf.d"))
        {
            text += &format!("=== /{path}\n{}\n", String::from_utf8_lossy(content.bytes()));
        }
    }
    insta::assert_snapshot!("gateway", text);
}
