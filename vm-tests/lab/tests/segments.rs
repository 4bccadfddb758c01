//! Several segments, VLANs and a router between some of them, with simulated guests on access ports and on a trunk.

mod guest;

use diorite_lab::{
    Attachment, Config, Ending, Lab, Lease, Parcel, Passage,
    PortVerdict::*,
    ReadUntil, Topology,
    frame::{self, Body, Host, Packet},
};
use diorite_model::{Error, Result};
use guest::{Action, Behaviour, Guest};
use smoltcp::wire::{ArpOperation, ArpRepr};
use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

const BEHAVIOUR: Behaviour = Behaviour {
    tcp: |port| match port {
        22 | 81 => Action::Accept,
        7 => Action::Reject,
        _ => Action::Drop,
    },
    udp: |_| Action::Drop,
    serves: &[(22, "SSH-2.0-Test_1.0\r\n", "")],
    ..guest::PLAIN
};

fn patience() -> impl FnMut() -> Result<()> {
    let end = Instant::now() + Duration::from_secs(20);
    move || if Instant::now() < end { Ok(()) } else { Err(Error::bug("the simulated guest does not answer")) }
}

fn quick(config: Config) -> Config {
    Config { quiet: Duration::from_secs(2), ..config }
}

/// Segments 0 and 1 are routed, segment 2 is alone. One guest at an access port of segment 0.
fn behind_a_router() -> (Guest, Lab, Lease) {
    let (guest, fd) = Guest::start(BEHAVIOUR);
    let mut network = Topology::routed([1, 2, 3].map(|n| quick(Config::numbered(n))));
    network.routed.retain(|pair| *pair == [0, 1]);
    let lab = Lab::start_in(network.cable("web", Attachment::Access(0)), vec![fd]).expect("lab");
    let lease = lab.wait_for_lease(&mut patience()).expect("lease");
    (guest, lab, lease)
}

#[test]
fn a_second_network_asks_through_the_router_and_a_third_cannot() {
    let (_guest, lab, lease) = behind_a_router();
    let v4 = IpAddr::V4(lease.ipv4);
    assert_eq!(v4.to_string(), "10.77.1.100");
    let v6 = lab.wait_for_ipv6(guest::MAC, &mut patience()).expect("an address");
    let (second, third) = (lab.at(1).expect("a segment"), lab.at(2).expect("a segment"));
    assert_eq!(second.config().ipv4.to_string(), "10.77.2.1");
    for guest in [v4, v6] {
        assert!(second.ping(guest, Duration::from_secs(5)).expect("ping").is_some(), "{guest} by way of the router");
        let scan = second.scan(guest, &[7, 22, 81, 82]).expect("scan");
        assert_eq!(scan.verdicts.into_values().collect::<Vec<_>>(), [Rejected, Open, Closed, Silent]);
        assert!(scan.witnessed);
        assert_eq!(second.banner(guest, 22).expect("lab"), Ok("SSH-2.0-Test_1.0".to_owned()));
        assert_eq!(third.ping(guest, Duration::from_millis(300)).expect("ping"), None, "{guest}");
        let talk = third.talk(SocketAddr::new(guest, 22), b"", ReadUntil::Line).expect("lab");
        assert_eq!(talk.ending, Ending::NotConnected);
        assert!(!third.scan(guest, &[22]).expect("scan").witnessed);
    }
    assert_eq!(lab.at(3).expect_err("no segment").what, "there is no segment 3");
    // The record knows nothing of answers, from wherever they were asked.
    assert!(lab.record().keys().all(|u| u.kind != "tcp-syn" && u.kind != "icmp-0"), "{:?}", lab.record());
}

/// Where nobody has been heard, the router asks for the receiver itself.
#[test]
fn the_router_finds_a_guest_that_has_not_been_heard() {
    let (_guest, fd) = Guest::start(Behaviour { dhcp: false, ..BEHAVIOUR });
    let network = Topology::routed([1, 2].map(|n| quick(Config::numbered(n)))).cable("a", Attachment::Access(0));
    let prefix = network.segments[0].ipv6_prefix;
    let lab = Lab::start_in(network, vec![fd]).expect("lab");
    let second = lab.at(1).expect("a segment");
    let v6 = IpAddr::V6(guest::inside(prefix, 0));
    assert!(second.ping(v6, Duration::from_secs(10)).expect("ping").is_some());
    let nobody = "10.77.1.77".parse().expect("an address");
    assert_eq!(second.ping(nobody, Duration::from_millis(500)).expect("ping"), None);
}

