//! Links, time and language: every finding with its exact text, and what is left unsaid.

use super::*;

/// Two cards, a VLAN over the first, and everything that goes with addresses.
const LINKS: &str = r#"
[image]
name = "x"
version = "1"

[network.lan]
match = { order = 1 }
addresses = ["192.0.2.10/24", "2001:db8::10/64"]
gateways = ["192.0.2.1", "fe80::1"]
dns = ["192.0.2.53"]

[network.store]
match = { mac = "52:54:00:00:00:01" }
addresses = ["198.51.100.10/24"]
routes = [{ to = "203.0.113.0/24", via = "198.51.100.1" }]
mtu = 9000

[network.guests]
vlan = { id = 10, parent = "lan" }
addresses = ["10.10.0.1/24"]
"#;

fn links(text: &str) -> std::collections::BTreeMap<String, crate::recipe::Link> {
    parse(text, "profiles/x.toml", &mut shipped).unwrap_or_else(|e| panic!("{e}")).0.network
}

/// The links with one thing changed.
#[track_caller]
fn wrong(from: &str, to: &str) -> String {
    assert_eq!(LINKS.matches(from).count(), 1, "`{from}` must stand in the links once");
    error(&LINKS.replace(from, to))
}

/// The links and something more.
#[track_caller]
fn more(text: &str) -> String {
    error(&format!("{LINKS}\n{text}"))
}

#[test]
fn links_are_meant_as_written() {
    let links = links(LINKS);
    insta::assert_snapshot!("links", serde_json::to_string_pretty(&links).unwrap());
}

#[test]
fn findings_about_one_link() {
    let all = [
        wrong("order = 1", "order = 1, mac = \"52:54:00:00:00:02\""),
        wrong("order = 1", "order = 0"),
        wrong("match = { order = 1 }", "match = { order = 1 }\nvlan = { id = 5, parent = \"store\" }"),
        wrong("vlan = { id = 10, parent = \"lan\" }", "vlan = { parent = \"lan\" }"),
        wrong("id = 10", "id = 4095"),
        wrong("[network.guests]", "[network.guests-of-the-house]"),
        wrong("[network.guests]", "[network.podman0]"),
        wrong("[network.guests]", "[network.eth7]"),
        wrong("192.0.2.10/24", "192.0.2.0/24"),
        wrong("192.0.2.10/24", "192.0.2.255/24"),
        wrong("2001:db8::10/64", "2001:db8::/64"),
        wrong("192.0.2.10/24", "127.0.0.2/8"),
        wrong("192.0.2.10/24", "224.0.0.5/24"),
        wrong("gateways = [\"192.0.2.1\", \"fe80::1\"]", "gateways = [\"192.0.3.1\"]"),
        wrong("gateways = [\"192.0.2.1\", \"fe80::1\"]", "gateways = [\"192.0.2.10\"]"),
        wrong("gateways = [\"192.0.2.1\", \"fe80::1\"]", "gateways = [\"192.0.2.1\"]\ndhcp_ipv4 = true"),
        wrong("\"198.51.100.10/24\"", "\"2001:db8:1::10/64\""),
        wrong("via = \"198.51.100.1\"", "via = \"198.51.101.1\""),
        wrong("via = \"198.51.100.1\"", "via = \"fe80::2\""),
        wrong("via = \"198.51.100.1\" }", "via = \"198.51.100.1\" }, { to = \"203.0.113.0/24\" }"),
        wrong("mtu = 9000", "mtu = 1000"),
        wrong("\"192.0.2.53\"", "\"192.0.2.53#dns.example\""),
        wrong("\"192.0.2.53\"", "\"192.0.2.53#DNS.example\""),
        wrong("mtu = 9000", "search = [\"example.org\"]\nrouter_advertisements = false"),
        wrong(
            "dns = [\"192.0.2.53\"]",
            "dns = [\"192.0.2.53\"]\nsearch = [\"a.example\"]\nroute_domains = [\"a.example\"]",
        ),
        wrong("dns = [\"192.0.2.53\"]", "dns_over_tls = \"maybe\""),
    ];
    insta::assert_snapshot!("one_link", all.join("\n\n"));
}

