//! What passes through the machine from one link to another, proven from both sides: the lab has a host beside each link.
//! And what the machine offers to its neighbours: addresses, and itself as a router.

use crate::{
    answer::{Judged, Unanswered, short, verdict},
    asker::Asker,
    check::{Check, Phase},
    scope::Scope,
    surroundings::{Side, split},
    sweep::Family,
};
use diorite_lab::{Config, DhcpOffer, Lab, Parcel, Passage, RouterOffer};
use diorite_machine::Output;
use diorite_model::{
    Recipe, Result,
    recipe::{Advertise, DhcpServer, Forward, Link, Peer, PortForward, Protocol, RoutingRule, Traffic},
};
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// One side of the machine: a link, and the lab's segment beside it.
#[derive(Debug, Clone)]
struct Beside {
    link: String,
    segment: usize,
    config: Config,
    /// The machine's fixed addresses; none where it has one by DHCP.
    fixed: Vec<IpAddr>,
}

/// Ports for what must not pass; the first that no rule is about is taken.
const UNDECLARED: [u16; 4] = [4444, 33_333, 9, 61_616];

/// Everything about a router.
pub fn checks(scope: &Scope<'_>) -> Vec<Check> {
    let recipe = scope.recipe;
    let sides = besides(scope);
    let mut all: Vec<Check> = policy(recipe).into_iter().collect();
    for side in &sides {
        let Some(link) = recipe.network.get(&side.link) else { continue };
        all.extend(side.fixed.iter().filter(|_| side.segment > 0).map(|address| there(side, *address)));
        all.extend(link.dhcp_server.as_ref().map(|server| leases(side, server)));
        all.extend(link.advertise.as_ref().map(|advertise| advertises(side, advertise)));
    }
    for from in &sides {
        for to in sides.iter().filter(|to| to.segment != from.segment) {
            let pair = Pair { recipe, from, to };
            all.extend(recipe.firewall.forward.iter().filter_map(|forward| pair.passes(forward)));
            all.extend(recipe.firewall.nat.ports.iter().filter_map(|ports| pair.leads(ports)));
            all.extend(pair.dropped());
        }
    }
    all
}

/// The front, and every other link that the lab has a host beside.
fn besides(scope: &Scope<'_>) -> Vec<Beside> {
    let around = &scope.around;
    let front = around.front.iter().map(|link| Beside {
        link: link.clone(),
        segment: 0,
        config: around.config.clone(),
        fixed: around.fixed.clone(),
    });
    let side = |side: &Side| Beside {
        link: side.link.clone(),
        segment: side.segment,
        config: side.config.clone(),
        fixed: side.fixed.clone(),
    };
    front.chain(around.sides.iter().map(side)).collect()
}

/// The machine's address on a side: a fixed one, or what it has been given.
fn own(side: &Beside, family: Family, machine: &Asker<'_>) -> std::result::Result<IpAddr, Unanswered> {
    let fixed = side.fixed.iter().copied().find(|ip| Family::of(*ip) == family);
    match fixed {
        Some(fixed) => Ok(fixed),
        None if side.segment == 0 => machine.address(family),
        None => Err(Unanswered::Skipped(format!("the machine has no {} address on {}", family.name(), side.link))),
    }
}

/// The machine answers on a side.
fn there(side: &Beside, address: IpAddr) -> Check {
    let (id, family) = (format!("side-{}-{}", side.link, Family::of(address).name()), side.segment);
    let what = format!("{address} answers on link {}", side.link);
    Check::outside(id, what, move |machine| {
        let (lab, patience) = (machine.lab().at(family)?, machine.patience());
        Ok(super::network::ping(echo(&lab, address, patience)?))
    })
    .phase(Phase::Ports)
}

fn echo(lab: &Lab, address: IpAddr, limit: Duration) -> Result<Option<Duration>> {
    let config = lab.config();
    let own = if address.is_ipv4() { config.ipv4.into() } else { IpAddr::V6(config.ipv6) };
    Ok(lab.reach(config.vlan, own, address, limit)?.map(|answer| answer.time))
}

