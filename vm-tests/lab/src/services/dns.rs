//! DNS answers (RFC 1035) of our choice: right, wrong, late, none.

use super::Behaviour;
use crate::config::Config;
use std::{collections::BTreeMap, net::IpAddr, time::Duration};

/// How the name server behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameServer {
    /// Whether and how it answers.
    pub behaviour: Behaviour,
    /// What it says of names, in lower case without the last dot.
    pub names: BTreeMap<String, Name>,
    /// What it says of all other names.
    pub others: Name,
    /// Every answer comes so late.
    pub delay: Duration,
    /// Over UDP it only says that the answer is too long for it; whoever asks must come again over TCP.
    pub truncate: bool,
}

/// What is said of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// It has these addresses.
    Addresses(Vec<IpAddr>),
    /// It has these records: type and data as on the wire.
    Records(Vec<(u16, Vec<u8>)>),
    /// It does not exist (NXDOMAIN).
    Missing,
    /// The server fails (SERVFAIL).
    Failure,
    /// The server will not say (REFUSED).
    Refused,
    /// Nothing.
    Silence,
    /// These addresses, in an answer to another query (its identifier is wrong). To be thrown away.
    OtherQuery(Vec<IpAddr>),
    /// These addresses, in an answer about another name. To be thrown away.
    OtherName(Vec<IpAddr>),
}

impl NameServer {
    /// Knows `router.DOMAIN` and no other name.
    pub fn of(config: &Config) -> Self {
        let router = Name::Addresses(vec![config.ipv4.into(), config.ipv6.into()]);
        Self {
            behaviour: Behaviour::Good,
            names: [(format!("router.{}", config.domain), router)].into(),
            others: Name::Missing,
            delay: Duration::ZERO,
            truncate: false,
        }
    }
    /// With an address more.
    pub fn with(mut self, name: &str, says: Name) -> Self {
        self.names.insert(name.to_owned(), says);
        self
    }
}

/// A question as it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsQuestion {
    /// Name in lower case without the last dot.
    pub name: String,
    /// Type: 1 A, 28 AAAA.
    pub kind: u16,
    end: usize,
}

/// The first question of a query.
pub fn question(query: &[u8]) -> Option<DnsQuestion> {
    // A query, not a response; at least one question.
    if query.len() < 12 || query[2] & 0x80 != 0 || u16::from_be_bytes([query[4], query[5]]) == 0 {
        return None;
    }
    let (mut at, mut labels) = (12, Vec::new());
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        match length {
            0 => break,
            1..=63 => labels.push(String::from_utf8_lossy(query.get(at..at + length)?).to_ascii_lowercase()),
            _ => return None, // a pointer has no place in a question
        }
        at += length;
    }
    // RFC 1035 §2.3.4.
    let kind = query.get(at..at + 4).filter(|_| at <= 12 + 255)?;
    Some(DnsQuestion { name: labels.join("."), kind: u16::from_be_bytes([kind[0], kind[1]]), end: at + 4 })
}

/// A name as labels, each behind its length (RFC 1035 §3.1).
pub fn labels(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        let label = &label.as_bytes()[..label.len().min(63)];
        bytes.push(label.len() as u8);
        bytes.extend_from_slice(label);
    }
    bytes.push(0);
    bytes
}

/// The longest answer over UDP that the asker takes: 512 bytes, or what its OPT record says (RFC 6891 §6.2.3), which must
/// be the only record behind the question.
fn longest(query: &[u8], asked: &DnsQuestion) -> usize {
    match query.get(asked.end..) {
        Some([0, 0, 41, a, b, ..]) if query[6..12] == [0, 0, 0, 0, 0, 1] => {
            usize::from(u16::from_be_bytes([*a, *b])).clamp(512, 4096)
        }
        _ => 512,
    }
}

