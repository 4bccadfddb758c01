//! What a guest may say without being asked, and what it said beyond that. An undeclared packet is a machine that phones
//! home, asks somebody else's servers, or looks around.

use crate::{
    config::Config,
    record::{self, Record, Times, Utterance},
};
use serde::{Deserialize, Serialize};
use smoltcp::wire::EthernetAddress;
use std::{fmt, net::IpAddr, time::Duration};

/// Speaker says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// Every guest.
    Anyone,
    /// The guest with this hardware address.
    Guest(EthernetAddress),
}

/// What is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Looking for an IPv4 neighbour.
    Arp,
    /// Datagrams.
    Udp,
    /// Connections.
    Tcp,
    /// An ICMP message of this type.
    Icmp(u8),
    /// An ICMPv6 message of this type.
    Icmp6(u8),
    /// Another IP protocol.
    Ip(u8),
    /// Another protocol directly on Ethernet.
    Ethertype(u16),
}

/// Whom it may address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// Everybody.
    Anywhere,
    /// One address.
    Address(IpAddr),
    /// All addresses of a network, by prefix and its length.
    Network(IpAddr, u8),
    /// Groups, and all hosts of the link.
    Many,
}

/// Something that a guest may say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// The sender.
    pub who: Speaker,
    /// The kind of packet.
    pub what: What,
    /// To whom.
    pub to: To,
    /// To which port; `None`: any, or there is none.
    pub port: Option<u16>,
    /// How often at most to one address and port: so many times in each such span. `None`: as often as it likes.
    pub most: Option<(u64, Duration)>,
    /// Why, for a person.
    pub why: String,
}

impl Allowed {
    /// Everybody may say it, as often as they like.
    pub fn new(what: What, to: To, port: impl Into<Option<u16>>, why: &str) -> Self {
        Self { who: Speaker::Anyone, what, to, port: port.into(), most: None, why: why.to_owned() }
    }
    /// So often at most.
    pub fn most(mut self, times: u64, span: Duration) -> Self {
        self.most = Some((times, span));
        self
    }

    fn covers(&self, said: &Utterance) -> bool {
        let who = match self.who {
            Speaker::Anyone => true,
            Speaker::Guest(address) => record::mac(address) == said.guest,
        };
        let kind = match self.what {
            What::Arp => "arp".to_owned(),
            What::Udp => "udp".to_owned(),
            What::Tcp => "tcp-syn".to_owned(),
            What::Icmp(kind) => format!("icmp-{kind}"),
            What::Icmp6(kind) => format!("icmp6-{kind}"),
            What::Ip(protocol) => format!("ip-{protocol}"),
            What::Ethertype(number) => format!("ethertype-{number:04x}"),
        };
        who && kind == said.kind && self.port.is_none_or(|port| port == said.port) && self.reaches(&said.to)
    }

    fn reaches(&self, to: &str) -> bool {
        let Ok(ip) = to.parse::<IpAddr>() else { return self.to == To::Anywhere };
        match self.to {
            To::Anywhere => true,
            To::Address(address) => address == ip,
            To::Network(prefix, length) => within(ip, prefix, length),
            To::Many => ip.is_multicast() || ip == IpAddr::from([255; 4]),
        }
    }
}

fn within(ip: IpAddr, prefix: IpAddr, length: u8) -> bool {
    match (ip, prefix) {
        (IpAddr::V4(ip), IpAddr::V4(prefix)) => {
            length == 0 || (ip.to_bits() ^ prefix.to_bits()) >> (32 - u32::from(length.min(32))) == 0
        }
        (IpAddr::V6(ip), IpAddr::V6(prefix)) => {
            length == 0 || (ip.to_bits() ^ prefix.to_bits()) >> (128 - u32::from(length.min(128))) == 0
        }
        _ => false,
    }
}

/// What an ordinary guest says on a segment: it looks for neighbours and an address, and asks the lab's own servers.
pub fn ordinary(config: &Config) -> Vec<Allowed> {
    let v4 = To::Network(config.ipv4.into(), config.ipv4_prefix);
    let mut all = vec![
        Allowed::new(What::Arp, v4, None, "it looks for neighbours"),
        Allowed::new(What::Udp, To::Many, 67, "it asks for an address"),
        Allowed::new(What::Udp, To::Address(config.ipv4.into()), 67, "it renews its address"),
        Allowed::new(What::Udp, To::Many, 547, "it asks for addresses and name servers (DHCPv6)"),
        Allowed::new(What::Icmp6(133), To::Many, None, "it looks for a router"),
        Allowed::new(What::Icmp6(135), To::Anywhere, None, "it looks for neighbours"),
        Allowed::new(What::Icmp6(143), To::Many, None, "it joins groups (MLD)"),
    ];
    for (own, _) in config.own() {
        all.push(Allowed::new(What::Udp, To::Address(own), 53, "it asks the name server it was given"));
        all.push(Allowed::new(What::Tcp, To::Address(own), 53, "it asks the name server it was given"));
        all.push(Allowed::new(What::Udp, To::Address(own), 123, "it asks the time server it was given"));
    }
    all
}

