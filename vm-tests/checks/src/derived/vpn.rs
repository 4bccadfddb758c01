//! Tunnels: each is what it is declared to be, calls its gateway or admits those who may come, and nothing leaves beside it
//! that is to leave through it.

mod fortinet_ssl;
mod ipsec;
mod wireguard;

use crate::{
    answer::{Judged, verdict},
    check::{Check, Phase},
    derived::firewall::counted,
    quote,
    scope::Scope,
    sweep::Family,
};
use diorite_lab::{Parcel, Record};
use diorite_model::recipe::{Link, LinkKind, Network, Protocol, TunnelCall};
use std::net::IpAddr;

/// Every tunnel.
pub fn checks(scope: &Scope<'_>) -> Vec<Check> {
    let mut all = Vec::new();
    for (name, link) in scope.recipe.tunnels() {
        match &link.kind {
            LinkKind::Wireguard(wireguard) => all.push(wireguard::check(name, wireguard)),
            LinkKind::Ipsec(about) => {
                let others = scope.recipe.ipsec_tunnels().map(|(name, ..)| name.clone()).collect();
                all.push(ipsec::check(name, about, others));
            }
            LinkKind::FortinetSsl(_) => all.push(fortinet_ssl::check(name)),
            _ => {}
        }
        all.extend(ports(scope, name));
        all.extend(link.only_through.first().map(|network| apart(name, network)));
    }
    all
}

/// Whoever begins is heard on the wire.
pub fn calls(scope: &Scope<'_>) -> Vec<Check> {
    let own = |call: &&TunnelCall<'_>| {
        let wireguard = |link: &Link| matches!(link.kind, LinkKind::Wireguard(_));
        // WireGuard says nothing before there is something to send; of the ports of IKE the first comes first.
        !scope.recipe.network.get(call.tunnel).is_some_and(wireguard) && call.port != 4500
    };
    let calls = scope.recipe.tunnel_calls();
    let one = |call: &TunnelCall<'_>| {
        let addresses = call.addresses(&scope.recipe.hosts);
        (!addresses.is_empty()).then(|| {
            let what = format!("tunnel {} calls its gateway", call.tunnel);
            let check = Check::outside(format!("vpn-{}-calls", call.tunnel), what, move |machine| {
                Ok(called(&machine.lab().record(), &addresses))
            });
            check.phase(Phase::Summary).of_the_boot()
        })
    };
    calls.iter().filter(own).filter_map(one).collect()
}

/// Whether the machine has said anything to one of these, or looked for it on the link.
fn called(record: &Record, addresses: &[IpAddr]) -> Judged {
    let said: u64 = addresses.iter().map(|address| to(record, *address)).sum();
    verdict(said > 0, format!("{said} packets"))
}

fn to(record: &Record, address: IpAddr) -> u64 {
    let address = address.to_string();
    record.iter().filter(|(utterance, _)| utterance.to == address).map(|(_, times)| times.count).sum()
}

/// Whether its ports admit who may come: what listens there answers nobody it does not know.
fn ports(scope: &Scope<'_>, name: &str) -> Vec<Check> {
    let prefix = format!("vpn-{name}");
    let own =
        |rule: &str| rule == prefix || rule.strip_prefix(&prefix).is_some_and(|rest| rest == "-500" || rest == "-4500");
    let rules = scope.recipe.firewall.allow.iter().filter(|rule| rule.name.as_deref().is_some_and(own));
    let one = |rule: &diorite_model::recipe::Allow| {
        let port = *rule.what.ports(Protocol::Udp)?.start();
        let (id, counter) = (rule.name.clone()?, rule.id());
        let admitted = |family: &&Family| scope.admits(**family, Protocol::Udp, port).is_some();
        Some(match scope.families.iter().find(admitted) {
            Some(family) => {
                let what = format!("UDP port {port} of tunnel {name} is reached");
                counted(format!("{id}-port"), what, *family, Parcel::Udp(port), format!("input_{counter}"))
            }
            None => {
                let what = format!("UDP port {port} of tunnel {name} is not reached from elsewhere");
                let id = format!("{id}-port-dropped");
                counted(id, what, *scope.families.first()?, Parcel::Udp(port), "input_dropped".to_owned())
            }
        })
    };
    rules.filter_map(one).collect()
}

