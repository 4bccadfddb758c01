//! Every verdict of the lab, proven against a simulated guest, without QEMU.

mod guest;

use diorite_lab::{Config, Lab, PortVerdict::*, UdpVerdict};
use diorite_model::{Error, Result};
use guest::{Action, Behaviour, Guest};
use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

const BEHAVIOUR: Behaviour = Behaviour {
    number: 0,
    tcp: |port| match port {
        22 | 80 | 81 | 9100 => Action::Accept,
        7 => Action::Reject,
        _ => Action::Drop,
    },
    udp: |port| match port {
        5000 => Action::Reject,
        6000 => Action::Accept,
        _ => Action::Drop,
    },
    filter: None,
    pings: true,
    dhcp: true,
    vlan: None,
    serves: &[
        (22, "SSH-2.0-Test_1.0\r\n", ""),
        (80, "", "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhello from the guest\n"),
        (9100, "", "SSH-2.0-not-http\r\n"),
    ],
};

fn lab(fd: std::os::fd::OwnedFd) -> Lab {
    let config = Config { quiet: Duration::from_secs(2), ..Config::default() };
    Lab::start_with(config, vec![fd]).expect("lab")
}

fn patience() -> impl FnMut() -> Result<()> {
    let end = Instant::now() + Duration::from_secs(20);
    move || if Instant::now() < end { Ok(()) } else { Err(Error::bug("the simulated guest does not answer")) }
}

#[test]
fn a_guest_gets_a_lease_and_every_port_its_verdict() {
    let (_guest, fd) = Guest::start(BEHAVIOUR);
    let lab = lab(fd);
    let lease = lab.wait_for_lease(&mut patience()).expect("lease");
    assert_eq!((lease.mac, lease.ipv4), (guest::MAC, lab.config().first_lease));
    let v4 = IpAddr::V4(lease.ipv4);
    assert!(lab.ping(v4, Duration::from_secs(5)).expect("ping").is_some(), "an echo");
    let mut ports: Vec<u16> = (1000..1200).collect();
    ports.extend([7, 22, 80, 81, 111, 9100, 65535]);
    let scan = lab.scan(v4, &ports).expect("scan");
    assert!(scan.witnessed, "{scan:?}");
    assert_eq!(scan.verdicts.len(), ports.len());
    for (port, verdict) in scan.verdicts {
        let expected = match port {
            22 | 80 | 9100 => Open,
            81 => Closed,
            7 => Rejected,
            _ => Silent,
        };
        assert_eq!(verdict, expected, "port {port}");
    }
    assert_eq!(lab.banner(v4, 22).expect("lab"), Ok("SSH-2.0-Test_1.0".to_owned()));
    let page = lab.http_get(v4, 80, "/").expect("lab").expect("a page");
    assert_eq!((page.status, &page.body[..]), (200, &b"hello from the guest\n"[..]));
    // Each answer has its opposite.
    assert_eq!(lab.banner(v4, 81).expect("lab"), Err("no connection".to_owned()));
    assert_eq!(lab.banner(v4, 80).expect("lab"), Err("connected, but nothing was said".to_owned()));
    assert!(lab.http_get(v4, 9100, "/").expect("lab").is_err(), "a banner is no page");
    assert!(lab.http_get(v4, 7, "/").expect("lab").is_err(), "a rejected port has no page");
    assert_eq!(lab.udp_probe(v4, 5000, b"?").expect("lab"), UdpVerdict::Rejected(13));
    assert_eq!(lab.udp_probe(v4, 6000, b"?").expect("lab"), UdpVerdict::Closed);
    assert_eq!(lab.udp_probe(v4, 7000, b"?").expect("lab"), UdpVerdict::Silent);
}

#[test]
fn ipv6_by_router_advertisement() {
    let (_guest, fd) = Guest::start(BEHAVIOUR);
    let lab = lab(fd);
    let lease = lab.wait_for_lease(&mut patience()).expect("lease");
    let v6 = lab.wait_for_ipv6(lease.mac, &mut patience()).expect("an address from the announced prefix");
    assert_eq!(v6, IpAddr::V6(guest::GLOBAL));
    assert!(lab.ping(v6, Duration::from_secs(5)).expect("ping").is_some(), "an echo from {v6}");
    let scan = lab.scan(v6, &[7, 22, 81, 82]).expect("scan");
    assert_eq!(scan.verdicts.into_values().collect::<Vec<_>>(), [Rejected, Open, Closed, Silent]);
    assert_eq!(lab.banner(v6, 22).expect("lab"), Ok("SSH-2.0-Test_1.0".to_owned()));
}

