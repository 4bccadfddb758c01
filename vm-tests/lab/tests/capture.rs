//! Captures, judged by a second reader that is written from the format's specification (draft-ietf-opsawg-pcapng) and
//! shares nothing with the writer.

mod client;
mod guest;

use client::Client;
use diorite_lab::{Attachment, Config, Direction, Faults, Lab, Topology};
use std::{net::SocketAddr, time::Duration};

/// A block with its options: for a packet, interface, time in nanoseconds, and its bytes.
#[derive(Debug)]
enum Block {
    Section { application: Option<String> },
    Interface { name: Option<String>, link: u16 },
    Packet { interface: u32, time: u64, bytes: Vec<u8>, comments: Vec<String>, inbound: bool },
    Statistics { interface: u32, received: u64, dropped: u64, comments: Vec<String> },
}

fn u16_at(b: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(b[at..at + 2].try_into().expect("two bytes"))
}
fn u32_at(b: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(b[at..at + 4].try_into().expect("four bytes"))
}

/// Options up to the end mark, which must be the last thing in the block.
fn options(mut b: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut all = Vec::new();
    while !b.is_empty() {
        let (code, length) = (u16_at(b, 0), usize::from(u16_at(b, 2)));
        if code == 0 {
            assert_eq!((length, b.len()), (0, 4), "the end mark is the end");
            return all;
        }
        let padded = length.div_ceil(4) * 4;
        assert!(b[4 + length..4 + padded].iter().all(|p| *p == 0), "padding is zero");
        all.push((code, b[4..4 + length].to_vec()));
        b = &b[4 + padded..];
    }
    panic!("options without an end")
}

fn text(options: &[(u16, Vec<u8>)], code: u16) -> Vec<String> {
    let all = options.iter().filter(|(c, _)| *c == code);
    all.map(|(_, value)| String::from_utf8(value.clone()).expect("UTF-8")).collect()
}

fn read(bytes: &[u8]) -> Vec<Block> {
    let (mut at, mut blocks) = (0, Vec::new());
    while at < bytes.len() {
        let (kind, length) = (u32_at(bytes, at), u32_at(bytes, at + 4) as usize);
        assert!(length.is_multiple_of(4) && u32_at(bytes, at + length - 4) as usize == length);
        let body = &bytes[at + 8..at + length - 4];
        blocks.push(match kind {
            0x0a0d_0d0a => {
                assert_eq!((u32_at(body, 0), u16_at(body, 4), u16_at(body, 6)), (0x1a2b_3c4d, 1, 0));
                Block::Section { application: text(&options(&body[16..]), 4).pop() }
            }
            1 => {
                let options = options(&body[8..]);
                assert_eq!(options.iter().find(|(c, _)| *c == 9).expect("a resolution").1, [9]);
                Block::Interface { name: text(&options, 2).pop(), link: u16_at(body, 0) }
            }
            6 => {
                let (kept, whole) = (u32_at(body, 12) as usize, u32_at(body, 16) as usize);
                assert_eq!(kept, whole);
                let options = options(&body[20 + kept.div_ceil(4) * 4..]);
                let flags = options.iter().find(|(c, _)| *c == 2).expect("flags");
                let way = u32_at(&flags.1, 0) & 3;
                assert!(matches!(way, 1 | 2));
                Block::Packet {
                    interface: u32_at(body, 0),
                    time: u64::from(u32_at(body, 4)) << 32 | u64::from(u32_at(body, 8)),
                    bytes: body[20..20 + kept].to_vec(),
                    comments: text(&options, 1),
                    inbound: way == 1,
                }
            }
            5 => {
                let options = options(&body[12..]);
                let number = |code: u16| {
                    let value = &options.iter().find(|(c, _)| *c == code).expect("a number").1;
                    u64::from_le_bytes(value[..].try_into().expect("eight bytes"))
                };
                Block::Statistics {
                    interface: u32_at(body, 0),
                    received: number(4),
                    dropped: number(5),
                    comments: text(&options, 1),
                }
            }
            other => panic!("block {other:#x}"),
        });
        at += length;
    }
    blocks
}

#[test]
fn a_capture_names_its_cables_and_phases() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("wire.pcapng");
    let ((mut client, one), (_other, two)) = (Client::new(), Client::new());
    let quiet = Config { advertise_every: Duration::from_secs(3600), ..Config::default() };
    let network = Topology::routed([quiet]).cable("web", Attachment::Access(0)).cable("db", Attachment::Access(0));
    let lab = Lab::start_in(network, vec![one, two]).expect("lab");
    lab.capture(&path).expect("capture");
    let dns = SocketAddr::new(lab.config().ipv4.into(), 53);
    let query = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x06router\x03lab\x04test\0\0\x01\0\x01";
    lab.phase("the first question").expect("phase");
    client.ask(dns, query, Duration::from_secs(5)).expect("an answer");
    lab.phase("a lost question").expect("phase");
    lab.impair(0, Direction::FromGuest, Faults { cut: true, ..Faults::default() }).expect("cut");
    assert_eq!(client.ask(dns, query, Duration::from_millis(200)), None);
    lab.phase("the end").expect("phase");
    drop(lab);
    let blocks = read(&std::fs::read(&path).expect("read"));
    let Block::Section { application: Some(application) } = &blocks[0] else { panic!("{:?}", blocks[0]) };
    assert_eq!(application, "diorite lab");
    let names: Vec<_> = blocks
        .iter()
        .filter_map(|b| if let Block::Interface { name, link: 1 } = b { name.as_deref() } else { None })
        .collect();
    assert_eq!(names, ["web", "db"]);
    let packets: Vec<_> = blocks
        .iter()
        .filter_map(|b| {
            if let Block::Packet { interface, time, bytes, comments, inbound } = b {
                Some((interface, time, bytes, comments, inbound))
            } else {
                None
            }
        })
        .collect();
    assert!(packets.windows(2).all(|w| w[0].1 <= w[1].1) && packets.iter().all(|p| *p.1 > 1_700_000_000_000_000_000));
    let sent = |p: &&(&u32, &u64, &Vec<u8>, &Vec<String>, &bool)| *p.4 && p.2.windows(query.len()).any(|w| w == query);
    let questions: Vec<_> = packets.iter().filter(sent).collect();
    assert_eq!(questions.len(), 2);
    assert!(questions.iter().all(|p| *p.0 == 0 && p.2.starts_with(&[0x52, 0x44])));
    assert!(questions[1].3.ends_with(&["lost on the cable".to_owned()]), "{:?}", questions[1].3);
    let phases: Vec<_> = packets.iter().flat_map(|p| p.3).filter(|c| c.contains("question")).collect();
    assert_eq!(phases, ["the first question", "a lost question"]);
    let counted: Vec<_> = blocks
        .iter()
        .filter_map(|b| {
            if let Block::Statistics { interface, received, dropped, comments } = b {
                Some((*interface, *received, *dropped, comments.clone()))
            } else {
                None
            }
        })
        .collect();
    let on = |n: u32| packets.iter().filter(|p| *p.0 == n).count() as u64;
    assert_eq!(counted, [(0, on(0), 1, vec!["the end".to_owned()]), (1, on(1), 0, vec![])]);
}
