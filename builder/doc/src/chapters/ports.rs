//! Ports: who may reach what, by source; what may go out, and what passes through.

use crate::content::{Block, Cell, DocumentSection, DocumentTable};
use crate::context::DocumentContext;
use crate::plan::targets;
use crate::terms;
use diorite_model::recipe::{Allow, Network, Peer, Policy, Traffic};

/// So many columns of sources fit on a sheet of A4.
const SOURCES: usize = 3;

pub(super) fn section(c: &DocumentContext) -> DocumentSection {
    let (recipe, language) = (c.recipe, c.language);
    let mut blocks = vec![Block::Text(language.ports_about().into())];
    let sources = sources(c);
    for some in sources.chunks(SOURCES) {
        blocks.push(Block::Table(matrix(c, some)));
    }
    if !recipe.firewall.sets.is_empty() {
        blocks.extend([Block::Heading(language.sources()), Block::Table(sets(c))]);
    }
    blocks.push(Block::Facts(vec![
        (language.every_other_port(), rest(c)),
        (
            language.at_every_moment(),
            c.evidence.of_checks(&["firewall-from-power-on", "firewall-stays", "firewall-under-churn"]),
        ),
        (language.ping(), c.evidence.of_checks(&["ping-ipv4", "ping-ipv6"])),
    ]));
    blocks.extend([Block::Heading(language.going_out()), Block::Text(outgoing_words(c))]);
    if !recipe.firewall.egress.allow.is_empty() {
        blocks.push(Block::Table(outgoing(c)));
    }
    let unasked = c.evidence.matching(|id| id == "nothing-unasked" || id.starts_with("egress-"));
    blocks.push(Block::Facts(vec![(language.nothing_else(), unasked)]));
    if !recipe.firewall.forward.is_empty() {
        blocks.extend([Block::Heading(language.passing()), Block::Table(forwarded(c))]);
    }
    if !recipe.firewall.nat.is_empty() {
        blocks.extend([Block::Heading(language.translation()), Block::List(translated(c))]);
    }
    DocumentSection { id: "ports", title: language.chapter_ports(), blocks }
}

fn rest(c: &DocumentContext) -> Cell {
    c.evidence.matching(|id| id.starts_with("ports-"))
}

/// Everybody, and whoever some rule names.
fn sources(c: &DocumentContext) -> Vec<Option<Peer>> {
    let mut all = vec![None];
    for peer in c.recipe.firewall.allow.iter().flat_map(|allow| &allow.from) {
        let peer = Some(peer.clone());
        if !all.contains(&peer) {
            all.push(peer);
        }
    }
    all
}

fn matrix(c: &DocumentContext, sources: &[Option<Peer>]) -> DocumentTable {
    let language = c.language;
    let name = |source: &Option<Peer>| source.as_ref().map_or_else(|| language.anybody_else(), ToString::to_string);
    let head =
        [language.port(), language.service()].into_iter().chain(sources.iter().map(name)).chain([language.evidence()]);
    let mut table = DocumentTable::new(head);
    for allow in &c.recipe.firewall.allow {
        let by = (!allow.links.is_empty()).then(|| Cell::from(language.by_links(allow.links.join(", "))));
        let port = [Some(Cell::from(terms::traffic(&allow.what, language))), by];
        let targets = targets(c.recipe, allow, language).into_iter().map(Cell::from);
        let why = allow.why.as_deref().map(Cell::soft);
        let mut row = vec![Cell::lines(port.into_iter().flatten()), Cell::lines(targets.chain(why))];
        row.extend(sources.iter().map(|source| admitted(c, allow, source.as_ref())));
        row.push(proof(c, allow));
        table.row(row);
    }
    table
}

/// Whether a source may come by this rule.
fn admitted(c: &DocumentContext, allow: &Allow, source: Option<&Peer>) -> Cell {
    let (firewall, language) = (&c.recipe.firewall, c.language);
    let (theirs, mine) = match source {
        _ if allow.from.is_empty() => return yes(c, allow),
        None => return Cell::from("–"),
        Some(peer) => (firewall.networks(&allow.from), firewall.networks(std::slice::from_ref(peer))),
    };
    let covered = |n: &Network| theirs.iter().any(|t| t.covers(n));
    let touched = |n: &Network| theirs.iter().any(|t| t.covers(n) || n.covers(t));
    match (mine.iter().all(covered), mine.iter().any(touched)) {
        (true, _) => yes(c, allow),
        (false, true) => language.in_part().into(),
        (false, false) => Cell::from("–"),
    }
}

