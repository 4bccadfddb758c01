//! A machine dials into a gateway: by rustls' own client, and with a PPP that is written here byte by byte. Through the tunnel
//! it is reached and reaches; and where the gateway goes away, it is gone.

mod client;
mod guest;

use client::Client;
use diorite_lab::{
    Attachment, Certificate, Config, Lab, PortVerdict, Topology,
    peers::{
        fortinet::{Account, Fortinet},
        http::{Reply, Site},
    },
};
use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::ring::default_provider,
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use smoltcp::{
    phy::ChecksumCapabilities,
    wire::{Icmpv4Packet, Icmpv4Repr, IpProtocol, IpRepr, Ipv4Packet, TcpControl, TcpPacket, TcpRepr},
};
use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr},
    os::unix::net::UnixStream,
    sync::Arc,
    time::Duration,
};

const INNER: Ipv4Addr = Ipv4Addr::new(10, 60, 0, 1);

/// A network with a segment behind a gateway: the client's cable, the lab, and the gateway.
fn start() -> (Client, Lab, Fortinet, Certificate) {
    let (client, cable) = Client::new();
    let (near, far) = UnixStream::pair().expect("a socket pair");
    let office = Config { ipv4: INNER, ipv4_prefix: 16, ..Config::numbered(9) };
    let network = Topology { routed: Vec::new(), ..Topology::routed([Config::default(), office.clone()]) };
    let network = network.cable("machine", Attachment::Access(0)).cable("inside", Attachment::Access(1));
    let lab = Lab::start_in(network, vec![cable, near.into()]).expect("lab");
    let account = Account { user: "inventory".to_owned(), password: "x".to_owned() };
    let gateway = Fortinet::new(account, &office, far.into()).expect("a gateway");
    let key = KeyPair::generate().expect("a key");
    let parameters = CertificateParams::new(vec!["gate.lab.test".to_owned()]).expect("parameters");
    let certificate = parameters.self_signed(&key).expect("a certificate").pem();
    let certificate = Certificate::from_pem(certificate.as_bytes(), key.serialize_pem().as_bytes()).expect("it serves");
    lab.serve_fortinet(443, &gateway, &certificate).expect("serve");
    (client, lab, gateway, certificate)
}

/// Whoever it is: what counts here comes later.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// A conversation through TLS: `turn` is given what has come in the clear, and says what is sent and whether that is enough.
fn through_tls(client: &mut Client, to: SocketAddr, mut turn: impl FnMut(&mut Vec<u8>) -> (Vec<u8>, bool)) {
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let config = config.with_safe_default_protocol_versions().expect("versions").dangerous();
    let config = config.with_custom_certificate_verifier(Arc::new(Anybody)).with_no_client_auth();
    let mut tls = ClientConnection::new(Arc::new(config), to.ip().into()).expect("a connection");
    let mut plain = Vec::new();
    client.converse(to, |heard| {
        while !heard.is_empty() {
            let mut rest = &heard[..];
            let taken = tls.read_tls(&mut rest).expect("memory");
            heard.drain(..taken);
            tls.process_new_packets().expect("TLS");
            // Ends with `WouldBlock`.
            let _ = tls.reader().read_to_end(&mut plain);
        }
        let (said, enough) = turn(&mut plain);
        tls.writer().write_all(&said).expect("memory");
        let mut out = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut out).expect("memory");
        }
        (out, enough)
    });
}

