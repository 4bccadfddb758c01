//! The network: the plan, links, routes, names, and what the machine serves to its neighbours.

use crate::content::{Block, Cell, DocumentSection, DocumentTable};
use crate::context::DocumentContext;
use crate::language::Language;
use crate::plan::NetworkPlan;
use crate::terms;
use diorite_model::recipe::{DnsOverTls, IpsecAuth, Link, LinkKind, Network, TunnelPeer};

pub(super) fn section(c: &DocumentContext) -> DocumentSection {
    let (recipe, language) = (c.recipe, c.language);
    let mut blocks = vec![
        Block::Text(language.plan_about().into()),
        Block::Plan(NetworkPlan::of(recipe, language)),
        Block::Heading(language.links()),
        Block::Table(links(c)),
        Block::Facts(vec![(
            language.reachable_addresses(),
            c.evidence.matching(|id| id == "lease" || id.starts_with("address-") || id.starts_with("vlan-")),
        )]),
    ];
    if recipe.tunnels().next().is_some() {
        blocks.extend([
            Block::Heading(language.tunnels()),
            Block::Text(language.tunnels_about().into()),
            Block::Table(tunnels(c)),
        ]);
        let apart = recipe.tunnels().flat_map(|(_, link)| &link.only_through);
        let apart: Vec<String> = apart.map(ToString::to_string).collect();
        if !apart.is_empty() {
            blocks.push(Block::Text(language.nothing_beside(apart.join(", ")).into()));
        }
    }
    let routes = routes(c);
    if !routes.rows.is_empty() {
        blocks.extend([Block::Heading(language.routes()), Block::Table(routes)]);
    }
    blocks.extend([Block::Heading(language.names()), Block::Table(names(c))]);
    if !recipe.hosts.is_empty() {
        let mut table = DocumentTable::new([language.host_name(), language.addresses(), language.evidence()]);
        for (name, addresses) in &recipe.hosts {
            let proof = c.evidence.of_checks(&[&format!("host-{name}")]);
            table.row([Cell::code(&**name), Cell::codes(addresses), proof]);
        }
        blocks.extend([Block::Text(language.hosts_about().into()), Block::Table(table)]);
    }
    if !recipe.trust.is_empty() {
        let mut table = DocumentTable::new([language.authority(), language.evidence()]);
        for name in recipe.trust.keys() {
            table.row([Cell::code(&**name), c.evidence.of_checks(&[&format!("trust-{name}")])]);
        }
        blocks.extend([Block::Text(language.trust_about().into()), Block::Table(table)]);
    }
    if !recipe.certificates.is_empty() {
        blocks.extend([Block::Text(language.certificates_about().into()), Block::Table(certificates(c))]);
    }
    let served = served(c);
    if !served.is_empty() {
        blocks.extend([Block::Heading(language.served()), Block::List(served)]);
    }
    DocumentSection { id: "network", title: language.chapter_network(), blocks }
}

fn certificates(c: &DocumentContext) -> DocumentTable {
    let language = c.language;
    let mut table = DocumentTable::new([
        language.certificate(),
        language.certificate_names(),
        language.certificate_source(),
        language.needed_by(),
        language.evidence(),
    ]);
    for (name, certificate) in &c.recipe.certificates {
        let source = match (&certificate.acme, &certificate.credential) {
            (Some(acme), _) => {
                let challenge = acme.challenge().to_ascii_uppercase();
                let signed = language.signed_by_acme(&acme.directory, challenge, certificate.days).into();
                let dns = acme.dns.as_ref().map(|dns| language.proved_in_dns(&dns.server, &dns.zone).into());
                Cell::lines([Some(signed), dns].into_iter().flatten())
            }
            (None, None) => language.self_signed(certificate.days).into(),
            (None, Some(credential)) => language.self_signed_until(credential, certificate.days).into(),
        };
        let reader = language.container_named(&certificate.container);
        let ids = ["", "-renewed", "-shown", "-acme"].map(|end| format!("certificate-{name}{end}"));
        let proof = c.evidence.matching(|id| ids.iter().any(|own| own == id));
        table.row([Cell::code(&**name), Cell::codes(&certificate.names), source, reader.into(), proof]);
    }
    table
}

fn links(c: &DocumentContext) -> DocumentTable {
    let language = c.language;
    let mut table = DocumentTable::new([
        language.link(),
        language.kind(),
        language.addresses(),
        language.gateways(),
        language.evidence(),
    ]);
    for (name, link) in &c.recipe.network {
        let below: Vec<&str> = link.below().into_iter().chain(link.routed().iter().map(String::as_str)).collect();
        let over = (!below.is_empty()).then(|| Cell::from(language.over(below.join(", "))));
        let mtu = link.mtu.map(|mtu| Cell::from(format!("MTU {mtu}")));
        let kind = [Some(Cell::from(terms::link_kind(&link.kind, language))), over, mtu];
        table.row([
            Cell::code(&**name),
            Cell::lines(kind.into_iter().flatten()),
            Cell::lines(terms::addresses(link, language).into_iter().map(Cell::from)).or_dash(),
            Cell::codes(&link.gateways).or_dash(),
            c.evidence.of_checks(&[&format!("link-{name}")]),
        ]);
    }
    table
}

