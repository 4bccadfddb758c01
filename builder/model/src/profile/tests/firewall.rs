//! `[firewall]` and `[monitoring]` checked against the rest of a profile.

use super::*;
use crate::recipe::{Network, Peer, Protocol};

/// A machine with one container, a set, and an exporter.
const PLAIN: &str = r#"
[image]
name = "plain"
version = "1"

[network.lan]
dhcp = true

[firewall]
allow = [
  { port = 22, from = ["office"] },
  { port = 8080 },
  { port = 5000, last_port = 5010, listener = "game" },
]

[firewall.sets.office]
networks = ["198.51.100.0/24", "2001:db8::/32"]

[containers.web]
packages = ["busybox"]
command = ["busybox", "httpd", "-f"]
publish = [{ host = 8080, container = 80 }]

[monitoring.node_exporter]
from = ["office"]
"#;

fn plain(from: &str, to: &str) -> String {
    assert_eq!(PLAIN.matches(from).count(), 1, "`{from}` must stand in the profile once");
    PLAIN.replace(from, to)
}

fn read(text: &str) -> Recipe {
    parse(text, "profiles/plain.toml", &mut shipped).unwrap_or_else(|e| panic!("{e}")).0
}

#[test]
fn findings_show_both_lines() {
    let bad = |from: &str, to: &str| error(&plain(from, to));
    let first = "{ port = 22, from = [\"office\"] },";
    let after = |entry: &str| bad(first, &format!("{first}\n  {entry},"));
    let all = [
        // Sets.
        bad("from = [\"office\"] },", "from = [\"ofice\"] },"),
        bad("[firewall.sets.office]", "[firewall.sets.other]\nnetworks = [\"192.0.2.0/24\"]\n[firewall.sets.office]"),
        // Rules beside each other.
        after("{ port = 22, from = [\"office\"], name = \"again\" }"),
        after("{ port = 22, from = [\"198.51.100.7/32\"], name = \"one\" }"),
        after("{ port = 22, from = [\"192.0.2.0/24\"] }"),
        after("{ port = 22, from = [\"192.0.2.0/24\"], name = \"dropped\" }"),
        after("{ port = 5005, listener = \"x\", name = \"node-exporter\" }"),
        bad("listener = \"game\" },", "listener = \"game\" },\n  { port = 5005, listener = \"x\" },"),
        // Listeners.
        bad(", listener = \"game\"", ""),
        after("{ port = 443 }"),
        after("{ port = 53, protocol = \"udp\" }"),
        bad("{ port = 8080 },", "{ port = 8080, listener = \"nginx\" },"),
        bad("{ port = 8080 },", ""),
        bad("container = 80 }", "container = 80, local = true }"),
        // Monitoring.
        after("{ port = 9100 }"),
        // What goes out.
        bad("[containers.web]", "[firewall.egress]\nallow = [{ port = 443 }]\n[containers.web]"),
        bad(
            "[containers.web]",
            "[firewall.egress]\npolicy = \"drop\"\nallow = [{ port = 443 }, { port = 443, to = [\"office\"] }]\n\
             [containers.web]",
        ),
    ];
    insta::assert_snapshot!("findings_of_firewall", all.join("\n\n"));
}

#[test]
fn what_watches_is_admitted_without_another_word() {
    let recipe = read(PLAIN);
    let rule = recipe.firewall.allow.last().unwrap();
    assert!(rule.what.is_port(Protocol::Tcp, 9100) && rule.id() == "node_exporter");
    assert_eq!(rule.from, [Peer::Set("office".into())]);
    let nobody = read(&plain("from = [\"office\"]\n", "from = []\n"));
    assert!(!nobody.firewall.allow.iter().any(|a| a.what.is_port(Protocol::Tcp, 9100)));
}

#[test]
fn a_rule_of_the_other_family_is_found() {
    let four = plain("dhcp = true", "addresses = [\"192.0.2.1/24\"]\nrouter_advertisements = false");
    assert!(read(&four).firewall.allow.len() > 1, "a set of both families is fine on a link with one");
    let six = four.replace("\"198.51.100.0/24\", ", "");
    insta::assert_snapshot!("no_link_has_the_family", error(&six));
    read(&six.replace("2001:db8::/32", "fe80::/10"));
}

