//! Links that contradict themselves or each other: addresses, gateways, routes, name servers.

use super::{serve, subnet::Subnet};
use crate::recipe::{DnsOverTls, Link, LinkKind, LinkMatch, Recipe};
use crate::tables::places::Places;
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::net::IpAddr;

pub(crate) fn check(recipe: &Recipe, places: &Places) -> Result<()> {
    let links = &recipe.network;
    same_card(links, places)?;
    same_address(links, places)?;
    for (name, link) in links {
        let path = format!("network.{name}");
        addresses(link, &path, places)?;
        gateways(link, &path, places)?;
        routes(link, &path, places)?;
        names(link, &path, places)?;
        serve::check(link, &path, places)?;
        mtu(links, name, link, places)?;
    }
    tables(links, places)?;
    default_routes(links, places)
}

type Links = BTreeMap<String, Link>;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("its form was checked")
}

fn same_card(links: &Links, places: &Places) -> Result<()> {
    let mut seen: BTreeMap<String, &String> = BTreeMap::new();
    for (name, link) in links {
        let LinkKind::Card(matching) = &link.kind else { continue };
        // A hardware address names one card, whatever else is said.
        let key = matching.mac.clone().unwrap_or_else(|| format!("{matching:?}"));
        if let Some(first) = seen.insert(key, name) {
            let all = *matching == LinkMatch::default();
            let what = if all { "two links match every Ethernet card" } else { "two links match the same card" };
            let (one, two) = (format!("network.{name}.match"), format!("network.{first}.match"));
            let error = places.between(&one, what, &two, "the other one");
            return Err(error.because("the first one found would get it, the other one nothing").hint(
                "let each link name its own card: `match = { mac = … }`, or `match = { order = 1 }` for the first one",
            ));
        }
    }
    Ok(())
}

fn same_address(links: &Links, places: &Places) -> Result<()> {
    let mut seen: BTreeMap<IpAddr, String> = BTreeMap::new();
    for (name, link) in links {
        for (i, text) in link.addresses.iter().enumerate() {
            let (address, path) = (Subnet::of(text).address, format!("network.{name}.addresses.{i}"));
            if let Some(first) = seen.insert(address, path.clone()) {
                let what = format!("the machine has the address {address} twice");
                return Err(places.between(&path, what, &first, "the other one").hint("remove one of them"));
            }
        }
    }
    Ok(())
}

fn addresses(link: &Link, path: &str, places: &Places) -> Result<()> {
    for (i, text) in link.addresses.iter().enumerate() {
        let network = Subnet::of(text);
        let address = network.address;
        let special = if address.is_unspecified() {
            Some("it means \"no address\"")
        } else if address.is_loopback() {
            Some("it is every machine's own")
        } else if address.is_multicast() {
            Some("it belongs to a group (multicast)")
        } else {
            network.no_host()
        };
        if let Some(cause) = special {
            let error =
                places.finding(&format!("{path}.addresses.{i}"), format!("no machine can have the address {text}"));
            return Err(error.because(cause));
        }
    }
    Ok(())
}

/// Whether a link can hand a packet to this address directly: it is in the network of one of its addresses, on one of its
/// routes without a gateway, or local to every link. `None`: that is known only on the machine.
fn on_link(link: &Link, gateway: IpAddr) -> Option<bool> {
    let own = link.addresses.iter().map(|a| Subnet::of(a)).any(|n| n.contains(gateway));
    let direct = link.routes.iter().filter(|r| r.via.is_none()).any(|r| Subnet::of(&r.to).contains(gateway));
    let local = matches!(gateway, IpAddr::V6(v6) if v6.is_unicast_link_local());
    if own || direct || local {
        return Some(true);
    }
    let learned = if gateway.is_ipv4() { link.dhcp_ipv4 } else { link.dhcp_ipv6 || link.router_advertisements };
    let fixed = link.addresses.iter().any(|a| Subnet::of(a).address.is_ipv4() == gateway.is_ipv4());
    if learned && !fixed { None } else { Some(false) }
}