/// A packet to a network that is reached through the tunnel alone: in the lab no other end answers, so that nothing of it may
/// be on the wire.
fn apart(name: &str, network: &Network) -> Check {
    let what = format!("nothing goes to {network} beside the tunnel {name}");
    let address = inside(network);
    let script = format!("bash -c {}", quote::word(&format!("echo x >/dev/udp/{address}/9")));
    Check::inside(format!("vpn-{name}-only-through"), what, move |machine| {
        // It fails where the packet is dropped at once.
        for _ in 0..2 {
            machine.run(&script)?;
        }
        let said = to(&machine.lab().record(), address);
        Ok(verdict(said == 0, format!("{said} packets to {address} on the wire")))
    })
}

/// A machine in this network: the first, where it has more than one address.
fn inside(network: &Network) -> IpAddr {
    match network.address() {
        IpAddr::V4(a) if network.length() < 32 => IpAddr::V4((a.to_bits() + 1).into()),
        IpAddr::V6(a) if network.length() < 128 => IpAddr::V6((a.to_bits() + 1).into()),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{plan, scope::tests::recipe_of};
    use diorite_lab::{Times, Utterance};
    use std::time::Duration;

    const TABLE: &str = "[network.lan]\ndhcp = true\n[vpn.office]\ntype = \"wireguard\"\naddresses = [\"10.99.0.1/24\"]\n\
        port = 51820\n[vpn.office.peers.school]\npublic_key = \"xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\"\n\
        allowed = [\"10.99.0.2/32\", \"10.60.0.0/16\"]\nendpoint = \"192.0.2.9:51820\"\nkeepalive = 25\npreshared_key = true\n";
    const IPSEC: &str = "[network.lan]\ndhcp = true\n[vpn.gate]\ntype = \"ipsec\"\naddresses = [\"10.97.0.1/32\"]\n\
        gateway = \"192.0.2.9\"\nremote = [\"10.61.0.0/16\"]\nonly_through = [\"10.61.0.0/16\"]\n\
        [vpn.branch]\ntype = \"ipsec\"\naddresses = [\"10.96.0.1/32\"]\npeer_id = \"branch\"\nremote = [\"10.62.0.0/16\"]\n\
        from = [\"203.0.113.0/24\"]\n";

    fn ids(text: &str) -> Vec<String> {
        plan::of(&recipe_of(text), &[]).into_iter().map(|c| c.id).filter(|id| id.starts_with("vpn-")).collect()
    }

    #[test]
    fn a_port_is_asked_from_where_it_is_admitted_and_from_where_it_is_not() {
        assert_eq!(ids(TABLE), ["vpn-office", "vpn-office-port"]);
        let others = ids(&TABLE.replace("port = 51820\n[", "port = 51820\nfrom = [\"192.0.2.9/32\"]\n["));
        assert_eq!(others, ["vpn-office", "vpn-office-port-dropped"]);
        assert!(ids("[network.lan]\ndhcp = true\n").is_empty());
        let mut ipsec = ids(IPSEC);
        ipsec.sort();
        let all = [
            "vpn-branch",
            "vpn-branch-4500-port-dropped",
            "vpn-branch-500-port-dropped",
            "vpn-gate",
            "vpn-gate-calls",
            "vpn-gate-only-through",
        ];
        assert_eq!(ipsec, all);
    }

    #[test]
    fn what_was_said_is_counted_by_whom_it_was_said_to() {
        let said = |to: &str| {
            let (guest, kind, to) = ("52:54:00:12:34:56".to_owned(), "udp".to_owned(), to.to_owned());
            let times = Times { count: 3, first: Duration::from_secs(3), last: Duration::from_secs(3) };
            Record::from([(Utterance { guest, vlan: None, kind, to, port: 500 }, times)])
        };
        let gateway = ["192.0.2.9".parse().unwrap()];
        assert_eq!(called(&said("192.0.2.9"), &gateway), Ok("3 packets".into()));
        assert!(called(&said("192.0.2.8"), &gateway).is_err() && called(&Record::new(), &gateway).is_err());
        for (network, address) in
            [("10.61.0.0/16", "10.61.0.1"), ("10.61.0.7/32", "10.61.0.7"), ("fd00::/8", "fd00::1")]
        {
            assert_eq!(inside(&network.parse().unwrap()).to_string(), address);
        }
    }
}
