//! What a rule of the firewall is about: ports of TCP or UDP, messages of ICMP, or another protocol of IP.

use super::rule::Protocol;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// What a rule is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Traffic {
    /// Destination ports of TCP or UDP, both ends included.
    Ports {
        /// `tcp` or `udp`.
        protocol: Protocol,
        /// First destination port.
        first: u16,
        /// Last destination port; the first one again when there is only one.
        last: u16,
    },
    /// Messages of ICMP or ICMPv6.
    Icmp {
        /// ICMPv6, not ICMP.
        v6: bool,
        /// Number of the type (IANA); `None`: every type.
        kind: Option<u8>,
    },
    /// A whole protocol of IP by its number (IANA).
    Other(u8),
    /// Everything; of what is forwarded only.
    Any,
}

/// A protocol of IP without ports: its word, number and meaning, and the family it is bound to.
pub(crate) struct Named {
    pub word: &'static str,
    pub number: u8,
    ipv4_only: bool,
}

const fn named(word: &'static str, number: u8, ipv4_only: bool) -> Named {
    Named { word, number, ipv4_only }
}

/// Protocols of IP that have a word; Assigned Internet Protocol Numbers (IANA).
pub(crate) const NAMED: &[Named] = &[
    named("igmp", 2, true),
    named("gre", 47, false),
    named("esp", 50, false),
    // Linux looks behind the header that AH is in IPv6: there a rule about 51 matches nothing.
    named("ah", 51, true),
    named("ospf", 89, false),
    named("pim", 103, false),
    named("vrrp", 112, false),
];

/// A type of message: its word, and its number in ICMP and in ICMPv6.
pub(crate) struct Message {
    pub word: &'static str,
    pub v4: Option<u8>,
    pub v6: Option<u8>,
}

const fn message(word: &'static str, v4: Option<u8>, v6: Option<u8>) -> Message {
    Message { word, v4, v6 }
}

/// Messages that are no answer to anything: answers and errors belong to what they answer, and need no rule.
pub(crate) const MESSAGES: &[Message] = &[
    message("echo-request", Some(8), Some(128)),
    message("timestamp-request", Some(13), None),
    message("address-mask-request", Some(17), None),
    message("router-solicitation", Some(10), Some(133)),
    message("router-advertisement", Some(9), Some(134)),
    message("listener-query", None, Some(130)),
    message("listener-report", None, Some(131)),
    message("listener-report-v2", None, Some(143)),
];

impl Traffic {
    /// One port.
    pub fn port(port: u16, protocol: Protocol) -> Self {
        Self::Ports { protocol, first: port, last: port }
    }

    /// The ports of this transport protocol; `None`: it is about something else.
    pub fn ports(&self, of: Protocol) -> Option<RangeInclusive<u16>> {
        match self {
            Self::Ports { protocol, first, last } if *protocol == of => Some(*first..=*last),
            _ => None,
        }
    }

    /// Whether it is about this port of this protocol, and not of everything.
    pub fn is_port(&self, protocol: Protocol, port: u16) -> bool {
        self.ports(protocol).is_some_and(|ports| ports.contains(&port))
    }

    /// Whether everything that the other is about is something this one is about.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (Self::Ports { protocol, first, last }, Self::Ports { protocol: p, first: f, last: l }) => {
                protocol == p && first <= f && l <= last
            }
            (Self::Icmp { v6, kind }, Self::Icmp { v6: other, kind: k }) => {
                v6 == other && (kind.is_none() || kind == k)
            }
            (Self::Other(one), Self::Other(two)) => one == two,
            _ => false,
        }
    }

    /// The family that it is bound to: whether that is IPv4.
    pub fn family(&self) -> Option<bool> {
        match self {
            Self::Icmp { v6, .. } => Some(!v6),
            Self::Other(number) => NAMED.iter().find(|n| n.number == *number && n.ipv4_only).map(|_| true),
            Self::Ports { .. } | Self::Any => None,
        }
    }

    /// Its number in IP's header (IANA); `None`: any.
    pub fn number(&self) -> Option<u8> {
        match self {
            Self::Ports { protocol: Protocol::Tcp, .. } => Some(6),
            Self::Ports { protocol: Protocol::Udp, .. } => Some(17),
            Self::Icmp { v6, .. } => Some(if *v6 { 58 } else { 1 }),
            Self::Other(number) => Some(*number),
            Self::Any => None,
        }
    }

    /// The word for its protocol; a number where it has none, and nothing where it is about everything.
    pub fn word(&self) -> String {
        match self {
            Self::Ports { protocol, .. } => protocol.name().to_owned(),
            Self::Icmp { v6, .. } => if *v6 { "icmpv6" } else { "icmp" }.to_owned(),
            Self::Other(number) => {
                NAMED.iter().find(|n| n.number == *number).map_or(number.to_string(), |n| n.word.to_owned())
            }
            Self::Any => String::new(),
        }
    }

    /// What counters are called by: its protocol, and its ports or type if not all of them.
    pub fn id(&self) -> String {
        match self {
            Self::Ports { protocol, first: 1, last: u16::MAX } => protocol.name().to_owned(),
            Self::Ports { protocol, first, last } if first == last => format!("{}_{first}", protocol.name()),
            Self::Ports { protocol, first, last } => format!("{}_{first}_{last}", protocol.name()),
            Self::Icmp { kind: Some(number), v6 } => {
                let of = |m: &&Message| (if *v6 { m.v6 } else { m.v4 }) == Some(*number);
                let kind = MESSAGES.iter().find(of).map_or(number.to_string(), |m| m.word.replace('-', "_"));
                format!("{}_{kind}", self.word())
            }
            Self::Other(number) if self.word() == number.to_string() => format!("protocol_{number}"),
            Self::Any | Self::Icmp { .. } | Self::Other(_) => self.word(),
        }
    }

    /// In words: `tcp port 443`, `esp`, `icmp timestamp-request`.
    pub fn words(&self) -> String {
        match self {
            Self::Ports { protocol, first: 1, last: u16::MAX } => protocol.name().to_owned(),
            Self::Ports { protocol, first, last } if first == last => format!("{} port {first}", protocol.name()),
            Self::Ports { protocol, first, last } => format!("{} ports {first} to {last}", protocol.name()),
            Self::Icmp { .. } => self.id().replacen('_', " ", 1).replace('_', "-"),
            Self::Other(_) if self.id() != self.word() => format!("protocol {}", self.word()),
            Self::Other(_) => self.word(),
            Self::Any => "everything".to_owned(),
        }
    }
}