#[test]
fn findings_about_two_links() {
    let all = [
        more("[network.two]\nmatch = { order = 1 }\naddresses = [\"10.1.1.1/24\"]"),
        more(
            "[network.two]\nmatch = { mac = \"52:54:00:00:00:01\", driver = \"e1000\" }\naddresses = [\"10.1.1.1/24\"]",
        ),
        more("[network.any]\naddresses = [\"10.1.1.1/24\"]\n[network.every]\naddresses = [\"10.1.2.1/24\"]"),
        more("[network.two]\naddresses = [\"192.0.2.10/32\"]"),
        more("[network.two]\naddresses = [\"2001:db8:0::10/128\"]"),
        more("[network.rest]\n"),
        more("[network.rest]\nmatch = { order = 3 }\naddresses = [\"10.1.1.1/24\"]\ngateways = [\"10.1.1.2\"]"),
        wrong("addresses = [\"10.10.0.1/24\"]", "addresses = [\"10.10.0.1/24\"]\nmtu = 9000"),
        wrong("parent = \"lan\"", "parent = \"lam\""),
        wrong("parent = \"lan\"", "parent = \"guests\""),
        more("[network.other]\nvlan = { id = 10, parent = \"lan\" }\naddresses = [\"10.1.1.1/24\"]"),
        more("[network.pair]\nbond = { members = [] }"),
        more("[network.pair]\nbond = { members = [\"stor\"] }\naddresses = [\"10.1.1.1/24\"]"),
        more("[network.pair]\nbond = { members = [\"guests\"] }\naddresses = [\"10.1.1.1/24\"]"),
        more("[network.pair]\nbond = { members = [\"store\"] }\naddresses = [\"10.1.1.1/24\"]"),
        more("[network.a]\nbridge = { members = [\"b\"] }\n[network.b]\nbridge = { members = [\"a\"] }\n"),
        more("[network.a]\nbridge = { members = [\"b\"] }\n[network.b]\nbridge = { members = [] }\n"),
        more(
            "[network.c]\nmatch = { order = 5 }\n[network.a]\nbridge = { members = [\"c\"] }\n[network.b]\nbridge = { members = [\"c\"] }\n",
        ),
        more(
            "[network.c]\nmatch = { order = 5 }\n[network.a]\nbond = { members = [\"c\"], mode = \"802.3ad\", arp_targets = [\"10.1.1.1\"] }\ndhcp = false\n",
        ),
        more(
            "[network.c]\nmatch = { order = 5 }\n[network.a]\nbond = { members = [\"c\"] }\ndhcp = false\n[network.v]\nvlan = { id = 1, parent = \"c\" }\ndhcp = false",
        ),
    ];
    insta::assert_snapshot!("two_links", all.join("\n\n"));
}

/// The same profiles with the contradiction resolved as the hints say.
#[test]
fn what_the_hints_say_is_accepted() {
    for text in [
        LINKS.replace("\"192.0.2.1\", \"fe80::1\"]", "\"192.0.3.1\"]\nroutes = [{ to = \"192.0.3.1/32\" }]"),
        LINKS.replace("\"192.0.2.53\"]", "\"192.0.2.53#dns.example\"]\ndns_over_tls = \"yes\""),
        LINKS.replace("dns = ", "metric = 10\ndns = ") + "\n[network.rest]\nmetric = 20\n",
        LINKS.replace("192.0.2.10/24", "192.0.2.10/31").replace("192.0.2.1\"", "192.0.2.11\""),
        LINKS.replace("parent = \"lan\"", "parent = \"store\"").replace("\"10.10.0.1/24\"]", "\"10.10.0.1/24\"]\nmtu = 9000"),
        // A gateway that the link knows only once DHCP has answered.
        "[image]\nname = \"x\"\nversion = \"1\"\n[network.a]\nroutes = [{ to = \"10.0.0.0/8\", via = \"192.0.2.9\" }]\n".into(),
    ] {
        links(&text);
    }
}

#[test]
fn what_stands_below_others_asks_for_nothing() {
    let text = "[image]\nname = \"x\"\nversion = \"1\"\n[network.trunk]\nmatch = { order = 1 }\n\
                [network.a]\nvlan = { id = 1, parent = \"trunk\" }\n[network.c]\nmatch = { order = 2 }\n\
                [network.b]\nbond = { members = [\"c\"] }\ndhcp_ipv6 = false\nmetric = 7\n";
    let links = links(text);
    let of = |name: &str| (links[name].dhcp_ipv4, links[name].dhcp_ipv6, links[name].router_advertisements);
    assert_eq!(of("trunk"), (false, false, false));
    assert_eq!(of("a"), (true, true, true));
    assert_eq!(of("c"), (false, false, false));
    assert_eq!(of("b"), (true, false, true));
}

#[test]
fn host_names_time_and_language() {
    const HEAD: &str = "[image]\nname = \"x\"\nversion = \"1\"\n";
    let recipe =
        |text: &str| parse(&format!("{HEAD}{text}"), "x.toml", &mut shipped).unwrap_or_else(|e| panic!("{e}")).0;
    let plain = recipe("");
    assert_eq!((plain.image.hostname.as_str(), plain.time.timezone.as_str()), ("x", "UTC"));
    assert_eq!((plain.time.fallback_ntp, plain.locale.lang.as_str()), (None, "C.UTF-8"));
    let has = |recipe: &Recipe, package: &str| recipe.packages.include.iter().any(|p| p == package);
    assert!(!["tzdata", "locales"].iter().any(|p| plain.packages.include.contains(&(*p).to_owned())));
    let said = recipe(
        "hostname = \"a.example\"\n[time]\ntimezone = \"Etc/GMT+2\"\nfallback_ntp = []\n[locale]\nmore = [\"nds_DE.UTF-8\", \"ca_ES.UTF-8@valencia\"]\n",
    );
    assert!(has(&said, "tzdata") && has(&said, "locales"));
    assert_eq!(said.time.fallback_ntp, Some(vec![]));
    let wrong = |text: &str| error(&format!("{HEAD}{text}"));
    let all = [
        wrong("hostname = \"Web\"\n"),
        wrong("hostname = \"192.168\"\n"),
        wrong("hostname = \"a..b\"\n"),
        wrong("hostname = \"-a\"\n"),
        wrong("[time]\ntimezone = \"europe/Vienna\"\n"),
        wrong("[time]\ntimezone = \"/Europe\"\n"),
        wrong("[time]\ntimezone = \"Europe/../Vienna\"\n"),
        wrong("[time]\nntp = [\"ntp_1\"]\n"),
        wrong("[locale]\nlang = \"de_AT\"\n"),
        wrong("[locale]\nlang = \"de_AT.ISO-8859-1\"\n"),
        wrong("[locale]\nlang = \"de.UTF-8\"\n"),
        wrong("[locale]\nlang = \"C.UTF-8@euro\"\n"),
    ];
    insta::assert_snapshot!("machine", all.join("\n\n"));
}

