//! `[vpn.NAME]`: what every tunnel has; each type reads what is its own.

use super::parts::networks;
use super::{fortinet_ssl, ipsec, wireguard};
use crate::Result;
use crate::profile::{field::*, section::Section, values, written::Written};
use crate::recipe::*;
use crate::tables::network::subnet::Subnet;
use crate::tables::trust;
use std::collections::BTreeMap;

pub(crate) const TUNNEL: &[Field] = &[
    choice("type", TYPES, "which kind of tunnel").needed(),
    texts("addresses", &values::ADDRESS, "addresses of this machine inside the tunnel; `fortinet_ssl` learns its own"),
    boolean("learn_address", "with `ipsec`: the gateway gives this machine its address").or(false),
    text("gateway", &values::SERVER, "with `ipsec` and `fortinet_ssl`: name or address of the other end")
        .or_said("with `ipsec`: it comes to this machine"),
    port(
        "port",
        "with `wireguard`: UDP port at which peers reach this machine; with `fortinet_ssl`: TCP port of the gateway",
    )
    .or_said("with `wireguard`: only this machine begins; with `fortinet_ssl`: 443"),
    texts(
        "from",
        &values::PEER,
        "who may come to this machine, which the firewall admits: networks, and names of `firewall.sets`",
    )
    .or_said("anybody"),
    choice("auth", ipsec::AUTH, "with `ipsec`: how the two prove who they are").or_text("psk"),
    text("id", &values::IKE_ID, "with `ipsec`: what this machine calls itself")
        .or_said("its address; the subject of its certificate; `user`"),
    text("peer_id", &values::IKE_ID, "with `ipsec`: what the other end calls itself").or_said("`gateway`"),
    text(
        "ca",
        &trust::read::CERTIFICATE,
        "the authority that has signed the certificate of the other end, for this tunnel alone",
    )
    .or_said("with `fortinet_ssl`: any that the machine trusts; with `auth = \"eap-mschapv2\"`: the two share a key"),
    texts(
        "trusted_certificates",
        &values::SHA256,
        "with `fortinet_ssl`: SHA-256 of certificates that are trusted whoever has signed them",
    ),
    text("user", &values::MAIL_USER, "the account on the gateway; its password is the credential `vpn.password.NAME`"),
    text("realm", &values::NAME, "with `fortinet_ssl`: realm of the account"),
    texts("local", &values::NETWORK, "with `ipsec`: networks at this end").or_said("the addresses alone"),
    texts("remote", &values::NETWORK, "with `ipsec` and `fortinet_ssl`: networks that are reached through it"),
    texts("proposals", &values::IKE_PROPOSAL, "with `ipsec`: algorithms for the negotiation, the first that both have")
        .or_said("AES of 256 and 128 bits with SHA-2, groups 20, 19, 15 and 14"),
    texts("esp_proposals", &values::ESP_PROPOSAL, "with `ipsec`: algorithms for the packets").or_said("the same"),
    integer("mtu", 1280, 65_535, "bytes of the largest packet inside")
        .or_said("1420 with `wireguard`, 1360 with `ipsec`, what the gateway says with `fortinet_ssl`"),
    boolean("routes", "what is reached through the tunnel is routed into it").or(true),
    texts(
        "only_through",
        &values::NETWORK,
        "networks that packets leave for by this tunnel or not at all: while it is down, they are dropped",
    ),
    texts("dns", &values::NAME_SERVER, "name servers that are asked through the tunnel"),
    texts("route_domains", &values::ROUTED_DOMAIN, "domains whose names are asked of these name servers only"),
    named("peers", &values::NAME, wireguard::PEER, "with `wireguard`: machines at the other end, by name"),
];
const TYPES: &[(&str, &str)] = &[
    ("wireguard", "WireGuard; the private key is the credential `network.wireguard.private.NAME`"),
    (
        "ipsec",
        "IPsec by IKEv2; its secrets are credentials: `vpn.psk.NAME`, `vpn.certificate.NAME`, `vpn.key.NAME`, `vpn.password.NAME`",
    ),
    ("fortinet_ssl", "TLS to a FortiGate; the password is the credential `vpn.password.NAME`"),
];
/// What tunnels of every type have.
const COMMON: &[&str] = &["type", "routes", "only_through", "dns", "route_domains"];

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
    let ipsec = all.values_mut().filter_map(|link: &mut Link| match &mut link.kind {
        LinkKind::Ipsec(ipsec) => Some(ipsec),
        _ => None,
    });
    ipsec.zip(1..).for_each(|(ipsec, number)| ipsec.interface = number);
    Ok(all)
}

