//! A guest that floods the wire with frames that lie: nothing panics, nothing hangs, memory is bounded, others are still
//! served, and the flood is counted. Every frame follows from a seed.

mod client;
mod guest;

use client::Client;
use diorite_lab::{
    Attachment, CableTraffic, Config, Dhcp6, EthernetAddress, Lab, Random, Topology,
    frame::{self, Host},
    peers::{http::Reply, http::Site, syslog::Syslog},
};
use smoltcp::wire::{TcpControl, TcpSeqNumber};
use std::{
    io::Write,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

/// Makes frames: well-formed ones of every kind the lab looks at, and every kind of damage to them.
struct Liar {
    random: Random,
    network: Topology,
}

impl Liar {
    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.random.below(all.len() as u64) as usize]
    }
    fn bytes(&mut self, most: u64) -> Vec<u8> {
        let length = self.random.below(most + 1);
        (0..length).map(|_| self.random.number() as u8).collect()
    }
    fn mac(&mut self) -> EthernetAddress {
        let n = self.random.number().to_be_bytes();
        match n[7] % 4 {
            0 => EthernetAddress([0x52, 0x54, n[1] % 3, 0, 0, n[2] % 5]),
            1 => EthernetAddress([n[0], n[1], n[2], n[3], n[4], n[5]]),
            2 => EthernetAddress::BROADCAST,
            _ => EthernetAddress([2, 0, 0, 0, 0, 9]),
        }
    }
    fn v4(&mut self) -> Ipv4Addr {
        let n = self.random.number() as u32;
        let known =
            [[10, 77, 0, 1], [10, 77, 2, 1], [10, 77, 0, 255], [255; 4], [224, 0, 0, 1], [127, 0, 0, 1], [0; 4]];
        match n % 4 {
            0 => self.pick(&known).into(),
            1 => Ipv4Addr::new(10, 77, 0, (n >> 8) as u8),
            2 => Ipv4Addr::new(10, 77, 2, (n >> 8) as u8),
            _ => n.into(),
        }
    }
    fn v6(&mut self) -> Ipv6Addr {
        let n = self.random.number();
        let known =
            ["fd77::1", "fe80::1", "ff02::1", "ff02::1:2", "ff02::2", "::", "::1", "2001:db8:77:2::1", "fd77::5"];
        match n % 3 {
            0 => self.pick(&known).parse().expect("an address"),
            1 => Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, n as u16),
            _ => Ipv6Addr::new(0xfe80, 0, 0, 0, (n >> 16) as u16, 0, 0, (n >> 32) as u16),
        }
    }
    fn hosts(&mut self) -> (Host, Host) {
        let gateway = self.network.segments[0].mac;
        let (from, other) = (self.mac(), self.mac());
        let to = self.pick(&[gateway, gateway, gateway, other]);
        match self.random.below(2) {
            0 => (Host { mac: from, ip: self.v4().into() }, Host { mac: to, ip: self.v4().into() }),
            _ => (Host { mac: from, ip: self.v6().into() }, Host { mac: to, ip: self.v6().into() }),
        }
    }

    /// A frame that is well-formed, or nearly.
    fn honest(&mut self) -> Vec<u8> {
        let (from, to) = self.hosts();
        let (low, port) = (self.random.number() as u16, self.pick(&[22, 53, 67, 80, 123, 514, 546, 547, 5000, 65_535]));
        match self.random.below(12) {
            0 => frame::who_has(from.mac, self.v4(), self.v4()),
            1 => frame::neighbour_solicitation(from.mac, self.v6(), self.v6()),
            2 => {
                let kind = self.pick(&[0, 1, 2, 3, 8, 11, 128, 129, 133, 134, 135, 136, 143]);
                let code = self.random.number() as u8;
                let rest = self.bytes(100);
                let rest = [&[0; 4][..], &rest].concat();
                frame::icmp(from, to, self.pick(&[1, 64, 255]), [kind, code], &rest)
            }
            3 | 4 => {
                let control = self.pick(&[TcpControl::Syn, TcpControl::Rst, TcpControl::Fin, TcpControl::None]);
                frame::tcp(from, low, to, port, control, TcpSeqNumber(low.into()))
            }
            5 => {
                let (mut all, data) = (vec![self.random.below(14) as u8, 1, 2, 3, 0, 1, 0, 10], self.bytes(300));
                all.extend_from_slice(&data);
                frame::udp(from, 546, to, 547, &all)
            }
            6 => {
                let mut all = vec![0; 236];
                all[..3].copy_from_slice(&[1, 1, 6]);
                all[28..34].copy_from_slice(from.mac.as_bytes());
                all.extend_from_slice(&[0x63, 0x82, 0x53, 0x63, 53, 1, self.random.below(9) as u8, 12, 5]);
                let rest = self.bytes(60);
                all.extend_from_slice(&rest);
                all.push(255);
                let server = Host { ip: self.pick(&[[255; 4], [10, 77, 0, 1]]).into(), ..to };
                frame::udp(Host { ip: Ipv4Addr::UNSPECIFIED.into(), ..from }, 68, server, 67, &all)
            }
            7 => {
                let names = [
                    &b"\x06router\x03lab\x04test\0\0\x01\0\x01"[..],
                    b"\xc0\x0c\0\x01\0\x01",
                    b"\x3fx",
                    b"\0\0\xff\0\xff",
                ];
                let name = self.pick(&names);
                frame::udp(from, low, to, 53, &[b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0", name].concat())
            }
            8 => {
                let data = self.pick(&[&b"GET / HTTP/1.1\r\n\r\n"[..], b"<13>1 - - - - - -", b"\0\x1d\x12\x34\x01"]);
                frame::udp(from, low, to, port, data)
            }
            9 => {
                // Headers between IPv6 and what it carries, with lengths and orders that may be wrong.
                let kind = self.pick(&[0, 43, 44, 60, 51, 59, 58, 6, 17]);
                let next = self.pick(&[0, 43, 44, 60, 58, 6, 17, 59]);
                let inner = [vec![next, self.random.below(40) as u8], self.bytes(120)].concat();
                let mut packet = vec![0x60, 0, 0, 0];
                packet.extend((inner.len() as u16).to_be_bytes());
                packet.extend([kind, self.pick(&[0, 1, 64])]);
                packet.extend(self.v6().octets().into_iter().chain(self.v6().octets()));
                packet.extend(inner);
                frame::ethernet(from.mac, to.mac, &packet).expect("an IP packet")
            }
            10 => [
                &to.mac.0[..],
                &from.mac.0,
                &self.pick(&[[0x88, 0xcc], [0x88, 0xa8], [8, 6], [0, 40]]),
                &self.bytes(200),
            ]
            .concat(),
            _ => {
                let most = self.pick(&[20, 60, 200, 1600, 9000, 60_000]);
                self.bytes(most)
            }
        }
    }

    /// The next frame.
    fn frame(&mut self) -> Vec<u8> {
        let mut frame = self.honest();
        for _ in 0..self.random.below(4) {
            let length = frame.len() as u64;
            match self.random.below(8) {
                0 if length > 0 => frame.truncate(self.random.below(length) as usize),
                1 if length > 1 => {
                    let at = self.random.below(length - 1) as usize;
                    let lie = self.pick(&[[0, 0], [0xff, 0xff], [0, 1], [0x80, 0]]);
                    frame[at..at + 2].copy_from_slice(&lie);
                }
                2 | 3 if length > 0 => frame[self.random.below(length) as usize] = self.random.number() as u8,
                4 => {
                    let more = self.bytes(64);
                    frame.extend(more);
                }
                // A tag, and a tag in a tag.
                5 if length > 12 => {
                    let vlan = self.pick(&[0, 10, 10, 11, 0xfff]);
                    let kind = self.pick(&[[0x81, 0], [0x81, 0], [0x88, 0xa8]]);
                    frame.splice(12..12, [kind[0], kind[1], (vlan >> 8) as u8, vlan as u8]);
                }
                // Fragments, and options in the head of IPv4.
                6 if length > 24 && frame[12..14] == [8, 0] => frame[20] = self.random.number() as u8,
                7 if length > 24 && frame[12..14] == [8, 0] => frame[14] = self.pick(&[0x40, 0x4f, 0x46, 0x65]),
                _ => {}
            }
        }
        frame
    }
}

/// Pages of memory that this process has.
fn pages() -> u64 {
    let all = std::fs::read_to_string("/proc/self/statm").expect("statm");
    all.split(' ').nth(1).expect("resident").parse().expect("a number")
}

fn network() -> Topology {
    let quiet = |config| Config { quiet: Duration::from_secs(2), ..config };
    let second = Config { vlan: Some(10), ..Config::numbered(2) };
    Topology::routed([Config::default(), second].map(quiet))
        .cable("liar", Attachment::Trunk { native: Some(0) })
        .cable("client", Attachment::Access(0))
        .cable("deaf", Attachment::Access(1))
}

#[test]
fn hundreds_of_thousands_of_lies_are_counted_and_change_nothing() {
    const EACH: u64 = 100_000;
    let (mut client, fd) = Client::new();
    let (mut liar, near) = UnixStream::pair().expect("socket pair");
    let (_deaf, deaf) = UnixStream::pair().expect("socket pair");
    let lab = Lab::start_in(network(), vec![near.into(), fd, deaf.into()]).expect("lab");
    let (site, syslog) = (Site::default(), Syslog::default());
    site.set_others(Reply::text("still here"));
    lab.serve_http(80, &site).expect("serve");
    lab.serve_syslog(514, &syslog).expect("serve");
    lab.change(|s| s.dhcp6 = Dhcp6::default()).expect("change");
    let mut before = 0;
    for round in 1..=3 {
        let mut source = Liar { random: Random::new(round, 0), network: network() };
        std::thread::scope(|scope| {
            // Questions go on meanwhile.
            let asker = scope.spawn(|| {
                let nobody: IpAddr = "10.77.2.99".parse().expect("an address");
                lab.ping(nobody, Duration::from_secs(3)).expect("lab")
            });
            let mut piece = Vec::new();
            for _ in 0..EACH {
                let frame = source.frame();
                piece.extend_from_slice(&(frame.len() as u32).to_be_bytes());
                piece.extend_from_slice(&frame);
                if piece.len() > 60_000 {
                    liar.write_all(&piece).expect("the lab reads");
                    piece.clear();
                }
            }
            liar.write_all(&piece).expect("the lab reads");
            assert_eq!(asker.join().expect("the asker"), None);
        });
        let end = Instant::now() + Duration::from_secs(120);
        while lab.traffic(0).expect("traffic").sent < EACH * round {
            assert!(Instant::now() < end, "{:?}", lab.traffic(0));
            std::thread::yield_now();
        }
        // Whatever grows has grown after the first round; more may not follow.
        if round > 1 {
            assert!(pages() < before + 8 * 1024, "{} pages, {before} before", pages());
        }
        before = pages();
    }
    let CableTraffic { busiest, sent, refused, .. } = lab.traffic(0).expect("traffic");
    assert_eq!(sent, 3 * EACH);
    assert!(busiest > 1000 && refused > 1000, "{:?}", lab.traffic(0));
    assert!(lab.traffic(1).expect("traffic").sent < 1000, "the other guest is no flood");
    let record = lab.record();
    let malformed: u64 = record.iter().filter(|(u, _)| u.kind == "malformed").map(|(_, t)| t.count).sum();
    assert!(malformed > 1000 && record.len() <= 20_001, "{malformed} malformed, {} kinds", record.len());

    // And everybody else is served as before.
    let own = IpAddr::from(lab.config().ipv4);
    let query = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x06router\x03lab\x04test\0\0\x01\0\x01";
    client.forget();
    let answer = client.ask(SocketAddr::new(own, 53), query, Duration::from_secs(20)).expect("an answer");
    assert!(answer.ends_with(&[10, 77, 0, 1]));
    let page = client.talk(SocketAddr::new(own, 80), b"GET / HTTP/1.0\r\n\r\n", |_| false);
    assert!(page.ends_with(b"still here"), "{}", String::from_utf8_lossy(&page));
}

/// A stream that is not frames at all ends the cable, not the lab.
#[test]
fn a_stream_of_noise_ends_its_cable_alone() {
    let (mut client, fd) = Client::new();
    let (mut noise, near) = UnixStream::pair().expect("socket pair");
    let network = Topology::routed([Config::default()]).cable("noise", Attachment::Access(0));
    let lab = Lab::start_in(network.cable("client", Attachment::Access(0)), vec![near.into(), fd]).expect("lab");
    noise.write_all(&[0xff; 4096]).expect("the lab reads");
    let dns = SocketAddr::new(lab.config().ipv4.into(), 53);
    let query = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x06router\x03lab\x04test\0\0\x01\0\x01";
    assert!(client.ask(dns, query, Duration::from_secs(10)).is_some());
    assert!(!lab.deserted(), "the other cable is there");
}
