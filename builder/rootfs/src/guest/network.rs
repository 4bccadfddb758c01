//! The table `[network]`: links → systemd.netdev(5) and systemd.network(5) files; the resolver without LLMNR and multicast DNS.

mod serve;

use super::Guest;
use super::ini::Ini;
use super::vpn;
use diorite_model::recipe::{DnsOverTls, Link, LinkKind, LinkMatch};
use diorite_model::{Recipe, Result};
use std::collections::BTreeMap;

const DIRECTORY: &str = "etc/systemd/network";
/// Numbers the cards; sets a property of udev(7) for each.
const ORDER: &str = "usr/lib/diorite/card-order";
const PROPERTY: &str = "DIORITE_CARD";

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    let links = &recipe.network;
    for (name, link) in links {
        if let Some(device) = device(name, link) {
            guest.file(&format!("{DIRECTORY}/10-{name}.netdev"), 0o644, device.finish()?)?;
        }
        let file = format!("{DIRECTORY}/{}-{name}.network", rank(&link.kind));
        guest.file(&file, 0o644, network(name, link, links).finish()?)?;
    }
    if links.values().any(|l| matches!(&l.kind, LinkKind::Card(LinkMatch { order: Some(_), .. }))) {
        guest.file(ORDER, 0o755, CARD_ORDER)?;
        let rule =
            format!("ACTION!=\"remove\", SUBSYSTEM==\"net\", SUBSYSTEMS==\"pci\", IMPORT{{program}}=\"/{ORDER}\"\n");
        guest.file("etc/udev/rules.d/75-diorite-card-order.rules", 0o644, rule)?;
    }
    let resolver = Ini::new().section("Resolve").set("LLMNR", "no").set("MulticastDNS", "no");
    guest.file("etc/systemd/resolved.conf.d/10-diorite.conf", 0o644, resolver.finish()?)?;
    guest.link("etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf")?;
    guest.enable("systemd-networkd.service")?;
    guest.enable("systemd-resolved.service")
}

/// The links of one machine as credentials that systemd-network-generator(8) makes files of: each before every file of
/// the image, and in the image's order.
pub fn credentials(links: &BTreeMap<String, Link>) -> Result<BTreeMap<String, Vec<u8>>> {
    let one = |(name, link): (&String, &Link)| {
        let credential = format!("network.network.0{}-{name}", rank(&link.kind));
        Ok((credential, network(name, link, links).finish()?))
    };
    links.iter().map(one).collect()
}

/// Run by udev for each card: which of the machine's Ethernet controllers (PCI class 0200) it is, by PCI address. The
/// kernel has found all of them before the first driver is loaded, so the number does not depend on who is quicker.
/// Virtual functions (SR-IOV) come and go and are not counted.
const CARD_ORDER: &str = "#!/bin/sh
number=0
for device in /sys/bus/pci/devices/*; do
  read -r class < \"$device/class\"
  case $class in 0x0200*) ;; *) continue ;; esac
  [ -e \"$device/physfn\" ] && continue
  number=$((number + 1))
  case $DEVPATH in */\"${device##*/}\"/*) echo \"DIORITE_CARD=$number\"; exit 0 ;; esac
done
exit 0
";

/// The first file that matches wins: what names one card comes before patterns, and any card last.
fn rank(kind: &LinkKind) -> u8 {
    match kind {
        LinkKind::Card(m) if *m == LinkMatch::default() => 80,
        LinkKind::Card(LinkMatch { mac: None, order: None, .. }) => 40,
        LinkKind::Card(_) => 20,
        _ => 10,
    }
}

fn yes(b: bool) -> &'static str {
    if b { "yes" } else { "no" }
}

