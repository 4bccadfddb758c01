//! Every server of the lab, asked by a host that is none of its code, and switched while it runs.

mod client;
mod guest;

use client::Client;
use diorite_lab::{Advertised, Behaviour, Config, Dhcp6, Identity, Lab, Name, NameServer, Ntp};
use diorite_model::{Error, Result};
use guest::{Guest, PLAIN};
use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

const LONG: Duration = Duration::from_secs(5);
const SHORT: Duration = Duration::from_millis(300);
/// A query for the address of www.lab.test.
const QUERY: &[u8] = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x03www\x03lab\x04test\0\0\x01\0\x01";

fn patience() -> impl FnMut() -> Result<()> {
    let end = Instant::now() + Duration::from_secs(20);
    move || if Instant::now() < end { Ok(()) } else { Err(Error::bug("the simulated guest does not answer")) }
}

fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < end, "{what}");
        std::thread::yield_now();
    }
}

fn start() -> (Client, Lab, SocketAddr) {
    let (client, fd) = Client::new();
    let lab = Lab::start_with(Config { advertise_every: Duration::from_secs(3600), ..Config::default() }, vec![fd]);
    let lab = lab.expect("lab");
    let dns = SocketAddr::new(lab.config().ipv4.into(), 53);
    (client, lab, dns)
}

#[test]
fn names_are_what_the_lab_says_at_that_moment() {
    let (mut client, lab, dns) = start();
    let v6 = SocketAddr::new(lab.config().ipv6.into(), 53);
    let missing = client.ask(dns, QUERY, LONG).expect("an answer");
    assert_eq!(missing[3] & 15, 3, "NXDOMAIN");
    let liar: IpAddr = "192.0.2.66".parse().expect("an address");
    lab.change(move |s| s.dns = s.dns.clone().with("www.lab.test", Name::Addresses(vec![liar]))).expect("change");
    assert!(client.ask(v6, QUERY, LONG).expect("an answer").ends_with(&[192, 0, 2, 66]), "over IPv6");
    lab.change(|s| s.dns.names = [("www.lab.test".to_owned(), Name::Failure)].into()).expect("change");
    assert_eq!(client.ask(dns, QUERY, LONG).expect("an answer")[3] & 15, 2, "SERVFAIL");
    lab.change(|s| s.dns.names.clear()).expect("change");
    lab.change(|s| s.dns.others = Name::Silence).expect("change");
    assert_eq!(client.ask(dns, QUERY, SHORT), None);
    lab.change(|s| (s.dns.others, s.dns.delay) = (Name::Refused, Duration::from_millis(400))).expect("change");
    let asked = Instant::now();
    assert_eq!(client.ask(dns, QUERY, LONG).expect("an answer")[3] & 15, 5);
    assert!(asked.elapsed() >= Duration::from_millis(400), "it is slow");
    assert_eq!(lab.names_asked()["www.lab.test"], 5);
}

#[test]
fn a_long_answer_is_had_over_tcp() {
    let (mut client, lab, dns) = start();
    let many: Vec<IpAddr> = (1..=100).map(|n| IpAddr::from([192, 0, 2, n])).collect();
    lab.change(move |s| s.dns.others = Name::Addresses(many)).expect("change");
    let cut = client.ask(dns, QUERY, LONG).expect("an answer");
    assert_eq!((cut[2] & 2, cut.len()), (2, QUERY.len()), "truncated");
    let framed = [&(QUERY.len() as u16).to_be_bytes(), QUERY].concat();
    // Two queries in one stream, the first in two pieces by chance of the client's window.
    let whole = client.talk(dns, &[&framed[..], &framed].concat(), |got| got.len() >= 2 * (2 + QUERY.len() + 1600));
    let length = usize::from(u16::from_be_bytes([whole[0], whole[1]]));
    assert_eq!((length, whole.len(), whole[9]), (QUERY.len() + 1600, 2 * (2 + length), 100));
    lab.change(|s| s.dns.behaviour = Behaviour::Malformed).expect("change");
    assert_eq!(client.talk(dns, &framed, |_| false), [0xff, 0xff, 0], "a length that lies");
}

#[test]
fn the_clock_is_ours_or_says_nothing() {
    let (mut client, lab, dns) = start();
    let server = SocketAddr::new(dns.ip(), 123);
    let mut query = [0; 48];
    query[0] = 0x23;
    let since = |reply: &[u8]| u32::from_be_bytes([reply[40], reply[41], reply[42], reply[43]]);
    let now = client.ask(server, &query, LONG).expect("an answer");
    lab.change(|s| s.ntp.offset = 86_400 * 365).expect("change");
    let later = client.ask(server, &query, LONG).expect("an answer");
    assert!((0..60).contains(&(since(&later) - since(&now) - 86_400 * 365)), "a year ahead");
    lab.change(|s| s.ntp = Ntp { synchronised: false, ..Ntp::default() }).expect("change");
    assert_eq!(client.ask(server, &query, LONG).expect("an answer")[0] >> 6, 3, "not to be believed");
    lab.change(|s| s.ntp.behaviour = Behaviour::Silent).expect("change");
    assert_eq!(client.ask(server, &query, SHORT), None);
}