/// `declared`: the profile says that the gateway is on the link.
fn unreachable(link: &Link, declared: bool, path: &str, gateway: &str, at: &str, places: &Places) -> Result<()> {
    let address = ip(gateway);
    if let Some(i) = link.addresses.iter().position(|a| Subnet::of(a).address == address) {
        let error = places.between(
            at,
            format!("the gateway {gateway} is the machine itself"),
            &format!("{path}.addresses.{i}"),
            "its address",
        );
        return Err(error);
    }
    if declared || on_link(link, address) != Some(false) {
        return Ok(());
    }
    let what = format!("the gateway {gateway} cannot be reached over this link");
    let family = |a: &&String| Subnet::of(a).address.is_ipv4() == address.is_ipv4();
    let error = match link.addresses.iter().position(|a| family(&a)) {
        Some(i) => {
            places.between(at, what, &format!("{path}.addresses.{i}"), "no address of the link is in a network with it")
        }
        None => places.finding(at, what).because("the link has no address of this family"),
    };
    let key = if at.contains(".routes.") { "on_link" } else { "gateway_on_link" };
    Err(error.hint(format!(
        "correct one of them; where the gateway really is outside, say that it is on the link: `{key} = true`"
    )))
}

fn gateways(link: &Link, path: &str, places: &Places) -> Result<()> {
    for (i, gateway) in link.gateways.iter().enumerate() {
        let at = format!("{path}.gateways.{i}");
        unreachable(link, link.gateway_on_link, path, gateway, &at, places)?;
        if ip(gateway).is_ipv4() && link.dhcp_ipv4 {
            let error = places.finding(&at, "this link has two IPv4 default routes: this gateway and DHCP's");
            return Err(error.hint("remove the gateway, or write `dhcp_ipv4 = false`"));
        }
    }
    Ok(())
}

fn routes(link: &Link, path: &str, places: &Places) -> Result<()> {
    for (i, route) in link.routes.iter().enumerate() {
        let to = Subnet::of(&route.to);
        if let Some(first) =
            link.routes[..i].iter().position(|r| r.to == route.to && r.metric == route.metric && r.table == route.table)
        {
            let what = format!("two routes lead to {} with the same metric", route.to);
            let (one, two) = (format!("{path}.routes.{i}"), format!("{path}.routes.{first}"));
            return Err(places.between(&one, what, &two, "the other one").hint("give one of them a `metric`"));
        }
        let Some(via) = &route.via else { continue };
        let at = format!("{path}.routes.{i}.via");
        if ip(via).is_ipv4() != to.address.is_ipv4() {
            return Err(places
                .finding(&at, format!("{via} cannot be the gateway to {}", route.to))
                .because("one is IPv4, the other IPv6"));
        }
        if to.prefix == 0
            && link.gateways.iter().any(|g| ip(g).is_ipv4() == to.address.is_ipv4())
            && link.metric == route.metric
            && route.table.is_none_or(|table| link.table == Some(table))
        {
            let error =
                places.between(&at, "this link has two default routes", &format!("{path}.gateways"), "the other one");
            return Err(error.hint("keep one of them"));
        }
        unreachable(link, route.on_link, path, via, &at, places)?;
    }
    Ok(())
}

fn names(link: &Link, path: &str, places: &Places) -> Result<()> {
    if link.dns_over_tls == DnsOverTls::No
        && let Some(i) = link.dns.iter().position(|d| d.contains('#'))
    {
        let at = format!("{path}.dns.{i}");
        let name = link.dns[i].split('#').nth(1).unwrap_or_default();
        let error = places.finding(&at, format!("the TLS server name `{name}` is never used: DNS over TLS is off"));
        return Err(error.hint("write `dns_over_tls = \"yes\"`, or remove `#` and the name"));
    }
    for (key, list) in [("search", &link.search), ("route_domains", &link.route_domains)] {
        let nobody = link.dns.is_empty()
            && !(link.learn_dns && (link.dhcp_ipv4 || link.dhcp_ipv6 || link.router_advertisements));
        if nobody && !list.is_empty() {
            let error =
                places.finding(&format!("{path}.{key}.0"), "this domain has no name server: the link knows none");
            return Err(error.hint("name one in `dns` of this link"));
        }
    }
    if let Some(i) = link.route_domains.iter().position(|d| link.search.contains(d)) {
        let domain = &link.route_domains[i];
        let other = link.search.iter().position(|d| d == domain).unwrap_or_default();
        let (one, two) = (format!("{path}.route_domains.{i}"), format!("{path}.search.{other}"));
        let error = places.between(&one, format!("domain `{domain}` is listed twice"), &two, "already a search domain");
        return Err(error
            .because("the names of a search domain are asked of this link's servers anyway")
            .hint("remove it here"));
    }
    Ok(())
}

