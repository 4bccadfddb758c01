//! Whom a container asks for names: whom the machine itself asks, or the machine; never servers that podman falls back
//! to, which are not declared.

use crate::{
    answer::{Judged, short},
    check::Check,
    quote,
    scope::Scope,
};
use diorite_machine::Output;
use diorite_model::recipe::Container;
use std::{collections::BTreeSet, net::IpAddr};

/// Every container of the recipe: each has a network.
pub fn checks(scope: &Scope<'_>) -> Vec<Check> {
    let recipe = scope.recipe;
    let one = |(name, container): (&String, &Container)| {
        let what = format!("container {name} resolves names through the machine's own name servers");
        let subnets = container.networks.iter().filter_map(|n| recipe.container_networks.get(n)).map(|n| &n.subnet);
        let gateways: Vec<IpAddr> = subnets.filter_map(|subnet| gateway(subnet)).collect();
        Check::script(format!("container-{name}-dns"), what, script(name), move |said| judge(said, &gateways))
    };
    recipe.containers.iter().map(one).collect()
}

/// The machine's address in a network of containers, where podman serves names: the first of it.
fn gateway(subnet: &str) -> Option<IpAddr> {
    let network: std::net::Ipv4Addr = subnet.split_once('/')?.0.parse().ok()?;
    Some(std::net::Ipv4Addr::from_bits(network.to_bits().checked_add(1)?).into())
}

/// `pid:` of the container's first process; the name servers (resolv.conf(5)) in its mount namespace, proc_pid_root(5),
/// and those that systemd-resolved asks for the machine, systemd-resolved.service(8).
fn script(name: &str) -> String {
    let name = quote::word(name);
    let servers = |of: &str| format!("sed -n 's/^[[:space:]]*nameserver[[:space:]][[:space:]]*/{of}:/p'");
    format!(
        "p=$(podman inspect --type container --format '{{{{.State.Pid}}}}' -- {name}) || exit 1; echo \"pid:$p\"; \
         {} \"/proc/$p/root/etc/resolv.conf\" 2>&1; {} /run/systemd/resolve/resolv.conf 2>&1",
        servers("container"),
        servers("machine")
    )
}

/// `gateways`: the machine's addresses in the container's networks.
fn judge(output: &Output, gateways: &[IpAddr]) -> Judged {
    let servers = |of: &str| -> BTreeSet<&str> {
        let lines = output.text.lines().filter_map(|l| l.strip_prefix(of)?.strip_prefix(':'));
        lines.filter_map(|rest| rest.split_whitespace().next()).collect()
    };
    let (pid, asked, machine) = (servers("pid"), servers("container"), servers("machine"));
    if !output.success() || !pid.iter().any(|p| p.parse::<u32>().is_ok_and(|p| p > 0)) {
        return Err(format!("it does not run: {}", short(&output.text)));
    }
    // A link of the machine has another number, or none, in a container's network.
    let address = |server: &&str| server.split('%').next().unwrap_or_default().parse::<IpAddr>().ok();
    let known: Vec<IpAddr> = machine.iter().filter_map(address).chain(gateways.iter().copied()).collect();
    // A loopback address is the container's own, where no name server is.
    let good = |server: &&str| address(server).is_some_and(|ip| known.contains(&ip) && !ip.is_loopback());
    let list = |set: &BTreeSet<&str>| set.iter().copied().collect::<Vec<_>>().join(", ");
    let wrong: BTreeSet<&str> = asked.iter().copied().filter(|server| !good(server)).collect();
    match (asked.is_empty(), wrong.is_empty()) {
        (true, _) => Err(format!("it names no server: {}", short(&output.text))),
        (_, true) => Ok(list(&asked)),
        (_, false) => Err(format!("it asks {}, and the machine asks {}", list(&wrong), list(&machine))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str, gateways: &[&str]) -> Judged {
        let gateways: Vec<IpAddr> = gateways.iter().map(|g| g.parse().expect("an address")).collect();
        judge(&Output { status: 0, text: text.to_owned() }, &gateways)
    }

    const MACHINE: &str = "machine:10.77.0.1\nmachine:fe80::1%2\n";

    #[test]
    fn a_server_that_the_machine_does_not_ask_is_seen() {
        let with = |servers: &str| format!("pid:77\n{servers}{MACHINE}");
        assert_eq!(seen(&with("container:10.77.0.1\n"), &[]), Ok("10.77.0.1".into()));
        assert!(seen(&with("container:fe80::1%3\n"), &[]).is_ok(), "a link has another number there");
        let fallback = seen(&with("container:8.8.8.8\ncontainer:8.8.4.4\n"), &[]).expect_err("podman's fallback");
        assert!(fallback.starts_with("it asks 8.8.4.4, 8.8.8.8, and the machine asks 10.77.0.1"), "{fallback}");
        assert!(seen(&with("container:10.77.0.1\ncontainer:2001:4860:4860::8888\n"), &[]).is_err(), "one too many");
        assert!(seen(&with("container:127.0.0.53\n"), &["127.0.0.53"]).is_err(), "nobody is there");
        assert!(seen(&with("container:10.89.0.1\n"), &["10.89.0.1"]).is_ok(), "podman serves names in its network");
        assert!(seen(&with("container:10.89.0.1\n"), &[]).is_err(), "another network's");
        assert!(seen(&with(""), &[]).is_err() && seen(&with("container:\n"), &[]).is_err(), "none is no answer");
        assert!(seen("container:8.8.8.8\n", &["8.8.8.8"]).is_err(), "nothing runs");
        let stopped = format!("pid:0\ncontainer:10.77.0.1\n{MACHINE}");
        assert!(seen(&stopped, &[]).is_err() && seen("", &[]).is_err(), "an empty answer proves nothing");
    }

    #[test]
    fn the_machine_is_the_first_address_of_a_network() {
        assert_eq!(gateway("10.89.3.0/24"), "10.89.3.1".parse().ok());
        assert_eq!(gateway("10.89.3.0"), None);
    }

    #[test]
    fn names_are_words() {
        quote::tests::harmless(script);
    }
}