/// Two sides, in one direction.
struct Pair<'a> {
    recipe: &'a Recipe,
    from: &'a Beside,
    to: &'a Beside,
}

impl Pair<'_> {
    /// What an entry lets pass does.
    fn passes(&self, forward: &Forward) -> Option<Check> {
        let named = forward.input.contains(&self.from.link) && forward.output.contains(&self.to.link);
        let (family, source, target) =
            self.ends(&forward.from, &forward.to, forward.what.family()).filter(|_| named)?;
        let parcel = parcel(&forward.what, family);
        let masks = &self.recipe.firewall.nat.masquerade;
        let networks =
            |from: &[Peer]| self.recipe.firewall.names(from, source) && (!from.is_empty() || source.is_ipv4());
        let mask = masks.iter().find(|m| m.output.contains(&self.to.link) && networks(&m.from));
        let seen = match mask.map(|m| m.address) {
            None => Sender::Itself,
            Some(None) => Sender::Machine,
            Some(Some(address)) => Sender::Named(address),
        };
        let words = match seen {
            Sender::Itself => "with the sender's own address",
            Sender::Machine | Sender::Named(_) => "with the machine's address",
        };
        let about = forward.what.words();
        let what = format!("{about} passes from {} to {} {words}", self.from.link, self.to.link);
        let id = format!("pass-{}-{}-{}", forward.id(), self.from.link, self.to.link);
        let question = Question { family, source, target, parcel, at: target, as_what: parcel };
        Some(self.asked(id, what, question, move |seen_as, own| arrived(seen_as, seen, source, own)))
    }

    /// A port of the machine leads to another one behind it.
    fn leads(&self, ports: &PortForward) -> Option<Check> {
        let there = self.to.fixed.iter().any(|_| self.to.config.contains(ports.to));
        if !ports.input.contains(&self.from.link) || !there {
            return None;
        }
        let family = Family::of(ports.to);
        let source = self.address(self.from, &ports.from, family)?;
        let parcel = |port| if ports.protocol == Protocol::Tcp { Parcel::Tcp(port) } else { Parcel::Udp(port) };
        let (asked, port) = (parcel(ports.port), ports.to_port.unwrap_or(ports.port));
        let what = format!("{} of link {} leads to port {port} of {}", ports.what().words(), self.from.link, ports.to);
        let id = format!("nat-{}-{}", ports.id(), self.from.link);
        // Whom it is for is the machine, whose address is known when it is asked.
        let unknown = if ports.to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let question = Question { family, source, target: unknown, parcel: asked, at: ports.to, as_what: parcel(port) };
        Some(self.asked(id, what, question, move |seen, _| match seen {
            Some(_) => Ok(format!("it arrived at port {port}")),
            None => Err("it did not arrive".to_owned()),
        }))
    }

    /// What no entry lets pass does not, though the machine is there.
    fn dropped(&self) -> Option<Check> {
        let family = [Family::V4, Family::V6].into_iter().find(|f| self.both(*f))?;
        let any = |side: &Beside| self.address(side, &[], family);
        let (source, target) = (any(self.from)?, any(self.to)?);
        let firewall = &self.recipe.firewall;
        let passes = |port: u16| {
            firewall.forward.iter().any(|f| {
                let links = f.input.contains(&self.from.link) && f.output.contains(&self.to.link);
                let what = f.what.covers(&Traffic::port(port, Protocol::Tcp));
                links && what && firewall.names(&f.from, source) && firewall.names(&f.to, target)
            })
        };
        let port = UNDECLARED.into_iter().find(|port| !passes(*port))?;
        let what = format!("undeclared TCP port {port} does not pass from {} to {}", self.from.link, self.to.link);
        let id = format!("pass-{}-{}-undeclared", self.from.link, self.to.link);
        let parcel = Parcel::Tcp(port);
        let question = Question { family, source, target, parcel, at: target, as_what: parcel };
        let (from, to) = (self.from.clone(), self.to.clone());
        let check = Check::outside(id, what, move |machine| {
            let limit = Duration::from_secs_f64(3.0 * machine.slowness().min(10.0));
            let seen = question.ask(machine, &from, &to, limit)?;
            let (lab, own) = (machine.lab().at(from.segment)?, own(&from, family, machine)?);
            Ok(match (seen, echo(&lab, own, machine.patience())?) {
                (Some(as_whom), _) => Err(format!("it arrived, as from {as_whom}")),
                (None, Some(_)) => {
                    Ok("it did not arrive, and the machine answered an echo request behind it".to_owned())
                }
                (None, None) => Err("it did not arrive, but the machine answered no echo request either".to_owned()),
            })
        });
        Some(check.phase(Phase::Ports).over(family).injected_only())
    }

    fn asked(
        &self,
        id: String,
        what: String,
        question: Question,
        judge: impl Fn(Option<IpAddr>, std::result::Result<IpAddr, Unanswered>) -> Judged + Send + Sync + 'static,
    ) -> Check {
        let (from, to) = (self.from.clone(), self.to.clone());
        let family = question.family;
        let check = Check::outside(id, what, move |machine| {
            let seen = question.ask(machine, &from, &to, machine.patience())?;
            Ok(judge(seen, own(&to, family, machine)))
        });
        check.phase(Phase::Ports).over(family).injected_only()
    }

    /// Whether both sides have this family.
    fn both(&self, family: Family) -> bool {
        let has = |side: &Beside| {
            let link = self.recipe.network.get(&side.link);
            let given = |link: &Link| match family {
                Family::V4 => link.dhcp_ipv4,
                Family::V6 => link.router_advertisements,
            };
            side.fixed.iter().any(|ip| Family::of(*ip) == family) || side.segment == 0 && link.is_some_and(given)
        };
        has(self.from) && has(self.to)
    }

    /// A family that both sides have and that the peers name, a source and a destination in it.
    fn ends(&self, from: &[Peer], to: &[Peer], bound: Option<bool>) -> Option<(Family, IpAddr, IpAddr)> {
        [Family::V4, Family::V6].into_iter().filter(|f| self.both(*f)).find_map(|family| {
            let fits = bound.is_none_or(|four| four == (family == Family::V4));
            let ends = self.address(self.from, from, family).zip(self.address(self.to, to, family));
            ends.filter(|_| fits).map(|(source, target)| (family, source, target))
        })
    }

    /// An address beside a link that these peers name: the lab's own where they name that.
    fn address(&self, side: &Beside, peers: &[Peer], family: Family) -> Option<IpAddr> {
        let lab: IpAddr = if family == Family::V4 { side.config.ipv4.into() } else { side.config.ipv6.into() };
        let firewall = &self.recipe.firewall;
        if firewall.names(peers, lab) {
            return Some(lab);
        }
        let link = self.recipe.network.get(&side.link)?;
        let taken = |ip: IpAddr| link.addresses.iter().filter_map(|a| split(a)).any(|(own, _)| own == ip);
        let inside = |ip: &IpAddr| side.config.contains(*ip) && Family::of(*ip) == family && !taken(*ip);
        let first = |network: &diorite_model::recipe::Network| match (network.address(), network.length()) {
            (address, 32 | 128) => address,
            (IpAddr::V4(a), _) => Ipv4Addr::from_bits(a.to_bits() + 9).into(),
            (IpAddr::V6(a), _) => Ipv6Addr::from_bits(a.to_bits() + 9).into(),
        };
        firewall.networks(peers).iter().map(first).find(inside)
    }
}

