//! `[vpn]`: what is refused, and what follows.

use super::*;
use crate::recipe::{Endpoint, LinkKind};

#[test]
fn errors_show_the_line() {
    let key = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
    let second = format!(
        "preshared_key = true\n[vpn.office.peers.other]\npublic_key = \"{key}\"\nallowed = [\"10.99.0.3/32\"]\n"
    );
    let twice =
        second.replace(key, "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=").replace("10.99.0.3/32", "10.60.0.0/16");
    let all = [
        with("type = \"wireguard\"", "type = \"openvpn\""),
        with(key, "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8D="),
        with("\"vpn.example:51820\"", "\"vpn.example\""),
        with("\"vpn.example:51820\"", "\"2001:db8::1:51820\""),
        with("\"vpn.example:51820\"", "\"10.60.1.1:51820\""),
        with("[vpn.office]\n", "[vpn.lan]\n"),
        with("\"10.60.0.0/16\"", "\"0.0.0.0/0\""),
        with("\"10.60.0.0/16\"", "\"192.0.0.0/8\""),
        with("\"10.60.0.0/16\"", "\"192.0.2.64/26\""),
        with("port = 51820\nfrom = [\"office\"]\n", "from = [\"office\"]\n"),
        with(
            "allow = [\n  { port = 443,",
            "allow = [\n  { port = 51820, protocol = \"udp\", listener = \"wireguard\" },\n  { port = 443,",
        ),
        with("preshared_key = true\n", &second),
        with("preshared_key = true\n", &twice),
    ];
    insta::assert_snapshot!("vpn", all.join("\n\n"));
}

fn tunnel(more: &str) -> std::result::Result<Recipe, String> {
    let text = format!(
        "[image]\nname = \"x\"\nversion = \"1\"\n[vpn.office]\ntype = \"wireguard\"\naddresses = [\"10.99.0.1/24\"]\n\
         [vpn.office.peers.school]\npublic_key = \"xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\"\n{more}"
    );
    parse(&text, "x.toml", &mut shipped).map(|(recipe, _)| recipe).map_err(|e| e.to_string())
}

/// A tunnel must not take the answers away from those who administer the machine by another link.
#[test]
fn the_administrators_way_in_is_not_led_into_a_tunnel() {
    let ssh = |rule: &str| {
        tunnel(&format!(
            "allowed = [\"10.99.0.2/32\", \"198.51.0.0/16\"]\nendpoint = \"192.0.2.9:51820\"\n[firewall]\nallow = [{rule}]\n"
        ))
    };
    let refused = ssh("{ port = 22, from = [\"198.51.100.0/24\"] }").expect_err("they would be locked out");
    assert!(refused.contains("would take the administrators' way in"), "{refused}");
    assert!(refused.contains("in = [\"office\"]"), "{refused}");
    for good in [
        "{ port = 22 }",
        "{ port = 22, from = [\"203.0.113.0/24\"] }",
        "{ port = 22, from = [\"10.99.0.0/24\"] }",
        "{ port = 22, from = [\"198.51.100.0/24\"], in = [\"office\"] }",
        "{ port = 22, from = [\"198.0.0.0/8\"] }",
    ] {
        assert!(ssh(good).is_ok(), "{good}: {:?}", ssh(good).err());
    }
}

#[test]
fn a_tunnel_is_a_link_with_routes_a_rule_and_its_program() {
    let recipe = tunnel("allowed = [\"10.99.0.2/32\", \"10.60.0.0/16\"]\nendpoint = \"[2001:db8::9]:4500\"\n").unwrap();
    let link = &recipe.network["office"];
    assert!(matches!(link.kind, LinkKind::Wireguard(_)) && !link.required);
    assert_eq!(link.routes.iter().map(|r| r.to.as_str()).collect::<Vec<_>>(), ["10.60.0.0/16"]);
    assert!(recipe.network.contains_key("ethernet"), "a tunnel is no way out by itself");
    assert!(recipe.packages.include.iter().any(|p| p == "wireguard-tools"));
    assert_eq!(recipe.firewall.allow, [], "it begins, and nobody comes");
    assert_eq!(recipe.tunnel_credentials()[0].0, "network.wireguard.private.office");
    let full = parse(FULL, "profiles/full.toml", &mut shipped).unwrap_or_else(|e| panic!("{e}")).0;
    let rule = full.firewall.allow.iter().find(|a| a.id() == "vpn_office").expect("its rule");
    assert!(rule.what.is_port(Protocol::Udp, 51_820) && rule.from.len() == 1);
    let keys: Vec<String> = full.tunnel_credentials().into_iter().map(|(name, _)| name).collect();
    assert_eq!(keys, ["network.wireguard.private.office", "network.wireguard.psk.office.school"]);
}

#[test]
fn endpoints_are_read_as_they_are_written() {
    for text in ["vpn.example.org:51820", "192.0.2.1:1", "[2001:db8::1]:65535"] {
        assert_eq!(Endpoint::try_from(text.to_owned()).expect(text).to_string(), text);
    }
    for bad in ["vpn.example.org", "a:0", "a:065", "a:70000", "[a]:1", "2001:db8::1:1", "[2001:db8::1]", ":1:"] {
        assert!(Endpoint::try_from(bad.to_owned()).is_err(), "{bad}");
    }
}
