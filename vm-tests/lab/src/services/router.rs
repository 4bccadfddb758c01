//! IPv6 router advertisements (RFC 4861 §4.2) with a prefix for stateless addresses (RFC 4862).
//! smoltcp reads them but sends none, so they are sent as raw frames.

use crate::{config::Config, frame};
use smoltcp::{
    time::Duration,
    wire::{
        EthernetAddress, Icmpv6Repr, NdiscPrefixInfoFlags, NdiscPrefixInformation, NdiscRepr, NdiscRouterFlags,
        RawHardwareAddress,
    },
};
use std::net::Ipv6Addr;

/// All nodes on the link, and their Ethernet group (RFC 2464 §7).
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: EthernetAddress = EthernetAddress([0x33, 0x33, 0, 0, 0, 1]);

/// One advertisement for everybody.
pub fn advertisement(config: &Config) -> Vec<u8> {
    let repr = Icmpv6Repr::Ndisc(NdiscRepr::RouterAdvert {
        hop_limit: 64,
        flags: NdiscRouterFlags::empty(),
        router_lifetime: Duration::from_secs(1800),
        reachable_time: Duration::from_millis(0),
        retrans_time: Duration::from_millis(0),
        lladdr: Some(RawHardwareAddress::from(config.mac)),
        mtu: Some(1500),
        prefix_info: Some(NdiscPrefixInformation {
            prefix_len: 64,
            flags: NdiscPrefixInfoFlags::ON_LINK | NdiscPrefixInfoFlags::ADDRCONF,
            valid_lifetime: Duration::from_secs(86_400),
            preferred_lifetime: Duration::from_secs(14_400),
            prefix: config.ipv6_prefix,
        }),
    });
    frame::icmp6(config.mac, config.link_local, ALL_NODES_MAC, ALL_NODES, 255, &repr)
}
