//! What derived checks follow from: the recipe, and the network in which the machine is asked.

use crate::{surroundings::Surroundings, sweep::Family};
use diorite_model::{
    Recipe,
    recipe::{Allow, Link, Protocol},
};
use std::{collections::BTreeSet, net::IpAddr};

/// A recipe in the lab's network.
pub struct Scope<'a> {
    pub recipe: &'a Recipe,
    pub around: Surroundings,
    /// Families in which the machine has an address: IPv4 comes by DHCP in the lab, IPv6 by router advertisements; a fixed
    /// address is there without either.
    pub families: Vec<Family>,
}

impl<'a> Scope<'a> {
    /// Follows from the recipe alone.
    pub fn of(recipe: &'a Recipe) -> Self {
        let mut scope = Self { recipe, around: Surroundings::of(recipe), families: Vec::new() };
        let (front, fixed) = (scope.front(), &scope.around.fixed);
        let four = front.is_some_and(|l| l.dhcp_ipv4) || fixed.iter().any(IpAddr::is_ipv4);
        let six = front.is_some_and(|l| l.router_advertisements) || fixed.iter().any(IpAddr::is_ipv6);
        let has = [(four, Family::V4), (six, Family::V6)].into_iter().filter(|(has, _)| *has);
        scope.families = has.map(|(_, family)| family).collect();
        scope
    }

    /// The link that the lab looks at.
    pub fn front(&self) -> Option<&'a Link> {
        self.recipe.network.get(self.around.front.as_ref()?)
    }

    /// Where questions come from: a rule may admit only some networks.
    pub fn source(&self, family: Family) -> IpAddr {
        match family {
            Family::V4 => self.around.config.ipv4.into(),
            Family::V6 => self.around.config.ipv6.into(),
        }
    }

    /// Whether the machine finds its way to other networks.
    pub fn has_gateway(&self, family: Family) -> bool {
        let any = self.front().is_some_and(|link| link.dhcp_ipv4 || !link.gateways.is_empty());
        any || family == Family::V6 && self.front().is_some_and(|link| link.router_advertisements)
    }

    /// The rule that admits the lab to a port of the machine.
    pub fn admits(&self, family: Family, protocol: Protocol, port: u16) -> Option<&'a Allow> {
        let (firewall, source) = (&self.recipe.firewall, self.source(family));
        let fits = |a: &&Allow| a.what.is_port(protocol, port) && self.comes_by(a) && firewall.names(&a.from, source);
        firewall.allow.iter().find(fits)
    }

    /// Whether an entry is about the link that the lab looks at.
    pub fn comes_by(&self, allow: &Allow) -> bool {
        allow.links.is_empty() || self.around.front.as_ref().is_some_and(|front| allow.links.contains(front))
    }

    /// TCP ports of the machine that the lab is admitted to and that are asked: the ends of every entry's ports, and what
    /// containers publish between them.
    pub fn admitted(&self, family: Family) -> BTreeSet<u16> {
        let published = published(self.recipe);
        let entries = self.recipe.firewall.allow.iter().filter_map(|a| a.ports(Protocol::Tcp));
        let all = entries.flat_map(|ports| {
            let between = published.iter().copied().filter(|p| ports.contains(p));
            [*ports.start(), *ports.end()].into_iter().chain(between).collect::<Vec<_>>()
        });
        all.filter(|port| self.admits(family, Protocol::Tcp, *port).is_some()).collect()
    }

    /// The same, where a whole conversation fits into what it lets in at once.
    pub fn admits_conversation(&self, family: Family, port: u16) -> bool {
        let roomy = |allow: &Allow| allow.rate.is_none_or(|r| r.burst >= ASKED);
        self.admits(family, Protocol::Tcp, port).is_some_and(roomy)
    }
}

/// Ports of TCP that others may reach in a container.
pub fn published(recipe: &Recipe) -> BTreeSet<u16> {
    let all = recipe.listeners().into_iter().filter(|l| l.is_published() && l.is_public_tcp());
    all.map(|listener| listener.port).collect()
}

/// Connections the other checks of one port begin at most; a burst must have room for them.
const ASKED: u32 = 5;

#[cfg(test)]
pub mod tests {
    use diorite_model::{Recipe, Result, profile};

    /// What a profile makes of this text behind `[image]`.
    pub fn recipe_of(text: &str) -> Recipe {
        let text = format!("[image]\nname = \"server\"\nversion = \"1\"\n{text}");
        let mut none = |name: &str| -> Result<profile::Loaded> { panic!("{name} is asked for") };
        profile::parse(&text, "server.toml", &mut none).unwrap_or_else(|e| panic!("{e}")).0
    }

    /// A server as people have it: the secure shell, a container behind a port, metrics for the lab's own network.
    pub const SERVER: &str = "[network.lan]\ndhcp = true\n[firewall]\nallow = [{ port = 22 }, { port = 8080 }]\n\
        [containers.web]\npackages = [\"busybox\"]\ncommand = [\"busybox\", \"httpd\"]\n\
        publish = [{ host = 8080, container = 80 }]\n[monitoring]\nnode_exporter = { from = [\"10.77.0.0/24\"] }\n";

    /// That server.
    pub fn server() -> Recipe {
        recipe_of(SERVER)
    }
}
