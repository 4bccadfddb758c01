//! The unsigned way to a machine's own values: a cloud-init drive (NoCloud) as Proxmox VE makes it. The initrd makes the
//! same credentials of it as of a signed drive ([`super`]); what they may say follows from the image: who
//! may log in, and which settings of its links stay whatever addresses a card gets.

use crate::guest::Guest;
use crate::guest::ini::Ini;
use crate::guest::network;
use diorite_model::recipe::{DnsOverTls, GIVEN_KEYS, Link, LinkKind, LinkMatch, RootLogin};
use diorite_model::{Error, Recipe, Result};

pub(super) const PROGRAM: &str = "usr/lib/diorite/nocloud";
const PARSER: &str = "usr/lib/diorite/nocloud.awk";
const IMAGE: &str = "usr/lib/diorite/nocloud-image";

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    guest.file(PROGRAM, 0o755, include_bytes!("nocloud.sh").to_vec())?;
    guest.file(PARSER, 0o644, include_bytes!("nocloud.awk").to_vec())?;
    guest.file(IMAGE, 0o644, people(recipe) + &links(recipe)?)?;
    // Root's keys are put in place by systemd itself, those of others here.
    let mut lines = format!("d {GIVEN_KEYS} 0755 root root -\n");
    for (name, _) in recipe.access.people() {
        lines += &format!("f^ {GIVEN_KEYS}/{name} 0444 root root - ssh.authorized_keys.{name}\n");
    }
    guest.file("usr/lib/tmpfiles.d/20-diorite-nocloud.conf", 0o644, lines)?;
    let import = Ini::new().section("Service").set("ImportCredential", "ssh.authorized_keys.*");
    guest.drop_in("systemd-tmpfiles-setup.service", &import)
}

/// Who may have keys, and who gets those of a drive without a user name: root where it may log in, else the only person
/// that there is.
fn people(recipe: &Recipe) -> String {
    let access = &recipe.access;
    let root = (access.root_login == RootLogin::Credential).then_some("root");
    let people: Vec<&str> = root.into_iter().chain(access.people().map(|(name, _)| name.as_str())).collect();
    let mut text: String = people.iter().map(|name| format!("person {name}\n")).collect();
    let usual = root.or(if let [only] = people[..] { Some(only) } else { None });
    text.extend(usual.map(|name| format!("default {name}\n")));
    text
}

/// Settings of each link, by the hardware address it matches, `*` for all others: those that stay, what stands before
/// a gateway, and what holds when the drive names no servers or no domains.
fn links(recipe: &Recipe) -> Result<String> {
    let mut text = String::new();
    for (name, link) in &recipe.network {
        let address = match &link.kind {
            LinkKind::Card(LinkMatch { mac: Some(mac), .. }) => mac,
            LinkKind::Card(m) if *m == LinkMatch::default() => "*",
            _ => return Err(Error::bug(format!("link `{name}` cannot be told by a hardware address"))),
        };
        text += &format!("link {address}\n");
        for (word, ini) in
            [("always", always(link)), ("gateway", gateway(link)), ("servers", servers(link)), ("search", search(link))]
        {
            let bytes = ini.finish()?;
            let lines = String::from_utf8_lossy(&bytes);
            text.extend(lines.lines().filter(|l| !l.is_empty()).map(|line| format!("{word} {line}\n")));
        }
    }
    Ok(text)
}

fn always(link: &Link) -> Ini {
    let metric = link.metric.map(|m| m.to_string());
    let mut ini = Ini::new().section("Link").each("MTUBytes", link.mtu.map(|m| m.to_string()));
    ini = ini.set("RequiredForOnline", if link.required { "routable" } else { "no" }).section("Network");
    ini = ini.set("LinkLocalAddressing", "ipv6").set("LLMNR", "no").set("MulticastDNS", "no");
    if link.dns_over_tls != DnsOverTls::No {
        ini = ini.set("DNSOverTLS", link.dns_over_tls.word());
    }
    ini = ini.each("Domains", link.route_domains.iter().map(|d| format!("~{d}"))).each("NTP", link.ntp.iter().cloned());
    if let Some(metric) = metric {
        ini =
            ini.section("DHCPv4").set("RouteMetric", metric.clone()).section("IPv6AcceptRA").set("RouteMetric", metric);
    }
    network::further_routes(ini, link)
}

/// Reachable or not by the card's own addresses: some hosters' gateways are not.
fn gateway(link: &Link) -> Ini {
    Ini::new().section("Route").set("GatewayOnLink", "yes").each("Metric", link.metric.map(|m| m.to_string()))
}

fn servers(link: &Link) -> Ini {
    let mut ini = Ini::new();
    if !link.dns.is_empty() {
        ini = ini.section("Network").each("DNS", link.dns.iter().cloned());
    }
    if !link.learn_dns {
        for section in ["DHCPv4", "DHCPv6", "IPv6AcceptRA"] {
            ini = ini.section(section).set("UseDNS", "no");
        }
    }
    ini
}

fn search(link: &Link) -> Ini {
    match link.search.is_empty() {
        true => Ini::new(),
        false => Ini::new().section("Network").each("Domains", link.search.iter().cloned()),
    }
}
