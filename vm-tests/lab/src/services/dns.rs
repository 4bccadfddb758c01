//! DNS answers (RFC 1035): the lab's one name has an address, every other name does not exist.

use std::net::{Ipv4Addr, Ipv6Addr};

/// A question as it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Name in lower case without the last dot.
    pub name: String,
    /// Type: 1 A, 28 AAAA.
    pub kind: u16,
    end: usize,
}

/// The first question of a query.
pub fn question(query: &[u8]) -> Option<Question> {
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
    let kind = query.get(at..at + 4)?;
    Some(Question { name: labels.join("."), kind: u16::from_be_bytes([kind[0], kind[1]]), end: at + 4 })
}

/// The answer to a query.
pub fn answer(query: &[u8], known: &str, v4: Ipv4Addr, v6: Ipv6Addr) -> Option<Vec<u8>> {
    let asked = question(query)?;
    let exists = asked.name == known;
    let data: Vec<u8> = match asked.kind {
        1 if exists => v4.octets().to_vec(),
        28 if exists => v6.octets().to_vec(),
        _ => Vec::new(),
    };
    let mut reply = query[..2].to_vec();
    // Response, authoritative, recursion as asked and available; NXDOMAIN for an unknown name.
    reply.extend_from_slice(&[0x84 | query[2] & 1, 0x80 | if exists { 0 } else { 3 }]);
    reply.extend_from_slice(&[0, 1, 0, u8::from(!data.is_empty()), 0, 0, 0, 0]);
    reply.extend_from_slice(&query[12..asked.end]);
    if !data.is_empty() {
        reply.extend_from_slice(&[0xc0, 12]);
        reply.extend_from_slice(&asked.kind.to_be_bytes());
        reply.extend_from_slice(&[0, 1, 0, 0, 0, 60]);
        reply.extend_from_slice(&(data.len() as u16).to_be_bytes());
        reply.extend_from_slice(&data);
    }
    Some(reply)
}

#[cfg(test)]
mod tests {
    use super::*;
    const QUERY: &[u8] = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x06Router\x03lab\x04test\0\0\x01\0\x01";

    #[test]
    fn a_known_name_has_an_address_and_an_unknown_one_does_not_exist() {
        let v4 = Ipv4Addr::new(10, 77, 0, 1);
        let yes = answer(QUERY, "router.lab.test", v4, Ipv6Addr::LOCALHOST).expect("answer");
        assert_eq!((yes[3] & 15, yes[7]), (0, 1));
        assert!(yes.ends_with(&[0, 4, 10, 77, 0, 1]));
        let no = answer(QUERY, "other.lab.test", v4, Ipv6Addr::LOCALHOST).expect("answer");
        assert_eq!((no[3] & 15, no[7]), (3, 0));
        assert_eq!(question(QUERY).map(|q| q.name).as_deref(), Some("router.lab.test"));
    }

    #[test]
    fn cut_queries_are_not_answered() {
        for cut in 0..QUERY.len() {
            assert!(answer(&QUERY[..cut], "x", Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST).is_none(), "cut at {cut}");
        }
    }
}
