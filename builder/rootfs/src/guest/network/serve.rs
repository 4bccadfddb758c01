//! What a link serves to others: addresses by DHCPv4, and router advertisements; systemd.network(5).

use super::yes;
use crate::guest::ini::Ini;
use diorite_model::recipe::{DhcpServer, Link, Network};
use std::net::{IpAddr, Ipv4Addr};

/// The sections that say so.
pub(super) fn served(mut ini: Ini, link: &Link) -> Ini {
    if let Some(server) = &link.dhcp_server {
        ini = leases(ini, link, server);
    }
    let Some(advertise) = &link.advertise else { return ini };
    ini = ini.section("IPv6SendRA").set("EmitDNS", yes(!advertise.dns.is_empty()));
    ini = ini.each("DNS", advertise.dns.iter().cloned()).set("EmitDomains", yes(!advertise.search.is_empty()));
    ini = ini.each("Domains", advertise.search.iter().cloned());
    if advertise.router != Some(true) {
        ini = ini.set("RouterLifetimeSec", "0");
    }
    advertise.prefixes.iter().fold(ini, |ini, prefix| ini.section("IPv6Prefix").set("Prefix", prefix.clone()))
}

fn leases(ini: Ini, link: &Link, server: &DhcpServer) -> Ini {
    let mut ini = ini.section("DHCPServer");
    if let Some((address, network)) = link.addresses.iter().find_map(|text| around(text, server.first)) {
        let offset = server.first.to_bits() - network.to_bits();
        ini = ini.set("ServerAddress", address).set("PoolOffset", offset.to_string());
    }
    let size = u64::from(server.last.to_bits().saturating_sub(server.first.to_bits())) + 1;
    ini = ini
        .set("PoolSize", size.to_string())
        .set("DefaultLeaseTimeSec", server.lease.to_string())
        .set("MaxLeaseTimeSec", server.lease.to_string())
        .set("EmitRouter", yes(server.router == Some(true)))
        .each("DNS", server.dns.iter().cloned())
        .set("EmitNTP", yes(!server.ntp.is_empty()))
        .each("NTP", server.ntp.iter().cloned());
    for reservation in &server.reservations {
        ini = ini.section("DHCPServerStaticLease").set("MACAddress", reservation.mac.clone());
        ini = ini.set("Address", reservation.address.to_string());
    }
    ini
}

/// An address of the link as it is written, and the first one of its network, where that holds `first`.
fn around(text: &str, first: Ipv4Addr) -> Option<(String, Ipv4Addr)> {
    let (address, length) = text.split_once('/')?;
    let (address, length): (Ipv4Addr, u32) = (address.parse().ok()?, length.parse().ok()?);
    let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
    let network = Ipv4Addr::from_bits(address.to_bits() & mask);
    let holds: Network = format!("{network}/{length}").parse().ok()?;
    holds.contains(IpAddr::V4(first)).then(|| (text.to_owned(), network))
}