/// Why something is undeclared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// Nothing allows it.
    Nothing,
    /// It is allowed, but was said more often; the allowance in words.
    TooOften(String),
}

/// Something that a guest said and had no business to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undeclared {
    /// What it said.
    pub said: Utterance,
    /// When, and how often.
    pub times: Times,
    /// Why that is not allowed.
    pub reason: Reason,
}

/// Everything in the record that the list does not allow.
pub fn undeclared(record: &Record, allowed: &[Allowed]) -> Vec<Undeclared> {
    let judge = |(said, times): (&Utterance, &Times)| {
        let covering: Vec<&Allowed> = allowed.iter().filter(|a| a.covers(said)).collect();
        let reason = match covering.as_slice() {
            [] => Reason::Nothing,
            all if all.iter().any(|a| fits(times, a.most)) => return None,
            all => Reason::TooOften(all.iter().map(|a| in_words(a)).collect::<Vec<_>>().join(", or ")),
        };
        Some(Undeclared { said: said.clone(), times: *times, reason })
    };
    record.iter().filter_map(judge).collect()
}

/// Whether it was said no more often than so many times in each span.
fn fits(times: &Times, most: Option<(u64, Duration)>) -> bool {
    let Some((most, span)) = most else { return true };
    let spans = 1 + (times.last - times.first).as_nanos() / span.as_nanos().max(1);
    u128::from(times.count) <= u128::from(most) * spans
}

fn in_words(allowed: &Allowed) -> String {
    match allowed.most {
        Some((most, span)) => format!("{most} in {} s because {}", span.as_secs_f64(), allowed.why),
        None => allowed.why.clone(),
    }
}

impl fmt::Display for Undeclared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Utterance { guest, vlan, kind, to, port } = &self.said;
        write!(f, "{}", if guest.is_empty() { "some guest" } else { guest })?;
        if let Some(id) = vlan {
            write!(f, " in VLAN {id}")?;
        }
        match kind.split_once('-').unwrap_or((kind, "")) {
            ("arp", _) => write!(f, " looked for {to} (ARP)"),
            ("udp", _) => write!(f, " sent a datagram to {to}, UDP port {port}{}", known(*port)),
            ("tcp", _) => write!(f, " opened a connection to {to}, TCP port {port}{}", known(*port)),
            ("icmp", "8") | ("icmp6", "128") => write!(f, " pinged {to}"),
            ("icmp6", "133") => write!(f, " looked for a router (ICMPv6 type 133)"),
            ("icmp6", "135") => write!(f, " looked for a neighbour at {to} (ICMPv6 type 135)"),
            ("icmp", kind) => write!(f, " sent ICMP type {kind} to {to}"),
            ("icmp6", kind) => write!(f, " sent ICMPv6 type {kind} to {to}"),
            ("ip", protocol) => write!(f, " sent IP protocol {protocol} to {to}"),
            ("ethertype", number) => write!(f, " sent Ethernet frames of type 0x{number} to {to}"),
            ("malformed", _) => write!(f, " sent a frame that contradicts itself"),
            _ => write!(f, " said more kinds of things than are told apart"),
        }?;
        let (first, last) = (self.times.first.as_secs_f64(), self.times.last.as_secs_f64());
        match self.times.count {
            1 => write!(f, ", once, {first:.1} s after the start")?,
            n => write!(f, ", {n} times between {first:.1} and {last:.1} s after the start")?,
        }
        match &self.reason {
            Reason::Nothing => write!(f, "; nothing allows that"),
            Reason::TooOften(allowed) => write!(f, "; allowed are {allowed}"),
        }
    }
}