#[test]
fn names_of_hosts_are_refused_with_the_right_one() {
    let name = |name: &str| error(&format!("[image]\nname = \"x\"\nversion = \"1\"\nhostname = \"{name}\"\n"));
    let all = ["Web-1.example", "web_1", "Web_1", "-web", "web-", "a..b", "wéb", "10.1"].map(name);
    insta::assert_snapshot!("host_names", all.join("\n\n"));
}

/// A router: two uplinks with tables of their own, and a network that it serves.
const ROUTER: &str = r#"
[image]
name = "x"
version = "1"

[network.one]
match = { order = 1 }
addresses = ["203.0.113.7/32"]
gateways = ["172.31.1.1"]
gateway_on_link = true
router_advertisements = false

[network.two]
match = { order = 2 }
addresses = ["198.51.100.10/24"]
gateways = ["198.51.100.1"]
table = 200
rules = [{ from = "198.51.100.0/24", table = 200 }]

[network.inside]
match = { order = 3 }
addresses = ["10.1.0.1/24", "fd00:1::1/64"]
dhcp_server = { first = "10.1.0.100", last = "10.1.0.199", reservations = [{ mac = "52:54:00:00:00:01", address = "10.1.0.9" }] }
advertise = {}

[network.three]
match = { order = 4 }
addresses = ["192.0.2.1/24"]

[network.blue]
vrf = { members = ["three"], table = 300 }

[network.green]
vrf = { members = [], table = 301 }

[firewall.forward]
allow = [{ in = ["inside"], out = ["one"] }]
"#;

#[test]
fn a_router_is_meant_as_written() {
    let links = links(ROUTER);
    let inside = &links["inside"];
    let (server, advertise) = (inside.dhcp_server.as_ref().unwrap(), inside.advertise.as_ref().unwrap());
    assert_eq!((server.router, advertise.router), (Some(true), Some(true)), "something passes from there");
    assert_eq!(advertise.prefixes, ["fd00:1::/64"]);
    assert!(!inside.router_advertisements, "it sends them");
    assert_eq!((inside.group, links["one"].group, links["two"].group), (Some(1), Some(2), None));
}

#[test]
fn findings_about_routes_and_what_is_served() {
    let bad = |from: &str, to: &str| {
        assert_eq!(ROUTER.matches(from).count(), 1, "`{from}` must stand in the router once");
        error(&ROUTER.replace(from, to))
    };
    let all = [
        bad("gateway_on_link = true\n", ""),
        bad("gateways = [\"172.31.1.1\"]\n", ""),
        bad("table = 200\nrules", "rules"),
        bad("from = \"198.51.100.0/24\", table", "from = \"198.51.100.0/24\", to = \"fd00::/8\", table"),
        bad("rules = [{ from = \"198.51.100.0/24\", table = 200 }]", "rules = [{ table = 200 }]"),
        bad("last = \"10.1.0.199\"", "last = \"10.1.1.199\""),
        bad("last = \"10.1.0.199\"", "last = \"10.1.0.99\""),
        bad("last = \"10.1.0.199\"", "last = \"10.1.0.255\""),
        bad("address = \"10.1.0.9\"", "address = \"10.1.0.1\""),
        bad("address = \"10.1.0.9\"", "address = \"10.2.0.1\""),
        bad("advertise = {}", "advertise = {}\ndhcp_ipv4 = true"),
        bad("advertise = {}", "advertise = {}\nrouter_advertisements = true"),
        bad("advertise = {}", "advertise = { prefixes = [\"fd00:1::/48\"] }"),
        bad("advertise = {}", "advertise = { dns = [\"10.1.0.1\"] }"),
        bad(", \"fd00:1::1/64\"]", "]"),
        bad("members = [\"three\"]", "members = [\"threee\"]"),
        bad("members = [\"three\"]", "members = [\"blue\"]"),
        bad("members = [\"three\"]", "members = [\"two\"]"),
        bad("table = 300", "table = 254"),
        bad("table = 301", "table = 300"),
    ];
    insta::assert_snapshot!("findings_of_router", all.join("\n\n"));
}
