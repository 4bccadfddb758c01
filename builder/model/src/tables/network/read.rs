//! `[network.NAME]`.

use crate::Result;
use crate::profile::{field::*, section::Section, values, written::Written};
use crate::recipe::*;
use crate::tables::network::serve::{self, ADVERTISE, DHCP_SERVER};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const LINK: &[Field] = &[
    table("match", MATCH, "which card").or_said("any Ethernet card that no other link matches"),
    table("vlan", VLAN, "a virtual network (IEEE 802.1Q) over another link"),
    table("bond", BOND, "several cards as one"),
    table("bridge", BRIDGE, "a switch inside the machine"),
    table("vrf", VRF, "a routing table of its own for some links (virtual routing and forwarding)"),
    boolean("dhcp", "DHCPv4 and DHCPv6")
        .or_said("true unless there are addresses, or other links are made of this one"),
    boolean("dhcp_ipv4", "DHCPv4").or_said("as `dhcp`"),
    boolean("dhcp_ipv6", "DHCPv6").or_said("as `dhcp`"),
    boolean("router_advertisements", "accept IPv6 router advertisements")
        .or_said("true unless other links are made of this one and it has no addresses"),
    texts("addresses", &values::ADDRESS, "static addresses with prefix length"),
    texts("gateways", &values::IP, "default gateways, at most one per family"),
    tables("routes", ROUTE, "further routes"),
    integer("metric", 1, 4_294_967_295, "metric of every default route of this link; the lowest wins")
        .or_said("0 for a static IPv4 gateway, else 1024"),
    integer("mtu", 1280, 65_535, "bytes of the largest packet").or_said("the device's own, 1500 on most"),
    texts("dns", &values::NAME_SERVER, "name servers; `#NAME` is the name in the server's certificate"),
    choice("dns_over_tls", DNS_OVER_TLS, "ask these name servers over TLS").or_text("no"),
    boolean("learn_dns", "use the name servers that DHCP and routers announce as well")
        .or_said("true unless `dns` names some"),
    texts("search", &values::DOMAIN, "domains in which names without a dot are looked up"),
    texts("route_domains", &values::ROUTED_DOMAIN, "domains whose names are asked of this link's name servers only"),
    texts("ntp", &values::SERVER, "time servers, asked before those of `[time]`"),
    boolean(
        "gateway_on_link",
        "the gateways are reached directly, although no address of the link is in a network with them",
    )
    .or(false),
    integer(
        "table",
        1,
        4_294_967_295,
        "routing table of this link's default routes, and of `routes` that name no other",
    )
    .or_said("the main one"),
    tables("rules", RULE, "which packets are routed by which table"),
    table("dhcp_server", DHCP_SERVER, "lease addresses to others (DHCPv4)"),
    table("advertise", ADVERTISE, "send IPv6 router advertisements"),
    boolean("required", "the machine is online (`network-online.target`) only when this link is").or(true),
];
const RULE: &[Field] = &[
    text("from", &values::NETWORK, "packets from this network; `from` or `to` is needed").or_said("any"),
    text("to", &values::NETWORK, "packets to this network").or_said("any"),
    integer("table", 1, 4_294_967_295, "the routing table").needed(),
    integer("priority", 1, 32_765, "the rule with the lowest is asked first").or_number(1000),
];
const VRF: &[Field] = &[
    texts("members", &values::NAME, "the links that are routed by it, names in `[network]`").needed(),
    integer("table", 1, 4_294_967_295, "number of its routing table").needed(),
];
const MATCH: &[Field] = &[
    text("mac", &values::MAC, "hardware address"),
    text("name", &values::INTERFACE, "interface name or pattern"),
    text("driver", &values::DRIVER, "kernel driver or pattern"),
    integer("order", 1, 32, "the first, second, … Ethernet card by PCI address"),
];
const VLAN: &[Field] = &[
    integer("id", 1, 4094, "VLAN identifier").needed(),
    text("parent", &values::NAME, "the link that carries it, a name in `[network]`").needed(),
];
const BOND: &[Field] = &[
    texts("members", &values::NAME, "the links that it is made of, names in `[network]`").needed(),
    choice("mode", BOND_MODE, "how its members share the work").or_text("active-backup"),
    integer("interval", 10, 60_000, "milliseconds between two link checks of the members").or_number(100),
    texts("arp_targets", &values::IPV4, "neighbours that must answer (ARP) for a member to be good")
        .or_said("its carrier is enough"),
];
const BOND_MODE: &[(&str, &str)] = &[
    ("active-backup", "one works, the others wait; any switch"),
    ("802.3ad", "LACP; the switch must be told"),
    ("balance-rr", "one packet after the other; the switch must be told"),
    ("balance-xor", "by a hash of the addresses; the switch must be told"),
];
const BRIDGE: &[Field] = &[
    texts("members", &values::NAME, "the links that it joins, names in `[network]`; may be empty").needed(),
    boolean("stp", "spanning tree protocol").or(false),
];
const ROUTE: &[Field] = &[
    text("to", &values::NETWORK, "network it leads to").needed(),
    text("via", &values::IP, "gateway").or_said("the network is on the link itself"),
    integer("metric", 1, 4_294_967_295, "the lowest wins").or_said("0 for IPv4, 1024 for IPv6"),
    boolean("on_link", "the gateway is reached directly, although no address of the link is in a network with it")
        .or(false),
    integer("table", 1, 4_294_967_295, "routing table").or_said("the link's"),
];
const DNS_OVER_TLS: &[(&str, &str)] = &[
    ("no", "never"),
    ("opportunistic", "where the server can; whoever is in between can prevent it"),
    ("yes", "always; the server's certificate must hold its name, or its address where no name is given"),
];