/// The answer to a query, which came over UDP or in a stream.
pub fn answer(dns: &NameServer, query: &[u8], udp: bool) -> Option<Vec<u8>> {
    let asked = question(query)?;
    let says = dns.names.get(&asked.name).unwrap_or(&dns.others);
    let record = |ip: &IpAddr| match ip {
        IpAddr::V4(v4) => (1, v4.octets().to_vec()),
        IpAddr::V6(v6) => (28, v6.octets().to_vec()),
    };
    let (code, records) = match says {
        Name::Addresses(all) | Name::OtherQuery(all) | Name::OtherName(all) => (0, all.iter().map(record).collect()),
        Name::Records(records) => (0, records.clone()),
        Name::Missing => (3, Vec::new()),
        Name::Failure => (2, Vec::new()),
        Name::Refused => (5, Vec::new()),
        Name::Silence => return None,
    };
    let records: Vec<_> = records.into_iter().filter(|(kind, _)| *kind == asked.kind).collect();
    let mut reply = query[..2].to_vec();
    // Response, authoritative, recursion as asked and available.
    reply.extend_from_slice(&[0x84 | query[2] & 1, 0x80 | code, 0, 1]);
    reply.extend_from_slice(&(records.len() as u16).to_be_bytes());
    reply.extend_from_slice(&[0; 4]);
    match says {
        Name::OtherName(_) => {
            reply.extend(labels("elsewhere.invalid"));
            reply.extend_from_slice(&query[asked.end - 4..asked.end]);
        }
        _ => reply.extend_from_slice(&query[12..asked.end]),
    }
    if let Name::OtherQuery(_) = says {
        reply[1] ^= 0x55;
    }
    let question_end = reply.len();
    for (kind, data) in &records {
        reply.extend_from_slice(&[0xc0, 12]);
        reply.extend_from_slice(&kind.to_be_bytes());
        reply.extend_from_slice(&[0, 1, 0, 0, 0, 60]);
        reply.extend_from_slice(&(data.len() as u16).to_be_bytes());
        reply.extend_from_slice(data);
    }
    if udp && (dns.truncate || reply.len() > longest(query, &asked)) {
        reply.truncate(question_end);
        reply[2] |= 2;
        reply[6..8].fill(0);
    }
    Some(reply)
}

#[cfg(test)]
mod tests {
    use super::*;
    const QUERY: &[u8] = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x06Router\x03lab\x04test\0\0\x01\0\x01";

    fn dns() -> NameServer {
        NameServer::of(&Config::default())
    }

    #[test]
    fn a_known_name_has_an_address_and_an_unknown_one_does_not_exist() {
        let yes = answer(&dns(), QUERY, true).expect("answer");
        assert_eq!((yes[3] & 15, yes[7]), (0, 1));
        assert!(yes.ends_with(&[0, 4, 10, 77, 0, 1]));
        let no = answer(&NameServer { names: BTreeMap::new(), ..dns() }, QUERY, true).expect("answer");
        assert_eq!((no[3] & 15, no[7]), (3, 0));
        assert_eq!(question(QUERY).map(|q| q.name).as_deref(), Some("router.lab.test"));
    }

    #[test]
    fn every_other_answer_is_what_it_is_called() {
        let liar: IpAddr = "192.0.2.66".parse().expect("an address");
        let said = |name: Name| answer(&dns().with("router.lab.test", name), QUERY, true);
        for (name, code) in [(Name::Failure, 2), (Name::Refused, 5), (Name::Missing, 3), (Name::Records(vec![]), 0)] {
            let reply = said(name).expect("an answer");
            assert_eq!((reply[3] & 15, reply[7], reply.len()), (code, 0, QUERY.len()));
        }
        assert_eq!(said(Name::Silence), None);
        assert!(said(Name::Addresses(vec![liar])).expect("an answer").ends_with(&[192, 0, 2, 66]));
        let other = said(Name::OtherQuery(vec![liar])).expect("an answer");
        assert!(other[..2] != QUERY[..2] && other[12..QUERY.len()] == QUERY[12..]);
        let other = said(Name::OtherName(vec![liar])).expect("an answer");
        assert!(other[..2] == QUERY[..2] && other[12..].starts_with(b"\x09elsewhere\x07invalid\0\0\x01\0\x01"));
        let lost = NameServer { others: Name::Addresses(vec![liar]), names: BTreeMap::new(), ..dns() };
        assert!(answer(&lost, QUERY, true).expect("an answer").ends_with(&[192, 0, 2, 66]), "it lies about everything");
    }

    #[test]
    fn what_is_too_long_for_a_datagram_is_said_over_tcp() {
        let many: Vec<IpAddr> = (1..=60).map(|n| IpAddr::from([192, 0, 2, n])).collect();
        let long = dns().with("router.lab.test", Name::Addresses(many));
        let short = NameServer { truncate: true, ..dns() };
        for dns in [&long, &short] {
            let cut = answer(dns, QUERY, true).expect("an answer");
            assert_eq!((cut[2] & 2, cut[7], cut.len()), (2, 0, QUERY.len()));
            let whole = answer(dns, QUERY, false).expect("an answer");
            assert!(whole[2] & 2 == 0 && whole[7] > 0);
        }
        // OPT: root, type 41, 1232 bytes.
        let mut query = [QUERY, b"\0\0\x29\x04\xd0\0\0\0\0\0\0"].concat();
        query[11] = 1;
        let whole = answer(&long, &query, true).expect("an answer");
        assert_eq!((whole[2] & 2, whole[7]), (0, 60));
    }

    #[test]
    fn cut_queries_are_not_answered() {
        for cut in 0..QUERY.len() {
            assert!(answer(&dns(), &QUERY[..cut], true).is_none(), "cut at {cut}");
        }
        assert!(question(&[&QUERY[..12], &b"\x3f".repeat(400)[..]].concat()).is_none(), "a name without end");
    }
}
