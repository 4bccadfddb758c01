//! What a link serves to others: `[network.NAME.dhcp_server]` and `[network.NAME.advertise]`.

use super::subnet::Subnet;
use crate::Result;
use crate::profile::{field::*, section::Section, values, written::Written};
use crate::recipe::*;
use crate::tables::places::Places;
use std::net::{IpAddr, Ipv4Addr};

pub(crate) const DHCP_SERVER: &[Field] = &[
    text("first", &values::IPV4, "first address that is leased, in a network of the link").needed(),
    text("last", &values::IPV4, "last address that is leased").needed(),
    texts("dns", &values::IPV4, "name servers that clients are told").or_said("those the machine asks itself"),
    texts("ntp", &values::IPV4, "time servers that clients are told"),
    integer("lease", 60, 31_536_000, "seconds of a lease").or_number(3600),
    boolean("router", "clients are told that the machine is their gateway")
        .or_said("true where `firewall.forward` lets something pass from this link"),
    tables("reservations", RESERVATION, "addresses that belong to one card each"),
];
const RESERVATION: &[Field] = &[
    text("mac", &values::MAC, "hardware address of the card").needed(),
    text("address", &values::IPV4, "its address, in the same network").needed(),
];
pub(crate) const ADVERTISE: &[Field] = &[
    texts("prefixes", &values::NETWORK, "IPv6 networks of 64 bits in which neighbours give themselves addresses")
        .or_said("those of the link's own addresses"),
    texts("dns", &values::IP, "IPv6 name servers that neighbours are told"),
    texts("search", &values::DOMAIN, "search domains that neighbours are told"),
    boolean("router", "neighbours are told that the machine is a gateway")
        .or_said("true where `firewall.forward` lets something pass from this link"),
];

pub(crate) fn dhcp_server(t: &Section) -> Result<DhcpServer> {
    let reservation = |r: &Section| -> Result<Reservation> {
        Ok(Reservation { mac: r.needed("mac")?.value, address: ipv4(r, "address")? })
    };
    Ok(DhcpServer {
        first: ipv4(t, "first")?,
        last: ipv4(t, "last")?,
        dns: t.plain("dns")?,
        ntp: t.plain("ntp")?,
        lease: t.needed_number("lease")?.value,
        router: t.boolean("router")?,
        reservations: t.tables("reservations")?.iter().map(reservation).collect::<Result<_>>()?,
    })
}

fn ipv4(t: &Section, key: &str) -> Result<Ipv4Addr> {
    Ok(t.needed(key)?.value.parse().expect("its form was checked"))
}

/// `addresses`: the link's own, whose networks of 64 bits are announced when nothing else is said.
pub(crate) fn advertise(t: &Section, addresses: &[String]) -> Result<Advertise> {
    let own = || {
        let networks = addresses.iter().map(|a| Subnet::of(a)).filter(|n| n.address.is_ipv6() && n.prefix == 64);
        networks.map(|n| format!("{}/64", n.first())).collect()
    };
    let prefixes = if t.key("prefixes").is_some() { t.plain("prefixes")? } else { own() };
    Ok(Advertise { prefixes, dns: t.plain("dns")?, search: t.plain("search")?, router: t.boolean("router")? })
}

/// The table that says this.
pub(crate) fn dhcp_server_written(server: &DhcpServer) -> Written {
    let reservation = |r: &Reservation| Written::default().with("mac", &*r.mac).with("address", r.address.to_string());
    Written::default()
        .with("first", server.first.to_string())
        .with("last", server.last.to_string())
        .list("dns", &server.dns)
        .list("ntp", &server.ntp)
        .with("lease", server.lease)
        .maybe("router", server.router)
        .tables("reservations", &server.reservations, reservation)
}

/// The table that says this.
pub(crate) fn advertise_written(advertise: &Advertise) -> Written {
    let t = Written::default().list("prefixes", &advertise.prefixes).list("dns", &advertise.dns);
    t.list("search", &advertise.search).maybe("router", advertise.router)
}

/// What a link serves against what it is.
pub(crate) fn check(link: &Link, path: &str, places: &Places) -> Result<()> {
    if let Some(server) = &link.dhcp_server {
        leases(link, server, &format!("{path}.dhcp_server"), path, places)?;
    }
    let Some(advertise) = &link.advertise else { return Ok(()) };
    let at = format!("{path}.advertise");
    if link.router_advertisements {
        let what = "this link both accepts router advertisements and sends them";
        let error = places.between(&format!("{path}.router_advertisements"), what, &at, "it sends them");
        return Err(error.hint("remove one of the two"));
    }
    if advertise.prefixes.is_empty() {
        let error = places.finding(&at, "there is no network to advertise");
        return Err(error.hint("name networks in `prefixes`, or give the link an IPv6 address with `/64`"));
    }
    for (i, prefix) in advertise.prefixes.iter().enumerate() {
        let network = Subnet::of(prefix);
        if network.address.is_ipv4() || network.prefix != 64 {
            let error = places.finding(&format!("{at}.prefixes.{i}"), format!("{prefix} cannot be advertised"));
            return Err(error.because("neighbours make addresses in IPv6 networks of 64 bits (RFC 4862)"));
        }
    }
    match advertise.dns.iter().position(|d| !d.contains(':')) {
        Some(i) => {
            let error = places.finding(&format!("{at}.dns.{i}"), "router advertisements name IPv6 servers only");
            Err(error.hint("IPv4 servers are told by DHCP: `dhcp_server.dns`"))
        }
        None => Ok(()),
    }
}

fn leases(link: &Link, server: &DhcpServer, at: &str, path: &str, places: &Places) -> Result<()> {
    if link.dhcp_ipv4 {
        let what = "this link both asks for an address by DHCP and leases some";
        let error = places.between(&format!("{path}.dhcp"), what, at, "it leases addresses");
        return Err(error.hint("give it an address in `addresses`, and remove `dhcp`"));
    }
    let (first, last) = (server.first, server.last);
    let networks: Vec<Subnet> = link.addresses.iter().map(|a| Subnet::of(a)).collect();
    let Some(own) = networks.iter().find(|n| n.contains(first.into()) && n.contains(last.into())) else {
        let what = format!("no address of the link is in a network with {first} and {last}");
        let error = places.finding(&format!("{at}.first"), what);
        return Err(error.hint("lease addresses of a network in `addresses`"));
    };
    if last < first {
        let error = places.finding(&format!("{at}.last"), "the leased addresses end before they begin");
        return Err(error.because(format!("the first is {first}")).hint("put the lower one into `first`"));
    }
    for (key, address) in [("first", first), ("last", last)] {
        if let Some(cause) = (Subnet { address: address.into(), prefix: own.prefix }).no_host() {
            let what = format!("{address} cannot be leased");
            return Err(places.finding(&format!("{at}.{key}"), what).because(cause));
        }
    }
    for (i, reservation) in server.reservations.iter().enumerate() {
        let address = IpAddr::from(reservation.address);
        let here = format!("{at}.reservations.{i}.address");
        if !own.contains(address) || own.address == address {
            let cause = if own.contains(address) { "it is the machine itself" } else { "it is in another network" };
            return Err(places.finding(&here, format!("{address} cannot be reserved on this link")).because(cause));
        }
        let same = |r: &Reservation| r.address == reservation.address || r.mac == reservation.mac;
        if let Some(first) = server.reservations[..i].iter().position(same) {
            let other = format!("{at}.reservations.{first}.address");
            let error = places.between(&here, "one card or address is reserved twice", &other, "the other one");
            return Err(error.hint("remove one of them"));
        }
    }
    Ok(())
}