fn mtu(links: &Links, name: &str, link: &Link, places: &Places) -> Result<()> {
    /// Of Ethernet, IEEE 802.3.
    const USUAL: u16 = 1500;
    for below in link.below() {
        let Some(other) = links.get(below) else { continue };
        let (own, under) = (link.mtu.unwrap_or(USUAL), other.mtu.unwrap_or(USUAL));
        if own > under && link.mtu.is_some() {
            let what = format!("packets of {own} bytes do not fit through `{below}`, which takes {under}");
            let error = places.between(
                &format!("network.{name}.mtu"),
                what,
                &format!("network.{below}.mtu"),
                "what it stands on",
            );
            return Err(error.hint(format!("write `mtu = {own}` there as well, or less here")));
        }
    }
    Ok(())
}

/// Two links that both want to be the way to everywhere, with nothing to say which one is.
fn default_routes(links: &Links, places: &Places) -> Result<()> {
    for four in [true, false] {
        let mut seen: BTreeMap<Option<u32>, (String, &str)> = BTreeMap::new();
        // What has a table of its own is no other link's rival.
        let own = |name: &String, link: &Link| {
            link.table.is_some() || links.values().any(|other| other.routed().contains(name))
        };
        for (name, link) in links.iter().filter(|(name, link)| !own(name, link)) {
            let gateway = link.gateways.iter().position(|g| ip(g).is_ipv4() == four);
            let (path, who) = match gateway {
                Some(i) => (format!("network.{name}.gateways.{i}"), "a gateway"),
                None if four && link.dhcp_ipv4 => (format!("network.{name}.dhcp"), "DHCP"),
                None => continue,
            };
            if let Some((first, other)) = seen.insert(link.metric, (path.clone(), who)) {
                let family = if four { "IPv4" } else { "IPv6" };
                let metric = link.metric.map_or("no metric".to_owned(), |m| format!("the same metric, {m}"));
                let what =
                    format!("two links have an {family} default route, with {metric}: from {other} and from {who}");
                let error: Error = places.between(&path, what, &first, "the other one");
                return Err(error.hint("give both links a `metric`: the lower one is used while that link is up"));
            }
        }
    }
    Ok(())
}

/// Tables that rules name must lead somewhere.
fn tables(links: &Links, places: &Places) -> Result<()> {
    let mut filled: Vec<u32> = links.values().flat_map(|l| l.routes.iter().filter_map(|r| r.table)).collect();
    for link in links.values() {
        let routes =
            !link.gateways.is_empty() || !link.routes.is_empty() || link.dhcp_ipv4 || link.router_advertisements;
        filled.extend(link.table.filter(|_| routes));
        if let LinkKind::Vrf(vrf) = &link.kind {
            filled.push(vrf.table);
        }
    }
    for (name, link) in links {
        if link.gateway_on_link && link.gateways.is_empty() {
            let what = "`gateway_on_link` without a gateway";
            let error = places.finding(&format!("network.{name}.gateway_on_link"), what);
            return Err(error.hint("name it in `gateways`, or remove the line"));
        }
        for (i, rule) in link.rules.iter().enumerate() {
            let at = format!("network.{name}.rules.{i}");
            if let (Some(from), Some(to)) = (&rule.from, &rule.to)
                && from.contains(':') != to.contains(':')
            {
                let error = places.finding(&at, "this rule can never match");
                return Err(error.because("one of its networks is IPv4, the other IPv6"));
            }
            // The kernel's own: local, main and default.
            if !filled.contains(&rule.table) && !(253..=255).contains(&rule.table) {
                let error = places.finding(&format!("{at}.table"), format!("table {} has no routes", rule.table));
                let hint = format!("write `table = {}` at the link or the route that it is for", rule.table);
                return Err(error.hint(hint));
            }
        }
    }
    Ok(())
}
