//! The addresses of the network around a machine and what its servers answer.

use smoltcp::wire::EthernetAddress;
use std::{
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

/// Everything about the lab's one segment that a guest can see. The lab owns one host on it: router, DHCP, DNS and
/// NTP server and scanner at once.
#[derive(Debug, Clone)]
pub struct Config {
    /// The virtual network (IEEE 802.1Q) that the segment is; `None`: frames without a tag.
    pub vlan: Option<u16>,
    /// Hardware address of the lab's host; locally administered.
    pub mac: EthernetAddress,
    /// IPv4 address of the lab's host.
    pub ipv4: Ipv4Addr,
    /// Prefix length of the segment, 8 to 29.
    pub ipv4_prefix: u8,
    /// First address that is leased; guest n gets the n-th after it.
    pub first_lease: Ipv4Addr,
    /// Lease time, in whole seconds on the wire.
    pub lease_time: Duration,
    /// The /64 announced by router advertisements (RFC 4861, 4862).
    pub ipv6_prefix: Ipv6Addr,
    /// Global address of the lab's host, inside the prefix.
    pub ipv6: Ipv6Addr,
    /// Link-local address of the lab's host; router advertisements must come from one.
    pub link_local: Ipv6Addr,
    /// Time between unasked router advertisements.
    pub advertise_every: Duration,
    /// Domain name given by DHCP. `router.DOMAIN` is the only name the DNS server knows.
    pub domain: String,
    /// Seconds added to the clock that NTP answers with.
    pub clock_offset: i64,
    /// A conversation in which the guest has said nothing for so long is over.
    pub quiet: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            vlan: None,
            mac: EthernetAddress([0x52, 0x44, 0x49, 0x4f, 0x00, 0x01]),
            ipv4: Ipv4Addr::new(10, 77, 0, 1),
            ipv4_prefix: 24,
            first_lease: Ipv4Addr::new(10, 77, 0, 100),
            lease_time: Duration::from_secs(3600),
            ipv6_prefix: Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0),
            ipv6: Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1),
            link_local: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1),
            advertise_every: Duration::from_secs(30),
            domain: "lab.test".to_owned(),
            clock_offset: 0,
            quiet: Duration::from_secs(20),
        }
    }
}

impl Config {
    /// The network mask.
    pub fn mask(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(u32::MAX << (32 - u32::from(self.ipv4_prefix.clamp(1, 32))))
    }
    /// Whether this address is on the segment.
    pub fn on_link(&self, address: Ipv4Addr) -> bool {
        address.to_bits() & self.mask().to_bits() == self.ipv4.to_bits() & self.mask().to_bits()
    }
    /// Whether this address is in the announced prefix or link-local.
    pub fn on_link6(&self, address: Ipv6Addr) -> bool {
        address.is_unicast_link_local() || address.to_bits() >> 64 == self.ipv6_prefix.to_bits() >> 64
    }
}
