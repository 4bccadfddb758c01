//! What monitoring, certificates and backups ask of others, against what may go out: a probe that egress forbids would only ever say that
//! something is wrong with the other side.

use crate::Result;
use crate::recipe::*;
use crate::tables::places::Places;
use std::net::IpAddr;

pub(super) fn check(recipe: &Recipe, places: &Places) -> Result<()> {
    if recipe.firewall.egress.policy == Policy::Accept {
        return Ok(());
    }
    match recipe.outgoing().into_iter().find(|one| !one.passes(recipe)) {
        None => Ok(()),
        Some(one) => {
            let (what, entry) = one.words(recipe);
            let what = format!("{} {}: `firewall.egress` forbids {what}", one.who, one.fails);
            Err(places
                .finding(&one.path, what)
                .because("its policy is `drop`, and no entry of `firewall.egress.allow` lets it out")
                .hint(format!("add `{entry}` to `firewall.egress.allow`")))
        }
    }
}

impl Outgoing<'_> {
    /// Whether it may go out. Of a name whose address nobody knows before, whether it may go anywhere at all.
    fn passes(&self, recipe: &Recipe) -> bool {
        let wanted = |address: &IpAddr| self.ipv4.is_none_or(|four| four == address.is_ipv4());
        let addresses: Vec<IpAddr> = self.addresses(&recipe.hosts).into_iter().filter(wanted).collect();
        if addresses.is_empty() {
            let families = [true, false].into_iter().filter(|four| self.ipv4.is_none_or(|only| only == *four));
            return self.host == "localhost" || families.into_iter().any(|four| self.admitted(recipe, four, None));
        }
        addresses.iter().any(|a| a.is_loopback() || self.admitted(recipe, a.is_ipv4(), Some(*a)))
    }

    fn admitted(&self, recipe: &Recipe, ipv4: bool, address: Option<IpAddr>) -> bool {
        let traffic = self.traffic(ipv4);
        let firewall = &recipe.firewall;
        let to = |entry: &AllowOut| match address {
            Some(address) => firewall.names(&entry.to, address),
            None => entry.to.is_empty() || firewall.networks(&entry.to).iter().any(|n| n.is_ipv4() == ipv4),
        };
        self.asks_own_server(recipe, address)
            || firewall.egress.allow.iter().any(|entry| entry.what.covers(&traffic) && to(entry))
    }

    /// Questions to the machine's own name servers go out without being declared, and so do updates.
    fn asks_own_server(&self, recipe: &Recipe, address: Option<IpAddr>) -> bool {
        if !matches!(self.port, Some((_, 53))) {
            return false;
        }
        let learns = |l: &Link| l.learn_dns && (l.dhcp_ipv4 || l.dhcp_ipv6 || l.router_advertisements);
        let said = |l: &Link| l.dns.iter().any(|s| s.split('#').next().and_then(|a| a.parse().ok()) == address);
        recipe.nocloud() || recipe.network.values().any(|l| learns(l) || address.is_some() && said(l))
    }

    fn traffic(&self, ipv4: bool) -> Traffic {
        match self.port {
            Some((protocol, port)) => Traffic::port(port, protocol),
            None => Traffic::Icmp { v6: !ipv4, kind: Some(if ipv4 { 8 } else { 128 }) },
        }
    }

    /// What is forbidden, and the entry that would admit it.
    fn words(&self, recipe: &Recipe) -> (String, String) {
        let address = self.addresses(&recipe.hosts).into_iter().next();
        let to =
            address.map(|a| format!(", to = [\"{a}/{}\"]", if a.is_ipv4() { 32 } else { 128 })).unwrap_or_default();
        match self.port {
            Some((Protocol::Tcp, port)) => {
                (format!("tcp port {port} of {}", self.host), format!("{{ port = {port}{to} }}"))
            }
            Some((Protocol::Udp, port)) => {
                (format!("udp port {port} of {}", self.host), format!("{{ port = {port}, protocol = \"udp\"{to} }}"))
            }
            None => {
                let six = address.map_or(self.ipv4 == Some(false), |a| a.is_ipv6());
                let word = if six { "icmpv6" } else { "icmp" };
                let entry = format!("{{ protocol = \"{word}\", type = \"echo-request\"{to} }}");
                (format!("echo requests to {}", self.host), entry)
            }
        }
    }
}
