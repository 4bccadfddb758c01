//! The addresses of one segment of the network around machines, and what the lab's host on it answers.

use smoltcp::wire::EthernetAddress;
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

/// Everything about one segment that a guest can see. The lab owns one host on it: router, DHCP, DNS and NTP server and
/// scanner at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The virtual network (IEEE 802.1Q) that the segment is on a trunk; `None`: frames without a tag.
    pub vlan: Option<u16>,
    /// MachineHardware address of the lab's host; locally administered.
    pub mac: EthernetAddress,
    /// IPv4 address of the lab's host.
    pub ipv4: Ipv4Addr,
    /// Prefix length of the segment, 8 to 29.
    pub ipv4_prefix: u8,
    /// Addresses of guests that are neighbours although they are in no network with the lab's host.
    pub beside: Vec<Ipv4Addr>,
    /// First address that is leased; guest n gets the n-th after it.
    pub first_lease: Ipv4Addr,
    /// Lease time, in whole seconds on the wire.
    pub lease_time: Duration,
    /// The /64 announced by router advertisements (RFC 4861, 4862).
    pub ipv6_prefix: Ipv6Addr,
    /// Global address of the lab's host, inside the prefix.
    pub ipv6: Ipv6Addr,
    /// A second announced /64, of unique local addresses (RFC 4193); the lab's host is `::1` in it.
    pub ula: Option<Ipv6Addr>,
    /// Link-local address of the lab's host; router advertisements must come from one.
    pub link_local: Ipv6Addr,
    /// Longest IP packet that the lab's router sends into the segment and announces to it, in bytes.
    pub mtu: u16,
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
            beside: Vec::new(),
            first_lease: Ipv4Addr::new(10, 77, 0, 100),
            lease_time: Duration::from_secs(3600),
            ipv6_prefix: Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0),
            ipv6: Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1),
            ula: None,
            link_local: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1),
            mtu: 1500,
            advertise_every: Duration::from_secs(30),
            domain: "lab.test".to_owned(),
            clock_offset: 0,
            quiet: Duration::from_secs(20),
        }
    }
}

impl Config {
    /// A segment whose addresses are unlike those of every other number, and of the default: 10.77.n.0/24,
    /// 2001:db8:77:n::/64 (RFC 3849) and fd77:0:0:n::/64.
    pub fn numbered(n: u8) -> Self {
        let wide = u16::from(n);
        Self {
            mac: EthernetAddress([0x52, 0x44, 0x49, 0x4f, n, 0x01]),
            ipv4: Ipv4Addr::new(10, 77, n, 1),
            first_lease: Ipv4Addr::new(10, 77, n, 100),
            ipv6_prefix: Ipv6Addr::new(0x2001, 0xdb8, 0x77, wide, 0, 0, 0, 0),
            ipv6: Ipv6Addr::new(0x2001, 0xdb8, 0x77, wide, 0, 0, 0, 1),
            ula: Some(Ipv6Addr::new(0xfd77, 0, 0, wide, 0, 0, 0, 0)),
            ..Self::default()
        }
    }

    /// The network mask.
    pub fn mask(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(u32::MAX << (32 - u32::from(self.ipv4_prefix.clamp(1, 32))))
    }
    /// The address for all hosts of the segment.
    pub fn broadcast(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.ipv4.to_bits() | !self.mask().to_bits())
    }
    /// Whether this address is on the segment.
    pub fn on_link(&self, address: Ipv4Addr) -> bool {
        let inside = address.to_bits() & self.mask().to_bits() == self.ipv4.to_bits() & self.mask().to_bits();
        inside || self.beside.contains(&address)
    }
    /// Whether this address is in an announced prefix or link-local.
    pub fn on_link6(&self, address: Ipv6Addr) -> bool {
        address.is_unicast_link_local() || self.announces(address)
    }
    fn announces(&self, address: Ipv6Addr) -> bool {
        let mut prefixes = [Some(self.ipv6_prefix), self.ula].into_iter().flatten();
        prefixes.any(|prefix| address.to_bits() >> 64 == prefix.to_bits() >> 64)
    }
    /// Whether a packet to this address belongs on this segment, seen from anywhere.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => self.on_link(v4),
            IpAddr::V6(v6) => self.announces(v6),
        }
    }
    /// The lab's host in the unique local prefix.
    pub fn ula_host(&self) -> Option<Ipv6Addr> {
        self.ula.map(|prefix| Ipv6Addr::from_bits(prefix.to_bits() >> 64 << 64 | 1))
    }
    /// Every address of the lab's host, with its prefix length.
    pub fn own(&self) -> impl Iterator<Item = (IpAddr, u8)> {
        let v6 = [Some(self.ipv6), self.ula_host(), Some(self.link_local)];
        let v6 = v6.into_iter().flatten().map(|ip| (IpAddr::V6(ip), 64));
        std::iter::once((IpAddr::V4(self.ipv4), self.ipv4_prefix)).chain(v6)
    }
    /// Whether this is an address of the lab's host.
    pub fn owns(&self, address: IpAddr) -> bool {
        self.own().any(|(own, _)| own == address)
    }
    /// The address of the lab's host from which it speaks to `other`: of the same family and scope, and of the same
    /// kind of prefix where there is one (RFC 6724 §5).
    pub fn facing(&self, other: IpAddr) -> IpAddr {
        match other {
            IpAddr::V4(_) => self.ipv4.into(),
            IpAddr::V6(to) if to.is_unicast_link_local() => self.link_local.into(),
            IpAddr::V6(to) if to.is_unique_local() => self.ula_host().unwrap_or(self.ipv6).into(),
            IpAddr::V6(_) => self.ipv6.into(),
        }
    }
}
