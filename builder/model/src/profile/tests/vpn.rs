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

/// The two other types: what each refuses.
#[test]
fn errors_of_other_types_show_the_line() {
    let all = [
        with("gateway = \"gate.example.org\"", "gateway = \"gate.example.org\"\npeers = {}"),
        with("gateway = \"gate.example.org\"", "gateway = \"gate.example.org/x\""),
        with("gateway = \"gate.example.org\"\n", ""),
        with("gateway = \"gate.example.org\"", "gateway = \"10.61.0.1\""),
        with("auth = \"eap-mschapv2\"", "auth = \"psk\""),
        with("auth = \"eap-mschapv2\"\nuser = \"ledger@example.org\"", "auth = \"eap-mschapv2\""),
        with("learn_address = true", "learn_address = true\nlocal = [\"10.97.1.0/24\"]"),
        with("learn_address = true\n", ""),
        with("user = \"ledger@example.org\"", "user = \"x\\\"; y\""),
        with("addresses = [\"10.97.0.1/32\"]", "addresses = [\"10.96.0.1/32\"]"),
        with("peer_id = \"branch.example.org\"\n", ""),
        with("peer_id = \"branch.example.org\"", "peer_id = \"%any\""),
        with("aes256gcm16-prfsha384-ecp384", "3des-sha1-modp1024"),
        with("aes256gcm16-prfsha384-ecp384", "aes256gcm16-ecp384"),
        with("esp_proposals = [\"aes256gcm16-ecp384\"]", "esp_proposals = [\"aes256-ecp384\"]"),
        with("remote = [\"10.62.0.0/16\"]", "remote = [\"10.61.0.0/16\"]"),
        with("remote = [\"10.62.0.0/16\"]", "remote = [\"192.0.0.0/8\"]"),
        with("only_through = [\"10.61.0.0/16\"]", "only_through = [\"10.64.0.0/16\"]"),
        with("only_through = [\"10.61.0.0/16\"]", "only_through = [\"10.0.0.0/8\"]"),
        with("only_through = [\"10.61.0.0/16\"]", "only_through = [\"0.0.0.0/0\"]"),
        with("flavour = \"generic\"", "flavour = \"cloud\""),
        with("port = 10_443", "port = 10_443\nmtu = 1400"),
        with("realm = \"servers\"", "realm = \"../x\""),
        with("remote = [\"10.63.0.0/16\"]", "remote = []"),
    ];
    insta::assert_snapshot!("vpn_types", all.join("\n\n"));
}

/// The two ports of IKE are admitted where somebody comes, and called where this machine begins.
#[test]
fn ipsec_follows_from_the_table() {
    let full = parse(FULL, "profiles/full.toml", &mut shipped).unwrap_or_else(|e| panic!("{e}")).0;
    let rule = |port: u16| full.firewall.allow.iter().find(|a| a.id() == format!("vpn_branch_{port}")).expect("a rule");
    for port in [500, 4500] {
        assert!(rule(port).what.is_port(Protocol::Udp, port) && rule(port).from.len() == 1);
    }
    assert!(!full.firewall.allow.iter().any(|a| a.id().starts_with("vpn_gate")), "it begins, and nobody comes");
    let calls: Vec<(&str, u16)> = full.tunnel_calls().iter().map(|c| (c.tunnel, c.port)).collect();
    assert_eq!(calls, [("gate", 500), ("gate", 4500), ("office", 51_820), ("ssl", 10_443)]);
    let credentials: Vec<String> = full.tunnel_credentials().into_iter().map(|(name, _)| name).collect();
    for name in ["vpn.psk.branch", "vpn.password.gate", "vpn.password.ssl"] {
        assert!(credentials.iter().any(|c| c == name), "{name} is not in {credentials:?}");
    }
    for package in ["charon-systemd", "strongswan-swanctl", "libcharon-extra-plugins", "openfortivpn"] {
        assert!(full.packages.include.iter().any(|p| p == package), "{package}");
    }
    let (gate, branch) = (&full.network["gate"], &full.network["branch"]);
    assert_eq!(gate.routes.iter().map(|r| r.to.as_str()).collect::<Vec<_>>(), ["10.61.0.0/16"]);
    assert!(gate.group.is_some() && branch.group.is_none(), "what leaves by one link alone is told apart by its group");
    let number = |link: &crate::recipe::Link| match &link.kind {
        LinkKind::Ipsec(ipsec) => ipsec.interface,
        _ => 0,
    };
    assert_eq!((number(branch), number(gate)), (1, 2));
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
    let keys: Vec<&str> = keys.iter().map(String::as_str).filter(|k| k.starts_with("network.")).collect();
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
