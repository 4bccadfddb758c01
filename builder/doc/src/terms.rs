//! Values of a recipe in the words of a document.

use crate::language::Language;
use diorite_model::recipe::{Link, LinkKind, LinkMatch, Period, Protocol, Rate, Traffic};

/// `443/tcp`, `8000–8005/tcp`, `icmp timestamp-request`.
pub(crate) fn traffic(what: &Traffic, language: Language) -> String {
    match what {
        Traffic::Ports { protocol, first, last } => ports(*protocol, *first, *last, language),
        Traffic::Any => language.everything(),
        Traffic::Other(number) if what.word() == number.to_string() => language.protocol(number),
        other => other.words(),
    }
}

fn ports(protocol: Protocol, first: u16, last: u16, language: Language) -> String {
    match (first, last) {
        (1, u16::MAX) => language.every_port(protocol.name()),
        (first, last) if first == last => format!("{first}/{}", protocol.name()),
        (first, last) => format!("{first}–{last}/{}", protocol.name()),
    }
}

/// `≤ 6/min`: at most so many new connections of each source.
pub(crate) fn rate(rate: &Rate) -> String {
    let per = match rate.per {
        Period::Second => "s",
        Period::Minute => "min",
        Period::Hour => "h",
        Period::Day => "d",
    };
    format!("≤ {}/{per}", rate.connections)
}

/// What a link is made of.
pub(crate) fn link_kind(kind: &LinkKind, language: Language) -> String {
    match kind {
        LinkKind::Card(card) => language.card(card_match(card, language)),
        LinkKind::Vlan(vlan) => language.vlan(vlan.id),
        LinkKind::Bond(bond) => language.bond(bond.mode.word()),
        LinkKind::Bridge(bridge) => language.bridge(if bridge.stp { " (STP)" } else { "" }),
        LinkKind::Vrf(vrf) => language.vrf(vrf.table),
        LinkKind::Wireguard(_) => language.wireguard(),
        LinkKind::Ipsec(_) => language.ipsec(),
        LinkKind::FortinetSsl(_) => language.fortinet_ssl(),
    }
}

fn card_match(card: &LinkMatch, language: Language) -> String {
    let order = card.order.map(|order| language.card_number(order));
    let parts = [order, card.mac.clone(), card.name.clone(), card.driver.clone()];
    let all: Vec<String> = parts.into_iter().flatten().collect();
    if all.is_empty() { language.any_card() } else { all.join(", ") }
}

/// The addresses of a link, and how it gets others.
pub(crate) fn addresses(link: &Link, language: Language) -> Vec<String> {
    let mut all = link.addresses.clone();
    let learned = [
        (link.dhcp_ipv4, "DHCP".to_owned()),
        (link.dhcp_ipv6, "DHCPv6".to_owned()),
        (link.router_advertisements, language.router_advertisements()),
    ];
    all.extend(learned.into_iter().filter(|(is, _)| *is).map(|(_, words)| words));
    all
}

/// Yes or no.
pub(crate) fn yes(is: bool, language: Language) -> String {
    if is { language.yes() } else { language.no() }
}

/// Seconds as people say them.
pub(crate) fn seconds(count: u64, language: Language) -> String {
    match count {
        n if n > 0 && n % 3600 == 0 => language.hours(n / 3600),
        n if n > 0 && n % 60 == 0 => language.minutes(n / 60),
        n => language.seconds(n),
    }
}
