//! Recipe → every check, in the order in which they are asked. What the recipe already says needs no hand-written test.

pub use crate::check::Check;

use crate::{
    declared,
    derived::{
        access, agent, backup, certificates, containers, firewall, hardening, image, journal, kernel, locale, memory,
        monitoring, mounts, network, packages, platform, root, routing, services, signing, ssh, state, time, trust,
        unsolicited, vpn,
    },
    scope::Scope,
};
use diorite_model::{Digest, Recipe, report::plan_digest, verify::OwnCheck};

/// Every check of this recipe and of the profile's own, asked from where the lab stands.
pub fn of(recipe: &Recipe, own: &[OwnCheck]) -> Vec<Check> {
    let scope = &Scope::of(recipe);
    let mut all = network::addresses(scope);
    all.extend(services::settled());
    all.push(firewall::from_power_on());
    all.push(unsolicited::check(scope));
    all.extend(vpn::calls(scope));
    all.extend(network::echoes(scope));
    all.extend(network::vlans(scope));
    all.extend(network::links(scope));
    all.push(image::hostname(scope));
    all.extend(time::declared(scope));
    all.extend(network::names(scope));
    all.extend(time::clock(scope));
    all.push(locale::check(scope));
    all.extend(root::checks());
    all.extend(signing::checks(scope));
    all.extend(state::checks(scope));
    all.extend(memory::swap(scope));
    all.extend(memory::hosts(scope));
    all.extend(trust::checks(scope));
    all.extend(mounts::checks(scope));
    all.extend(packages::checks(scope));
    all.extend(kernel::modules(scope));
    all.extend(platform::checks(scope));
    all.extend(services::checks(scope));
    all.extend(containers::checks(scope));
    all.extend(access::checks(scope));
    all.extend(ssh::checks(scope));
    all.extend(hardening::checks(scope));
    all.push(root::boot_entry());
    all.extend(firewall::rules(scope));
    all.extend(firewall::protocols(scope));
    all.extend(routing::checks(scope));
    all.extend(vpn::checks(scope));
    // Late, because all ports are being asked while the machine answers the rest.
    for family in scope.families.iter().copied() {
        all.extend(firewall::admitted(scope, family));
        all.extend(ssh::banner(scope, family));
        all.extend(containers::pages(scope, family));
        all.extend(monitoring::metrics(scope, family));
        all.extend(monitoring::servers::pages(scope, family));
        all.extend(firewall::limits(scope, family));
        all.extend(firewall::sweeps(scope, family));
    }
    all.extend(certificates::checks(scope));
    all.extend(declared::checks(own, scope));
    all.extend(backup::checks(scope));
    // Last of these, because what a container is doing is looked at every half minute only.
    all.extend(monitoring::image(scope, firewall::counters(recipe)));
    all.extend(monitoring::servers::checks(scope));
    all.extend(monitoring::logs::check(scope));
    all.extend(agent::check(scope));
    all.push(kernel::sound());
    all.push(journal::check());
    // Behind it, because a file server that is not there is an error in the journal.
    all.extend(mounts::servers(scope));
    all.extend(ssh::clones(scope));
    all.extend(image::end(scope, signing::boots(scope)));
    all
}

/// The digest of a whole plan, which its report records.
pub fn digest(checks: &[Check], own: &[OwnCheck]) -> Digest {
    plan_digest(checks.iter().map(|check| check.id.as_str()), own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::tests::server;
    use std::collections::BTreeSet;

    #[test]
    fn everything_the_recipe_says_is_asked() {
        let ids: Vec<String> = of(&server(), &[]).into_iter().map(|c| c.id).collect();
        for id in [
            "lease",
            "address-ipv6",
            "ping-ipv4",
            "ping-ipv6",
            "port-ipv4-tcp-22-open",
            "port-ipv6-tcp-22-open",
            "port-ipv4-tcp-8080-open",
            "port-ipv4-tcp-9100-open",
            "ssh-banner-ipv4",
            "port-ipv6-tcp-8080-open",
            "http-8080",
            "http-ipv6-8080",
            "metrics-9100",
            "ports-ipv4-tcp",
            "ports-ipv6-udp",
            "ports-ipv4-tcp-other-network",
            "ports-ipv6-tcp-fragments",
            "firewall-from-power-on",
            "nothing-unasked",
            "firewall-under-churn",
            "container-web-running",
            "tamper-refused",
        ] {
            assert!(ids.iter().any(|i| i == id), "{id} is not among {ids:#?}");
        }
        // 9100 admits only an IPv4 network.
        assert!(!ids.iter().any(|i| i == "port-ipv6-tcp-9100-open"));
        let unique: BTreeSet<&String> = ids.iter().collect();
        assert_eq!(unique.len(), ids.len(), "names are unique");
    }
}