/// Two guests: one at an access port, one at a trunk that carries the same segment in a tag.
#[test]
fn a_tag_and_an_access_port_lead_to_the_same_segment() {
    let (_near, near) = Guest::start(BEHAVIOUR);
    let (_far, far) = Guest::start(Behaviour { number: 1, vlan: Some(10), dhcp: false, ..BEHAVIOUR });
    let (_stranger, stranger) = Guest::start(Behaviour { number: 2, vlan: Some(11), dhcp: false, ..BEHAVIOUR });
    let tagged = Config {
        vlan: Some(10),
        ipv4: "10.9.0.1".parse().expect("an address"),
        first_lease: "10.9.0.100".parse().expect("an address"),
        ..quick(Config::numbered(2))
    };
    let network = Topology::routed([quick(Config::numbered(1)), tagged])
        .cable("access", Attachment::Access(1))
        .cable("trunk", Attachment::Trunk { native: Some(0) })
        .cable("another", Attachment::Access(1));
    let lab = Lab::start_in(network, vec![near, far, stranger]).expect("lab");
    let lease = lab.wait_for_lease(&mut patience()).expect("lease");
    assert_eq!((lease.mac, lease.ipv4.to_string().as_str()), (guest::mac(0), "10.9.0.100"));
    let (first, tagged) = (&lab, lab.at(1).expect("a segment"));
    let long = Duration::from_secs(10);
    // Both guests have the same address in this test's guest, so each is asked by its own hardware address.
    let own = tagged.config().ipv4.into();
    let answer = tagged.reach(Some(10), own, guest::TAGGED[0], long).expect("an answer");
    assert_eq!(answer.map(|a| a.mac), Some(guest::mac(1)), "the tag leads to the trunk, an access port takes none");
    assert!(first.ping(guest::TAGGED[0], long).expect("ping").is_some(), "by way of the router, into the tag");
    assert!(first.ping(lease.ipv4.into(), long).expect("ping").is_some(), "by way of the router, without a tag");
    let short = Duration::from_millis(500);
    assert_eq!(tagged.reach(Some(11), own, guest::TAGGED[0], short).expect("an answer"), None, "nobody is in VLAN 11");
}

/// A guest that passes IPv4 packets on between two cables: SYNs to port 443 and datagrams to port 53, with their addresses
/// as they are. It looks for every receiver by ARP first.
fn router(sides: [UnixStream; 2], own: [Ipv4Addr; 2]) {
    let mac = |side: usize| guest::mac(side as u8);
    let mut waiting: Vec<(usize, Ipv4Addr, Vec<u8>)> = Vec::new();
    let write = |side: usize, frame: &[u8]| {
        let _ = (&sides[side]).write_all(&[&(frame.len() as u32).to_be_bytes(), frame].concat());
    };
    let (told, frames) = std::sync::mpsc::channel();
    for (side, stream) in sides.iter().enumerate() {
        let (mut stream, told) = (stream.try_clone().expect("a handle"), told.clone());
        std::thread::spawn(move || {
            let mut length = [0; 4];
            while stream.read_exact(&mut length).is_ok() {
                let mut frame = vec![0; u32::from_be_bytes(length) as usize];
                if stream.read_exact(&mut frame).is_err() || told.send((side, frame)).is_err() {
                    break;
                }
            }
        });
    }
    drop(told);
    for (side, bytes) in frames {
        let Some(packet) = Packet::parse(&bytes) else { continue };
        match packet.body {
            Body::Arp(ArpRepr::EthernetIpv4 { operation, source_protocol_addr, target_protocol_addr, .. }) => {
                if operation == ArpOperation::Request && target_protocol_addr == own[side] {
                    let asker = Host { mac: packet.source, ip: source_protocol_addr.into() };
                    write(side, &frame::is_at(Host { mac: mac(side), ip: own[side].into() }, asker));
                }
                for (to, _, packet_in) in
                    waiting.extract_if(.., |(to, ip, _)| (*to, *ip) == (side, source_protocol_addr))
                {
                    write(to, &frame::ethernet(mac(to), packet.source, &packet_in).expect("a packet"));
                }
            }
            Body::Tcp { to, .. } | Body::Udp { to, .. } if matches!(to.port(), 443 | 53) => {
                let (IpAddr::V4(ip), other) = (to.ip(), 1 - side) else { continue };
                waiting.push((other, ip, frame::ip_packet(&bytes).expect("a packet").to_vec()));
                write(other, &frame::who_has(mac(other), own[other], ip));
            }
            _ => {}
        }
    }
}

#[test]
fn what_a_router_passes_on_arrives_and_nothing_else() {
    let (one, two) = (UnixStream::pair().expect("a cable"), UnixStream::pair().expect("a cable"));
    let own: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 77, 1, 50), Ipv4Addr::new(10, 77, 2, 50)];
    std::thread::spawn(move || router([one.0, two.0], own));
    let segments = [1, 2].map(|n| quick(Config::numbered(n)));
    let network = Topology { routed: Vec::new(), ..Topology::routed(segments) };
    let network = network.cable("a", Attachment::Access(0)).cable("b", Attachment::Access(1));
    let lab = Lab::start_in(network, vec![one.1.into(), two.1.into()]).expect("lab");
    let there = lab.at(1).expect("a segment");
    let from: IpAddr = lab.config().ipv4.into();
    let pass = |parcel, to: IpAddr, limit| {
        let passage = Passage { via: own[0].into(), from, to, parcel, at: to, as_what: parcel };
        lab.pass(&there, passage, limit).expect("lab")
    };
    let (long, short) = (Duration::from_secs(20), Duration::from_secs(2));
    let nobody = "10.77.2.99".parse().expect("an address");
    for to in [there.config().ipv4.into(), nobody] {
        assert_eq!(pass(Parcel::Tcp(443), to, long), Some(from), "{to}");
        assert_eq!(pass(Parcel::Udp(53), to, long), Some(from), "{to}");
        assert_eq!(pass(Parcel::Tcp(80), to, short), None, "{to}");
        assert_eq!(pass(Parcel::Ip(50), to, short), None, "{to}");
    }
    assert!(
        lab.record().keys().all(|said| said.kind == "arp"),
        "what was asked is no word of the guest's: {:?}",
        lab.record()
    );
}