/// Whose address a packet bears behind the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sender {
    Itself,
    Machine,
    Named(IpAddr),
}

/// A packet to be sent through the machine.
#[derive(Debug, Clone, Copy)]
struct Question {
    family: Family,
    source: IpAddr,
    /// Whom it is for; unspecified: the machine itself.
    target: IpAddr,
    parcel: Parcel,
    at: IpAddr,
    as_what: Parcel,
}

impl Question {
    fn ask(
        &self,
        machine: &Asker<'_>,
        from: &Beside,
        to: &Beside,
        limit: Duration,
    ) -> std::result::Result<Option<IpAddr>, Unanswered> {
        let via = own(from, self.family, machine)?;
        let target = if self.target.is_unspecified() { via } else { self.target };
        let passage =
            Passage { via, from: self.source, to: target, parcel: self.parcel, at: self.at, as_what: self.as_what };
        let (here, there) = (machine.lab().at(from.segment)?, machine.lab().at(to.segment)?);
        Ok(here.pass(&there, passage, limit)?)
    }
}

/// A packet that a rule is about.
fn parcel(what: &Traffic, family: Family) -> Parcel {
    match what {
        Traffic::Ports { protocol: Protocol::Tcp, first, .. } => Parcel::Tcp(*first),
        Traffic::Ports { protocol: Protocol::Udp, first, .. } => Parcel::Udp(*first),
        Traffic::Icmp { kind: Some(kind), .. } => Parcel::Icmp(*kind),
        Traffic::Icmp { kind: None, .. } => Parcel::Icmp(if family == Family::V4 { 8 } else { 128 }),
        Traffic::Other(number) => Parcel::Ip(*number),
        Traffic::Any => Parcel::Tcp(443),
    }
}

