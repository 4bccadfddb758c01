//! Scans of every port, from everywhere, against a simulated guest whose filter is known, without QEMU.

mod guest;

use diorite_lab::{Lab, PortVerdict, PortVerdict::*, Protocol, ScanProbe, frame};
use diorite_model::{Error, Result};
use guest::{Action, Behaviour, Guest};
use smoltcp::wire::{EthernetAddress, TcpControl, TcpSeqNumber};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

const BEHAVIOUR: Behaviour = Behaviour {
    number: 0,
    tcp: |port| match port {
        22 | 9100 | 65_535 | 1 => Action::Accept,
        7000..7010 => Action::Reject,
        _ => Action::Drop,
    },
    udp: |port| match port {
        500 | 4500 => Action::Accept,
        _ => Action::Drop,
    },
    filter: None,
    pings: true,
    dhcp: true,
    vlan: None,
    serves: &[(22, "SSH-2.0-Test_1.0\r\n", "")],
};

fn patience() -> impl FnMut() -> Result<()> {
    let end = Instant::now() + Duration::from_secs(20);
    move || if Instant::now() < end { Ok(()) } else { Err(Error::bug("the simulated guest does not answer")) }
}

/// Everything but silence.
fn heard(verdicts: &BTreeMap<u16, PortVerdict>) -> Vec<(u16, PortVerdict)> {
    verdicts.iter().filter(|(_, v)| **v != Silent).map(|(p, v)| (*p, *v)).collect()
}

#[test]
fn all_65535_ports_of_both_protocols_at_the_same_time() {
    let (_guest, fd) = Guest::start(BEHAVIOUR);
    let lab = Lab::start(fd).expect("lab");
    let v4 = IpAddr::V4(lab.wait_for_lease(&mut patience()).expect("lease").ipv4);
    let v6 = lab.wait_for_ipv6(guest::MAC, &mut patience()).expect("an address");
    let begun = [(v4, Protocol::Tcp), (v6, Protocol::Tcp), (v4, Protocol::Udp), (v6, Protocol::Udp)]
        .map(|(guest, protocol)| (protocol, lab.begin(ScanProbe::all(guest, protocol)).expect("begun")));
    for (protocol, pending) in begun {
        let scan = lab.wait_for(&pending).expect("scan");
        assert_eq!((scan.verdicts.len(), scan.witnessed), (65_535, true), "{protocol:?}");
        let mut expected = match protocol {
            Protocol::Tcp => vec![(1, Closed), (22, Open), (9100, Closed), (65_535, Closed)],
            // The DHCP client's port is 68.
            Protocol::Udp => vec![(68, Closed), (500, Closed), (4500, Closed)],
        };
        if protocol == Protocol::Tcp {
            expected.splice(2..2, (7000..7010).map(|port| (port, Rejected)));
        }
        assert_eq!(heard(&scan.verdicts), expected, "{protocol:?}");
    }
}

/// A filter may trust who asks from where, or believe a name server: only asking so shows it.
#[test]
fn another_network_and_a_trusted_source_port_are_asked_from() {
    // Written as a filter would be that trusts port 53, and networks other than the lab's.
    let (_guest, fd) =
        Guest::start(Behaviour { filter: Some(|source, port| source == 53 && port == 111), ..BEHAVIOUR });
    let lab = Lab::start(fd).expect("lab");
    let v4 = IpAddr::V4(lab.wait_for_lease(&mut patience()).expect("lease").ipv4);
    let ask = |source_port, from: Option<&str>| {
        let from = from.map(|f| f.parse().expect("an address"));
        let probe = ScanProbe { source_port, from, ..ScanProbe::new(v4, Protocol::Tcp, [22, 111, 112]) };
        let scan = lab.wait_for(&lab.begin(probe).expect("begun")).expect("scan");
        assert!(scan.witnessed, "{source_port:?} {from:?} {scan:?}");
        heard(&scan.verdicts)
    };
    assert_eq!(ask(None, None), [(22, Open)]);
    assert_eq!(ask(Some(53), None), [(22, Open), (111, Closed)]);
    assert_eq!(ask(Some(20), None), [(22, Open)]);
    assert_eq!(ask(None, Some("192.0.2.77")), [(22, Open)]);
}

