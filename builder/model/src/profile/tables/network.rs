//! `[network.NAME]`.

use super::*;
use std::collections::BTreeMap;

pub(super) const LINK: &[Field] = &[
    table("match", MATCH, "which card").or_said("any Ethernet card that no other link matches"),
    boolean("dhcp", "DHCPv4 and DHCPv6").or_said("true unless there are addresses"),
    boolean("router_advertisements", "accept IPv6 router advertisements").or(true),
    texts("addresses", &values::ADDRESS, "static addresses with prefix length"),
    texts("gateways", &values::IP, "default gateways, at most one per family"),
    texts("dns", &values::IP, "name servers"),
];
const MATCH: &[Field] = &[
    text("mac", &values::MAC, "hardware address"),
    text("name", &values::INTERFACE, "interface name or pattern"),
    text("driver", &values::DRIVER, "kernel driver or pattern"),
];

pub(super) fn network(top: &Section) -> Result<BTreeMap<String, Link>> {
    let mut links = BTreeMap::new();
    for (name, t) in top.named("network")? {
        links.insert(name, link(&t)?);
    }
    if links.is_empty() {
        let (none, matching) = (Vec::new, LinkMatch::default());
        let (dhcp, router_advertisements) = (true, true);
        let link = Link { matching, dhcp, router_advertisements, addresses: none(), gateways: none(), dns: none() };
        links.insert("ethernet".into(), link);
    }
    Ok(links)
}

fn link(t: &Section) -> Result<Link> {
    let m = t.table_or_empty("match")?;
    let word = |key| Ok(m.text(key)?.map(|v| v.value));
    let matching = LinkMatch { mac: word("mac")?, name: word("name")?, driver: word("driver")? };
    let addresses = t.plain("addresses")?;
    let gateways = t.texts("gateways")?;
    for (i, gateway) in gateways.iter().enumerate() {
        if gateways[..i].iter().any(|g| g.value.contains(':') == gateway.value.contains(':')) {
            return Err(t
                .files
                .error(gateway.span, format!("`{}.gateways` names two of one family", t.path))
                .hint("at most one IPv4 and one IPv6 gateway"));
        }
    }
    Ok(Link {
        matching,
        dhcp: t.boolean("dhcp")?.unwrap_or(addresses.is_empty()),
        router_advertisements: t.flag("router_advertisements")?,
        addresses,
        gateways: gateways.into_iter().map(|g| g.value).collect(),
        dns: t.plain("dns")?,
    })
}
