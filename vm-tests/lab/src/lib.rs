//! The network around machines, in process and without privileges: an Ethernet switch with one or several segments, on
//! each of which the lab has a host that is router, DHCP, DNS and NTP server and port scanner at once. It sees every
//! frame, so it can tell an open port from a closed, a rejected and a silent one, and knows everything the guest said
//! without being asked.
//!
//! ```text
//! guest ── QEMU -netdev stream ── socket pair ── Port ─┐          ┌ host of segment 0: servers · questions · TCP ┐
//! guest ── …                                    Port ──┤ switch ──┤                                              ├ router
//!                                                      └─ pcapng  └ host of segment 1: …                         ┘
//! ```

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod allow;
mod config;
mod control;
mod crossing;
mod engine;
mod forward;
mod fragments;
pub mod frame;
mod host;
mod icmp;
pub mod jobs;
mod lab;
mod link;
mod listen;
mod neighbours;
mod pcapng;
pub mod peers;
mod port;
mod random;
pub mod record;
mod router;
mod secure;
mod services;
mod shared;
mod ssh;
mod stack;
mod switch;
mod tls;
mod topology;

pub use config::Config;
pub use diorite_model::{recipe::Protocol, scenario::FloodKind};
pub use jobs::{
    offers::{DhcpOffer, RouterOffer},
    pass::{Parcel, Passage},
    port_watch::{UnexpectedAnswer, WatchReport},
    reach_probe::ReachAnswer,
    scan::{Scan, ScanProbe},
    udp::UdpVerdict,
    verdict::PortVerdict,
};
pub use lab::{HttpReply, HttpsAnswer, Lab, Pending, PortWatchHandle, WaitHook};
pub use link::{Direction, Faults};
pub use random::Random;
pub use record::{Record, Times, Utterance};
pub use secure::names as certificate_names;
pub use services::{
    Behaviour, Identity, SegmentServices,
    dhcp::{Dhcp, Lease},
    dhcp6::{Dhcp6, Lease6},
    dns::{Name, NameServer},
    ntp::Ntp,
    router::Advertised,
};
pub use smoltcp::wire::EthernetAddress;
pub use stack::{Ending, ReadUntil, Talk};
pub use switch::CableTraffic;
pub use tls::Certificate;
pub use topology::{Attachment, Cable, Topology};
