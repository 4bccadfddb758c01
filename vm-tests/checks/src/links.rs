//! What the recipe says of links, clock and language, asked of a booted machine: from the wire inside virtual networks,
//! else of networkd itself.

use crate::{
    judge::Judged,
    plan::{Add, Question},
    surroundings::{Surroundings, split},
};
use diorite_machine::Output;
use diorite_model::{
    Recipe,
    recipe::{DnsOverTls, Link, LinkKind, Vlan},
    report::Evidence,
};
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address inside a virtual network, and the neighbour that looks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tagged {
    /// VLAN identifier.
    pub id: u16,
    /// The neighbour's address.
    pub from: IpAddr,
    /// The machine's.
    pub address: IpAddr,
}

/// What [`judge`] reads: networkd's own description of every link (networkctl(1)) and the kernel's (ip-link(8)), a line
/// of JSON each.
pub const COMMAND: &str = "networkctl --json=short status; echo; ip -j -d link show";

/// Adds the checks of links, host name, clock and language.
pub fn plan(recipe: &Recipe, add: Add<'_>) {
    for (name, link) in &recipe.network {
        if let LinkKind::Vlan(vlan) = &link.kind {
            for tagged in tagged(link, vlan) {
                let family = if tagged.address.is_ipv4() { "ipv4" } else { "ipv6" };
                let what = format!("{} answers inside VLAN {}", tagged.address, tagged.id);
                let id = format!("vlan-{name}-{family}");
                if recipe.network.values().any(|l| l.members().contains(name)) {
                    continue;
                }
                add(id, what, Evidence::Outside, Question::Tagged(tagged));
            }
        }
    }
    for (name, link) in &recipe.network {
        let question = Question::Link(name.clone(), Box::new(link.clone()));
        add(format!("link-{name}"), format!("link {name} is as declared"), Evidence::Inside, question);
    }
    let mut says = |id: &str, what: String, command: &str, expected: &str| {
        add(id.to_owned(), what, Evidence::Inside, Question::Says(command.to_owned(), expected.to_owned()));
    };
    let (host, zone, lang) = (&recipe.image.hostname, &recipe.time.timezone, &recipe.locale.lang);
    says("hostname", format!("the machine is called {host}"), "uname -n", host);
    says("timezone", format!("the time zone is {zone}"), "timedatectl show -p Timezone --value", zone);
    if !recipe.time.ntp.is_empty() {
        let list = recipe.time.ntp.join(" ");
        let command = "timedatectl show-timesync -p SystemNTPServers --value";
        says("time-servers", format!("time comes from {list}"), command, &list);
    }
    names(recipe, add);
    let mut says = |id: &str, what: String, command: &str, expected: &str| {
        add(id.to_owned(), what, Evidence::Inside, Question::Says(command.to_owned(), expected.to_owned()));
    };
    let command =
        "systemctl show-environment | sed -n s/^LANG=//p; LC_ALL=$(sed s/LANG=// /etc/locale.conf) locale charmap 2>&1";
    says("language", format!("programs speak {lang}"), command, &format!("{lang}\nUTF-8"));
}

/// Names and time, where the network's own servers are to be asked: the lab knows a name that nobody else does.
fn names(recipe: &Recipe, add: Add<'_>) {
    let around = Surroundings::of(recipe);
    let Some(front) = around.front.as_ref().and_then(|name| recipe.network.get(name)) else { return };
    let mut settles = |id: &str, what: &str, command: String, expected: String| {
        add(id.to_owned(), what.to_owned(), Evidence::Inside, Question::Settles(command, expected));
    };
    let (lab, links) = (around.config.ipv4, || recipe.network.values());
    if front.dhcp_ipv4 && front.learn_dns && links().all(|l| l.dns.is_empty() && l.dns_over_tls == DnsOverTls::No) {
        let command = format!("getent ahostsv4 router.{} | sed -n 's/ *STREAM.*//p'", around.config.domain);
        settles("names", "names are found by the network's name server", command, lab.to_string());
    }
    if front.dhcp_ipv4 && recipe.time.ntp.is_empty() && links().all(|l| l.ntp.is_empty()) {
        let command = "timedatectl show-timesync -p ServerAddress --value; timedatectl show -p NTPSynchronized --value";
        settles("clock", "the clock is set by the network's time server", command.into(), format!("{lab}\nyes"));
    }
}

/// A neighbour for one address of each family.
fn tagged(link: &Link, vlan: &Vlan) -> Vec<Tagged> {
    let mut all: Vec<Tagged> = Vec::new();
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
        all.extend(from.map(|from| Tagged { id: vlan.id, from, address }));
    }
    all
}

/// Whether a link is as declared; says the first thing that is not.
pub fn judge(output: &Output, name: &str, link: &Link) -> Judged {
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
    };
    if !fine {
        return Err(format!("it is {info} {}", if data.is_null() { String::new() } else { data.to_string() }));
    }
    for member in link.members() {
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
    let route = |to: Option<(IpAddr, u8)>, via: Option<IpAddr>, metric: Option<u32>| {
        list(&seen["Routes"]).iter().any(|r| {
            let length = r["DestinationPrefixLength"].as_u64().unwrap_or_default();
            let there = match to {
                Some((network, prefix)) => ip(&r["Destination"]) == Some(network) && length == u64::from(prefix),
                None => length == 0,
            };
            there && ip(&r["Gateway"]) == via && metric.is_none_or(|m| r["Priority"] == m)
        })
    };
    for gateway in &link.gateways {
        let there = route(None, gateway.parse().ok(), link.metric);
        there.then_some(()).ok_or(format!("no default route by {gateway}"))?;
    }
    for r in &link.routes {
        let there = route(split(&r.to), r.via.as_ref().and_then(|v| v.parse().ok()), r.metric);
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
    use crate::plan::{Check, plan};
    use diorite_model::profile;

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

    #[test]
    fn what_is_declared_is_asked() {
        let sources = ["192.0.2.1".parse().expect("an address"), "2001:db8::1".parse().expect("an address")];
        let checks: Vec<Check> = plan(&recipe(), &[], sources);
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
        let Some(Question::Tagged(tagged)) = checks.iter().find(|c| c.id == "vlan-guests-ipv4").map(|c| &c.question)
        else {
            panic!("it is asked from the wire");
        };
        assert_eq!(
            (tagged.id, tagged.from.to_string(), tagged.address.to_string()),
            (10, "10.1.0.2".into(), "10.1.0.1".into())
        );
    }
}
