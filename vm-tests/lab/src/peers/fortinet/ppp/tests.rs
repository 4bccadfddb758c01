//! Against what pppd(8) says when openfortivpn(1) runs it, byte by byte as its log shows it, and against what no program says.

use super::*;
use crate::random::Random;

const OWN: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const GIVEN: Ipv4Addr = Ipv4Addr::new(10, 60, 255, 253);
const NUMBER: u32 = 0x1234_5678;

fn link() -> (Ppp, Instant) {
    (Ppp::new(OWN, GIVEN, NUMBER), Instant::now())
}

/// `c0 21 01`, as a log shows it.
fn bytes(hex: &str) -> Vec<u8> {
    hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).expect("a byte")).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" ")
}

/// The frames that the gateway has said, without their heads.
fn said(out: &mut Vec<u8>) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(frame) = next(out).expect("frames") {
        all.push(hex(&frame));
    }
    assert!(out.is_empty(), "whole frames");
    all
}

/// Lets the machine say this; what the gateway says to it.
fn heard(ppp: &mut Ppp, frame: &str, now: Instant) -> Vec<String> {
    let mut out = Vec::new();
    assert_eq!(ppp.take(&bytes(frame), now, &mut out), None, "no packet is in it");
    said(&mut out)
}

/// A link on which everything is agreed on.
fn up() -> (Ppp, Instant) {
    let (mut ppp, now) = link();
    ppp.begin(now, &mut Vec::new());
    for frame in [
        "c0 21 02 01 00 0a 05 06 12 34 56 78",
        "c0 21 01 01 00 0e 01 04 05 4a 05 06 5d ab 21 cf",
        "80 21 02 01 00 0a 03 06 0a 4d 00 01",
        "80 21 01 01 00 0a 03 06 0a 3c ff fd",
    ] {
        heard(&mut ppp, frame, now);
    }
    assert!(ppp.up() && !ppp.over());
    (ppp, now)
}

#[test]
fn pppd_and_the_gateway_agree() {
    let (mut ppp, now) = link();
    let mut out = Vec::new();
    ppp.begin(now, &mut out);
    assert_eq!(hex(&out[..HEAD]), "00 12 50 50 00 0c", "12 bytes behind 6");
    assert_eq!(said(&mut out), ["c0 21 01 01 00 0a 05 06 12 34 56 78"]);
    let mut says = |frame: &str| heard(&mut ppp, frame, now);
    // openfortivpn takes address and control away; with them it is the same.
    let mru = "c0 21 01 01 00 0e 01 04 05 4a 05 06 5d ab 21 cf";
    assert_eq!(says(&format!("ff 03 {mru}")), [mru.replacen("01 01", "02 01", 1)]);
    assert_eq!(says("c0 21 02 01 00 0a 05 06 12 34 56 78"), ["80 21 01 01 00 0a 03 06 0a 4d 00 01"]);
    // Header compression is not wanted, nor are compressed packets and IPv6.
    assert_eq!(says("80 21 01 01 00 10 02 06 00 2d 0f 01 03 06 00 00 00 00"), ["80 21 04 01 00 0a 02 06 00 2d 0f 01"]);
    assert_eq!(says("80 fd 01 01 00 04"), ["c0 21 08 02 00 0a 80 fd 01 01 00 04"]);
    assert_eq!(says("80 57 01 01 00 04"), ["c0 21 08 03 00 0a 80 57 01 01 00 04"]);
    // An address that the machine will not have for the gateway is left out.
    assert_eq!(says("80 21 03 01 00 0a 03 06 a9 fe 02 01"), ["80 21 01 02 00 04"]);
    assert_eq!(says("80 21 01 02 00 0a 03 06 00 00 00 00"), ["80 21 03 02 00 0a 03 06 0a 3c ff fd"]);
    // openfortivpn reads the address off these bytes, and waits for them.
    assert_eq!(says("80 21 01 03 00 0a 03 06 0a 3c ff fd"), ["80 21 02 03 00 0a 03 06 0a 3c ff fd"]);
    assert_eq!(says("80 21 02 02 00 04"), Vec::<String>::new());
    assert!(ppp.up());
    assert_eq!(ppp.tick(now + RESTART * 2, &mut out), None, "nothing is waited for");
    assert!(out.is_empty());
}

