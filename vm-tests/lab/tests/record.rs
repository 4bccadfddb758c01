//! What a guest says unasked, and what of it nobody allowed.

mod client;
mod guest;

use client::Client;
use diorite_lab::{
    Attachment, Config, Lab, Topology,
    allow::{Allowed, To, What, ordinary, undeclared},
};
use diorite_model::{Error, Result};
use guest::{Guest, PLAIN};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

fn patience() -> impl FnMut() -> Result<()> {
    let end = Instant::now() + Duration::from_secs(20);
    move || if Instant::now() < end { Ok(()) } else { Err(Error::bug("the simulated guest does not answer")) }
}

#[test]
fn an_ordinary_guest_says_nothing_undeclared() {
    let (_guest, fd) = Guest::start(PLAIN);
    let lab = Lab::start(fd).expect("lab");
    let lease = lab.wait_for_lease(&mut patience()).expect("lease");
    lab.wait_for_ipv6(lease.mac, &mut patience()).expect("an address");
    assert!(lab.ping(lease.ipv4.into(), Duration::from_secs(5)).expect("ping").is_some());
    assert!(!lab.record().is_empty());
    assert_eq!(undeclared(&lab.record(), &ordinary(lab.config())), []);
}

#[test]
fn who_phones_home_is_named_wherever_it_goes() {
    let (mut client, fd) = Client::new();
    let second = Config { ipv4: "192.0.2.1".parse().expect("an address"), ..Config::numbered(2) };
    let network = Topology::routed([Config::default(), second]).cable("web", Attachment::Access(0));
    let lab = Lab::start_in(network, vec![fd]).expect("lab");
    client.route(lab.config().ipv4);
    let home: SocketAddr = "192.0.2.1:443".parse().expect("an address");
    assert!(client.talk(home, b"hello", |_| false).is_empty());
    let found = undeclared(&lab.record(), &ordinary(lab.config()));
    let words: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(words.len(), 1, "{words:?}");
    assert!(words[0].starts_with("52:54:00:c1:1e:07 opened a connection to 192.0.2.1, TCP port 443 (web), "));
    let mut list = ordinary(lab.config());
    list.push(Allowed::new(What::Tcp, To::Address(home.ip()), 443, "it fetches updates"));
    assert_eq!(undeclared(&lab.record(), &list), []);
    client.send(&[0xff; 13]);
    client.send(&[&[0xff; 6][..], client::MAC.as_bytes(), &[8, 0], &[0x45; 9]].concat());
    let cut = |_: &[Vec<u8>]| !undeclared(&lab.record(), &list).is_empty();
    assert!(client.listen(Duration::from_secs(5), cut), "what contradicts itself is recorded");
    assert_eq!(lab.traffic(0).expect("traffic").refused, 1, "what is too short for a sender is counted");
}