fn tunnel(t: &Section) -> Result<Link> {
    let kind = t.needed("type")?.value;
    let own = match kind.as_str() {
        "wireguard" => wireguard::KEYS,
        "ipsec" => ipsec::KEYS,
        _ => fortinet_ssl::KEYS,
    };
    if let Some((key, span)) = t.keys().find(|(key, _)| !COMMON.contains(key) && !own.contains(key)) {
        let error = t.files.error(span, format!("`{}` is of type `{kind}`, which has no `{key}`", t.path));
        return Err(error.hint(format!("it can have: {}", [COMMON, own].concat().join(", "))));
    }
    let addresses = t.plain("addresses")?;
    let (kind, mtu) = match kind.as_str() {
        "wireguard" => (LinkKind::Wireguard(wireguard::read(t)?), Some(1420)),
        "ipsec" => (LinkKind::Ipsec(ipsec::read(t, &addresses)?), Some(1360)),
        _ => (LinkKind::FortinetSsl(fortinet_ssl::read(t)?), None),
    };
    let only_through = networks(t, "only_through")?;
    let (dns, route_domains) = (t.plain("dns")?, t.plain("route_domains")?);
    let mut link = Link {
        kind,
        dhcp_ipv4: false,
        dhcp_ipv6: false,
        router_advertisements: false,
        addresses,
        gateways: vec![],
        routes: vec![],
        metric: None,
        mtu: t.number("mtu")?.map(|mtu| mtu.value).or(mtu),
        dns,
        dns_over_tls: DnsOverTls::No,
        learn_dns: false,
        search: vec![],
        route_domains,
        ntp: vec![],
        // The other end may be away, and must not keep the machine from starting.
        required: false,
        gateway_on_link: false,
        table: None,
        rules: vec![],
        dhcp_server: None,
        advertise: None,
        only_through,
        group: None,
    };
    if t.flag("routes")? {
        link.routes = routes(&link);
    }
    Ok(link)
}

/// A route to whatever is at the other end, but for what is on the link by the tunnel's own addresses.
fn routes(link: &Link) -> Vec<Route> {
    let own: Vec<Subnet> = link.addresses.iter().map(|a| Subnet::of(a)).collect();
    let within = |n: &Network| own.iter().any(|o| o.prefix <= n.length() && o.contains(n.address()));
    let mut networks: Vec<Network> = link.behind().into_iter().map(|(_, network)| network).collect();
    networks.sort();
    networks.dedup();
    networks.iter().filter(|n| !within(n)).map(|n| Route::to(&n.to_string())).collect()
}

/// The table that says this.
pub(crate) fn written(link: &Link) -> Written {
    let strings = |list: &[Network]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    let t = Written::default();
    let t = match &link.kind {
        LinkKind::Wireguard(wireguard) => wireguard::written(t.list("addresses", &link.addresses), wireguard),
        LinkKind::Ipsec(ipsec) => ipsec::written(t, &link.addresses, ipsec),
        LinkKind::FortinetSsl(ssl) => fortinet_ssl::written(t, ssl),
        _ => return t,
    };
    let t = t.maybe("mtu", link.mtu.map(u32::from));
    let t = match link.only_through.is_empty() {
        true => t,
        false => t.list("only_through", &strings(&link.only_through)),
    };
    // Where nothing needs a route, either word says the same.
    t.with("routes", !link.routes.is_empty()).list("dns", &link.dns).list("route_domains", &link.route_domains)
}
