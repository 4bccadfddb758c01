//! The servers of the lab's host. Each takes a packet and gives the frames that answer it.

pub mod dhcp;
pub mod dns;
pub mod ntp;
pub mod router;
