//! The network around a machine, in process and without privileges: an Ethernet switch whose one other host is router,
//! DHCP, DNS and NTP server and port scanner at once. It sees every frame, so it can tell an open port from a closed,
//! a rejected and a silent one, and knows everything the guest said without being asked.
//!
//! ```text
//! guest ── QEMU -netdev stream ── socket pair ── Port ─┐
//! guest ── …                                    Port ──┤ switch ── servers · questions (jobs) · TCP (stack)
//!                                                      └─ pcapng
//! ```

mod config;
mod engine;
mod fragments;
pub mod frame;
pub mod jobs;
mod lab;
mod pcapng;
mod port;
pub mod record;
mod services;
mod stack;

pub use config::Config;
pub use jobs::{
    knock::Answer,
    scan::{PortVerdict, Probe, Protocol, Scan},
    udp::UdpVerdict,
    vigil::{Heard, Watched},
};
pub use lab::{HttpReply, Lab, Patience, Pending, Watch};
pub use record::{Record, Times, Utterance};
pub use services::dhcp::Lease;
pub use smoltcp::wire::EthernetAddress;
pub use stack::{Ending, Talk, Until};