/// The .netdev of a link that is not a card.
fn device(name: &str, link: &Link) -> Option<Ini> {
    let head = |kind: &str| Ini::new().section("NetDev").set("Name", name).set("Kind", kind);
    Some(match &link.kind {
        // pppd makes the device of the other.
        LinkKind::Card(_) | LinkKind::FortinetSsl(_) => return None,
        LinkKind::Vlan(vlan) => head("vlan").section("VLAN").set("Id", vlan.id.to_string()),
        LinkKind::Bond(bond) => {
            let ini = head("bond").section("Bond").set("Mode", bond.mode.word());
            let interval = format!("{}ms", bond.interval);
            match bond.arp_targets.is_empty() {
                true => ini.set("MIIMonitorSec", interval),
                false => ini.set("ARPIntervalSec", interval).set("ARPIPTargets", bond.arp_targets.join(" ")),
            }
        }
        LinkKind::Bridge(bridge) => head("bridge").section("Bridge").set("STP", yes(bridge.stp)),
        LinkKind::Vrf(vrf) => head("vrf").section("VRF").set("Table", vrf.table.to_string()),
        LinkKind::Wireguard(wireguard) => vpn::wireguard(head("wireguard"), name, wireguard),
        LinkKind::Ipsec(ipsec) => vpn::xfrm(head("xfrm"), ipsec),
    })
}

/// Which device gets the settings. What has no Kind= of its own is hardware: a VLAN or bond has the hardware address of
/// what it is made of, and must not be taken for it.
fn matching(name: &str, kind: &LinkKind, member_of_bond: bool) -> Ini {
    let ini = Ini::new().section("Match");
    let LinkKind::Card(m) = kind else { return ini.set("Name", name) };
    if *m == LinkMatch::default() {
        return ini.set("Type", "ether").set("Kind", "!*");
    }
    let mut ini = ini.each("Property", m.order.map(|n| format!("{PROPERTY}={n}")));
    // A member of a bond takes the bond's address; the one it was made with stays.
    let mac = if member_of_bond { "PermanentMACAddress" } else { "MACAddress" };
    ini = ini.each(mac, m.mac.iter().cloned()).each("Name", m.name.iter().cloned());
    ini = ini.each("Driver", m.driver.iter().cloned());
    if m.name.is_none() { ini.set("Kind", "!*") } else { ini }
}

fn network(name: &str, link: &Link, links: &BTreeMap<String, Link>) -> Ini {
    let owner = links.iter().find(|(_, l)| l.members().iter().any(|m| m == name));
    let bond = owner.filter(|(_, l)| matches!(l.kind, LinkKind::Bond(_))).map(|(n, _)| n.clone());
    let bridge = owner.filter(|(_, l)| matches!(l.kind, LinkKind::Bridge(_))).map(|(n, _)| n.clone());
    let vrf = links.iter().find(|(_, l)| l.routed().iter().any(|m| m == name)).map(|(n, _)| n.clone());
    let vlans = links.iter().filter(|(_, l)| matches!(&l.kind, LinkKind::Vlan(v) if v.parent == name));
    // A link without anything of its own only carries others.
    let bare = link.addresses.is_empty() && !link.dhcp_ipv4 && !link.dhcp_ipv6 && !link.router_advertisements;
    let empty = matches!(&link.kind, LinkKind::Bridge(b) if b.members.is_empty());

    let mut ini = matching(name, &link.kind, bond.is_some()).section("Link");
    ini = ini.each("MTUBytes", link.mtu.map(|m| m.to_string()));
    ini = ini.each("Group", link.group.map(|g| g.to_string()));
    // pppd sets it up, and tells when.
    ini = ini.each("ActivationPolicy", matches!(link.kind, LinkKind::FortinetSsl(_)).then_some("manual"));
    ini = ini.set(
        "RequiredForOnline",
        match (link.required && !empty, owner, bare) {
            (false, _, _) => "no",
            (true, Some(_), _) => "enslaved",
            (true, None, true) => "carrier",
            (true, None, false) => "routable",
        },
    );
    let dhcp = match (link.dhcp_ipv4, link.dhcp_ipv6) {
        (true, true) => "yes",
        (true, false) => "ipv4",
        (false, true) => "ipv6",
        (false, false) => "no",
    };
    ini = ini
        .section("Network")
        .each("Bond", bond)
        .each("Bridge", bridge)
        .each("VRF", vrf)
        .each("VLAN", vlans.map(|(n, _)| n.clone()))
        .set("DHCP", dhcp)
        .set("IPv6AcceptRA", yes(link.router_advertisements))
        // A tunnel knows no neighbours.
        .set("LinkLocalAddressing", if bare || link.kind.is_tunnel() { "no" } else { "ipv6" })
        .set("LLMNR", "no")
        .set("MulticastDNS", "no")
        .each("KeepConfiguration", vpn::learns_address(&link.kind).then_some("static"))
        .each("DHCPServer", link.dhcp_server.as_ref().map(|_| "yes"))
        .each("IPv6SendRA", link.advertise.as_ref().map(|_| "yes"));
    if empty {
        // It never has a carrier.
        ini = ini.set("ConfigureWithoutCarrier", "yes");
    }
    ini = ini.each("Address", link.addresses.iter().cloned());
    if !gateways_apart(link) {
        ini = ini.each("Gateway", link.gateways.iter().cloned());
    }
    ini = ini.each("DNS", link.dns.iter().cloned());
    if link.dns_over_tls != DnsOverTls::No {
        ini = ini.set("DNSOverTLS", link.dns_over_tls.word());
    }
    ini = ini
        .each("Domains", link.search.iter().cloned())
        .each("Domains", link.route_domains.iter().map(|d| format!("~{d}")));
    ini = ini.each("NTP", link.ntp.iter().cloned());
    serve::served(routes(learned(ini, link), link), link)
}