/// What a port is for, where people know it.
fn known(port: u16) -> &'static str {
    match port {
        22 => " (SSH)",
        25 | 465 | 587 => " (mail)",
        53 => " (DNS)",
        67 | 547 => " (DHCP)",
        80 | 443 => " (web)",
        123 => " (NTP)",
        514 | 601 | 6514 => " (syslog)",
        853 => " (DNS over TLS)",
        1900 => " (SSDP)",
        5353 => " (mDNS)",
        5355 => " (LLMNR)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(kind: &str, to: &str, port: u16) -> Utterance {
        Utterance { guest: "52:54:00:12:34:56".into(), vlan: None, kind: kind.into(), to: to.into(), port }
    }

    fn record(all: &[(Utterance, u64, u64)]) -> Record {
        let times =
            |count, seconds| Times { count, first: Duration::from_secs(2), last: Duration::from_secs(2 + seconds) };
        all.iter().map(|(u, count, seconds)| (u.clone(), times(*count, *seconds))).collect()
    }

    #[test]
    fn ordinary_things_pass_and_everything_else_is_told_in_words() {
        let config = Config::default();
        let fine = record(&[
            (said("arp", "10.77.0.1", 0), 5, 60),
            (said("udp", "255.255.255.255", 67), 2, 4),
            (said("udp", "10.77.0.1", 53), 9, 60),
            (said("udp", "fd77::1", 53), 9, 60),
            (said("udp", "10.77.0.1", 123), 9, 60),
            (said("icmp6-133", "ff02::2", 0), 3, 8),
            (said("icmp6-135", "fe80::1", 0), 3, 8),
            (said("icmp6-143", "ff02::16", 0), 3, 8),
        ]);
        assert_eq!(undeclared(&fine, &ordinary(&config)), []);
        let bad = record(&[
            (said("tcp-syn", "203.0.113.9", 443), 3, 40),
            (said("udp", "203.0.113.53", 53), 1, 0),
            (said("udp", "ff02::fb", 5353), 7, 9),
            (said("arp", "10.99.0.1", 0), 1, 0),
            (said("icmp-8", "10.77.0.1", 0), 1, 0),
            (said("ip-2", "224.0.0.22", 0), 1, 0),
            (said("ethertype-88cc", "01-80-c2-00-00-0e", 0), 4, 90),
            (said("malformed", "", 0), 1, 0),
            (Utterance { vlan: Some(7), ..said("icmp6-135", "ff02::1:ff00:1", 0) }, 1, 0),
        ]);
        let mut list = ordinary(&config);
        list.retain(|a| a.what != What::Icmp6(135));
        let words: Vec<String> = undeclared(&bad, &list).iter().map(ToString::to_string).collect();
        insta::assert_snapshot!("undeclared", words.join("\n"));
    }

    #[test]
    fn who_where_and_how_often() {
        let mac = EthernetAddress([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
        let net = To::Network("192.0.2.0".parse().expect("an address"), 24);
        let rule = Allowed::new(What::Tcp, net, 443, "it fetches updates").most(2, Duration::from_secs(10));
        let check = |rule: &Allowed, to: &str, port, count, seconds| {
            undeclared(&record(&[(said("tcp-syn", to, port), count, seconds)]), std::slice::from_ref(rule)).len()
        };
        assert_eq!(check(&rule, "192.0.2.200", 443, 2, 5), 0);
        assert_eq!(check(&rule, "192.0.3.200", 443, 2, 5), 1, "another network");
        assert_eq!(check(&rule, "192.0.2.200", 80, 2, 5), 1, "another port");
        assert_eq!(check(&rule, "192.0.2.200", 443, 3, 5), 1, "too often");
        assert_eq!(check(&rule, "192.0.2.200", 443, 6, 29), 0, "twice in each ten seconds");
        assert_eq!(check(&Allowed { who: Speaker::Guest(mac), ..rule.clone() }, "192.0.2.1", 443, 1, 0), 0);
        let other = EthernetAddress([2, 0, 0, 0, 0, 1]);
        assert_eq!(check(&Allowed { who: Speaker::Guest(other), ..rule.clone() }, "192.0.2.1", 443, 1, 0), 1);
        let six = To::Network("2001:db8::".parse().expect("an address"), 32);
        assert_eq!(check(&Allowed { to: six, ..rule.clone() }, "2001:db8:ff::1", 443, 1, 0), 0);
        assert_eq!(check(&Allowed { to: six, ..rule.clone() }, "2001:db9::1", 443, 1, 0), 1);
        let often = undeclared(&record(&[(said("tcp-syn", "192.0.2.1", 443), 9, 5)]), &[rule]);
        insta::assert_snapshot!(often[0], @"52:54:00:12:34:56 opened a connection to 192.0.2.1, TCP port 443 (web), 9 times between 2.0 and 7.0 s after the start; allowed are 2 in 10 s because it fetches updates");
    }
}
