//! What packets are called in reports.

use diorite_model::report::Said;

/// The usual name of what a packet is for, where it has one.
pub(crate) fn words(said: &Said) -> Option<&'static str> {
    Some(match (said.kind.as_str(), said.port) {
        ("udp", 67) => "DHCP",
        ("udp", 547) => "DHCPv6",
        ("udp", 53) | ("tcp-syn", 53) => "DNS",
        ("tcp-syn", 853) => "DNS over TLS",
        ("udp", 123) => "NTP",
        ("udp", 5353) => "multicast DNS",
        ("udp", 5355) => "LLMNR",
        ("tcp-syn", _) => "TCP connection",
        ("arp", _) => "ARP",
        ("icmp6-133", _) => "router solicitation",
        ("icmp6-135", _) => "neighbour solicitation",
        ("icmp6-143", _) => "multicast report",
        ("ip-2", _) => "IGMP report",
        _ => return None,
    })
}