pub(crate) fn network(top: &Section) -> Result<BTreeMap<String, Link>> {
    let sections = top.named("network")?;
    let mut kinds = BTreeMap::new();
    for (name, t) in &sections {
        kinds.insert(name.clone(), kind(name, t)?);
    }
    // What others are made of has no addresses unless it says so.
    let (mut below, mut members) = (BTreeSet::new(), BTreeSet::new());
    for kind in kinds.values() {
        match kind {
            LinkKind::Vlan(vlan) => drop(below.insert(vlan.parent.clone())),
            LinkKind::Bond(Bond { members: list, .. }) | LinkKind::Bridge(Bridge { members: list, .. }) => {
                members.extend(list.iter().cloned());
            }
            _ => {}
        }
    }
    let mut links = BTreeMap::new();
    for (name, t) in &sections {
        let kind = kinds.remove(name).expect("read above");
        let place = if members.contains(name) {
            Role::Member
        } else if below.contains(name) || matches!(kind, LinkKind::Vrf(_)) {
            Role::Below
        } else {
            Role::Alone
        };
        links.insert(name.clone(), link(t, kind, place)?);
    }
    if links.is_empty() {
        links.insert("ethernet".into(), plain());
    }
    Ok(links)
}

/// What stands on a link.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    /// Nothing.
    Alone,
    /// A VLAN; or it is a VRF.
    Below,
    /// It is part of a bond or bridge.
    Member,
}

/// The link of a profile that names none.
fn plain() -> Link {
    Link {
        kind: LinkKind::Card(LinkMatch::default()),
        dhcp_ipv4: true,
        dhcp_ipv6: true,
        router_advertisements: true,
        addresses: vec![],
        gateways: vec![],
        routes: vec![],
        metric: None,
        mtu: None,
        dns: vec![],
        dns_over_tls: DnsOverTls::No,
        learn_dns: true,
        search: vec![],
        route_domains: vec![],
        ntp: vec![],
        required: true,
        gateway_on_link: false,
        table: None,
        rules: vec![],
        dhcp_server: None,
        advertise: None,
        only_through: vec![],
        group: None,
    }
}

