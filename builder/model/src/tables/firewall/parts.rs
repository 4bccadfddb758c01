//! Keys that the rules of every direction have, and how they are read and written.

use super::traffic::{MESSAGES, Message, NAMED, Traffic};
use crate::Result;
use crate::profile::{
    field::*,
    section::{At, Section},
    values,
    written::Written,
};
use crate::recipe::{Peer, Protocol};

/// The words that `protocol` takes, each with its meaning.
pub(crate) const PROTOCOLS: &[(&str, &str)] = &[
    ("tcp", "RFC 9293"),
    ("udp", "RFC 768"),
    ("icmp", "IPv4's control messages, RFC 792"),
    ("icmpv6", "IPv6's control messages, RFC 4443"),
    ("igmp", "multicast groups in IPv4, RFC 3376"),
    ("gre", "tunnels, RFC 2784"),
    ("esp", "IPsec's encrypted packets, RFC 4303"),
    ("ah", "IPsec's authenticated packets in IPv4, RFC 4302"),
    ("ospf", "routing, RFC 2328 and RFC 5340"),
    ("pim", "multicast routing, RFC 7761"),
    ("vrrp", "a shared address, RFC 9568"),
];

/// The words that `type` takes, each with its meaning.
pub(crate) const TYPES: &[(&str, &str)] = &[
    ("echo-request", "a ping: ICMP 8, ICMPv6 128"),
    ("timestamp-request", "ICMP 13"),
    ("address-mask-request", "ICMP 17"),
    ("router-solicitation", "who is a router: ICMP 10, ICMPv6 133"),
    ("router-advertisement", "ICMP 9, ICMPv6 134"),
    ("listener-query", "who listens to which group: ICMPv6 130"),
    ("listener-report", "ICMPv6 131"),
    ("listener-report-v2", "ICMPv6 143"),
];

/// The protocol, beside which [`NUMBER`] and [`TYPE`] belong.
pub(crate) const PROTOCOL: Field =
    choice("protocol", PROTOCOLS, "protocol of IP").or_said("`tcp` unless `number` is there");
/// A protocol without a word.
pub(crate) const NUMBER: Field =
    integer("number", 0, 255, "a protocol of IP that has no word above, by its number (IANA)");
/// The type of a message.
pub(crate) const TYPE: Field =
    choice("type", TYPES, "type of the message, with `icmp` and `icmpv6` only").or_said("every type");
/// The first port.
pub(crate) const PORT: Field = port("port", "destination port, with `tcp` and `udp` only");
/// The last port.
pub(crate) const LAST_PORT: Field =
    port("last_port", "the last port of a range that begins with `port`").or_said("`port` again: one port");

/// What a table says of a protocol without a port.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Portless {
    /// It needs one.
    Refused,
    /// Every port of the protocol.
    EveryPort,
    /// Everything, where it names no protocol either; else every port of the protocol.
    Everything,
}

/// Reads [`PROTOCOL`], [`NUMBER`], [`TYPE`], [`PORT`] and [`LAST_PORT`].
pub(crate) fn traffic(t: &Section, portless: Portless) -> Result<Traffic> {
    let (protocol, number, kind) = (t.text("protocol")?, t.number::<u8>("number")?, t.text("type")?);
    let word = protocol.as_ref().map(|p| p.value.as_str());
    let transport = number.is_none() && matches!(word, None | Some("tcp" | "udp"));
    if !transport && let Some(span) = t.key("port").or_else(|| t.key("last_port")) {
        let error = t.files.error(span, format!("`{}` names a port, and its protocol has none", t.path));
        return Err(error.hint("remove the port, or write `protocol = \"tcp\"` or `\"udp\"`"));
    }
    if let Some(number) = number {
        return other(t, &number, word);
    }
    let v6 = word == Some("icmpv6");
    match (word, kind) {
        (Some("icmp" | "icmpv6"), None) => return Ok(Traffic::Icmp { v6, kind: None }),
        (Some(word @ ("icmp" | "icmpv6")), Some(kind)) => {
            let known = MESSAGES.iter().find(|m| m.word == kind.value);
            return match known.and_then(|m| if v6 { m.v6 } else { m.v4 }) {
                Some(number) => Ok(Traffic::Icmp { v6, kind: Some(number) }),
                None => {
                    let other = if v6 { "icmp" } else { "icmpv6" };
                    let what = format!("there is no `{}` in `{word}`", kind.value);
                    Err(t.files.error(kind.span, what).hint(format!("write `protocol = \"{other}\"`, or another type")))
                }
            };
        }
        (_, Some(kind)) => {
            let error = t.files.error(kind.span, format!("`{}` has a `type`, and its protocol has none", t.path));
            return Err(error.hint("write `protocol = \"icmp\"` or `\"icmpv6\"`, or remove `type`"));
        }
        _ => {}
    }
    if let Some(named) = NAMED.iter().find(|n| Some(n.word) == word) {
        return Ok(Traffic::Other(named.number));
    }
    let protocol_of = |word| if word == Some("udp") { Protocol::Udp } else { Protocol::Tcp };
    Ok(match t.number("port")? {
        Some(port) => {
            let last = last_port(t, port.value)?.unwrap_or(port.value);
            Traffic::Ports { protocol: protocol_of(word), first: port.value, last }
        }
        None if t.key("last_port").is_some() || portless == Portless::Refused => return Err(t.missing("port")),
        None if portless == Portless::Everything && word.is_none() => Traffic::Any,
        None => Traffic::Ports { protocol: protocol_of(word), first: 1, last: u16::MAX },
    })
}