/// Whether a packet arrived as it must.
fn arrived(seen: Option<IpAddr>, must: Sender, source: IpAddr, own: std::result::Result<IpAddr, Unanswered>) -> Judged {
    let Some(seen) = seen else { return Err("it did not arrive".to_owned()) };
    let expected = match must {
        Sender::Itself => Some(source),
        Sender::Machine => own.ok(),
        Sender::Named(address) => Some(address),
    };
    verdict(Some(seen) == expected, format!("it arrived, as from {seen}"))
}

/// A neighbour is offered an address.
fn leases(side: &Beside, server: &DhcpServer) -> Check {
    let what = format!("a neighbour on link {} is offered an address", side.link);
    let (segment, server, own) = (side.segment, server.clone(), side.fixed.clone());
    let check = Check::outside(format!("dhcp-server-{}", side.link), what, move |machine| {
        Ok(offered(machine.lab().at(segment)?.dhcp_offer(machine.patience())?, &server, &own))
    });
    check.phase(Phase::Ports).injected_only()
}

fn offered(offer: Option<DhcpOffer>, server: &DhcpServer, own: &[IpAddr]) -> Judged {
    let Some(DhcpOffer { address: Some(address), routers, dns }) = offer else { return Err("no offer".to_owned()) };
    if !(server.first..=server.last).contains(&address) {
        return Err(format!("{address} is not between {} and {}", server.first, server.last));
    }
    let router = routers.iter().any(|r| own.contains(&(*r).into()));
    if router != (server.router == Some(true)) {
        return Err(format!("{address}, gateways {routers:?}"));
    }
    match server.dns.iter().find(|d| !dns.iter().any(|told| told.to_string() == **d)) {
        Some(missing) => Err(format!("{address}, and name server {missing} is not told")),
        None => Ok(format!("{address}, {} gateways, {} name servers", routers.len(), dns.len())),
    }
}

/// Neighbours are told the networks.
fn advertises(side: &Beside, advertise: &Advertise) -> Check {
    let what = format!("router advertisements on link {} are as declared", side.link);
    let (segment, advertise) = (side.segment, advertise.clone());
    let check = Check::outside(format!("advertise-{}", side.link), what, move |machine| {
        Ok(advertised(machine.lab().at(segment)?.router_offer(machine.patience())?, &advertise))
    });
    check.phase(Phase::Ports).injected_only()
}