fn tunnels(c: &DocumentContext) -> DocumentTable {
    let language = c.language;
    let mut table = DocumentTable::new([
        language.tunnel(),
        language.peer(),
        language.behind_peer(),
        language.reached_at(),
        language.evidence(),
    ]);
    for (name, link) in c.recipe.tunnels() {
        let own = format!("vpn-{name}");
        let more = ["", "-port", "-port-dropped", "-calls", "-only-through", "-500-port", "-500-port-dropped"];
        let proof = c.evidence.matching(|id| id.strip_prefix(&own).is_some_and(|rest| more.contains(&rest)));
        for (peer, behind, place) in peers(link, language) {
            table.row([Cell::code(&**name), Cell::lines(peer), Cell::codes(behind), place, proof.clone()]);
        }
    }
    table
}

/// The other ends of a tunnel: who each is, what is behind it, and where it is.
fn peers(link: &Link, language: Language) -> Vec<(Vec<Cell>, Vec<Network>, Cell)> {
    match &link.kind {
        LinkKind::Wireguard(wireguard) => {
            let one = |(peer, about): (&String, &TunnelPeer)| {
                let place = about.endpoint.as_ref();
                let place = place.map_or_else(|| language.comes_here().into(), |e| Cell::code(e.to_string()));
                (vec![Cell::code(&**peer), Cell::code(&*about.public_key)], about.allowed.clone(), place)
            };
            wireguard.peers.iter().map(one).collect()
        }
        LinkKind::Ipsec(ipsec) => {
            let auth = match &ipsec.auth {
                IpsecAuth::Psk => language.by_psk(),
                IpsecAuth::Certificate { .. } => language.by_certificates(),
                IpsecAuth::Eap { user, .. } => language.by_password(user),
            };
            let place = ipsec.gateway.as_ref().map_or_else(|| language.comes_here().into(), |g| Cell::code(&**g));
            vec![(vec![Cell::code(&*ipsec.peer_id), auth.into()], ipsec.remote.clone(), place)]
        }
        LinkKind::FortinetSsl(ssl) => {
            let place = Cell::code(format!("{}:{}", ssl.gateway, ssl.port));
            vec![(vec![Cell::code(&*ssl.gateway), language.by_password(&ssl.user).into()], ssl.remote.clone(), place)]
        }
        _ => Vec::new(),
    }
}

fn routes(c: &DocumentContext) -> DocumentTable {
    let language = c.language;
    let mut table = DocumentTable::new([
        language.destination(),
        language.via(),
        language.link(),
        language.routing_table(),
        language.metric(),
    ]);
    let number = |n: Option<u32>| n.map_or_else(|| Cell::from("–"), |n| n.to_string().into());
    for (name, link) in &c.recipe.network {
        for route in &link.routes {
            let via = route.via.as_ref().map_or_else(|| language.directly().into(), |via| Cell::code(&**via));
            let routing_table = number(route.table.or(link.table));
            table.row([Cell::code(&*route.to), via, Cell::code(&**name), routing_table, number(route.metric)]);
        }
        for rule in &link.rules {
            let from = rule.from.as_ref().map(|from| language.with_source(from));
            let to = rule.to.clone();
            let what = [from, to].into_iter().flatten().map(Cell::from);
            table.row([
                Cell::lines(what),
                language.by_rule(rule.priority).into(),
                Cell::code(&**name),
                number(Some(rule.table)),
                Cell::from("–"),
            ]);
        }
    }
    table
}

fn names(c: &DocumentContext) -> DocumentTable {
    let language = c.language;
    let mut table = DocumentTable::new([
        language.link(),
        language.name_servers(),
        language.search_domains(),
        language.dns_over_tls(),
    ]);
    for (name, link) in &c.recipe.network {
        if !link.members().is_empty() && link.dns.is_empty() && link.addresses.is_empty() && !link.dhcp_ipv4 {
            continue;
        }
        let learned = link.learn_dns && (link.dhcp_ipv4 || link.dhcp_ipv6 || link.router_advertisements);
        let learned = learned.then(|| Cell::from(language.learned()));
        let servers = Cell::lines(link.dns.iter().map(|s| Cell::code(&**s)).chain(learned));
        let routed = link.route_domains.iter().map(|domain| Cell::from(language.only_for(domain)));
        let domains = Cell::lines(link.search.iter().map(|s| Cell::code(&**s)).chain(routed));
        let tls = match link.dns_over_tls {
            DnsOverTls::No => language.no(),
            DnsOverTls::Opportunistic => language.where_possible(),
            DnsOverTls::Yes => language.yes(),
        };
        table.row([Cell::code(&**name), servers.or_dash(), domains.or_dash(), tls.into()]);
    }
    table
}

/// DHCP leases and router advertisements.
fn served(c: &DocumentContext) -> Vec<Cell> {
    let language = c.language;
    let mut all = Vec::new();
    for (name, link) in &c.recipe.network {
        if let Some(server) = &link.dhcp_server {
            let lease = terms::seconds(server.lease.into(), language);
            all.push(language.leases(name, server.first, server.last, lease).into());
            all.extend(server.reservations.iter().map(|r| Cell::from(language.reserved(name, r.address, &r.mac))));
        }
        if let Some(advertise) = &link.advertise {
            all.push(language.advertises(name, advertise.prefixes.join(", ")).into());
        }
    }
    all
}