fn yes(c: &DocumentContext, allow: &Allow) -> Cell {
    let rate = allow.rate.as_ref().map(|rate| Cell::from(terms::rate(rate)));
    Cell::lines([Cell::from(c.language.yes())].into_iter().chain(rate))
}

/// What was measured of a rule.
fn proof(c: &DocumentContext, allow: &Allow) -> Cell {
    let protocol = format!("protocol-{}-admitted", allow.id());
    // The port of a tunnel has a check of its own, which its rule has the name of.
    let tunnel = allow.name.as_ref().filter(|name| name.starts_with("vpn-")).map(|name| format!("{name}-port"));
    c.evidence.matching(|id| match &allow.what {
        Traffic::Ports { .. } if tunnel.as_deref() == Some(id) => true,
        Traffic::Ports { protocol, first, last } => {
            let rest = id.strip_prefix("port-ipv4-").or_else(|| id.strip_prefix("port-ipv6-"));
            let number = rest.and_then(|rest| rest.strip_prefix(protocol.name())?.strip_prefix('-')?.split('-').next());
            number.and_then(|n| n.parse::<u16>().ok()).is_some_and(|port| (*first..=*last).contains(&port))
        }
        _ => id == protocol,
    })
}

fn sets(c: &DocumentContext) -> DocumentTable {
    let language = c.language;
    let mut table = DocumentTable::new([language.source(), language.networks(), language.reason()]);
    for (name, set) in &c.recipe.firewall.sets {
        let why = set.why.as_deref().map_or_else(|| Cell::from("–"), Cell::from);
        table.row([Cell::code(&**name), Cell::codes(&set.networks), why]);
    }
    table
}

fn outgoing_words(c: &DocumentContext) -> Cell {
    match c.recipe.firewall.egress.policy {
        Policy::Accept => c.language.egress_accept().into(),
        Policy::Drop => c.language.egress_drop().into(),
    }
}

fn peers(all: &[Peer], none: String) -> Cell {
    if all.is_empty() { none.into() } else { Cell::codes(all) }
}

fn outgoing(c: &DocumentContext) -> DocumentTable {
    let language = c.language;
    let mut table = DocumentTable::new([language.what(), language.destination(), language.reason()]);
    for allow in &c.recipe.firewall.egress.allow {
        let why = allow.why.as_deref().or(allow.name.as_deref()).unwrap_or("–");
        let to = peers(&allow.to, language.anywhere());
        table.row([Cell::from(terms::traffic(&allow.what, language)), to, why.into()]);
    }
    table
}

fn forwarded(c: &DocumentContext) -> DocumentTable {
    let language = c.language;
    let mut table = DocumentTable::new([
        language.what(),
        language.incoming_link(),
        language.outgoing_link(),
        language.source(),
        language.destination(),
        language.reason(),
        language.evidence(),
    ]);
    for forward in &c.recipe.firewall.forward {
        let prefix = format!("pass-{}-", forward.id());
        table.row([
            Cell::from(terms::traffic(&forward.what, language)),
            Cell::codes(&forward.input),
            Cell::codes(&forward.output),
            peers(&forward.from, language.anybody()),
            peers(&forward.to, language.anywhere()),
            forward.why.as_deref().unwrap_or("–").into(),
            c.evidence.matching(|id| id.starts_with(&prefix)),
        ]);
    }
    table
}

fn translated(c: &DocumentContext) -> Vec<Cell> {
    let (nat, language) = (&c.recipe.firewall.nat, c.language);
    let join = |all: &[Peer], none: String| match all {
        [] => none,
        all => all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    let masquerade = nat.masquerade.iter().map(|m| {
        let address = m.address.map_or_else(|| language.links_address(), |a| a.to_string());
        Cell::from(language.masquerades(join(&m.from, language.every_ipv4()), m.output.join(", "), address))
    });
    let ports = nat.ports.iter().map(|p| {
        let to = p.to_port.map_or_else(|| p.to.to_string(), |port| format!("{}:{port}", p.to));
        let prefix = format!("nat-{}-", p.id());
        let (what, by) = (terms::traffic(&p.what(), language), p.input.join(", "));
        let said = language.port_leads(what, by, join(&p.from, language.anybody()), to);
        let why = p.why.as_deref().map(Cell::soft);
        Cell::lines(
            [Some(Cell::from(said)), why, Some(c.evidence.matching(|id| id.starts_with(&prefix)))]
                .into_iter()
                .flatten(),
        )
    });
    masquerade.chain(ports).collect()
}