/// Half a second without its filter, while nobody else asks: the watch sees it, and nothing of one that was never open.
#[test]
fn a_filter_that_comes_late_is_seen() {
    static OPEN: AtomicBool = AtomicBool::new(true);
    static ASKED: AtomicBool = AtomicBool::new(false);
    let late = |_: u16, port: u16| {
        let passes = port == 111 && OPEN.load(Ordering::Acquire);
        ASKED.fetch_or(passes, Ordering::AcqRel);
        passes
    };
    for (filter, gap) in [(Some(late as fn(u16, u16) -> bool), true), (None, false)] {
        let (_guest, fd) = Guest::start(Behaviour { filter, ..BEHAVIOUR });
        let lab = Lab::start(fd).expect("lab");
        let watch = lab.keep_watch(vec![111, 9999]).expect("a watch");
        let v4 = IpAddr::V4(lab.wait_for_lease(&mut patience()).expect("lease").ipv4);
        assert!(lab.ping(v4, Duration::from_secs(5)).expect("ping").is_some());
        let mut patience = patience();
        while gap && !ASKED.load(Ordering::Acquire) {
            patience().expect("the watch asks");
            std::thread::yield_now();
        }
        OPEN.store(false, Ordering::Release);
        let scan = lab.scan(v4, &[111]).expect("scan");
        assert_eq!(scan.verdicts[&111], Silent, "by the time somebody looks it is closed");
        let watched = lab.end_watch(watch).expect("watched");
        assert!(watched.echoes > 0 && watched.addresses.contains(&v4), "{watched:?}");
        let seen: BTreeSet<_> = watched.answers.iter().map(|a| (a.protocol, a.port, a.verdict)).collect();
        let expected = if gap { vec![(Protocol::Tcp, 111, Closed)] } else { vec![] };
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), expected);
    }
}

/// A guest that gets nowhere still answers echo requests: that is no sign of life.
#[test]
fn answers_to_a_watch_are_not_counted() {
    static ASKED: AtomicU64 = AtomicU64::new(0);
    let count = |_: u16, _: u16| {
        ASKED.fetch_add(1, Ordering::AcqRel);
        false
    };
    let (_guest, fd) = Guest::start(Behaviour { filter: Some(count), ..BEHAVIOUR });
    let lab = Lab::start(fd).expect("lab");
    lab.wait_for_ipv6(guest::MAC, &mut patience()).expect("an address");
    let watch = lab.keep_watch(vec![111]).expect("a watch");
    let (mut patience, before) = (patience(), lab.frames());
    while ASKED.load(Ordering::Acquire) < 60 {
        patience().expect("the watch asks");
        std::thread::yield_now();
    }
    let more = lab.frames() - before;
    let watched = lab.end_watch(watch).expect("watched");
    assert!(watched.echoes >= 20 && more < 10, "{} echoes, and {more} other frames", watched.echoes);
}

/// Put together again by hand, they are the packet.
#[test]
fn fragments_are_the_packet_in_two_pieces() {
    let mac = |n| EthernetAddress([2, 0, 0, 0, 0, n]);
    for (from, to) in [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")] {
        let host = |n, ip: &str| frame::Host { mac: mac(n), ip: ip.parse().expect("an address") };
        let whole = frame::tcp(host(1, from), 4711, host(2, to), 22, TcpControl::Syn, TcpSeqNumber(9));
        let [first, second] = &frame::fragments(&whole, 77)[..] else { panic!("two") };
        let header = if from.contains('.') { 34 } else { 54 };
        let extra = if header == 54 { 8 } else { 0 };
        assert_eq!([&first[header + extra..], &second[header + extra..]].concat(), whole[header..]);
        assert_eq!(first.len(), header + extra + if header == 34 { 8 } else { 24 });
        match header {
            34 => {
                let sums = [&whole, first, second].map(|f| sum(&f[14..34]));
                assert_eq!(sums, [0xffff; 3], "checksums");
                assert_eq!([first[20..22].to_vec(), second[20..22].to_vec()], [[0x20, 0], [0, 1]]);
            }
            _ => {
                assert_eq!((first[20], first[54], second[54]), (44, 6, 6), "a fragment header, TCP behind it");
                assert_eq!([first[56..58].to_vec(), second[56..58].to_vec()], [[0, 1], [0, 24]]);
            }
        }
    }
}

fn sum(header: &[u8]) -> u32 {
    let sum = header.chunks(2).fold(0, |sum, w| sum + (u32::from(w[0]) << 8 | u32::from(w[1])));
    (sum & 0xffff) + (sum >> 16)
}