fn kind(name: &str, t: &Section) -> Result<LinkKind> {
    let said: Vec<&str> =
        ["match", "vlan", "bond", "bridge", "vrf"].into_iter().filter(|k| t.key(k).is_some()).collect();
    if let [first, second, ..] = said[..] {
        let what = format!("`{}` has both `{first}` and `{second}`", t.path);
        let error = t.files.error(t.key(second).unwrap_or(t.span), what);
        return Err(
            error.hint("a link is one thing: a card (`match`), a VLAN, a bond, a bridge or a VRF; make two links")
        );
    }
    let kind = if let Some(v) = t.table("vlan")? {
        LinkKind::Vlan(Vlan { id: v.needed_number("id")?.value, parent: v.needed("parent")?.value })
    } else if let Some(b) = t.table("bond")? {
        let members = b.plain("members")?;
        if members.is_empty() {
            return Err(b.missing("members"));
        }
        let mode = match b.needed("mode")?.value.as_str() {
            "802.3ad" => BondMode::Lacp,
            "balance-rr" => BondMode::RoundRobin,
            "balance-xor" => BondMode::Xor,
            _ => BondMode::ActiveBackup,
        };
        let (interval, arp_targets) = (b.needed_number("interval")?.value, b.plain("arp_targets")?);
        LinkKind::Bond(Bond { members, mode, interval, arp_targets })
    } else if let Some(v) = t.table("vrf")? {
        LinkKind::Vrf(Vrf { members: v.plain("members")?, table: v.needed_number("table")?.value })
    } else if let Some(b) = t.table("bridge")? {
        LinkKind::Bridge(Bridge { members: b.plain("members")?, stp: b.flag("stp")? })
    } else {
        let m = t.table_or_empty("match")?;
        let word = |key| Ok(m.text(key)?.map(|v| v.value));
        let order = m.number("order")?;
        let matching = LinkMatch {
            mac: word("mac")?,
            name: word("name")?,
            driver: word("driver")?,
            order: order.as_ref().map(|o| o.value),
        };
        if let Some(order) = order
            && matching != (LinkMatch { order: matching.order, ..LinkMatch::default() })
        {
            let error =
                m.files.error(order.span, format!("`{}` names a card by its place and by something else", m.path));
            return Err(error.hint("keep `order`, or what names the card"));
        }
        return Ok(LinkKind::Card(matching));
    };
    (values::DEVICE.check)(name)
        .and_then(|()| if name.len() > values::DEVICE.longest { Err("it is too long".into()) } else { Ok(()) })
        .map_err(|cause| {
            let error = t.files.error(t.span, format!("a VLAN, bond, bridge or VRF cannot be called `{name}`"));
            error.because(cause).hint(format!("allowed: {}", values::DEVICE.allowed))
        })?;
    Ok(kind)
}

fn link(t: &Section, kind: LinkKind, place: Role) -> Result<Link> {
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
    let mut routes = Vec::new();
    for r in t.tables("routes")? {
        let via = r.text("via")?.map(|v| v.value);
        let (metric, table) = (r.number("metric")?.map(|m| m.value), r.number("table")?.map(|n| n.value));
        routes.push(Route { to: r.needed("to")?.value, via, metric, on_link: r.flag("on_link")?, table });
    }
    let own = match place {
        Role::Alone => true,
        Role::Below => !addresses.is_empty(),
        Role::Member => false,
    };
    let dhcp = t.boolean("dhcp")?.unwrap_or(addresses.is_empty() && place == Role::Alone);
    let advertise = t.table("advertise")?.map(|a| serve::advertise(&a, &addresses)).transpose()?;
    let dns = t.plain("dns")?;
    let dns_over_tls = match t.needed("dns_over_tls")?.value.as_str() {
        "yes" => DnsOverTls::Yes,
        "opportunistic" => DnsOverTls::Opportunistic,
        _ => DnsOverTls::No,
    };
    Ok(Link {
        kind,
        dhcp_ipv4: t.boolean("dhcp_ipv4")?.unwrap_or(dhcp),
        dhcp_ipv6: t.boolean("dhcp_ipv6")?.unwrap_or(dhcp),
        router_advertisements: t.boolean("router_advertisements")?.unwrap_or(own && advertise.is_none()),
        addresses,
        gateways: gateways.into_iter().map(|g| g.value).collect(),
        routes,
        metric: t.number("metric")?.map(|m| m.value),
        mtu: t.number("mtu")?.map(|m| m.value),
        learn_dns: t.boolean("learn_dns")?.unwrap_or(dns.is_empty()),
        dns,
        dns_over_tls,
        search: t.plain("search")?,
        route_domains: t.plain("route_domains")?,
        ntp: t.plain("ntp")?,
        required: t.flag("required")?,
        gateway_on_link: t.flag("gateway_on_link")?,
        table: t.number("table")?.map(|n| n.value),
        rules: t.tables("rules")?.iter().map(rule).collect::<Result<_>>()?,
        dhcp_server: t.table("dhcp_server")?.map(|d| serve::dhcp_server(&d)).transpose()?,
        advertise,
        only_through: vec![],
        group: None,
    })
}