/// Whether the gateways need sections of their own, for what a plain `Gateway=` cannot say.
fn gateways_apart(link: &Link) -> bool {
    link.metric.is_some() || link.gateway_on_link || link.table.is_some()
}

/// What is taken of what DHCP and routers say.
fn learned(mut ini: Ini, link: &Link) -> Ini {
    let metric = || link.metric.map(|m| m.to_string());
    let dns = (!link.learn_dns).then_some("no");
    let table = || link.table.map(|t| t.to_string());
    if link.dhcp_ipv4 && (metric().is_some() || dns.is_some() || table().is_some()) {
        ini = ini.section("DHCPv4").each("RouteMetric", metric()).each("RouteTable", table()).each("UseDNS", dns);
    }
    if link.dhcp_ipv6 && (dns.is_some() || !link.router_advertisements) {
        ini = ini.section("DHCPv6").each("UseDNS", dns);
        if !link.router_advertisements {
            ini = ini.set("WithoutRA", "solicit");
        }
    }
    if link.router_advertisements {
        ini = ini.section("IPv6AcceptRA").set("DHCPv6Client", yes(link.dhcp_ipv6));
        ini = ini.each("RouteMetric", metric()).each("RouteTable", table()).each("UseDNS", dns);
    }
    ini
}

fn routes(mut ini: Ini, link: &Link) -> Ini {
    if gateways_apart(link) {
        for gateway in &link.gateways {
            ini =
                ini.section("Route").set("Gateway", gateway.clone()).each("Metric", link.metric.map(|m| m.to_string()));
            ini = ini.each("GatewayOnLink", link.gateway_on_link.then_some("yes"));
            ini = ini.each("Table", link.table.map(|t| t.to_string()));
        }
    }
    for rule in &link.rules {
        ini = ini
            .section("RoutingPolicyRule")
            .each("From", rule.from.iter().cloned())
            .each("To", rule.to.iter().cloned());
        ini = ini.set("Table", rule.table.to_string()).set("Priority", rule.priority.to_string());
    }
    further_routes(ini, link)
}

/// Routes beside the default ones.
pub(super) fn further_routes(mut ini: Ini, link: &Link) -> Ini {
    for route in &link.routes {
        ini = ini.section("Route").set("Destination", route.to.clone()).each("Gateway", route.via.iter().cloned());
        ini = ini.each("Metric", route.metric.map(|m| m.to_string()));
        ini = ini.each("GatewayOnLink", route.on_link.then_some("yes"));
        ini = ini.each("Table", route.table.or(link.table).map(|t| t.to_string()));
    }
    ini
}