fn advertised(offer: Option<RouterOffer>, advertise: &Advertise) -> Judged {
    let Some(offer) = offer else { return Err("no advertisement".to_owned()) };
    for prefix in &advertise.prefixes {
        let told = |(network, length): &(Ipv6Addr, u8)| split(prefix) == Some(((*network).into(), *length));
        offer.prefixes.iter().any(told).then_some(()).ok_or(format!("{prefix} is not advertised"))?;
    }
    for server in &advertise.dns {
        offer.dns.iter().any(|d| d.to_string() == *server).then_some(()).ok_or(format!("{server} is not told"))?;
    }
    let router = offer.lifetime > 0;
    verdict(
        router == (advertise.router == Some(true)),
        format!("{} networks, {} as a router", offer.prefixes.len(), if router { "and" } else { "not" }),
    )
}

/// Rules of routing, ip-rule(8).
fn policy(recipe: &Recipe) -> Option<Check> {
    let rules: Vec<RoutingRule> = recipe.network.values().flat_map(|link| link.rules.clone()).collect();
    let what = "the declared routing rules are in force";
    let ask = "ip -j -4 rule; ip -j -6 rule";
    (!rules.is_empty()).then(|| Check::settling_script("routing-rules", what, ask, move |said| in_force(said, &rules)))
}