/// A protocol by its number, which none of those that have a word may be given.
fn other(t: &Section, number: &At<u8>, word: Option<&str>) -> Result<Traffic> {
    if let Some(word) = word {
        let error = t.files.error(number.span, format!("`{}` names its protocol twice, as `{word}` too", t.path));
        return Err(error.hint("keep one of the two"));
    }
    let known = [("icmp", 1), ("tcp", 6), ("udp", 17), ("icmpv6", 58)];
    let known = known.into_iter().chain(NAMED.iter().map(|n| (n.word, n.number)));
    match known.into_iter().find(|(_, n)| *n == number.value) {
        Some((word, n)) => {
            let error = t.files.error(number.span, format!("protocol {n} has a word"));
            Err(error.hint(format!("write `protocol = \"{word}\"`")))
        }
        None => Ok(Traffic::Other(number.value)),
    }
}

/// The last port of a range, if there is one.
pub(crate) fn last_port(t: &Section, first: u16) -> Result<Option<u16>> {
    let Some(last) = t.number::<u16>("last_port")? else { return Ok(None) };
    if last.value < first {
        let error = t.files.error(last.span, format!("`{}` ends before it begins", t.path));
        return Err(error.because(format!("the first port is {first}")).hint("put the smaller one into `port`"));
    }
    Ok(Some(last.value))
}

/// Why a rule is there.
pub(crate) const fn why() -> Field {
    text("why", &values::PROSE, "what it is for; shown in the documentation only")
}

/// A transport protocol, `tcp` when nothing is said.
pub(crate) const fn protocol(name: &'static str) -> Field {
    choice(name, &[("tcp", "RFC 9293"), ("udp", "RFC 768")], "transport protocol").or_text("tcp")
}

/// Reads what [`protocol`] declares.
pub(crate) fn protocol_of(t: &Section) -> Result<Protocol> {
    Ok(if t.needed("protocol")?.value == "udp" { Protocol::Udp } else { Protocol::Tcp })
}

/// Reads a list of networks and names of sets.
pub(crate) fn peers(t: &Section, key: &str) -> Result<Vec<Peer>> {
    Ok(t.plain(key)?.into_iter().map(|text| Peer::try_from(text).expect("its form was checked")).collect())
}

/// A string that may be absent.
pub(crate) fn string(t: &Section, key: &str) -> Result<Option<String>> {
    Ok(t.text(key)?.map(|w| w.value))
}

/// The keys that say this.
pub(crate) fn traffic_written(t: Written, traffic: &Traffic) -> Written {
    match traffic {
        Traffic::Ports { protocol, first: 1, last: u16::MAX } => t.with("protocol", protocol.name()),
        Traffic::Ports { protocol, first, last } => {
            t.with("port", u32::from(*first)).with("last_port", u32::from(*last)).with("protocol", protocol.name())
        }
        Traffic::Icmp { v6, kind } => {
            let of = |m: &&Message| kind.is_some() && (if *v6 { m.v6 } else { m.v4 }) == *kind;
            let word = MESSAGES.iter().find(of).map(|m| m.word);
            t.with("protocol", if *v6 { "icmpv6" } else { "icmp" }).maybe("type", word)
        }
        Traffic::Other(number) => match NAMED.iter().find(|n| n.number == *number) {
            Some(named) => t.with("protocol", named.word),
            None => t.with("number", u32::from(*number)),
        },
        Traffic::Any => t,
    }
}

/// The strings that say this.
pub(crate) fn peers_written(peers: &[Peer]) -> Vec<String> {
    peers.iter().map(ToString::to_string).collect()
}
