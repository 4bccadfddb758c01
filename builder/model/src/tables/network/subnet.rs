//! A network by one of its addresses.

use crate::profile::values::address_and_prefix;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address and the length of its network's prefix.
#[derive(Clone, Copy)]
pub(crate) struct Subnet {
    pub address: IpAddr,
    pub prefix: u8,
}

impl Subnet {
    /// Of an address or network whose form was checked.
    pub(crate) fn of(text: &str) -> Self {
        let (address, prefix) = address_and_prefix(text).expect("its form was checked");
        Self { address, prefix }
    }
    /// Bits of an address, and how many there are.
    fn bits(address: IpAddr) -> (u128, u32) {
        match address {
            IpAddr::V4(a) => (u128::from(a.to_bits()), 32),
            IpAddr::V6(a) => (a.to_bits(), 128),
        }
    }
    /// The network's own address.
    pub(crate) fn first(self) -> IpAddr {
        match self.address {
            IpAddr::V4(a) => Ipv4Addr::from_bits(a.to_bits() & !(self.host_bits() as u32)).into(),
            IpAddr::V6(a) => Ipv6Addr::from_bits(a.to_bits() & !self.host_bits()).into(),
        }
    }
    fn host_bits(self) -> u128 {
        let (_, width) = Self::bits(self.address);
        u128::MAX.checked_shr(128 - (width - u32::from(self.prefix))).unwrap_or(0)
    }
    /// Whether an address is in the same network.
    pub(crate) fn contains(self, address: IpAddr) -> bool {
        let ((own, width), (other, other_width)) = (Self::bits(self.address), Self::bits(address));
        width == other_width && own | self.host_bits() == other | self.host_bits()
    }
    /// The first and, for IPv4, the last address name the network and everybody in it; RFC 3021 has none in a /31.
    pub(crate) fn no_host(self) -> Option<&'static str> {
        let (bits, width) = Self::bits(self.address);
        let host = self.host_bits();
        match bits & host {
            _ if u32::from(self.prefix) + 1 >= width => None,
            0 => Some("it is the network's own address"),
            h if h == host && width == 32 => Some("it is the network's broadcast address"),
            _ => None,
        }
    }
}
