//! `[vpn.NAME]`.

use crate::Result;
use crate::profile::{field::*, section::Section, values, written::Written};
use crate::recipe::*;
use crate::tables::firewall::parts::{peers, peers_written};
use crate::tables::network::subnet::Subnet;
use std::collections::BTreeMap;

pub(crate) const TUNNEL: &[Field] = &[
    choice("type", TYPES, "which kind of tunnel").needed(),
    texts("addresses", &values::ADDRESS, "addresses of this machine inside the tunnel").needed(),
    port("port", "UDP port at which peers reach this machine; the firewall admits them")
        .or_said("only this machine begins"),
    texts("from", &values::PEER, "who may reach that port: networks, and names of `firewall.sets`").or_said("anybody"),
    integer("mtu", 1280, 65_535, "bytes of the largest packet inside").or_number(1420),
    boolean("routes", "what `allowed` names is routed into the tunnel").or(true),
    texts("dns", &values::NAME_SERVER, "name servers that are asked through the tunnel"),
    texts("route_domains", &values::ROUTED_DOMAIN, "domains whose names are asked of these name servers only"),
    named("peers", &values::NAME, PEER, "machines at the other end, by name"),
];
const TYPES: &[(&str, &str)] =
    &[("wireguard", "WireGuard; the private key is the credential `network.wireguard.private.NAME`")];
const PEER: &[Field] = &[
    text("public_key", &values::WIREGUARD_KEY, "its public key, as `wg pubkey` prints it").needed(),
    texts("allowed", &values::NETWORK, "networks that are reached through it, and that it may send from").needed(),
    text("endpoint", &values::ENDPOINT, "where it is reached").or_said("it comes to this machine"),
    integer("keepalive", 1, 65_535, "seconds between two empty packets, for a NAT on the way").or_said("none is sent"),
    boolean("preshared_key", "the two share a further key: the credential `network.wireguard.psk.NAME.PEER`").or(false),
];

/// Every tunnel as a link. `links`: those of `[network]`, where it could be read.
pub(crate) fn tunnels(top: &Section, links: Option<&BTreeMap<String, Link>>) -> Result<BTreeMap<String, Link>> {
    let mut all = BTreeMap::new();
    for (name, t) in top.named("vpn")? {
        if links.is_some_and(|links| links.contains_key(&name)) {
            let error = t.files.error(t.span, format!("a link and a tunnel are both called `{name}`"));
            return Err(error.because("a tunnel is a network interface, too").hint("give one of them another name"));
        }
        (values::DEVICE.check)(&name)
            .and_then(|()| if name.len() > values::DEVICE.longest { Err("it is too long".into()) } else { Ok(()) })
            .map_err(|cause| {
                let error = t.files.error(t.span, format!("a tunnel cannot be called `{name}`"));
                error.because(cause).hint(format!("allowed: {}", values::DEVICE.allowed))
            })?;
        all.insert(name, tunnel(&t)?);
    }
    Ok(all)
}

fn tunnel(t: &Section) -> Result<Link> {
    t.needed("type")?;
    let addresses = t.plain("addresses")?;
    if addresses.is_empty() {
        return Err(t.missing("addresses"));
    }
    let from = peers(t, "from")?;
    let listen = t.number("port")?.map(|port| Listen { port: port.value, from: from.clone() });
    if let (None, Some(span)) = (&listen, t.key("from")) {
        let error = t.files.error(span, format!("`{}` says who may reach a port, and has none", t.path));
        return Err(error.hint("write `port`, or remove `from`"));
    }
    let mut others = BTreeMap::new();
    for (name, p) in t.named("peers")? {
        let allowed = p.plain("allowed")?;
        if allowed.is_empty() {
            return Err(p.missing("allowed"));
        }
        let endpoint = p.text("endpoint")?.map(|e| Endpoint::try_from(e.value).expect("its form was checked"));
        others.insert(
            name,
            TunnelPeer {
                public_key: p.needed("public_key")?.value,
                allowed: allowed.iter().map(|n| n.parse().expect("its form was checked")).collect(),
                endpoint,
                keepalive: p.number("keepalive")?.map(|k| k.value),
                preshared_key: p.flag("preshared_key")?,
            },
        );
    }
    let wireguard = Wireguard { listen, peers: others };
    let routes = if t.flag("routes")? { routes(&addresses, &wireguard) } else { vec![] };
    let (dns, route_domains) = (t.plain("dns")?, t.plain("route_domains")?);
    Ok(Link {
        kind: LinkKind::Wireguard(wireguard),
        dhcp_ipv4: false,
        dhcp_ipv6: false,
        router_advertisements: false,
        addresses,
        gateways: vec![],
        routes,
        metric: None,
        mtu: Some(t.needed_number("mtu")?.value),
        dns,
        dns_over_tls: DnsOverTls::No,
        learn_dns: false,
        search: vec![],
        route_domains,
        ntp: vec![],
        // A peer that is away must not keep the machine from starting.
        required: false,
        gateway_on_link: false,
        table: None,
        rules: vec![],
        dhcp_server: None,
        advertise: None,
        group: None,
    })
}

