//! Networks between containers.

use crate::cidr::Network;
use crate::{Digest, Recipe};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network between containers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContainerNetwork {
    /// It has no way out.
    pub internal: bool,
    /// Its IPv4 addresses, in CIDR form.
    pub subnet: String,
}

/// The IPv4 addresses of containers that name no network: podman's own network has these everywhere.
pub const DEFAULT_SUBNET: &str = "10.88.0.0/16";

/// The machine's end of a network of containers: a bridge, through which they reach the machine and, unless the network
/// is internal, others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerBridge {
    /// Name of the network: `podman` for containers that name none.
    pub network: String,
    /// Name of the bridge. The packet filter tells by it what goes nowhere: `inpodN` is internal, `podmanN` is not.
    pub interface: String,
    /// It has no way out.
    pub internal: bool,
    /// Addresses of its containers, in CIDR form, and the machine's among them: the first.
    pub ipv4: (String, Ipv4Addr),
    /// The same in IPv6: 64 bits of a prefix that follows from the image's name, RFC 4193.
    pub ipv6: (String, Ipv6Addr),
}

impl Recipe {
    /// The bridges of all networks of containers, the one that nobody has to name first; none without containers.
    pub fn container_bridges(&self) -> Vec<ContainerBridge> {
        let own = ContainerNetwork { internal: false, subnet: DEFAULT_SUBNET.into() };
        let named = self.container_networks.iter().map(|(name, network)| (name.as_str(), network));
        let all = [("podman", &own)].into_iter().chain(named).filter(|_| !self.containers.is_empty());
        let bridge = |(number, (name, network)): (u16, (&str, &ContainerNetwork))| {
            let IpAddr::V4(first) = network.subnet.parse::<Network>().ok()?.address() else { return None };
            let prefix = unique_local(&self.image.name, number);
            Some(ContainerBridge {
                network: name.to_owned(),
                interface: format!("{}{number}", if network.internal { "inpod" } else { "podman" }),
                internal: network.internal,
                ipv4: (network.subnet.clone(), Ipv4Addr::from_bits(first.to_bits() + 1)),
                ipv6: (format!("{prefix}/64"), Ipv6Addr::from_bits(prefix.to_bits() + 1)),
            })
        };
        (0..).zip(all).filter_map(bridge).collect()
    }
}

/// The `number`th network of 64 bits below the machine's own prefix of 48: fd00::/8, 40 bits of a digest where RFC 4193
/// has random ones, and the number.
fn unique_local(image: &str, number: u16) -> Ipv6Addr {
    let digest = Digest::of(format!("container networks of {image}").as_bytes()).0;
    let mut bytes = [0; 16];
    bytes[0] = 0xfd;
    bytes[1..6].copy_from_slice(&digest[..5]);
    bytes[6..8].copy_from_slice(&number.to_be_bytes());
    bytes.into()
}
