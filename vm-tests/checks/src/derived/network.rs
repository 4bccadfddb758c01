//! The network: the machine's addresses, its virtual networks and links, and its name server.

mod link;

pub use link::checks as links;

use crate::{
    answer::Judged,
    check::{Check, Phase},
    output::says,
    quote,
    scope::Scope,
    surroundings::split,
    sweep::Family,
};
use diorite_model::recipe::{DnsOverTls, Link, LinkKind, Vlan};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

/// It gets the addresses that the recipe says it gets.
pub fn addresses(scope: &Scope<'_>) -> Vec<Check> {
    let front = scope.front();
    let mut all = Vec::new();
    if front.is_some_and(|link| link.dhcp_ipv4) {
        let check = Check::outside("lease", "the machine obtains an IPv4 address by DHCP", |machine| {
            let lease = machine.lease()?;
            Ok(Ok(format!("{} {:.1} s after the network was there", lease.ipv4, lease.at.as_secs_f64())))
        });
        all.push(check.phase(Phase::Address).over(Family::V4).of_the_boot());
    }
    for address in scope.around.fixed.iter().copied() {
        let family = Family::of(address);
        let (id, what) = (format!("address-{}-fixed", family.name()), format!("the machine answers at {address}"));
        let check = Check::outside(id, what, move |machine| {
            let mac = machine.find_at(address)?;
            Ok(Ok(format!("{} has it", diorite_lab::record::mac(mac))))
        });
        all.push(check.phase(Phase::Address).over(family));
    }
    if front.is_some_and(|link| link.router_advertisements) {
        let what = "the machine has an address in the advertised IPv6 prefix";
        let check = Check::outside("address-ipv6", what, |machine| Ok(Ok(machine.announced()?.to_string())));
        all.push(check.phase(Phase::Address).over(Family::V6).of_the_boot());
    }
    all
}

/// It answers an echo request.
pub fn echoes(scope: &Scope<'_>) -> Vec<Check> {
    let one = |family: Family| {
        let name = family.name();
        let what = format!("the machine answers ping ({name})");
        let check = Check::outside(format!("ping-{name}"), what, move |machine| {
            Ok(ping(machine.lab().ping(machine.address(family)?, machine.patience())?))
        });
        check.over(family)
    };
    scope.families.iter().copied().map(one).collect()
}

/// It has its addresses inside virtual networks.
pub fn vlans(scope: &Scope<'_>) -> Vec<Check> {
    let network = &scope.recipe.network;
    let alone = |name: &String| !network.values().any(|l| l.members().contains(name));
    let mut all = Vec::new();
    for (name, link) in network.iter().filter(|(name, _)| alone(name)) {
        let LinkKind::Vlan(vlan) = &link.kind else { continue };
        for TaggedAddress { vlan, from, address } in tagged(link, vlan) {
            let what = format!("{address} answers inside VLAN {vlan}");
            let id = format!("vlan-{name}-{}", Family::of(address).name());
            let check = Check::outside(id, what, move |machine| {
                let reply = machine.lab().reach(Some(vlan), from, address, machine.patience())?;
                Ok(ping(reply.map(|answer| answer.time)))
            });
            all.push(check.phase(Phase::Ports));
        }
    }
    all
}

/// Names are found.
pub fn names(scope: &Scope<'_>) -> Option<Check> {
    let (name, lab) = name_of_router(scope)?;
    let ask = format!("getent ahostsv4 {} | sed -n 's/ *STREAM.*//p'", quote::word(&name));
    let (what, lab) = ("host names resolve through the network's name server", lab.to_string());
    Some(Check::settling_script("names", what, ask, move |said| says(said, &lab)))
}

/// A name that the lab's name server alone knows, and its address, where that server is asked.
pub fn name_of_router(scope: &Scope<'_>) -> Option<(String, IpAddr)> {
    let (front, config) = (scope.front()?, &scope.around.config);
    let silent = |l: &Link| l.dns.is_empty() && l.dns_over_tls == DnsOverTls::No;
    let asked = front.dhcp_ipv4 && front.learn_dns && scope.recipe.network.values().all(silent);
    asked.then(|| (format!("router.{}", config.domain), config.ipv4.into()))
}

/// An address inside a virtual network, and the neighbour that looks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct TaggedAddress {
    /// VLAN identifier.
    vlan: u16,
    /// The neighbour's address.
    from: IpAddr,
    /// The machine's.
    address: IpAddr,
}

/// A neighbour for one address of each family.
fn tagged(link: &Link, vlan: &Vlan) -> Vec<TaggedAddress> {
    let mut all: Vec<TaggedAddress> = Vec::new();
    for (address, prefix) in link.addresses.iter().filter_map(|a| split(a)) {
        if all.iter().any(|t| t.address.is_ipv4() == address.is_ipv4()) {
            continue;
        }
        let from: Option<IpAddr> = match address {
            IpAddr::V4(v4) if (8..=30).contains(&prefix) => {
                let mask = u32::MAX << (32 - u32::from(prefix));
                let hosts = (1..=2).map(|n| Ipv4Addr::from_bits((v4.to_bits() & mask) + n));
                hosts.into_iter().find(|ip| *ip != v4).map(Into::into)
            }
            IpAddr::V6(v6) if (16..=126).contains(&prefix) => {
                let mask = u128::MAX << (128 - u32::from(prefix));
                let hosts = (1..=2).map(|n| Ipv6Addr::from_bits((v6.to_bits() & mask) + n));
                hosts.into_iter().find(|ip| *ip != v6).map(Into::into)
            }
            _ => None,
        };
        all.extend(from.map(|from| TaggedAddress { vlan: vlan.id, from, address }));
    }
    all
}

/// An echo came back.
pub fn ping(time: Option<Duration>) -> Judged {
    match time {
        Some(time) => Ok(format!("reply after {:.1} ms", time.as_secs_f64() * 1000.0)),
        None => Err("no reply".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{plan, scope::tests::recipe_of};

    #[test]
    fn an_echo_that_does_not_come_is_seen() {
        assert!(ping(Some(Duration::from_millis(3))).is_ok() && ping(None).is_err());
    }

    #[test]
    fn what_is_declared_is_asked() {
        let recipe = recipe_of(
            "[network.lan]\nmatch = { order = 1 }\naddresses = [\"192.0.2.10/24\", \"2001:db8::10/64\"]\n\
             gateways = [\"192.0.2.1\"]\n[network.guests]\nvlan = { id = 10, parent = \"lan\" }\n\
             addresses = [\"10.1.0.1/24\"]\n",
        );
        let checks = plan::of(&recipe, &[]);
        let has = |id: &str| checks.iter().any(|c| c.id == id);
        for id in [
            "address-ipv4-fixed",
            "address-ipv6-fixed",
            "vlan-guests-ipv4",
            "link-lan",
            "link-guests",
            "hostname",
            "timezone",
            "language",
        ] {
            assert!(has(id), "{id}");
        }
        assert!(!has("lease") && !has("vlan-guests-ipv6") && !has("time-servers"));
        let LinkKind::Vlan(vlan) = &recipe.network["guests"].kind else { panic!("it is one") };
        let (from, address) = (Ipv4Addr::new(10, 1, 0, 2).into(), Ipv4Addr::new(10, 1, 0, 1).into());
        assert_eq!(tagged(&recipe.network["guests"], vlan), [TaggedAddress { vlan: 10, from, address }]);
    }
}
