//! Files and rules of a tunnel. No secret is in them.

use super::*;

const TUNNEL: &str = r#"
[image]
name = "x"
version = "1"

[network.lan]
dhcp = true

[firewall]
egress = { policy = "drop" }
allow = [{ port = 22, from = ["10.98.0.0/24"], in = ["office"] }]

[vpn.office]
type = "wireguard"
addresses = ["10.98.0.1/24"]
port = 51820
from = ["192.0.2.0/24"]
dns = ["10.98.0.53"]
route_domains = ["office.example"]

[vpn.office.peers.anna]
public_key = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
allowed = ["10.98.0.2/32"]

[vpn.office.peers.school]
public_key = "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0="
allowed = ["10.98.0.3/32", "10.60.0.0/16"]
endpoint = "192.0.2.9:4500"
keepalive = 25
preshared_key = true
"#;

fn file(all: &GuestFiles, path: &str) -> String {
    let node = all.nodes.get(path.as_bytes()).unwrap_or_else(|| panic!("{path} is missing"));
    let NodeKind::File(content) = &node.kind else { panic!("{path} is a file") };
    String::from_utf8_lossy(content.bytes()).into_owned()
}

#[test]
fn a_tunnel_is_a_device_with_its_peers() {
    let all = generated(&recipe(TUNNEL)).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(
        file(&all, "etc/systemd/network/10-office.netdev"),
        "[NetDev]\nName=office\nKind=wireguard\n\n\
         [WireGuard]\nPrivateKey=@network.wireguard.private.office\nListenPort=51820\n\n\
         [WireGuardPeer]\nPublicKey=xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\nAllowedIPs=10.98.0.2/32\n\n\
         [WireGuardPeer]\nPublicKey=TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=\n\
         PresharedKey=@network.wireguard.psk.office.school\nAllowedIPs=10.98.0.3/32\nAllowedIPs=10.60.0.0/16\n\
         Endpoint=192.0.2.9:4500\nPersistentKeepalive=25\n"
    );
    let network = file(&all, "etc/systemd/network/10-office.network");
    for line in [
        "Name=office",
        "MTUBytes=1420",
        "Group=1",
        "RequiredForOnline=no",
        "DHCP=no",
        "IPv6AcceptRA=no",
        "LinkLocalAddressing=no",
        "Address=10.98.0.1/24",
        "DNS=10.98.0.53",
        "Domains=~office.example",
        "Destination=10.60.0.0/16",
    ] {
        assert!(network.lines().any(|l| l == line), "{line} is not in\n{network}");
    }
    assert!(!network.contains("10.98.0.3"), "what is on the link by its address needs no route: {network}");
}

#[test]
fn the_port_is_admitted_and_the_other_end_is_called() {
    let rules = firewall::render(&firewall::ruleset(&recipe(TUNNEL))).unwrap();
    let rule = |counter: &str| rules.lines().find(|l| l.contains(counter) && l.contains("accept")).map(str::trim);
    let port = rule("\"input_vpn_office\"").unwrap_or_else(|| panic!("no rule: {rules}"));
    assert!(port.contains("192.0.2.0/24") && port.contains("udp dport 51820"), "{port}");
    let out = rule("\"egress_vpn_office\"").unwrap_or_else(|| panic!("no rule: {rules}"));
    assert!(out.contains("192.0.2.9") && out.contains("udp dport 4500"), "{out}");
    let ssh = rule("\"input_tcp_22\"").unwrap_or_else(|| panic!("no rule: {rules}"));
    assert!(ssh.contains("iifgroup") && ssh.contains("10.98.0.0/24"), "by the tunnel alone: {ssh}");
}

const AUTHORITY: &str = "\
-----BEGIN CERTIFICATE-----
MIIBlTCCAUegAwIBAgIUCTjgWrqqZkj6e/u+zUhgG5N7uDQwBQYDK2VwMDcxFzAV
BgNVBAoMDkV4YW1wbGUgU2Nob29sMRwwGgYDVQQDDBNFeGFtcGxlIFNjaG9vbCBS
b290MCAXDTI2MTEyOTE5MDAxNFoYDzIxMjYxMTA1MTkwMDE0WjA3MRcwFQYDVQQK
DA5FeGFtcGxlIFNjaG9vbDEcMBoGA1UEAwwTRXhhbXBsZSBTY2hvb2wgUm9vdDAq
MAUGAytlcAMhAD9aeVxPIv+xBfC0cP16JsinO2s+h/20L94We4MA3tHCo2MwYTAd
BgNVHQ4EFgQU/IFOfmy/RIhQx9P8PoE2J0RB8o4wHwYDVR0jBBgwFoAU/IFOfmy/
RIhQx9P8PoE2J0RB8o4wDwYDVR0TAQH/BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAQYw
BQYDK2VwA0EAcOmEBmZuyKr9KtqyZiY2L5ZiD4wpranEX9sBnIMNqPIPKY9vzvoR
Vva1PsXMiGr0lFMFe7tiB+Bi4pce1tC+CA==
-----END CERTIFICATE-----
";

/// One tunnel of each way to prove who one is, and one to a FortiGate.
fn others() -> Recipe {
    let ca = format!("ca = \"\"\"\n{AUTHORITY}\"\"\"\n");
    recipe(&format!(
        r#"
[image]
name = "x"
version = "1"

[kernel]
flavour = "generic"

[network.lan]
dhcp = true

[vpn.gate]
type = "ipsec"
gateway = "gate.example.org"
learn_address = true
auth = "eap-mschapv2"
user = "ledger"
{ca}
remote = ["10.61.0.0/16"]
only_through = ["10.61.0.0/16"]

[vpn.site]
type = "ipsec"
addresses = ["10.97.0.1/24"]
local = ["10.97.0.0/24"]
peer_id = "site"
id = "own"
remote = ["10.62.0.0/16", "10.63.0.0/16"]

[vpn.ssl]
type = "fortinet_ssl"
gateway = "192.0.2.40"
port = 10443
user = "ledger"
trusted_certificates = ["e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]
remote = ["10.64.0.0/16"]

[vpn.trust]
type = "ipsec"
addresses = ["10.98.0.1/32"]
gateway = "192.0.2.9"
auth = "certificate"
{ca}
remote = ["10.65.0.0/16"]
"#
    ))
}

/// The daemon's units are Debian's: the tree of the test has them.
fn made() -> GuestFiles {
    let mut tree = tree();
    let unit = "[Service]\nExecStart=/usr/sbin/charon-systemd\n[Install]\nWantedBy=multi-user.target\n";
    tree.insert(*b"usr/lib/systemd/system/strongswan.service", Node::file(0o644, unit));
    generate(&others(), &tree, &[], &BTreeMap::new()).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn tunnels_of_other_types_are_files_without_a_secret() {
    let all = made();
    let mut shown = String::new();
    for (path, node) in &all.nodes {
        let path = String::from_utf8_lossy(path);
        let ours =
            ["strongswan", "swanctl", "diorite-ipsec", "diorite-fortinet", "openfortivpn", "-gate.", "-site.", "-ssl."];
        let NodeKind::File(content) = &node.kind else { continue };
        if ours.iter().any(|part| path.contains(part)) {
            shown += &format!("=== /{path}\n{}\n", String::from_utf8_lossy(content.bytes()));
        }
    }
    insta::assert_snapshot!("tunnels", shown);
    let link = &all.nodes[b"etc/swanctl/private".as_slice()];
    assert!(matches!(&link.kind, NodeKind::Symlink(target) if target == b"/run/diorite-ipsec/private"));
}