/// `ip -j rule`: a list for each family.
fn in_force(output: &Output, rules: &[RoutingRule]) -> Judged {
    let lists = output.text.lines().filter_map(|line| serde_json::from_str::<Vec<Value>>(line).ok());
    let seen: Vec<Value> = lists.flatten().collect();
    let network = |rule: &Value, end: &str| {
        let address = rule[end].as_str().filter(|a| *a != "all")?;
        let width = if address.contains(':') { 128 } else { 32 };
        Some(format!("{address}/{}", rule[format!("{end}len")].as_u64().unwrap_or(width)))
    };
    let same = |rule: &RoutingRule, seen: &Value| {
        let table = seen["table"].as_str().map(str::to_owned).or(seen["table"].as_u64().map(|n| n.to_string()));
        let names = [(253, "default"), (254, "main"), (255, "local")];
        let word =
            names.iter().find(|(n, _)| *n == rule.table).map_or(rule.table.to_string(), |(_, w)| (*w).to_owned());
        seen["priority"] == rule.priority
            && (table.as_deref() == Some(word.as_str()) || table == Some(rule.table.to_string()))
            && network(seen, "src") == rule.from
            && network(seen, "dst") == rule.to
    };
    match rules.iter().find(|rule| !seen.iter().any(|seen| same(rule, seen))) {
        None if output.success() => Ok(format!("{} rules", rules.len())),
        None => Err(short(&output.text)),
        Some(rule) => Err(format!("there is no rule of priority {} for table {}", rule.priority, rule.table)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{plan, scope::tests::recipe_of};

    const ROUTER: &str = "[network.wan]\nmatch = { order = 1 }\ndhcp = true\nrouter_advertisements = false\n\
        [network.lan]\nmatch = { order = 2 }\naddresses = [\"10.1.0.1/24\", \"fd00:1::1/64\"]\n\
        dhcp_server = { first = \"10.1.0.100\", last = \"10.1.0.199\" }\nadvertise = {}\n\
        [firewall.forward]\nallow = [{ in = [\"lan\"], out = [\"wan\"] }]\n\
        [firewall.nat]\nmasquerade = [{ out = [\"wan\"], from = [\"10.1.0.0/24\"] }]\n\
        ports = [{ in = [\"wan\"], port = 443, to = \"10.1.0.5\", to_port = 8443 }]\n";

    #[test]
    fn a_router_is_asked_from_both_sides() {
        let recipe = recipe_of(ROUTER);
        let ids: Vec<String> = plan::of(&recipe, &[]).into_iter().map(|c| c.id).collect();
        for id in [
            "side-lan-ipv4",
            "side-lan-ipv6",
            "pass-lan_wan-lan-wan",
            "pass-wan-lan-undeclared",
            "nat-tcp_443-wan",
            "dhcp-server-lan",
            "advertise-lan",
        ] {
            assert!(ids.iter().any(|i| i == id), "{id} is not among {ids:#?}");
        }
        assert!(!ids.iter().any(|i| i == "pass-lan-wan-undeclared"), "everything may pass");
        let plain = recipe_of("");
        assert!(!plan::of(&plain, &[]).iter().any(|c| c.id.starts_with("pass-") || c.id.starts_with("side-")));
    }

    #[test]
    fn whose_address_a_packet_bears_is_judged() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let (source, own) = (ip("10.1.0.2"), ip("192.0.2.9"));
        let judge = |seen, must| arrived(seen, must, source, Ok(own));
        assert!(judge(Some(source), Sender::Itself).is_ok() && judge(Some(own), Sender::Machine).is_ok());
        assert!(judge(Some(source), Sender::Machine).is_err(), "it was not translated");
        assert!(judge(Some(own), Sender::Itself).is_err(), "it was translated");
        assert!(judge(Some(own), Sender::Named(source)).is_err() && judge(None, Sender::Itself).is_err());
        let unknown = arrived(Some(own), Sender::Machine, source, Err(Unanswered::Skipped("none".into())));
        assert!(unknown.is_err(), "nobody knows the machine's address");
    }

    #[test]
    fn offers_that_are_not_as_declared_are_seen() {
        let recipe = recipe_of(ROUTER);
        let lan = &recipe.network["lan"];
        let (mut server, advertise) =
            (lan.dhcp_server.clone().expect("it leases"), lan.advertise.as_ref().expect("it does"));
        server.dns = vec!["10.1.0.1".into()];
        let own = [IpAddr::V4(Ipv4Addr::new(10, 1, 0, 1))];
        let router = Ipv4Addr::new(10, 1, 0, 1);
        let good = DhcpOffer { address: Some(Ipv4Addr::new(10, 1, 0, 150)), routers: vec![router], dns: vec![router] };
        assert!(offered(Some(good.clone()), &server, &own).is_ok());
        let outside = DhcpOffer { address: Some(Ipv4Addr::new(10, 1, 0, 99)), ..good.clone() };
        for bad in [outside, DhcpOffer { routers: vec![], ..good.clone() }, DhcpOffer { dns: vec![], ..good }] {
            assert!(offered(Some(bad.clone()), &server, &own).is_err(), "{bad:?}");
        }
        assert!(offered(None, &server, &own).is_err());
        let prefix = (Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 0), 64);
        let good = RouterOffer { lifetime: 1800, prefixes: vec![prefix], dns: vec![] };
        assert!(advertised(Some(good.clone()), advertise).is_ok());
        for bad in [RouterOffer { lifetime: 0, ..good.clone() }, RouterOffer { prefixes: vec![], ..good }] {
            assert!(advertised(Some(bad.clone()), advertise).is_err(), "{bad:?}");
        }
        assert!(advertised(None, advertise).is_err());
    }

    #[test]
    fn routing_rules_are_found_or_missed() {
        let rule = |from: &str, table| RoutingRule { from: Some(from.into()), to: None, table, priority: 100 };
        let said = |text: &str| Output { status: 0, text: text.to_owned() };
        // As ip(8) 6.15 prints it.
        let seen = "[{\"priority\":0,\"src\":\"all\",\"table\":\"local\"},\
            {\"priority\":100,\"src\":\"198.51.100.0\",\"srclen\":24,\"table\":\"200\",\"protocol\":\"static\"}]\n\
            [{\"priority\":0,\"src\":\"all\",\"table\":\"local\"}]\n";
        assert!(in_force(&said(seen), &[rule("198.51.100.0/24", 200)]).is_ok());
        for (from, table) in [("198.51.100.0/25", 200), ("198.51.100.0/24", 201), ("192.0.2.0/24", 200)] {
            assert!(in_force(&said(seen), &[rule(from, table)]).is_err(), "{from} {table}");
        }
        assert!(in_force(&said(""), &[rule("198.51.100.0/24", 200)]).is_err());
    }
}
