//! A question to a name server and its answer, RFC 1035 §4.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A query for the addresses of `name` (IPv4, or with `six` IPv6), with this identifier.
pub fn query(id: u16, name: &str, six: bool) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    // Recursion desired; one question.
    message.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        // A label's form allows 63 bytes at most.
        message.push(label.len() as u8);
        message.extend_from_slice(label.as_bytes());
    }
    message.extend_from_slice(&[0, 0, if six { 28 } else { 1 }, 0, 1]);
    message
}

/// The addresses in an answer; `None` when it is no answer to this question, or not well formed.
pub fn addresses(id: u16, answer: &[u8]) -> Option<Vec<IpAddr>> {
    let word = |at: usize| Some(u16::from_be_bytes(answer.get(at..at + 2)?.try_into().ok()?));
    if word(0)? != id || answer.get(2)? & 0x80 == 0 {
        return None;
    }
    let (questions, answers) = (word(4)?, word(6)?);
    let mut at = 12;
    for _ in 0..questions {
        at = after_name(answer, at)? + 4;
    }
    let mut found = Vec::new();
    for _ in 0..answers {
        at = after_name(answer, at)?;
        let (kind, length) = (word(at)?, usize::from(word(at + 8)?));
        let data = answer.get(at + 10..at + 10 + length)?;
        match kind {
            1 => found.push(IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?))),
            28 => found.push(IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?))),
            _ => {}
        }
        at += 10 + length;
    }
    Some(found)
}

/// The place behind a name: labels up to an empty one, or to a pointer (§4.1.4).
fn after_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            n if n & 0xc0 == 0xc0 => return Some(at + 2),
            n => at += usize::from(n) + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer to a query: one alias, then an address, names by pointers.
    fn answer() -> Vec<u8> {
        let mut message = query(7, "a.example", false);
        message[2] |= 0x80;
        message[7] = 2;
        message.extend_from_slice(&[0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, 2, 0xc0, 14]);
        message.extend_from_slice(&[0xc0, 14, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 7]);
        message
    }

    #[test]
    fn questions_and_answers() {
        assert_eq!(query(7, "a.example", true)[12..], *b"\x01a\x07example\x00\x00\x1c\x00\x01");
        assert_eq!(addresses(7, &answer()), Some(vec!["192.0.2.7".parse().unwrap()]));
        assert_eq!(addresses(8, &answer()), None, "another question's");
        assert_eq!(addresses(7, &query(7, "a.example", false)), None, "no answer");
        for n in 0..answer().len() {
            assert_eq!(addresses(7, &answer()[..n]), None, "cut after {n}");
        }
        let mut wrong = answer();
        let last = wrong.len() - 5;
        wrong[last] = 9;
        assert_eq!(addresses(7, &wrong), None, "a length that is not");
    }
}
