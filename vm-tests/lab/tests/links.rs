//! What faults of a cable do to a guest's conversations, on and off while the lab runs.

mod guest;

use diorite_lab::{CableTraffic, Config, Direction, Faults, Lab, PortVerdict::*};
use diorite_model::{Error, Result};
use guest::{Behaviour, Guest, PLAIN};
use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

const LONG: &str = concat!(
    "HTTP/1.0 200 OK\r\n\r\n",
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789",
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789",
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789",
);
const BEHAVIOUR: Behaviour = Behaviour { serves: &[(22, "SSH-2.0-Test_1.0\r\n", ""), (80, "", LONG)], ..PLAIN };

fn patience() -> impl FnMut() -> Result<()> {
    let end = Instant::now() + Duration::from_secs(20);
    move || if Instant::now() < end { Ok(()) } else { Err(Error::bug("the simulated guest does not answer")) }
}

/// A lab, and a guest with an address.
fn lab() -> (Guest, Lab, IpAddr) {
    let (guest, fd) = Guest::start(BEHAVIOUR);
    let config = Config { quiet: Duration::from_secs(3), ..Config::default() };
    let lab = Lab::start_with(config, vec![fd]).expect("lab");
    let lease = lab.wait_for_lease(&mut patience()).expect("lease");
    (guest, lab, lease.ipv4.into())
}

#[test]
fn a_cut_cable_is_silent_until_it_is_mended() {
    let (_guest, lab, v4) = lab();
    let short = Duration::from_millis(400);
    for way in [Direction::Both, Direction::ToGuest, Direction::FromGuest] {
        assert!(lab.ping(v4, Duration::from_secs(5)).expect("ping").is_some(), "before");
        lab.impair(0, way, Faults { cut: true, ..Faults::default() }).expect("cut");
        assert_eq!(lab.ping(v4, short).expect("ping"), None, "{way:?}");
        lab.impair(0, way, Faults::default()).expect("mend");
    }
    assert!(lab.ping(v4, Duration::from_secs(5)).expect("ping").is_some(), "after");
    let CableTraffic { sent, received, lost, unread, refused, .. } = lab.traffic(0).expect("traffic");
    assert!(sent > 3 && received > 3 && lost >= 3 && unread == 0 && refused == 0);
    assert_eq!(lab.traffic(1).expect_err("no cable").what, "there is no cable 1");
}

#[test]
fn a_cable_is_plugged_into_another_machine() {
    let (old, lab, v4) = lab();
    let (_new, end) = Guest::start(BEHAVIOUR);
    lab.replug(0, end).expect("another machine");
    drop(old);
    let again = lab.wait_for_lease(&mut patience()).expect("lease");
    assert_eq!(IpAddr::from(again.ipv4), v4, "its card has the same address");
    assert!(lab.ping(v4, Duration::from_secs(5)).expect("ping").is_some() && !lab.deserted());
    assert!(lab.replug(1, Guest::start(BEHAVIOUR).1).is_err(), "there is no such cable");
}

#[test]
fn delay_is_measured_and_loss_repaired() {
    let (_guest, lab, v4) = lab();
    let late = Faults { delay: Duration::from_millis(120), ..Faults::default() };
    lab.impair(0, Direction::ToGuest, late).expect("delay");
    let time = lab.ping(v4, Duration::from_secs(5)).expect("ping").expect("an echo");
    assert!(time >= Duration::from_millis(120), "{time:?}");
    lab.impair(0, Direction::Both, Faults::default()).expect("no delay");
    // On a busy machine one of several is quick.
    let time = (0..10).map(|_| lab.ping(v4, Duration::from_secs(5)).expect("ping").expect("an echo")).min();
    assert!(time < Some(Duration::from_millis(120)), "{time:?}");

    // TCP repairs what a cable loses, repeats, damages and mixes up.
    let bad =
        Faults { loss: 0.1, duplicate: 0.1, jitter: Duration::from_millis(5), reorder: true, ..Faults::default() };
    lab.impair(0, Direction::Both, bad).expect("a bad cable");
    let page = lab.http_get(v4, 80, "/").expect("lab").expect("a page");
    assert_eq!((page.status, page.body.len()), (200, 300));
    let scan = lab.scan(v4, &[22, 80, 81]).expect("scan");
    assert_eq!(scan.verdicts.into_values().collect::<Vec<_>>(), [Open, Open, Closed]);
}

/// A path that swallows long packets without a word: greetings pass, pages do not.
#[test]
fn a_narrow_cable_swallows_what_is_long() {
    let (_guest, lab, v4) = lab();
    lab.impair(0, Direction::FromGuest, Faults { mtu: Some(200), ..Faults::default() }).expect("narrow");
    assert_eq!(lab.banner(v4, 22).expect("lab"), Ok("SSH-2.0-Test_1.0".to_owned()));
    assert!(lab.http_get(v4, 80, "/").expect("lab").is_err(), "300 bytes do not pass");
    lab.impair(0, Direction::FromGuest, Faults { mtu: Some(1500), ..Faults::default() }).expect("wide");
    // This guest listens with one socket, which may still be busy with the connection before.
    let page = (0..50).find_map(|_| lab.http_get(v4, 80, "/").expect("lab").ok());
    assert_eq!(page.expect("a page").body.len(), 300);
}