/// A route to whatever is allowed, but for what is on the link by the tunnel's own addresses.
fn routes(addresses: &[String], wireguard: &Wireguard) -> Vec<Route> {
    let own: Vec<Subnet> = addresses.iter().map(|a| Subnet::of(a)).collect();
    let within = |n: &Network| own.iter().any(|o| o.prefix <= n.length() && o.contains(n.address()));
    let mut networks: Vec<Network> = wireguard.peers.values().flat_map(|p| &p.allowed).copied().collect();
    networks.sort();
    networks.dedup();
    networks.iter().filter(|n| !within(n)).map(|n| Route::to(&n.to_string())).collect()
}

/// The table that says this.
pub(crate) fn written(link: &Link) -> Written {
    let LinkKind::Wireguard(wireguard) = &link.kind else { return Written::default() };
    let peer = |p: &TunnelPeer| {
        let allowed: Vec<String> = p.allowed.iter().map(ToString::to_string).collect();
        Written::default()
            .with("public_key", &*p.public_key)
            .list("allowed", &allowed)
            .maybe("endpoint", p.endpoint.as_ref().map(ToString::to_string))
            .maybe("keepalive", p.keepalive.map(u32::from))
            .with("preshared_key", p.preshared_key)
    };
    let t = Written::default().with("type", "wireguard").list("addresses", &link.addresses);
    let t = match &wireguard.listen {
        None => t,
        Some(listen) if listen.from.is_empty() => t.with("port", u32::from(listen.port)),
        Some(listen) => t.with("port", u32::from(listen.port)).with("from", peers_written(&listen.from)),
    };
    t.maybe("mtu", link.mtu.map(u32::from))
        // Where nothing needs a route, either word says the same.
        .with("routes", !link.routes.is_empty())
        .list("dns", &link.dns)
        .list("route_domains", &link.route_domains)
        .named("peers", &wireguard.peers, peer)
}

/// Name of the rule that admits the peers of a tunnel.
pub(crate) fn rule(tunnel: &str) -> String {
    format!("vpn-{tunnel}")
}

/// Peers must get through the firewall; nobody has to say it twice.
pub(crate) fn admit(recipe: &mut Recipe) {
    let admitted = |(name, _, wireguard)| {
        let (name, wireguard): (&String, &Wireguard) = (name, wireguard);
        let listen = wireguard.listen.as_ref()?;
        let port = Allow::port(listen.port, Protocol::Udp);
        Some(Allow { name: Some(rule(name)), from: listen.from.clone(), ..port })
    };
    let all: Vec<Allow> = recipe.tunnels().filter_map(admitted).collect();
    recipe.firewall.allow.extend(all);
}

/// Takes the rules of [`admit`] out again.
pub(crate) fn unadmit(recipe: &mut Recipe) {
    let names: Vec<String> =
        recipe.tunnels().filter(|(_, _, w)| w.listen.is_some()).map(|(name, ..)| rule(name)).collect();
    for name in names.iter().rev() {
        if recipe.firewall.allow.last().is_some_and(|a| a.name.as_ref() == Some(name)) {
            recipe.firewall.allow.pop();
        }
    }
}
