//! What networkd and the kernel have made of a link, held against what was declared.

use crate::{answer::Judged, check::Check, scope::Scope, surroundings::split};
use diorite_machine::Output;
use diorite_model::recipe::{DnsOverTls, Link, LinkKind};
use serde_json::Value;
use std::net::IpAddr;

/// What [`judge`] reads: networkd's own description of every link (networkctl(1)) and the kernel's (ip-link(8)), a line
/// of JSON each.
const COMMAND: &str = "networkctl --json=short status; echo; ip -j -d link show";

/// Every link is as declared.
pub fn checks(scope: &Scope<'_>) -> Vec<Check> {
    let one = |(name, link): (&String, &Link)| {
        let (id, what) = (format!("link-{name}"), format!("link {name} is configured as declared"));
        let (name, link) = (name.clone(), link.clone());
        Check::settling_script(id, what, COMMAND, move |said| judge(said, &name, &link))
    };
    // A tunnel to a FortiGate has a device while it is up, and none in the lab.
    let there = scope.recipe.network.iter().filter(|(_, link)| !matches!(link.kind, LinkKind::FortinetSsl(_)));
    there.map(one).collect()
}

/// Whether a link is as declared; says the first thing that is not.
fn judge(output: &Output, name: &str, link: &Link) -> Judged {
    let mut lines =
        output.text.lines().filter(|l| !l.is_empty()).map(|l| serde_json::from_str::<Value>(l).unwrap_or_default());
    let (daemon, kernel) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let file = format!("-{name}.network");
    let all = list(&daemon["Interfaces"]);
    let Some(seen) = all.iter().find(|i| i["NetworkFile"].as_str().is_some_and(|f| f.ends_with(&file))) else {
        return Err(format!("no device has the settings of {name}"));
    };
    let device = seen["Name"].as_str().unwrap_or_default();
    let state = seen["AdministrativeState"].as_str().unwrap_or_default();
    if state != "configured" {
        return Err(format!("{device} is {state}"));
    }
    let kernel_link = |name: &str| list(&kernel).iter().find(|l| l["ifname"] == name).cloned().unwrap_or_default();
    kind(&kernel_link(device), all, &kernel_link, link).map_err(|e| format!("{device}: {e}"))?;
    missing(seen, link).map_err(|e| format!("{device}: {e}"))?;
    let mtu = seen["MTU"].as_u64().unwrap_or_default();
    if link.mtu.is_some_and(|m| u64::from(m) != mtu) {
        return Err(format!("{device}: packets of {mtu} bytes"));
    }
    let counts = (link.addresses.len(), link.gateways.len() + link.routes.len(), link.dns.len());
    Ok(format!(
        "{device}: {} addresses, {} routes, {} name servers declared and there, {mtu} bytes",
        counts.0, counts.1, counts.2
    ))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// VLAN, bond or bridge, and its parts, as the kernel has them.
fn kind(seen: &Value, all: &[Value], kernel: &dyn Fn(&str) -> Value, link: &Link) -> Result<(), String> {
    let (info, data) = (&seen["linkinfo"]["info_kind"], &seen["linkinfo"]["info_data"]);
    let device = |link: &str| {
        let file = format!("-{link}.network");
        let of = all.iter().find(|i| i["NetworkFile"].as_str().is_some_and(|f| f.ends_with(&file)));
        of.and_then(|i| i["Name"].as_str()).unwrap_or_default().to_owned()
    };
    let fine = match &link.kind {
        LinkKind::Card(_) => info.is_null(),
        LinkKind::Vlan(v) => {
            info == "vlan"
                && data["id"] == v.id
                && data["protocol"] == "802.1Q"
                && seen["link"] == device(&v.parent).as_str()
        }
        LinkKind::Bond(b) => info == "bond" && data["mode"] == b.mode.word(),
        LinkKind::Bridge(b) => info == "bridge" && data["stp_state"] == u8::from(b.stp),
        LinkKind::Vrf(v) => info == "vrf" && data["table"] == v.table,
        LinkKind::Wireguard(_) => info == "wireguard",
        LinkKind::Ipsec(ipsec) => info == "xfrm" && data["if_id"] == format!("{:#x}", ipsec.interface),
        LinkKind::FortinetSsl(_) => info == "ppp",
    };
    if !fine {
        return Err(format!("it is {info} {}", if data.is_null() { String::new() } else { data.to_string() }));
    }
    for member in link.members().iter().chain(link.routed()) {
        let device = device(member);
        if kernel(&device)["master"] != seen["ifname"] || device.is_empty() {
            return Err(format!("{member} is not part of it"));
        }
    }
    Ok(())
}

/// The first declared thing that networkd does not name.
fn missing(seen: &Value, link: &Link) -> Result<(), String> {
    for text in &link.addresses {
        let Some((address, prefix)) = split(text) else { continue };
        let same = |a: &Value| ip(&a["Address"]) == Some(address) && a["PrefixLength"] == prefix;
        list(&seen["Addresses"]).iter().any(same).then_some(()).ok_or(format!("no address {text}"))?;
    }
    let route = |to: Option<(IpAddr, u8)>, via: Option<IpAddr>, metric: Option<u32>, table: Option<u32>| {
        list(&seen["Routes"]).iter().any(|r| {
            let length = r["DestinationPrefixLength"].as_u64().unwrap_or_default();
            let there = match to {
                Some((network, prefix)) => ip(&r["Destination"]) == Some(network) && length == u64::from(prefix),
                None => length == 0,
            };
            there
                && ip(&r["Gateway"]) == via
                && metric.is_none_or(|m| r["Priority"] == m)
                && table.is_none_or(|t| r["Table"] == t)
        })
    };
    for gateway in &link.gateways {
        let there = route(None, gateway.parse().ok(), link.metric, link.table);
        there.then_some(()).ok_or(format!("no default route by {gateway}"))?;
    }
    for r in &link.routes {
        let via = r.via.as_ref().and_then(|v| v.parse().ok());
        let there = route(split(&r.to), via, r.metric, r.table.or(link.table));
        there.then_some(()).ok_or(format!("no route to {}", r.to))?;
    }
    for server in &link.dns {
        let (address, name) = server.split_once('#').map_or((server.as_str(), None), |(a, n)| (a, Some(n)));
        let same = |d: &Value| ip(&d["Address"]) == address.parse().ok() && d["ServerName"].as_str() == name;
        list(&seen["DNS"]).iter().any(same).then_some(()).ok_or(format!("no name server {server}"))?;
    }
    if link.dns_over_tls != DnsOverTls::No {
        let same = |s: &Value| s["DNSOverTLS"] == link.dns_over_tls.word();
        list(&seen["DNSSettings"]).iter().any(same).then_some(()).ok_or("name servers are not asked over TLS")?;
    }
    for (key, declared) in [("SearchDomains", &link.search), ("RouteDomains", &link.route_domains)] {
        for domain in declared {
            let same = |d: &Value| d["Domain"] == domain.as_str();
            list(&seen[key]).iter().any(same).then_some(()).ok_or(format!("no domain {domain}"))?;
        }
    }
    for server in &link.ntp {
        let same =
            |n: &Value| n["Server"] == server.as_str() || ip(&n["Address"]).is_some_and(|a| Ok(a) == server.parse());
        list(&seen["NTP"]).iter().any(same).then_some(()).ok_or(format!("no time server {server}"))?;
    }
    Ok(())
}

/// An address as networkd's JSON has it: a list of bytes.
fn ip(value: &Value) -> Option<IpAddr> {
    let bytes: Option<Vec<u8>> = value.as_array()?.iter().map(|b| b.as_u64()?.try_into().ok()).collect();
    let bytes = bytes?;
    match bytes.len() {
        4 => Some(IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        16 => Some(IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diorite_model::{Recipe, profile};

    const PROFILE: &str = "[image]\nname = \"x\"\nversion = \"1\"\n[network.lan]\nmatch = { order = 1 }\n\
        addresses = [\"192.0.2.10/24\", \"2001:db8::10/64\"]\ngateways = [\"192.0.2.1\"]\nmetric = 5\nmtu = 1400\n\
        dns = [\"192.0.2.53#dns.example\"]\ndns_over_tls = \"yes\"\nsearch = [\"a.example\"]\nntp = [\"n.example\"]\n\
        routes = [{ to = \"198.51.100.0/24\", via = \"192.0.2.9\" }, { to = \"203.0.113.0/24\" }]\n\
        [network.guests]\nvlan = { id = 10, parent = \"lan\" }\naddresses = [\"10.1.0.1/24\"]\n";

    fn recipe() -> Recipe {
        let mut none = |name: &str| -> diorite_model::Result<profile::Loaded> { panic!("{name} is asked for") };
        profile::parse(PROFILE, "x.toml", &mut none).unwrap_or_else(|e| panic!("{e}")).0
    }

    /// As networkctl(1) 257 and ip(8) 6.15 print it, without what is not read.
    const SEEN: &str = concat!(
        r#"{"Interfaces":[{"Name":"lo"},{"Name":"enp0s2","MTU":1400,"NetworkFile":"/etc/systemd/network/20-lan.network","#,
        r#""AdministrativeState":"configured","DNS":[{"Family":2,"Address":[192,0,2,53],"ServerName":"dns.example"}],"#,
        r#""NTP":[{"Server":"n.example"}],"SearchDomains":[{"Domain":"a.example"}],"DNSSettings":[{"DNSOverTLS":"yes"}],"#,
        r#""Addresses":[{"Address":[192,0,2,10],"PrefixLength":24},"#,
        r#"{"Address":[32,1,13,184,0,0,0,0,0,0,0,0,0,0,0,16],"PrefixLength":64}],"Routes":["#,
        r#"{"Destination":[0,0,0,0],"DestinationPrefixLength":0,"Gateway":[192,0,2,1],"Priority":5},"#,
        r#"{"Destination":[198,51,100,0],"DestinationPrefixLength":24,"Gateway":[192,0,2,9],"Priority":0},"#,
        r#"{"Destination":[203,0,113,0],"DestinationPrefixLength":24,"Priority":0}]},"#,
        r#"{"Name":"guests","MTU":1400,"NetworkFile":"/etc/systemd/network/10-guests.network","#,
        r#""AdministrativeState":"configured","Addresses":[{"Address":[10,1,0,1],"PrefixLength":24}]}]}"#,
        "\n",
        r#"[{"ifname":"enp0s2"},{"ifname":"guests","link":"enp0s2","#,
        r#""linkinfo":{"info_kind":"vlan","info_data":{"protocol":"802.1Q","id":10}}}]"#,
    );

    #[test]
    fn links_are_judged_by_every_key() {
        let recipe = recipe();
        let asked =
            |text: &str, name: &str| judge(&Output { status: 0, text: text.to_owned() }, name, &recipe.network[name]);
        for name in ["lan", "guests"] {
            assert!(asked(SEEN, name).is_ok(), "{:?}", asked(SEEN, name));
        }
        for (name, from, to) in [
            ("lan", "20-lan", "80-lanes"),
            ("lan", "\"configured\",\"DNS\"", "\"configuring\",\"DNS\""),
            (
                "lan",
                "\"MTU\":1400,\"NetworkFile\":\"/etc/systemd/network/20",
                "\"MTU\":1500,\"NetworkFile\":\"/etc/systemd/network/20",
            ),
            ("lan", "[192,0,2,10]", "[192,0,2,11]"),
            ("lan", "\"PrefixLength\":64", "\"PrefixLength\":128"),
            ("lan", "\"Gateway\":[192,0,2,1]", "\"Gateway\":[192,0,2,2]"),
            ("lan", "\"Priority\":5", "\"Priority\":1024"),
            ("lan", "[203,0,113,0]", "[203,0,114,0]"),
            ("lan", "\"Gateway\":[192,0,2,9],", ""),
            ("lan", "[192,0,2,53]", "[192,0,2,54]"),
            ("lan", "dns.example", "other.example"),
            ("lan", "\"DNSOverTLS\":\"yes\"", "\"DNSOverTLS\":\"opportunistic\""),
            ("lan", "a.example", "b.example"),
            ("lan", "n.example\"}", "m.example\"}"),
            ("guests", "\"id\":10", "\"id\":11"),
            ("guests", "\"link\":\"enp0s2\"", "\"link\":\"enp0s3\""),
            ("guests", "\"info_kind\":\"vlan\"", "\"info_kind\":\"macvlan\""),
            ("guests", "[10,1,0,1]", "[10,1,0,2]"),
        ] {
            let bad = SEEN.replacen(from, to, 1);
            assert_ne!(bad, SEEN, "{from}");
            assert!(asked(&bad, name).is_err(), "{to}");
        }
        assert!(asked("", "lan").is_err() && asked("{}\n[]", "lan").is_err(), "an empty answer proves nothing");
    }
}
