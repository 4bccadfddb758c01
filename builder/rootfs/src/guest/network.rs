//! Network links → systemd.network(5) files; the resolver without LLMNR and multicast DNS.

use super::Guest;
use super::ini::Ini;
use diorite_model::recipe::{Link, LinkMatch};
use diorite_model::{Recipe, Result};

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    for (name, link) in &recipe.network {
        // A link that names no card comes last: the first file that matches wins.
        let order = if link.matching == LinkMatch::default() { 80 } else { 20 };
        guest.file(&format!("etc/systemd/network/{order}-{name}.network"), 0o644, file(link).finish()?)?;
    }
    let resolver = Ini::new().section("Resolve").set("LLMNR", "no").set("MulticastDNS", "no");
    guest.file("etc/systemd/resolved.conf.d/10-diorite.conf", 0o644, resolver.finish()?)?;
    guest.link("etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf")?;
    guest.enable("systemd-networkd.service")?;
    guest.enable("systemd-resolved.service")?;
    guest.enable("systemd-timesyncd.service")
}

fn file(link: &Link) -> Ini {
    let m = &link.matching;
    let mut ini = Ini::new().section("Match");
    if *m == LinkMatch::default() {
        // Every physical Ethernet card: Kind= is what virtual links have.
        ini = ini.set("Type", "ether").set("Kind", "!*");
    }
    ini = ini.each("MACAddress", m.mac.iter().cloned()).each("Name", m.name.iter().cloned());
    ini = ini.each("Driver", m.driver.iter().cloned());
    let yes = |b: bool| if b { "yes" } else { "no" };
    ini.section("Network")
        .set("DHCP", yes(link.dhcp))
        .set("IPv6AcceptRA", yes(link.router_advertisements))
        .set("LinkLocalAddressing", "ipv6")
        .set("LLMNR", "no")
        .set("MulticastDNS", "no")
        .each("Address", link.addresses.iter().cloned())
        .each("Gateway", link.gateways.iter().cloned())
        .each("DNS", link.dns.iter().cloned())
}
