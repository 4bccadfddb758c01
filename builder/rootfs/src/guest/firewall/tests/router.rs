//! What a router's rules do with packets.

use super::*;

/// A router with a network and guests behind it.
const ROUTER: &str = "[network.wan]\nmatch = { order = 1 }\ndhcp = true\n\
    [network.lan]\nmatch = { order = 2 }\naddresses = [\"10.1.0.1/24\", \"fd00:1::1/64\"]\nadvertise = {}\n\
    dhcp_server = { first = \"10.1.0.100\", last = \"10.1.0.199\" }\n\
    [network.guests]\nmatch = { order = 3 }\naddresses = [\"10.2.0.1/24\"]\n\
    [firewall]\nallow = [{ protocol = \"esp\" }, { protocol = \"igmp\" }, { number = 99, from = [\"fd00::/8\"] },\n\
      { protocol = \"icmp\", type = \"timestamp-request\" }, { port = 22, in = [\"lan\"], rate = \"6/minute\" }]\n\
    [firewall.forward]\nallow = [{ in = [\"lan\"], out = [\"wan\"] },\n\
      { in = [\"guests\"], out = [\"wan\"], port = 443, from = [\"10.2.0.0/24\"] },\n\
      { in = [\"wan\"], out = [\"lan\"], protocol = \"icmpv6\", type = \"echo-request\", to = [\"fd00:1::/64\", \"10.1.0.0/24\"] }]\n\
    [firewall.nat]\nmasquerade = [{ out = [\"wan\"] }, { out = [\"wan\"], from = [\"fd00:1::/64\"], address = \"2001:db8::1\" }]\n\
    ports = [{ in = [\"wan\"], port = 443, to = \"10.1.0.5\", to_port = 8443 },\n\
      { in = [\"wan\"], port = 7000, last_port = 7010, to = \"fd00:1::5\", from = [\"2001:db8::/32\"] }]\n\
    [firewall.egress]\npolicy = \"drop\"\n";

#[test]
fn rules_of_a_router() {
    insta::assert_snapshot!("router", text(&recipe(ROUTER)));
}

/// The groups are in the order of the links' names: guests 1, lan 2, wan 3.
#[test]
fn a_router_lets_pass_what_is_declared_from_link_to_link() {
    let rules = text(&recipe(ROUTER));
    let passes = |groups, source: &str, protocol, port, kind, to: &str, translated| {
        let destination = to.parse().unwrap();
        judge(&rules, &Packet { groups, destination, kind, translated, ..packet("forward", source, protocol, port) }).0
    };
    let tcp = |groups, source: &str, to: &str, port| passes(groups, source, "tcp", port, "", to, None);
    let (out, out6, far) = ((2, 3), "2001:db8:9::9", "203.0.113.9");
    assert!(tcp(out, "10.1.0.9", far, 80) && passes(out, "10.1.0.9", "50", 0, "", far, None), "anything from lan");
    assert!(tcp(out, "fd00:1::9", out6, 80));
    assert!(
        !tcp((3, 2), far, "10.1.0.9", 80) && !tcp((0, 3), "10.1.0.9", far, 80),
        "nothing the other way, or from nowhere"
    );
    assert!(tcp((1, 3), "10.2.0.9", far, 443) && !tcp((1, 3), "10.2.0.9", far, 80));
    assert!(!tcp((1, 3), "10.1.0.9", far, 443) && !tcp((1, 2), "10.2.0.9", "10.1.0.9", 443), "guests do not reach lan");
    let ping = |protocol, kind, source: &str, to: &str| passes((3, 2), source, protocol, 0, kind, to, None);
    assert!(ping("icmpv6", "128", out6, "fd00:1::9") && !ping("icmpv6", "129", out6, "fd00:1::9"));
    assert!(!ping("icmpv6", "128", out6, "fd00:2::9") && !ping("icmp", "128", far, "10.1.0.9"));
    // A port that leads inside: only what was translated.
    let inside = |translated| passes((3, 2), far, "tcp", 8443, "", "10.1.0.5", translated);
    assert!(inside(Some(443)) && !inside(None));
    assert!(!passes((1, 2), "10.2.0.9", "tcp", 8443, "", "10.1.0.5", Some(443)), "asked by another link");
}

#[test]
fn a_router_admits_protocols_and_links_and_serves_its_network() {
    let rules = text(&recipe(ROUTER));
    let comes = |groups, source: &str, protocol, port, kind| {
        judge(&rules, &Packet { groups, kind, ..packet("input", source, protocol, port) }).0
    };
    assert!(comes((3, 0), "203.0.113.9", "50", 0, "") && comes((3, 0), "2001:db8::9", "50", 0, ""));
    assert!(comes((3, 0), "203.0.113.9", "2", 0, "") && !comes((3, 0), "2001:db8::9", "2", 0, ""), "IGMP is IPv4");
    assert!(comes((2, 0), "fd00:1::9", "99", 0, "") && !comes((2, 0), "10.1.0.9", "99", 0, ""));
    assert!(comes((2, 0), "10.1.0.9", "icmp", 0, "13") && !comes((2, 0), "10.1.0.9", "51", 0, ""));
    assert!(comes((2, 0), "10.1.0.9", "tcp", 22, "") && !comes((3, 0), "203.0.113.9", "tcp", 22, ""));
    assert!(comes((2, 0), "0.0.0.0", "udp", 67, "") && !comes((1, 0), "0.0.0.0", "udp", 67, ""), "it leases on lan");
    assert!(comes((2, 0), "fe80::9", "icmpv6", 0, "nd-router-solicit"));
    assert!(!comes((3, 0), "fe80::9", "icmpv6", 0, "nd-router-solicit"));
    let goes = |groups, protocol, port, kind, source| {
        judge(&rules, &Packet { groups, kind, ..packet("output", source, protocol, port) }).0
    };
    assert!(goes((0, 2), "udp", 68, "", "10.1.0.1") && !goes((0, 1), "udp", 68, "", "10.2.0.1"));
    assert!(goes((0, 2), "icmpv6", 0, "nd-router-advert", "fe80::1"));
}
