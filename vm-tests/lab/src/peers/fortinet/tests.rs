//! The dialogue, connections without TLS, and the leg in the segment behind the gateway.

use super::*;
use crate::{frame::Host, port::CableEnd};
use smoltcp::wire::EthernetAddress;
use std::time::Duration;

const WORD: &str = "100% $x & more";
const FROM: &str = "10.77.0.9:999";
const HOST: EthernetAddress = EthernetAddress([0x52, 0x44, 0x49, 0x4f, 0x00, 0x01]);

/// A gateway before 10.60.0.0/29, and the switch's end of its cable.
fn gateway() -> (Fortinet, CableEnd) {
    let (near, far) = UnixStream::pair().expect("a socket pair");
    let segment = Config { ipv4: Ipv4Addr::new(10, 60, 0, 1), ipv4_prefix: 29, ..Config::default() };
    let account = Account { user: "inventory".to_owned(), password: WORD.to_owned() };
    (Fortinet::new(account, &segment, far.into()).expect("a gateway"), CableEnd::new(near).expect("a cable"))
}

fn session(gateway: &Fortinet) -> Box<dyn ServiceSession> {
    gateway.service(Ipv4Addr::new(10, 77, 0, 1))(FROM.parse().expect("an address"))
}

/// Says this, `piece` bytes at a time; what is answered, and what becomes of the connection.
fn say(session: &mut Box<dyn ServiceSession>, said: &[u8], piece: usize) -> (Vec<u8>, SessionStep) {
    let (mut input, mut output, mut step) = (Vec::new(), Vec::new(), SessionStep::Wait);
    for piece in said.chunks(piece) {
        input.extend_from_slice(piece);
        step = session.step(&mut input, false, &mut output, Instant::now());
        if matches!(step, SessionStep::Close | SessionStep::Reset) {
            break;
        }
    }
    (output, step)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// As openfortivpn encodes it.
fn login(user: &str, password: &str) -> String {
    let encoded = |text: &str| text.bytes().map(|b| format!("%{b:02X}")).collect::<String>();
    let body = format!("username={}&credential={}&realm=&ajax=1", encoded(user), encoded(password));
    let length = body.len();
    format!("POST /remote/logincheck HTTP/1.1\r\nHost: x\r\nCookie: \r\nContent-Length: {length}\r\n\r\n{body}")
}

fn get(path: &str, cookie: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\nContent-Length: 0\r\n\r\n")
}

/// Logs in; the cookie.
fn cookie(gateway: &Fortinet) -> String {
    let answer = text(&say(&mut session(gateway), login("inventory", WORD).as_bytes(), 1000).0);
    let (_, rest) = answer.split_once("Set-Cookie: ").expect("a cookie");
    rest.split(';').next().expect("a cookie").to_owned()
}

#[test]
fn an_account_logs_in_and_is_told_its_address() {
    let (gateway, _cable) = gateway();
    for piece in [1, 7, 1000] {
        let mut session = session(&gateway);
        let (answer, step) = say(&mut session, login("inventory", WORD).as_bytes(), piece);
        let answer = text(&answer);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\r\n\r\nret=1,"), "{answer}");
        assert_eq!(step, SessionStep::Wait, "the same connection goes on");
        let cookie =
            answer.split("Set-Cookie: ").nth(1).and_then(|c| c.split(';').next()).expect("a cookie").to_owned();
        let more = ["/remote/index", "/remote/fortisslvpn", "/remote/fortisslvpn_xml"].map(|path| get(path, &cookie));
        let answers = text(&say(&mut session, more.concat().as_bytes(), piece).0);
        assert_eq!(answers.matches("HTTP/1.1 200 OK\r\n").count(), 3, "{answers}");
        // Two are the gateway's, and one goes with each login.
        assert!(answers.contains("<assigned-addr ipv4='10.60.0.5' />"), "{answers}");
        assert!(answers.contains("<addr ip='10.60.0.0' mask='255.255.255.248' />"), "{answers}");
        let answer = text(&say(&mut session, get("/remote/logout", &cookie).as_bytes(), piece).0);
        assert!(answer.starts_with("HTTP/1.1 200 "));
        let answer = text(&say(&mut session, get("/remote/fortisslvpn_xml", &cookie).as_bytes(), piece).0);
        assert!(answer.starts_with("HTTP/1.1 403 "), "it is logged out: {answer}");
    }
    assert_eq!((gateway.counts().logins, gateway.counts().connections, gateway.counts().tunnels), (3, 3, 0));
}

#[test]
fn who_is_not_known_gets_no_cookie_and_no_password_is_repeated() {
    let (gateway, _cable) = gateway();
    for (user, password) in
        [("inventory", "another"), ("inventory", ""), (WORD, "inventory"), ("", ""), ("Inventory", WORD)]
    {
        let answer = text(&say(&mut session(&gateway), login(user, password).as_bytes(), 1000).0);
        assert!(answer.contains("SVPNCOOKIE=;") && answer.contains("\r\n\r\nret=0,"), "{user}: {answer}");
    }
    for body in ["", "username=inventory", "credential=%4", "username=%zz&credential=x", "xusername=inventory"] {
        let request = format!("POST /remote/logincheck HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let answer = text(&say(&mut session(&gateway), request.as_bytes(), 1000).0);
        assert!(answer.contains("\r\n\r\nret=0,"), "{body}: {answer}");
    }
    for path in ["/remote/index", "/remote/fortisslvpn_xml", "/remote/sslvpn-tunnel"] {
        for cookie in ["", "SVPNCOOKIE=", "SVPNCOOKIE=lab-1", "other=lab-1"] {
            let (answer, step) = say(&mut session(&gateway), get(path, cookie).as_bytes(), 1000);
            assert!(answer.starts_with(b"HTTP/1.1 403 ") && step == SessionStep::Wait, "{path}: {}", text(&answer));
        }
    }
    for (nonsense, status) in
        [("GET /other HTTP/1.1\r\n\r\n", "404"), ("\x16\x03\r\n\r\n", "400"), ("PUT / HTTP/1.1\r\n\r\n", "404")]
    {
        let (answer, _) = say(&mut session(&gateway), nonsense.as_bytes(), 1);
        assert!(text(&answer).starts_with(&format!("HTTP/1.1 {status} ")), "{}", text(&answer));
    }
    let long = format!("POST /remote/logincheck HTTP/1.1\r\nContent-Length: 100000\r\n\r\n{}", "x".repeat(100_000));
    assert_eq!(say(&mut session(&gateway), long.as_bytes(), 1000).1, SessionStep::Close);
    assert_eq!(say(&mut session(&gateway), &[b'x'; 100_000], 1000).1, SessionStep::Close);
    assert_eq!((gateway.counts().logins, gateway.counts().refused), (0, 10));
    let lines = format!("{:?}{gateway:?}", gateway.lines());
    assert!(lines.contains("login of inventory: refused") && lines.contains("login of somebody unknown: refused"));
    assert!(!lines.contains("100%") && !lines.contains("another"), "{lines}");
}

/// Agrees on everything in a tunnel, as pppd does.
fn agreed(gateway: &Fortinet, cookie: &str, address: [u8; 4]) -> Box<dyn ServiceSession> {
    let mut session = session(gateway);
    let (first, step) = say(&mut session, get("/remote/sslvpn-tunnel", cookie).as_bytes(), 7);
    assert!(matches!(step, SessionStep::Until(_)) && first.starts_with(&[0, 18, 0x50, 0x50]), "no answer but a frame");
    // Its own options come back as they were, and the machine's own are asked for.
    let ack = |request: &[u8]| [&request[..8], &[2], &request[9..]].concat();
    let (second, _) = say(&mut session, &ack(&first), 1000);
    assert!(second.is_empty());
    let (second, _) = say(&mut session, &framed(&[0xc0, 0x21, 1, 1, 0, 4]), 1000);
    let (_, ipcp) = second.split_at(12);
    say(&mut session, &ack(ipcp), 1000);
    let own = [&[0x80, 0x21, 1, 1, 0, 10, 3, 6][..], &address].concat();
    say(&mut session, &framed(&own), 1000);
    session
}

fn framed(frame: &[u8]) -> Vec<u8> {
    let length = frame.len() as u16;
    [&(length + 6).to_be_bytes()[..], &[0x50, 0x50], &length.to_be_bytes(), frame].concat()
}

/// An echo request, as an IP packet.
fn echo(from: [u8; 4], to: [u8; 4]) -> Vec<u8> {
    let host = |ip: [u8; 4]| Host { mac: HOST, ip: IpAddr::from(ip) };
    frame::echo(host(from), host(to), false, 7, 1, b"hello").split_off(14)
}

/// What has come through the cable.
fn arrived(cable: &mut CableEnd) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    cable.receive(|frame| all.push(frame.to_vec()));
    all
}

const MACHINE: [u8; 4] = [10, 60, 0, 5];

#[test]
fn packets_go_from_the_machine_to_the_segment_and_back() {
    let (gateway, mut cable) = gateway();
    let mut tunnel = agreed(&gateway, &cookie(&gateway), MACHINE);
    let seen = gateway.tunnels();
    assert_eq!(seen, [Tunnel { outside: FROM.parse().expect("an address"), inside: MACHINE.into() }]);
    // Whoever is asked for is told where he is, if he came through a tunnel; nobody answers for others.
    let asks = |ip: [u8; 4]| frame::who_has(HOST, Ipv4Addr::new(10, 60, 0, 1), ip.into());
    for ip in [MACHINE, [10, 60, 0, 6], [10, 60, 0, 4], [10, 60, 0, 1]] {
        cable.send(&asks(ip));
    }
    cable.flush();
    say(&mut tunnel, &[], 1);
    tunnel.step(&mut Vec::new(), false, &mut Vec::new(), Instant::now());
    let answers = arrived(&mut cable);
    let mac = EthernetAddress([0x52, 0x44, 0x49, 0x4f, 0x00, 0x02]);
    let is_at = |ip: [u8; 4]| {
        frame::is_at(Host { mac, ip: ip.into() }, Host { mac: HOST, ip: Ipv4Addr::new(10, 60, 0, 1).into() })
    };
    assert_eq!(answers, [is_at(MACHINE), is_at([10, 60, 0, 6])]);

    // The lab's host is known by now, and further networks are behind it.
    let (local, beyond, stray) =
        (echo(MACHINE, [10, 60, 0, 1]), echo(MACHINE, [192, 0, 2, 7]), echo([10, 60, 0, 4], [10, 60, 0, 1]));
    for packet in [&local, &stray, &beyond] {
        say(&mut tunnel, &framed(&[&[0x00, 0x21], &packet[..]].concat()), 3);
    }
    let head = [HOST.as_bytes(), mac.as_bytes(), &[8, 0]].concat();
    assert_eq!(arrived(&mut cable), [[&head[..], &local].concat(), [&head[..], &beyond].concat()]);

    // Back: a short frame that a card has filled up, one for nobody, and one that is too long for the tunnel.
    let back = echo([10, 60, 0, 1], MACHINE);
    let to = [mac.as_bytes(), HOST.as_bytes(), &[8, 0]].concat();
    cable.send(&[&to[..], &back, &[0; 13]].concat());
    cable.send(&[&to[..], &echo([10, 60, 0, 1], [10, 60, 0, 3])].concat());
    cable.send(&[&to[..], &[0x45; 1501]].concat());
    cable.send(&[&[0xff; 6], &to[6..], &back].concat());
    cable.send(&to[..9]);
    cable.flush();
    let mut output = Vec::new();
    tunnel.step(&mut Vec::new(), false, &mut output, Instant::now());
    assert_eq!(output, framed(&[&[0x00, 0x21], &back[..]].concat()));
    let bytes = [(local.len() + beyond.len()) as u64, back.len() as u64];
    let counts = GatewayCounts { connections: 2, logins: 1, refused: 0, tunnels: 1, echo_requests: 2, bytes };
    assert_eq!(gateway.counts(), counts);

    drop(tunnel);
    assert_eq!(gateway.tunnels(), []);
    let lines: Vec<String> = gateway.lines().into_iter().map(|(_, line)| line).collect();
    let expected = [
        "connection",
        "login of inventory: accepted",
        "connection",
        "tunnel of inventory is up: 10.60.0.5",
        "tunnel of inventory is down: 10.60.0.5",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_later_tunnel_takes_the_place_of_an_earlier_and_addresses_come_to_an_end() {
    let (gateway, _cable) = gateway();
    let one = cookie(&gateway);
    let mut first = agreed(&gateway, &one, MACHINE);
    let mut second = agreed(&gateway, &one, MACHINE);
    let step = |session: &mut Box<dyn ServiceSession>, ended| {
        session.step(&mut Vec::new(), ended, &mut Vec::new(), Instant::now())
    };
    assert_eq!(step(&mut first, false), SessionStep::Close);
    drop(first);
    assert_eq!(
        (gateway.tunnels().len(), step(&mut second, false)),
        (1, SessionStep::Wait),
        "it is not gone with the first"
    );
    // An address is another's while its login or its tunnel is there.
    let rest: Vec<String> = (0..3).map(|_| cookie(&gateway)).collect();
    let refused = text(&say(&mut session(&gateway), login("inventory", WORD).as_bytes(), 1000).0);
    assert!(
        refused.contains("ret=0,") && gateway.lines().last().is_some_and(|(_, l)| l.ends_with("no address is free"))
    );
    say(&mut session(&gateway), get("/remote/logout", &rest[1]).as_bytes(), 1000);
    cookie(&gateway);
    assert_eq!(step(&mut second, true), SessionStep::Close, "the machine has ended it");
    assert_eq!(gateway.tunnels(), []);
}

#[test]
fn what_is_no_frame_ends_the_connection_alone() {
    let (gateway, _cable) = gateway();
    let one = cookie(&gateway);
    for wrong in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 64], &framed(&[0x45; 2000])] {
        let mut tunnel = agreed(&gateway, &one, MACHINE);
        assert_eq!(say(&mut tunnel, wrong, 5).1, SessionStep::Reset);
        assert_eq!((gateway.tunnels(), say(&mut tunnel, b"more", 5).1), (vec![], SessionStep::Close));
    }
    // Cut anywhere, a conversation waits for the rest.
    let good = framed(&[&[0x00, 0x21], &echo(MACHINE, [10, 60, 0, 1])[..]].concat());
    for length in 0..good.len() {
        let mut tunnel = agreed(&gateway, &one, MACHINE);
        assert!(!matches!(say(&mut tunnel, &good[..length], 100).1, SessionStep::Close | SessionStep::Reset));
    }
    assert!(
        agreed(&gateway, &one, MACHINE).step(
            &mut Vec::new(),
            false,
            &mut Vec::new(),
            Instant::now() + Duration::from_secs(60)
        ) == SessionStep::Wait
    );
}

#[test]
fn a_flood_from_behind_fills_nothing() {
    let (gateway, mut cable) = gateway();
    let mut tunnel = agreed(&gateway, &cookie(&gateway), MACHINE);
    let to = [&[0x52, 0x44, 0x49, 0x4f, 0x00, 0x02], HOST.as_bytes(), &[8, 0]].concat();
    let frame = [&to[..], &echo([10, 60, 0, 1], MACHINE)].concat();
    let mut output = Vec::new();
    for _ in 0..20 {
        (0..1000).for_each(|_| cable.send(&frame));
        cable.flush();
        let before = output.len();
        let step = tunnel.step(&mut Vec::new(), false, &mut output, Instant::now());
        assert!(matches!(step, SessionStep::Until(_)) && output.len() - before <= TURN * 100, "a turn has an end");
    }
    // From the machine to somebody who is not there: what waits for him has an end, too.
    let nobody = framed(&[&[0x00, 0x21], &echo(MACHINE, [10, 60, 0, 3])[..]].concat());
    let flood = nobody.repeat(5000);
    assert!(!matches!(say(&mut tunnel, &flood, 10_000).1, SessionStep::Close | SessionStep::Reset));
    assert!(gateway.counts().echo_requests >= 5000);
}