#[test]
fn networks_within_others_are_left_out() {
    let recipe = read(&plain("\"198.51.100.0/24\", ", "\"198.51.100.0/24\", \"198.51.0.0/16\", \"0.0.0.0/0\", "));
    let found = recipe.firewall.networks(&[Peer::Set("office".into())]);
    let wanted: Vec<Network> = ["0.0.0.0/0", "2001:db8::/32"].iter().map(|n| n.parse().unwrap()).collect();
    assert_eq!(found, wanted);
}

/// What may be said of protocols, links, forwarding and translation, around [`PLAIN`].
const GATEWAY: &str = r#"
[image]
name = "gateway"
version = "1"

[network.lan]
match = { order = 1 }
addresses = ["10.1.0.1/24", "fd00:1::1/64"]

[network.wan]
match = { order = 2 }
addresses = ["192.0.2.10/24"]

[network.a]
match = { order = 3 }
[network.pair]
bond = { members = ["a"] }

[firewall]
allow = [
  { port = 22 },
  { protocol = "esp" },
  { port = 67, protocol = "udp", in = ["lan"], listener = "dnsmasq" },
]

[firewall.forward]
allow = [{ in = ["lan"], out = ["wan"], from = ["10.1.0.0/24"] }]

[firewall.nat]
masquerade = [{ out = ["wan"], from = ["10.1.0.0/24"] }]
ports = [{ in = ["wan"], port = 443, to = "10.1.0.5" }]
"#;

#[test]
fn findings_about_protocols_forwarding_and_translation() {
    read(GATEWAY);
    let bad = |from: &str, to: &str| {
        assert_eq!(GATEWAY.matches(from).count(), 1, "`{from}` must stand in the gateway once");
        error(&GATEWAY.replace(from, to))
    };
    let esp = |entry: &str| bad("{ protocol = \"esp\" }", entry);
    let forward = |entry: &str| bad("from = [\"10.1.0.0/24\"] }]\n\n[firewall.nat]", entry);
    let all = [
        esp("{ protocol = \"esp\", port = 500 }"),
        esp("{ protocol = \"esp\", type = \"echo-request\" }"),
        esp("{ protocol = \"esp\", number = 99 }"),
        esp("{ number = 50 }"),
        esp("{ number = 256 }"),
        esp("{ protocol = \"sctp\" }"),
        esp("{ protocol = \"udp\" }"),
        esp("{ protocol = \"icmpv6\", type = \"timestamp-request\" }"),
        esp("{ protocol = \"icmp\", type = \"echo-request\" }"),
        esp("{ protocol = \"icmp\", from = [\"fd00::/8\"] }"),
        esp("{ protocol = \"esp\" }, { protocol = \"esp\", name = \"again\" }"),
        bad("in = [\"lan\"], listener", "from = [\"10.1.0.0/24\"], listener"),
        bad("in = [\"lan\"], listener", "in = [\"lna\"], listener"),
        bad("in = [\"lan\"], listener", "in = [\"a\"], listener"),
        forward("from = [\"10.1.0.0/24\"], to = [\"fd00::/8\"] }]\n\n[firewall.nat]"),
        forward("}, { in = [\"lan\"], out = [\"wan\"], port = 80 }]\n\n[firewall.nat]"),
        forward("}, { in = [\"wan\"], out = [\"lan\"], name = \"lan-wan\" }]\n\n[firewall.nat]"),
        forward("}, { in = [\"wan\"], out = [] }]\n\n[firewall.nat]"),
        bad("masquerade = [{ out = [\"wan\"]", "masquerade = [{ out = [\"lan\"]"),
        bad("from = [\"10.1.0.0/24\"] }]\nports", "from = [\"10.1.0.0/24\"], address = \"fd00::1\" }]\nports"),
        bad("to = \"10.1.0.5\"", "to = \"10.1.0.1\""),
        bad("to = \"10.1.0.5\"", "to = \"0.0.0.0\""),
        bad(
            "to = \"10.1.0.5\" }",
            "to = \"10.1.0.5\" }, { in = [\"wan\"], port = 443, to = \"10.1.0.6\", name = \"two\" }",
        ),
        bad("port = 443, to", "port = 443, last_port = 444, to_port = 80, to"),
        error(&GATEWAY.replace("{ port = 22 },", "{ port = 22 }, { port = 443 },").replace(
            "[firewall.nat]",
            "[containers.web]\npackages = [\"busybox\"]\ncommand = [\"x\"]\n\
             publish = [{ host = 443, container = 80 }]\n[firewall.nat]",
        )),
    ];
    insta::assert_snapshot!("findings_of_forwarding", all.join("\n\n"));
}