#[test]
fn packets_go_both_ways_and_the_line_is_asked_whether_it_is_there() {
    let (mut ppp, now) = up();
    let mut out = Vec::new();
    assert_eq!(ppp.take(&bytes("00 21 45 00"), now, &mut out), Some(&[0x45, 0][..]));
    assert_eq!(ppp.take(&bytes("ff 03 00 21 45 00"), now, &mut out), Some(&[0x45, 0][..]));
    assert!(ppp.send(&[0x45; 1354], &mut out) && !ppp.send(&[0x45; 1355], &mut out), "what pppd takes");
    assert_eq!(said(&mut out).len(), 1);
    assert_eq!(heard(&mut ppp, "c0 21 09 07 00 09 5d ab 21 cf 2a", now), ["c0 21 0a 07 00 09 12 34 56 78 2a"]);
    assert_eq!(heard(&mut ppp, "c0 21 0b 08 00 08 5d ab 21 cf", now), Vec::<String>::new());
    assert_eq!(
        heard(&mut ppp, "c0 21 63 09 00 04", now),
        ["c0 21 07 09 00 08 63 09 00 04"],
        "a code that nobody knows"
    );
    assert!(ppp.up());
    assert_eq!(heard(&mut ppp, "c0 21 05 0a 00 04", now), ["c0 21 06 0a 00 04"]);
    assert!(ppp.over() && !ppp.up());
}

#[test]
fn nothing_goes_through_before_its_time() {
    let (mut ppp, now) = link();
    let mut out = Vec::new();
    ppp.begin(now, &mut out);
    out.clear();
    for early in
        ["00 21 45 00", "80 21 01 01 00 0a 03 06 00 00 00 00", "c0 21 09 07 00 08 5d ab 21 cf", "80 fd 01 01 00 04"]
    {
        assert_eq!(heard(&mut ppp, early, now), Vec::<String>::new(), "{early}");
    }
    assert!(!ppp.send(&[0x45; 20], &mut out));
    // Answers to what was not asked, and half an agreement, are none.
    for not in ["c0 21 02 02 00 0a 05 06 12 34 56 78", "c0 21 02 01 00 0a 05 06 12 34 56 79", "c0 21 02 01 00 04"] {
        assert_eq!(heard(&mut ppp, not, now), Vec::<String>::new(), "{not}");
    }
    heard(&mut ppp, "c0 21 01 01 00 04", now);
    assert_eq!(heard(&mut ppp, "00 21 45 00", now), Vec::<String>::new());
    assert!(!ppp.up());
}

#[test]
fn who_begins_anew_agrees_anew() {
    let (mut ppp, now) = up();
    let again = heard(&mut ppp, "c0 21 01 05 00 0a 05 06 5d ab 21 cf", now);
    assert_eq!(again, ["c0 21 01 02 00 0a 05 06 12 34 56 78", "c0 21 02 05 00 0a 05 06 5d ab 21 cf"]);
    assert!(!ppp.up());
    assert_eq!(heard(&mut ppp, "00 21 45 00", now), Vec::<String>::new());
    assert_eq!(heard(&mut ppp, "c0 21 02 02 00 0a 05 06 12 34 56 78", now), ["80 21 01 02 00 0a 03 06 0a 4d 00 01"]);
    heard(&mut ppp, "80 21 02 02 00 0a 03 06 0a 4d 00 01", now);
    assert!(!ppp.up(), "the machine has not asked for its address again");
    heard(&mut ppp, "80 21 01 06 00 0a 03 06 0a 3c ff fd", now);
    assert!(ppp.up() && ppp.send(&[0x45; 1500], &mut Vec::new()), "it has no other limit now");
}

#[test]
fn who_does_not_answer_or_never_agrees_is_given_up() {
    let (mut ppp, mut now) = link();
    let mut out = Vec::new();
    ppp.begin(now, &mut out);
    while let Some(at) = ppp.tick(now, &mut out) {
        assert!(at > now && !ppp.over());
        now = at;
    }
    assert!(ppp.over());
    let requests = said(&mut out);
    assert_eq!((requests.len(), &requests[9][..14]), (10, "c0 21 01 0a 00"), "each with an identifier of its own");

    let (mut ppp, now) = link();
    ppp.begin(now, &mut Vec::new());
    for id in 1..=REFUSALS + 1 {
        assert!(!ppp.over());
        // It wants to know who it talks to.
        let answer = heard(&mut ppp, &format!("c0 21 01 {id:02x} 00 08 03 04 c0 23"), now);
        assert_eq!(answer, [format!("c0 21 04 {id:02x} 00 08 03 04 c0 23")]);
    }
    assert!(ppp.over());

    // And one that leads its own words back to it.
    let (mut ppp, now) = link();
    ppp.begin(now, &mut Vec::new());
    let answer = heard(&mut ppp, "c0 21 01 01 00 0a 05 06 12 34 56 78", now);
    assert_eq!(answer, ["c0 21 03 01 00 0a 05 06 ed cb a9 87"]);
    let (mut ppp, now) = up();
    heard(&mut ppp, "c0 21 08 09 00 0a 80 21 01 01 00 04", now);
    assert!(ppp.over(), "it does not speak IP");
}