#[test]
fn advertisements_change_at_once_and_dhcp6_answers() {
    let (mut client, lab, _) = start();
    let advertised = |client: &mut Client, flags: u8| {
        client.seen.clear();
        client.listen(LONG, |seen| seen.iter().any(|f| f.len() > 59 && f[54] == 134 && f[59] == flags))
    };
    assert!(advertised(&mut client, 0), "the first one");
    lab.change(|s| s.router = Advertised { managed: true, other: true, ..Advertised::default() }).expect("change");
    assert!(advertised(&mut client, 0xc0), "M and O");
    // DHCPv6, asked from the link-local address.
    let server = SocketAddr::new(lab.config().link_local.into(), 547);
    let inform = b"\x0b\x01\x02\x03\0\x06\0\x02\0\x17";
    assert_eq!(client.ask_from(546, server, inform, SHORT), None, "it is off at first");
    let name: std::net::Ipv6Addr = "fd77::53".parse().expect("an address");
    lab.change(move |s| s.dhcp6 = Dhcp6 { dns: vec![name], ..Dhcp6::default() }).expect("change");
    let reply = client.ask_from(546, server, inform, LONG).expect("a reply");
    assert_eq!(reply[..4], [7, 1, 2, 3]);
    assert!(reply.ends_with(&[&[0, 23, 0, 16][..], &name.octets()].concat()));
    let solicit = b"\x01\x01\x02\x04\0\x01\0\x04duid\0\x03\0\x0c\0\0\0\x01\0\0\0\0\0\0\0\0\0\x0e\0\0";
    assert_eq!(client.ask_from(546, server, solicit, LONG).expect("a reply")[0], 7, "rapid commit");
    let (leases, informed) = lab.leases6();
    assert_eq!((leases.len(), leases[0].mac, informed), (1, client::MAC, 1));
    lab.change(|s| s.router.behaviour = Behaviour::Silent).expect("change");
    assert!(!advertised(&mut client, 0xc0));
}

#[test]
fn a_lease_is_renewed_refused_and_missing() {
    let (_guest, fd) = Guest::start(PLAIN);
    let lab =
        Lab::start_with(Config { lease_time: Duration::from_secs(4), ..Config::default() }, vec![fd]).expect("lab");
    let lease = lab.wait_for_lease(&mut patience()).expect("lease");
    wait("it renews", || lab.leases()[&lease.mac].count >= 3);
    assert!(lab.leases()[&lease.mac].last > lease.at);
    lab.change(|s| s.dhcp.refuse = true).expect("change");
    let asked = |kind: &str| {
        let all = lab.record();
        all.iter().filter(|(u, _)| u.kind == kind && u.port == 67).map(|(_, t)| t.count).sum::<u64>()
    };
    let (count, before) = (lab.leases()[&lease.mac].count, asked("udp"));
    wait("it begins anew", || asked("udp") >= before + 3);
    assert_eq!(lab.leases()[&lease.mac].count, count, "and gets nothing");
    lab.change(|s| (s.dhcp.refuse, s.dhcp.behaviour) = (false, Behaviour::Silent)).expect("change");
    let before = asked("udp");
    // The next question comes ten seconds later, about as long as all this is waited for.
    wait("it asks into the void", || asked("udp") > before);
    assert_eq!(lab.leases()[&lease.mac].count, count);
    lab.change(|s| s.dhcp.behaviour = Behaviour::Good).expect("change");
    wait("the outage is over", || lab.leases()[&lease.mac].count > count);
}

#[test]
fn the_host_is_found_or_not_or_elsewhere() {
    let (mut client, lab, dns) = start();
    let v6 = SocketAddr::new(lab.config().ipv6.into(), 53);
    let elsewhere = Identity::Elsewhere(guest::mac(9));
    for identity in [Identity::Silent, elsewhere, Identity::Malformed, Identity::Own] {
        lab.change(move |s| s.identity = identity).expect("change");
        for server in [dns, v6] {
            client.forget();
            let limit = if identity == Identity::Own { LONG } else { SHORT };
            let answer = client.ask(server, QUERY, limit);
            // Of damaged answers one may be good enough for a lenient client.
            assert!(answer.is_some() == (identity == Identity::Own) || identity == Identity::Malformed, "{identity:?}");
        }
    }
}

/// Hostile answers are all different, and the lab goes on.
#[test]
fn malformed_answers_are_damaged_in_every_way() {
    let (mut client, lab, dns) = start();
    let good = client.ask(dns, QUERY, LONG).expect("an answer");
    lab.change(|s| s.dns = NameServer { behaviour: Behaviour::Malformed, ..s.dns.clone() }).expect("change");
    let mut bad: Vec<Vec<u8>> = (0..8).map(|_| client.ask(dns, QUERY, LONG).expect("an answer")).collect();
    assert!(bad.iter().all(|answer| *answer != good));
    bad.sort();
    bad.dedup();
    assert_eq!(bad.len(), 8);
    lab.change(|s| s.dns.behaviour = Behaviour::Good).expect("change");
    assert_eq!(client.ask(dns, QUERY, LONG).expect("an answer"), good);
}