fn rule(t: &Section) -> Result<RoutingRule> {
    let (from, to) = (t.text("from")?.map(|v| v.value), t.text("to")?.map(|v| v.value));
    if from.is_none() && to.is_none() {
        return Err(t.missing("from"));
    }
    Ok(RoutingRule { from, to, table: t.needed_number("table")?.value, priority: t.needed_number("priority")?.value })
}

/// The table that says this.
pub(crate) fn written(link: &Link) -> Written {
    let t = Written::default();
    let t = match &link.kind {
        LinkKind::Card(m) => t.with(
            "match",
            Written::default()
                .maybe("mac", m.mac.as_deref())
                .maybe("name", m.name.as_deref())
                .maybe("driver", m.driver.as_deref())
                .maybe("order", m.order),
        ),
        LinkKind::Vlan(v) => t.with("vlan", Written::default().with("id", u32::from(v.id)).with("parent", &*v.parent)),
        LinkKind::Bond(b) => t.with(
            "bond",
            Written::default()
                .list("members", &b.members)
                .with("mode", b.mode.word())
                .with("interval", b.interval)
                .list("arp_targets", &b.arp_targets),
        ),
        LinkKind::Bridge(b) => t.with("bridge", Written::default().list("members", &b.members).with("stp", b.stp)),
        // It has a table of its own.
        LinkKind::Wireguard(_) | LinkKind::Ipsec(_) | LinkKind::FortinetSsl(_) => t,
        LinkKind::Vrf(v) => t.with("vrf", Written::default().list("members", &v.members).with("table", v.table)),
    };
    let route = |r: &Route| {
        let t = Written::default().with("to", &*r.to).maybe("via", r.via.as_deref()).maybe("metric", r.metric);
        t.with("on_link", r.on_link).maybe("table", r.table)
    };
    let rule = |r: &RoutingRule| {
        let t = Written::default().maybe("from", r.from.as_deref()).maybe("to", r.to.as_deref());
        t.with("table", r.table).with("priority", r.priority)
    };
    t.with("dhcp_ipv4", link.dhcp_ipv4)
        .with("dhcp_ipv6", link.dhcp_ipv6)
        .with("router_advertisements", link.router_advertisements)
        .list("addresses", &link.addresses)
        .list("gateways", &link.gateways)
        .tables("routes", &link.routes, route)
        .maybe("metric", link.metric)
        .maybe("mtu", link.mtu.map(u32::from))
        .list("dns", &link.dns)
        .with("dns_over_tls", link.dns_over_tls.word())
        .with("learn_dns", link.learn_dns)
        .list("search", &link.search)
        .list("route_domains", &link.route_domains)
        .list("ntp", &link.ntp)
        .with("required", link.required)
        .with("gateway_on_link", link.gateway_on_link)
        .maybe("table", link.table)
        .tables("rules", &link.rules, rule)
        .maybe("dhcp_server", link.dhcp_server.as_ref().map(serve::dhcp_server_written))
        .maybe("advertise", link.advertise.as_ref().map(serve::advertise_written))
}
