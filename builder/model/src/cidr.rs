//! Networks of addresses, RFC 4632 and RFC 4291 2.3.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A network: an address whose bits behind the prefix are zero, and the prefix's length. Written `192.0.2.0/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    length: u8,
}

impl Network {
    /// Its first address.
    pub fn address(&self) -> IpAddr {
        self.address
    }
    /// Leading bits that all its addresses share.
    pub fn length(&self) -> u8 {
        self.length
    }
    /// IPv4, not IPv6.
    pub fn is_ipv4(&self) -> bool {
        self.address.is_ipv4()
    }
    /// Does this address lie in it?
    pub fn contains(&self, address: IpAddr) -> bool {
        let mask = |bits: u128, width: u8| bits & mask(self.length, width);
        match (self.address, address) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => mask(ip.to_bits().into(), 32) == u128::from(net.to_bits()),
            (IpAddr::V6(net), IpAddr::V6(ip)) => mask(ip.to_bits(), 128) == net.to_bits(),
            _ => false,
        }
    }
    /// Does every address of the other lie in it?
    pub fn covers(&self, other: &Self) -> bool {
        self.length <= other.length && self.contains(other.address)
    }
}

/// The first `length` of `width` bits.
fn mask(length: u8, width: u8) -> u128 {
    let all = u128::MAX >> (128 - u32::from(width));
    all & !all.checked_shr(length.into()).unwrap_or(0)
}

impl FromStr for Network {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (address, prefix) = text.split_once('/').ok_or("the prefix length is missing")?;
        let address: IpAddr = address.parse().map_err(|_| format!("`{address}` is not an IP address"))?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let length = prefix.parse::<u8>().ok().filter(|n| *n <= width && prefix == n.to_string());
        let length = length.ok_or_else(|| format!("`{prefix}` is not a prefix length from 0 to {width}"))?;
        let bits = match address {
            IpAddr::V4(a) => a.to_bits().into(),
            IpAddr::V6(a) => a.to_bits(),
        };
        if bits & !mask(length, width) != 0 {
            return Err(format!("bits behind /{length} are set: it names a machine, not a network"));
        }
        Ok(Self { address, length })
    }
}

impl TryFrom<String> for Network {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_contains_and_covers_by_its_prefix() {
        let network = |text: &str| text.parse::<Network>().unwrap();
        for (net, address, inside) in [
            ("10.0.0.0/8", "10.77.0.1", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("0.0.0.0/0", "::1", false),
            ("192.0.2.1/32", "192.0.2.1", true),
            ("192.0.2.1/32", "192.0.2.2", false),
            ("::/0", "ffff::", true),
            ("2001:db8::/33", "2001:db8:8000::", false),
            ("2001:db8::/32", "2001:db8:8000::", true),
            ("::1/128", "::1", true),
        ] {
            assert_eq!(network(net).contains(address.parse().unwrap()), inside, "{net} {address}");
        }
        assert!(network("10.0.0.0/8").covers(&network("10.1.0.0/16")));
        assert!(!network("10.1.0.0/16").covers(&network("10.0.0.0/8")));
        assert!(!network("0.0.0.0/0").covers(&network("::/0")));
        for bad in ["10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/08", "10.0.0.0", "x/8", "::1/64", ""] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }
}
