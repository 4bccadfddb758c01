//! Many ports asked together, from somewhere, and the judge of their answers.

use crate::answer::{Judged, short};
use diorite_lab::{PortVerdict, Scan, ScanProbe};
use diorite_model::recipe::Protocol;
use std::{collections::BTreeSet, net::IpAddr};

/// Internet protocol version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// `ipv4` or `ipv6`.
    pub fn name(self) -> &'static str {
        match self {
            Self::V4 => "ipv4",
            Self::V6 => "ipv6",
        }
    }

    /// That of an address.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

/// Where the question comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vantage {
    /// The lab's own address. Every port is asked.
    Here,
    /// An address outside the machine's networks.
    From(IpAddr),
    /// This port of the lab's own address: filters have trusted 53 and 20, name servers' and FTP's.
    SourcePort(u16),
    /// The lab's own address, in IP fragments.
    Fragments,
}

/// Many ports of one family and protocol, and what they must answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sweep {
    /// By which version of the Internet protocol.
    pub family: Family,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// From where.
    pub vantage: Vantage,
    /// First and last port of what the filter lets through from there.
    pub admitted: Vec<(u16, u16)>,
    /// The same of what it lets through from any source. Sources that are not admitted probe these ports above all.
    pub declared: Vec<(u16, u16)>,
    /// Ports of which nothing is declared, or that are asked otherwise.
    pub unsaid: BTreeSet<u16>,
}

/// A step through the ports that has no common divisor with what people like to number by.
const STEP: usize = 97;

impl Sweep {
    /// Whether a port must be let through; `None`: nothing is said of it.
    pub fn must(&self, port: u16) -> Option<bool> {
        let admitted = self.admitted.iter().any(|(first, last)| (*first..=*last).contains(&port));
        (!self.unsaid.contains(&port)).then_some(admitted)
    }

    /// The ports that are asked: all of them from here; from elsewhere those with a name, what is declared with its
    /// neighbours, and every 97th.
    pub fn ports(&self) -> BTreeSet<u16> {
        let mut ports: BTreeSet<u16> = match self.vantage {
            Vantage::Here => (1..=u16::MAX).collect(),
            _ => (1..=1024).chain((1025..=u16::MAX).step_by(STEP)).collect(),
        };
        for (first, last) in self.admitted.iter().chain(&self.declared) {
            ports.extend([first.saturating_sub(1), *first, *last, last.saturating_add(1)]);
        }
        ports.retain(|port| *port > 0 && !self.unsaid.contains(port));
        ports
    }

    /// How the lab asks it of the machine with this address.
    pub fn probe(&self, guest: IpAddr) -> ScanProbe {
        let mut probe = ScanProbe::new(guest, self.protocol, self.ports());
        match self.vantage {
            Vantage::Here => {}
            Vantage::From(address) => probe.from = Some(address),
            Vantage::SourcePort(port) => probe.source_port = Some(port),
            Vantage::Fragments => probe.fragments = true,
        }
        probe
    }

    /// Many ports at once: what is not admitted is silent, what is admitted is not. Of UDP it is not known what an admitted
    /// port answers.
    pub fn judge(&self, scan: &Scan) -> Judged {
        let wrong = |(port, seen): &(&u16, &PortVerdict)| match (self.must(**port), self.protocol) {
            (Some(false), _) => **seen != PortVerdict::Silent,
            (Some(true), Protocol::Tcp) => matches!(seen, PortVerdict::Silent | PortVerdict::Rejected),
            _ => false,
        };
        let words = |(port, seen): (&u16, &PortVerdict)| format!("{port} {}", word(*seen));
        let wrong: Vec<String> = scan.verdicts.iter().filter(wrong).map(words).collect();
        let asked =
            format!("{} ports in {:.1} s, {} rounds", scan.verdicts.len(), scan.took.as_secs_f64(), scan.rounds);
        if !wrong.is_empty() {
            let more = wrong.len().saturating_sub(12);
            let more = if more > 0 { format!(" and {more} others") } else { String::new() };
            return Err(format!("{asked}: {}{more}", wrong[..wrong.len().min(12)].join(", ")));
        }
        if !scan.witnessed {
            return Err(format!(
                "{asked}, but silence is not proven: the machine answered no echo request behind them"
            ));
        }
        let mut heard = scan.verdicts.iter().filter(|(_, seen)| **seen != PortVerdict::Silent).map(words).peekable();
        let heard =
            if heard.peek().is_some() { heard.collect::<Vec<_>>().join(", ") } else { "none answers".to_owned() };
        Ok(format!("{asked}: {}", short(&heard)))
    }
}

/// What a port answered, in a word.
pub fn word(seen: PortVerdict) -> &'static str {
    match seen {
        PortVerdict::Open => "open",
        PortVerdict::Closed => "closed",
        PortVerdict::Rejected => "rejected",
        PortVerdict::Silent => "silent",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn one_port_among_all_is_found() {
        use PortVerdict::*;
        let asked = |protocol| Sweep {
            family: Family::V4,
            protocol,
            vantage: Vantage::Here,
            admitted: vec![(22, 22), (80, 81)],
            declared: vec![],
            unsaid: [9100].into(),
        };
        let seen = |list: &[(u16, PortVerdict)], witnessed| {
            let mut verdicts: std::collections::BTreeMap<u16, PortVerdict> =
                (1..=200).map(|port| (port, Silent)).collect();
            verdicts.extend([(22, Open), (80, Open), (81, Closed), (9100, Open)]);
            verdicts.extend(list.iter().copied());
            Scan { verdicts, witnessed, rounds: 2, took: Duration::from_secs(5) }
        };
        let tcp = asked(Protocol::Tcp);
        assert!(tcp.judge(&seen(&[], true)).unwrap().ends_with("22 open, 80 open, 81 closed, 9100 open"));
        assert!(tcp.judge(&seen(&[], false)).is_err(), "silence without a witness proves nothing");
        for (port, verdict) in [(23, Open), (23, Closed), (23, Rejected), (22, Silent), (81, Rejected)] {
            let said = tcp.judge(&seen(&[(port, verdict)], true)).expect_err("wrong");
            assert!(said.ends_with(&format!(": {port} {}", word(verdict))), "{said}");
        }
        assert!(asked(Protocol::Udp).judge(&seen(&[(22, Silent)], true)).is_ok(), "a service may have nothing to say");
        let many: Vec<_> = (100..150).map(|port| (port, Closed)).collect();
        assert!(tcp.judge(&seen(&many, true)).expect_err("wrong").ends_with("111 closed and 38 others"));
    }
}