#[test]
fn frames_come_however_they_are_cut_and_what_is_none_is_refused() {
    let mut out = Vec::new();
    frame(LCP, &packet(ECHO_REQUEST, 7, &[1, 2, 3, 4]), &mut out);
    frame(IP, &[0x45; MOST], &mut out);
    let (mut input, mut lengths) = (Vec::new(), Vec::new());
    for byte in &out {
        input.push(*byte);
        lengths.extend(next(&mut input).expect("frames").map(|frame| frame.len()));
    }
    assert_eq!((lengths, input.len()), (vec![10, MOST + 2], 0));
    for wrong in [
        "00 0a 50 51 00 04 c0 21",
        "00 0a 50 50 00 05 c0 21",
        "00 06 50 50 00 00",
        "00 03 50 50 ff fd",
        // Refused before any of it has come.
        "05 e7 50 50 05 e1",
        "ff ff 50 50 ff f9",
        "48 54 54 50 2f 31",
    ] {
        assert!(next(&mut bytes(wrong)).is_err(), "{wrong}");
    }
    assert_eq!(next(&mut bytes("05 e6 50 50 05 e0")), Ok(None), "as long as one may be");
}

/// Whatever is said: no panic, and no more is answered than is said, apart from requests.
#[test]
fn nonsense_fills_nothing_and_breaks_nothing() {
    let good: Vec<Vec<u8>> = [
        "c0 21 01 01 00 0e 01 04 05 4a 05 06 5d ab 21 cf",
        "c0 21 02 01 00 0a 05 06 12 34 56 78",
        "c0 21 03 01 00 0a 05 06 ed cb a9 87",
        "c0 21 04 01 00 0a 05 06 12 34 56 78",
        "80 21 01 01 00 10 02 06 00 2d 0f 01 03 06 00 00 00 00",
        "80 21 01 02 00 0a 03 06 0a 3c ff fd",
        "80 21 02 01 00 0a 03 06 0a 4d 00 01",
        "c0 21 09 07 00 09 5d ab 21 cf 2a",
        "ff 03 00 21 45 00 00 14",
        "80 fd 01 01 00 0f 1a 04 78 00 18 04 78 00 15 03 2f",
        "c0 21 05 0a 00 04",
    ]
    .map(bytes)
    .into();
    let mut random = Random::new(7, 7);
    let mut ended = 0;
    for turn in 0..20_000 {
        let (mut ppp, now) = if turn % 2 == 0 { link() } else { up() };
        let mut out = Vec::new();
        for _ in 0..8 {
            let mut frame = good[random.below(good.len() as u64) as usize].clone();
            for _ in 0..random.below(4) {
                let place = random.below(frame.len() as u64) as usize;
                frame[place] = random.number() as u8;
            }
            frame.truncate(random.below(frame.len() as u64 + 4) as usize);
            let before = out.len();
            ppp.take(&frame, now, &mut out);
            assert!(out.len() - before <= 2 * frame.len() + 80, "{}", hex(&frame));
        }
        said(&mut out);
        ended += u32::from(ppp.over());
    }
    assert!((1000..15_000).contains(&ended), "some of it is a goodbye: {ended}");
    // Every cut of every frame, and as much as fits into one.
    let (mut ppp, now) = up();
    for frame in &good {
        for length in 0..frame.len() {
            ppp.take(&frame[..length], now, &mut Vec::new());
        }
    }
    for head in
        ["c0 21 01 01 05 dc", "80 21 01 01 05 dc", "c0 21 63 01 05 dc", "c0 21 09 01 05 dc", "80 fd 01 01 05 dc"]
    {
        for filler in [[2, 2], [5, 6], [3, 6], [0xff, 0xff], [0, 0]] {
            let mut frame = bytes(head);
            frame.extend(filler.iter().cycle().take(LONGEST - frame.len()));
            let mut out = Vec::new();
            up().0.take(&frame, now, &mut out);
            assert!(out.len() <= LONGEST + 80, "{head}: {} bytes", out.len());
            said(&mut out);
        }
    }
}