fn request(line: &str, cookie: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("{line} HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}

/// Logs in: the cookie, or none.
fn logged_in(client: &mut Client, to: SocketAddr, password: &str) -> Option<String> {
    let mut said = request("POST /remote/logincheck", "", &format!("username=inventory&credential={password}"));
    let mut answer = String::new();
    through_tls(client, to, |heard| {
        answer += &String::from_utf8_lossy(&std::mem::take(heard));
        (std::mem::take(&mut said), answer.contains("ret="))
    });
    let cookie = answer.split("Set-Cookie: ").nth(1)?.split(';').next()?.to_owned();
    (cookie != "SVPNCOOKIE=").then_some(cookie)
}

fn framed(frame: &[u8]) -> Vec<u8> {
    let length = frame.len() as u16;
    [&(length + 6).to_be_bytes()[..], &[0x50, 0x50], &length.to_be_bytes(), frame].concat()
}

fn unframed(heard: &mut Vec<u8>) -> Option<Vec<u8>> {
    let total = usize::from(u16::from_be_bytes(*heard.first_chunk::<2>()?));
    (heard.len() >= total).then(|| heard.drain(..total).skip(6).collect())
}

/// The machine's end of PPP: it takes what it is given.
#[derive(Default)]
struct Machine {
    address: Option<Ipv4Addr>,
    up: bool,
}

impl Machine {
    /// What it says to a frame; the packet that is in it.
    fn hear(&mut self, frame: &[u8]) -> (Vec<u8>, Option<Vec<u8>>) {
        let ask = |options: &[u8]| framed(&[&[0x80, 0x21, 1, 7, 0, 4 + options.len() as u8], options].concat());
        let said = match frame {
            [0xc0, 0x21, 1, rest @ ..] => {
                let ours = framed(&[0xc0, 0x21, 1, 1, 0, 8, 1, 4, 5, 0x4a]);
                [framed(&[&[0xc0, 0x21, 2], rest].concat()), ours].concat()
            }
            [0x80, 0x21, 1, rest @ ..] => {
                [framed(&[&[0x80, 0x21, 2], rest].concat()), ask(&[3, 6, 0, 0, 0, 0])].concat()
            }
            [0x80, 0x21, 3, _, _, _, 3, 6, a, b, c, d] => {
                self.address = Some(Ipv4Addr::new(*a, *b, *c, *d));
                ask(&[3, 6, *a, *b, *c, *d])
            }
            [0x80, 0x21, 2, ..] => {
                self.up = true;
                Vec::new()
            }
            [0x00, 0x21, packet @ ..] => return (Vec::new(), Some(packet.to_vec())),
            _ => Vec::new(),
        };
        (said, None)
    }
}

/// An IP packet whose payload `fill` writes.
fn packet(to: Ipv4Addr, from: Ipv4Addr, protocol: IpProtocol, length: usize, fill: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let ip = IpRepr::new(from.into(), to.into(), protocol, length, 64);
    let mut packet = vec![0; ip.buffer_len()];
    ip.emit(&mut packet, &ChecksumCapabilities::default());
    fill(&mut packet[20..]);
    [&[0x00, 0x21], &packet[..]].concat()
}

fn echo(from: Ipv4Addr) -> Vec<u8> {
    let repr = Icmpv4Repr::EchoRequest { ident: 7, seq_no: 1, data: b"hello" };
    packet(INNER, from, IpProtocol::Icmp, repr.buffer_len(), |inner| {
        repr.emit(&mut Icmpv4Packet::new_unchecked(inner), &ChecksumCapabilities::default());
    })
}

/// The reply to an echo request: type and checksum are all that differs.
fn echoed(asked: &[u8]) -> Vec<u8> {
    let ip = Ipv4Packet::new_unchecked(asked);
    packet(ip.src_addr(), ip.dst_addr(), IpProtocol::Icmp, ip.payload().len(), |inner| {
        inner.copy_from_slice(ip.payload());
        inner[0] = 0;
        Icmpv4Packet::new_unchecked(inner).fill_checksum();
    })
}

/// A machine with an open port and a closed one: the answer to a SYN.
fn answer(asked: &[u8], open: u16) -> Option<Vec<u8>> {
    let ip = Ipv4Packet::new_checked(asked).ok()?;
    let tcp = TcpPacket::new_checked(ip.payload()).ok()?;
    if !tcp.syn() || tcp.ack() || ![open, open + 1].contains(&tcp.dst_port()) {
        return None;
    }
    let repr = TcpRepr {
        src_port: tcp.dst_port(),
        dst_port: tcp.src_port(),
        control: if tcp.dst_port() == open { TcpControl::Syn } else { TcpControl::Rst },
        seq_number: smoltcp::wire::TcpSeqNumber(1),
        ack_number: Some(tcp.seq_number() + 1),
        window_len: 1000,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    };
    Some(packet(ip.src_addr(), ip.dst_addr(), IpProtocol::Tcp, repr.buffer_len(), |inner| {
        let (from, to) = (ip.dst_addr().into(), ip.src_addr().into());
        repr.emit(&mut TcpPacket::new_unchecked(inner), &from, &to, &ChecksumCapabilities::default());
    }))
}

#[test]
fn a_machine_reaches_the_segment_behind_a_gateway_and_is_reached_from_there() {
    let (mut client, lab, gateway, certificate) = start();
    let to = SocketAddr::new(lab.config().ipv4.into(), 443);
    lab.count_to(vec!["10.60.0.0/16".parse().expect("a network")]).expect("count");
    assert_eq!(logged_in(&mut client, to, "another"), None);
    let cookie = logged_in(&mut client, to, "x").expect("a cookie");
    let (mut said, mut machine, mut replies) =
        (request("GET /remote/sslvpn-tunnel", &cookie, ""), Machine::default(), 0);
    let office = lab.at(1).expect("a segment");
    let mut pending = None;
    let mut scan = None;
    through_tls(&mut client, to, |heard| {
        let mut out = std::mem::take(&mut said);
        while let Some(frame) = unframed(heard) {
            let before = machine.up;
            let (said, inner) = machine.hear(&frame);
            out.extend(said);
            if machine.up && !before {
                out.extend(framed(&echo(machine.address.expect("an address"))));
            }
            let Some(inner) = inner else { continue };
            match inner[9] {
                1 if inner[20] == 8 => out.extend(framed(&echoed(&inner))),
                1 => replies += 1,
                _ => out.extend(answer(&inner, 22).map(|packet| framed(&packet)).unwrap_or_default()),
            }
        }
        // Once the echo is back: from behind, two of its ports.
        if replies > 0 && pending.is_none() {
            let inside = machine.address.expect("an address");
            assert_eq!(
                gateway.tunnels().first().map(|t| (t.inside, t.outside.ip())),
                Some((inside, client::V4.into()))
            );
            let probe = diorite_lab::ScanProbe::new(inside.into(), diorite_lab::Protocol::Tcp, [22, 23]);
            pending = Some(office.begin(probe).expect("a scan"));
        }
        scan = pending.as_ref().and_then(|pending| office.finished(pending).expect("lab"));
        (out, scan.is_some())
    });
    let verdicts = scan.expect("a result").verdicts;
    assert_eq!((verdicts[&22], verdicts[&23]), (PortVerdict::Open, PortVerdict::Closed));
    let counts = gateway.counts();
    assert_eq!((replies, counts.echo_requests, counts.logins, counts.refused, counts.tunnels), (1, 1, 1, 1, 1));
    let network = "10.60.0.0/16".parse().expect("a network");
    assert_eq!(lab.counted_to(0, network).expect("lab"), Some(0), "all of it was inside");
    assert_eq!(lab.counted_to(0, "10.61.0.0/16".parse().expect("a network")).expect("lab"), None, "nobody has asked");

    // Beside the tunnel it is seen, although nothing leads there.
    client.route(Ipv4Addr::new(10, 77, 0, 1));
    client.ask(SocketAddr::new(INNER.into(), 9), b"x", Duration::from_millis(200));
    assert!(lab.counted_to(0, network).expect("lab").is_some_and(|count| count > 0));
    assert!(lab.counted_to(7, network).is_err());

    // The gateway goes: what is open ends, what asks is refused. And comes again.
    let cookie = logged_in(&mut client, to, "x").expect("a cookie");
    let (mut said, mut machine, mut gone) =
        (request("GET /remote/sslvpn-tunnel", &cookie, ""), Machine::default(), false);
    through_tls(&mut client, to, |heard| {
        let mut out = std::mem::take(&mut said);
        while let Some(frame) = unframed(heard) {
            out.extend(machine.hear(&frame).0);
        }
        if gateway.tunnels().len() == 1 && !gone {
            gone = true;
            lab.break_off(443).expect("lab");
        }
        (out, false)
    });
    assert!(gone && gateway.tunnels().is_empty());
    assert_eq!(client.talk(to, b"", |_| false), b"");
    lab.serve_fortinet(443, &gateway, &certificate).expect("serve");
    assert!(logged_in(&mut client, to, "x").is_some());
}

/// Other peers go away in the same way: in the middle of an answer.
#[test]
fn a_peer_that_goes_away_breaks_its_connections_off() {
    let (mut client, lab, ..) = start();
    let (to, site) = (SocketAddr::new(lab.config().ipv4.into(), 80), Site::default());
    site.set("/", Reply { trickle: Some((1, Duration::from_millis(20))), ..Reply::text(&"x".repeat(10_000)) });
    lab.serve_http(80, &site).expect("serve");
    lab.serve_http(81, &Site::default()).expect("serve");
    let mut rest = b"GET / HTTP/1.1\r\n\r\n".to_vec();
    let mut got = Vec::new();
    client.converse(to, |heard| {
        got.append(heard);
        if got.len() > 20 {
            lab.break_off(80).expect("lab");
        }
        (std::mem::take(&mut rest), false)
    });
    assert!((20..9000).contains(&got.len()), "{} bytes", got.len());
    assert_eq!(client.talk(to, b"GET / HTTP/1.1\r\n\r\n", |_| false), b"");
    let other = SocketAddr::new(to.ip(), 81);
    assert!(
        client.talk(other, b"GET / HTTP/1.0\r\n\r\n", |_| false).starts_with(b"HTTP/1.1 404 "),
        "another port is not"
    );
}
