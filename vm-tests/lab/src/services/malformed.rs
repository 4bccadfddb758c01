//! Damage to answers, as hostile input for whoever asked: what a parser must survive.

use crate::random::Random;

/// The kind of message, which decides where its lengths are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// DHCPv4: options behind 240 bytes, kind and length each (RFC 2132 §2).
    Dhcp,
    /// DHCPv6: options behind 4 bytes, two bytes of kind and of length each (RFC 8415 §21.1).
    Dhcp6,
    /// DNS: labels, counts, data lengths (RFC 1035 §4.1).
    Dns,
    /// Neighbour discovery: options behind a head of this length, in units of 8 bytes (RFC 4861 §4.6).
    Neighbour(usize),
    /// No lengths inside.
    Plain,
}

impl MessageKind {
    /// Places of the bytes that say how long something is.
    fn lengths(self, good: &[u8]) -> Vec<usize> {
        let mut places = Vec::new();
        let walk = |start: usize, step: &dyn Fn(usize) -> Option<(usize, usize)>| {
            let mut at = start;
            while let Some((place, next)) = step(at).filter(|(_, next)| *next > at) {
                places.push(place);
                at = next;
            }
        };
        let byte = |at: usize| good.get(at).map(|b| usize::from(*b));
        match self {
            Self::Dhcp => {
                let mut walk = walk;
                walk(240, &|at| Some((at + 1, at + 2 + byte(at + 1).filter(|_| good[at] != 255)?)));
            }
            Self::Dhcp6 => {
                let mut walk = walk;
                walk(4, &|at| Some((at + 3, at + 4 + (byte(at + 2)? << 8 | byte(at + 3)?))));
            }
            Self::Neighbour(head) => {
                let mut walk = walk;
                walk(head, &|at| Some((at + 1, at + 8 * byte(at + 1)?)));
            }
            Self::Dns => {
                let mut walk = walk;
                walk(12, &|at| Some((at, at + 1 + byte(at).filter(|n| (1..64).contains(n))?)));
                // How many questions and answers there are.
                places.extend([5, 7, 9, 11]);
            }
            Self::Plain => {}
        }
        places.retain(|place| *place < good.len());
        places
    }
}

/// Ways of damage; each is seen once in so many turns.
pub const WAYS: u64 = 8;

/// A damaged answer, never longer than an Ethernet frame allows.
pub fn spoil(good: &[u8], shape: MessageKind, turn: u64, random: &mut Random) -> Vec<u8> {
    let mut bad = good.to_vec();
    let lengths = shape.lengths(good);
    let mut noise = |n: usize| (0..n).map(|_| random.number() as u8).collect::<Vec<u8>>();
    match turn % WAYS {
        0 => bad.truncate(usize::from(noise(1)[0]) * good.len() / 256),
        1 => bad.clear(),
        2 => {
            // The head stays, so that whoever asked does not throw it away at the first glance.
            let head = good.len().min(12);
            bad = [&good[..head], &noise(good.len() - head)].concat();
        }
        3 | 4 if !lengths.is_empty() => {
            let place = lengths[usize::from(noise(1)[0]) % lengths.len()];
            bad[place] = if turn % WAYS == 3 { 0xff } else { 0 };
        }
        5 => lengths.iter().for_each(|place| bad[*place] = 0xff),
        // A name that points to itself.
        6 if shape == MessageKind::Dns => bad.extend([0xc0, good.len().min(63) as u8].repeat(20)),
        7 => {
            let more = noise(1400usize.saturating_sub(good.len()));
            bad.extend(more);
        }
        _ => {
            let tail = bad.len() / 2;
            let more = noise(bad.len() - tail);
            bad.splice(tail.., more);
        }
    }
    bad
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_damages_and_the_seed_decides() {
        let dns = b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0\x06router\x03lab\x04test\0\0\x01\0\x01\xc0\x0c".to_vec();
        assert_eq!(MessageKind::Dns.lengths(&dns), [12, 19, 23, 5, 7, 9, 11]);
        let dhcp = [&[1; 240][..], &[53, 1, 5, 54, 4, 1, 2, 3, 4, 255]].concat();
        assert_eq!(MessageKind::Dhcp.lengths(&dhcp), [241, 244]);
        let dhcp6 = b"\x07abc\0\x01\0\x02xx\0\x02\0\x01y".to_vec();
        assert_eq!(MessageKind::Dhcp6.lengths(&dhcp6), [7, 13]);
        assert_eq!(MessageKind::Neighbour(4).lengths(b"head\x01\x01macmac\x05\x01......"), [5, 13]);
        for (good, shape) in [(dns, MessageKind::Dns), (dhcp, MessageKind::Dhcp), (dhcp6, MessageKind::Dhcp6)] {
            let all = |seed| {
                let mut random = Random::new(seed, 0);
                (0..WAYS).map(|turn| spoil(&good, shape, turn, &mut random)).collect::<Vec<_>>()
            };
            assert!(all(1).iter().all(|bad| *bad != good && bad.len() <= 1400), "{shape:?}");
            assert!(all(1) == all(1) && all(1) != all(2));
        }
    }
}
