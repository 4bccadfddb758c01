//! Whom a container asks for names: the machine, which is there before there is a network and stays when the network's
//! name servers change; never servers that podman has copied, or its fallback, which nobody declared.

use crate::{
    answer::{Judged, short},
    check::Check,
    derived::network,
    quote,
    scope::Scope,
};
use diorite_machine::Output;
use diorite_model::recipe::{Container, ContainerBridge};
use std::{collections::BTreeSet, net::IpAddr};

/// Every container of the recipe: each has a network.
pub fn checks(scope: &Scope<'_>) -> Vec<Check> {
    let bridges = scope.recipe.container_bridges();
    let one = |(name, container): (&String, &Container)| {
        let what = format!("container {name} resolves names through the machine");
        let of: Vec<&ContainerBridge> = bridges.iter().filter(|b| is_on(container, b)).collect();
        // Nobody answers for names elsewhere in a network without a way out.
        let asked = network::name_of_router(scope).filter(|_| of.iter().all(|b| !b.internal));
        let allowed: Vec<IpAddr> = of.iter().flat_map(|b| [IpAddr::V4(b.ipv4.1), IpAddr::V6(b.ipv6.1)]).collect();
        let (script, found) = (script(name, asked.as_ref().map(|a| &*a.0)), asked.map(|a| a.1));
        let judge = move |said: &Output| judge(said, &allowed, found);
        Check::settling_script(format!("container-{name}-dns"), what, script, judge)
    };
    scope.recipe.containers.iter().map(one).collect()
}

/// A container that names no network is on podman's own.
fn is_on(container: &Container, bridge: &ContainerBridge) -> bool {
    match container.networks.is_empty() {
        true => bridge.interface == "podman0",
        false => container.networks.contains(&bridge.network),
    }
}

/// `pid:` of the container's first process; `server:` the name servers (resolv.conf(5)) in its mount namespace,
/// proc_pid_root(5); `address:` what the C library finds for `name` in the container's network by those servers.
fn script(container: &str, name: Option<&str>) -> String {
    let container = quote::word(container);
    let mut script = format!(
        "p=$(podman inspect --type container --format '{{{{.State.Pid}}}}' -- {container}) || exit 1; echo \"pid:$p\"; \
         cat \"/proc/$p/root/etc/resolv.conf\" >/run/diorite-verify || exit 1; \
         sed -n 's/^[[:space:]]*nameserver[[:space:]][[:space:]]*/server:/p' /run/diorite-verify"
    );
    if let Some(name) = name {
        let inside = format!(
            "mount --bind /run/diorite-verify /etc/resolv.conf && getent -s hosts:dns ahostsv4 {}",
            quote::word(name)
        );
        script += &format!(
            "; nsenter -t $p -n unshare --mount sh -c {} 2>&1 | sed 's/ *STREAM.*//; s/^/address:/'",
            quote::word(&inside)
        );
    }
    script
}

/// `allowed`: the machine's addresses in the container's networks; `found`: the address that a name must have.
fn judge(output: &Output, allowed: &[IpAddr], found: Option<IpAddr>) -> Judged {
    let values = |of: &str| -> BTreeSet<&str> {
        let lines = output.text.lines().filter_map(|l| l.strip_prefix(of)?.strip_prefix(':'));
        lines.filter_map(|rest| rest.split_whitespace().next()).collect()
    };
    let (pid, servers, addresses) = (values("pid"), values("server"), values("address"));
    if !output.success() || !pid.iter().any(|p| p.parse::<u32>().is_ok_and(|p| p > 0)) {
        return Err(format!("it does not run: {}", short(&output.text)));
    }
    let list = |set: &BTreeSet<&str>| set.iter().copied().collect::<Vec<_>>().join(", ");
    let good = |server: &&str| server.parse::<IpAddr>().is_ok_and(|ip| allowed.contains(&ip));
    let wrong: BTreeSet<&str> = servers.iter().copied().filter(|server| !good(server)).collect();
    if servers.is_empty() {
        return Err(format!("it names no server: {}", short(&output.text)));
    }
    if !wrong.is_empty() {
        return Err(format!("it asks {}, which is not the machine", list(&wrong)));
    }
    match found {
        Some(ip) if !addresses.contains(&*ip.to_string()) => {
            Err(format!("{} does not find the address {ip}: {}", list(&servers), short(&output.text)))
        }
        _ => Ok(list(&servers)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str, found: Option<&str>) -> Judged {
        let allowed = ["10.88.0.1", "fd00::1"].map(|a| a.parse().expect("an address"));
        judge(&Output { status: 0, text: text.to_owned() }, &allowed, found.map(|a| a.parse().expect("an address")))
    }

    #[test]
    fn a_server_that_is_not_the_machine_is_seen() {
        assert_eq!(seen("pid:77\nserver:10.88.0.1\n", None), Ok("10.88.0.1".into()));
        assert!(seen("pid:77\nserver:fd00::1\nserver:10.88.0.1\n", None).is_ok());
        let fallback = seen("pid:77\nserver:8.8.8.8\nserver:8.8.4.4\n", None).expect_err("podman's fallback");
        assert_eq!(fallback, "it asks 8.8.4.4, 8.8.8.8, which is not the machine");
        assert!(seen("pid:77\nserver:10.77.0.1\n", None).is_err(), "a copy of the machine's servers");
        assert!(seen("pid:77\nserver:10.88.0.1\nserver:2001:4860:4860::8888\n", None).is_err(), "one too many");
        assert!(seen("pid:77\nserver:127.0.0.53\n", None).is_err(), "nobody is there");
        assert!(seen("pid:77\n", None).is_err() && seen("pid:77\nserver:\n", None).is_err(), "none is no answer");
        assert!(seen("server:10.88.0.1\n", None).is_err(), "nothing runs");
        assert!(seen("pid:0\nserver:10.88.0.1\n", None).is_err() && seen("", None).is_err());
    }

    #[test]
    fn a_server_that_does_not_answer_is_seen() {
        let asked = |address: &str| seen(&format!("pid:77\nserver:10.88.0.1\n{address}"), Some("10.77.0.1"));
        assert!(asked("address:10.77.0.1\naddress:\n").is_ok());
        assert!(asked("").is_err() && asked("address:\n").is_err() && asked("address:10.77.0.2\n").is_err());
    }

    #[test]
    fn names_are_words() {
        quote::tests::harmless(|hostile| script(hostile, None));
        quote::tests::harmless(|hostile| script(hostile, Some("router.example")));
    }
}