#[test]
fn a_guest_that_answers_no_ping_leaves_silence_unproven() {
    let (_guest, fd) = Guest::start(Behaviour { pings: false, ..BEHAVIOUR });
    let lab = lab(fd);
    let v4 = IpAddr::V4(lab.wait_for_lease(&mut patience()).expect("lease").ipv4);
    assert_eq!(lab.ping(v4, Duration::from_millis(500)).expect("ping"), None);
    let scan = lab.scan(v4, &[22, 111]).expect("scan");
    assert_eq!((scan.witnessed, scan.verdicts[&22], scan.verdicts[&111]), (false, Open, Silent));
    assert_eq!(lab.udp_probe(v4, 7000, b"?").expect("lab"), UdpVerdict::Unwitnessed);
}

#[test]
fn a_guest_without_dhcp_gets_no_lease_and_one_that_is_gone_is_noticed() {
    let (guest, fd) = Guest::start(Behaviour { dhcp: false, ..BEHAVIOUR });
    let lab = lab(fd);
    let end = Instant::now() + Duration::from_millis(700);
    let mut short = || if Instant::now() < end { Ok(()) } else { Err(Error::input("enough")) };
    assert_eq!(lab.wait_for_lease(&mut short).expect_err("no lease").what, "enough");
    let nobody = lab.scan(IpAddr::V4(lab.config().first_lease), &[22]).expect("scan");
    assert!(!nobody.witnessed && nobody.verdicts[&22] == Silent);
    drop(guest);
    let mut gone = patience();
    while !lab.deserted() {
        gone().expect("the closed cable is seen");
        std::thread::yield_now();
    }
}

#[test]
fn what_the_guest_says_unasked_is_recorded_and_captured() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("wire.pcapng");
    let (_guest, fd) = Guest::start(BEHAVIOUR);
    let lab = lab(fd);
    lab.capture(&path).expect("capture");
    let v4 = IpAddr::V4(lab.wait_for_lease(&mut patience()).expect("lease").ipv4);
    lab.scan(v4, &[22]).expect("scan");
    lab.http_get(v4, 80, "/").expect("lab").expect("a page");
    let record = lab.record();
    assert!(record.keys().any(|u| u.kind == "udp" && u.port == 67), "{record:?}");
    // Answers to our own questions are nobody's initiative.
    assert!(record.keys().all(|u| u.kind != "tcp-syn" && u.kind != "icmp-0"), "{record:?}");
    let frames = lab.frames();
    drop(lab);
    let written = std::fs::read(path).expect("capture");
    assert!(frames > 5 && written.windows(20).any(|w| w == b"hello from the guest"), "{} bytes", written.len());
}

/// In a virtual network, and in no other: the same address, the same question, another tag.
#[test]
fn a_guest_in_a_virtual_network_answers_there_and_nowhere_else() {
    let (_guest, fd) = Guest::start(Behaviour { vlan: Some(10), dhcp: false, ..BEHAVIOUR });
    let lab = lab(fd);
    let from: [IpAddr; 2] = ["10.9.0.1".parse().expect("an address"), "fd09::1".parse().expect("an address")];
    let (long, short) = (Duration::from_secs(10), Duration::from_secs(2));
    for (from, guest) in from.into_iter().zip(guest::TAGGED) {
        let answer = lab.reach(Some(10), from, guest, long).expect("an answer");
        assert_eq!(answer.map(|a| a.mac), Some(guest::MAC), "{guest}");
        assert_eq!(
            lab.reach(Some(11), from, guest, short).expect("an answer"),
            None,
            "{guest} answers in another network"
        );
        assert_eq!(lab.reach(None, from, guest, short).expect("an answer"), None, "{guest} answers outside of all");
    }
    assert!(lab.addresses().is_empty(), "what is said inside a virtual network is not heard outside");
}

/// An address that nobody has heard: found by asking for it.
#[test]
fn a_silent_guest_is_found_by_its_address() {
    let (_guest, fd) = Guest::start(Behaviour { dhcp: false, ..BEHAVIOUR });
    let lab = lab(fd);
    let (own, guest) = (lab.config().link_local.into(), guest::LINK_LOCAL.into());
    let answer = lab.reach(None, own, guest, Duration::from_secs(10)).expect("an answer");
    assert_eq!(answer.map(|a| a.mac), Some(guest::MAC));
    assert_eq!(lab.addresses().get(&guest), Some(&guest::MAC), "then everybody knows where it is");
    assert_eq!(
        lab.reach(None, own, "fe80::9".parse().expect("an address"), Duration::from_secs(2)).expect("an answer"),
        None
    );
}
