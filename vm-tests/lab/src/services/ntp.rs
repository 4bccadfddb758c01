//! NTP answers (RFC 5905 §7.3, client/server mode) with a clock that can be set off.

use super::Behaviour;
use std::time::Duration;

/// How the time server behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ntp {
    /// Whether and how it answers.
    pub behaviour: Behaviour,
    /// Seconds by which its clock is ahead of ours.
    pub offset: i64,
    /// It says that it is synchronised itself; else clients must not believe it (leap indicator 3, stratum 16).
    pub synchronised: bool,
}

impl Default for Ntp {
    fn default() -> Self {
        Self { behaviour: Behaviour::Good, offset: 0, synchronised: true }
    }
}

/// Seconds from 1900, where NTP counts from, to 1970.
const ERA: u64 = 2_208_988_800;

/// The reply to a client's request at this time since 1970; `None` for anything that is not a request.
pub fn answer(ntp: &Ntp, request: &[u8], since_1970: Duration) -> Option<Vec<u8>> {
    let (first, transmit) = (*request.first()?, request.get(40..48)?);
    if first & 7 != 3 {
        return None;
    }
    let seconds = (since_1970.as_secs() + ERA).wrapping_add_signed(ntp.offset) as u32;
    let fraction = ((u64::from(since_1970.subsec_nanos()) << 32) / 1_000_000_000) as u32;
    let now = [seconds.to_be_bytes(), fraction.to_be_bytes()].concat();
    let (leap, stratum) = if ntp.synchronised { (0, 1) } else { (0xc0, 16) };
    let mut reply = vec![leap | first & 0x38 | 4, stratum, request[2], 0xec]; // same version, server, 2^-20 s
    reply.extend_from_slice(&[0; 8]); // root delay and dispersion
    reply.extend_from_slice(b"GPS\0");
    for time in [&now[..], transmit, &now, &now] {
        reply.extend_from_slice(time); // reference, origin, receive, transmit
    }
    Some(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reply_repeats_the_askers_time_and_tells_ours() {
        let mut ask = [0; 48];
        ask[0] = 0x23;
        ask[40..48].copy_from_slice(b"mystamp!");
        let ntp = Ntp { offset: 60, ..Ntp::default() };
        let reply = answer(&ntp, &ask, Duration::from_millis(1_500)).expect("reply");
        assert_eq!((reply.len(), &reply[..2], &reply[24..32]), (48, &[0x24, 1][..], &b"mystamp!"[..]));
        assert_eq!(reply[40..44], (ERA as u32 + 61).to_be_bytes());
        assert_eq!(reply[44..48], [0x80, 0, 0, 0]);
        assert!(answer(&ntp, &reply, Duration::ZERO).is_none(), "a reply is not a request");
        assert!(answer(&ntp, &ask[..47], Duration::ZERO).is_none());
        let lost = answer(&Ntp { synchronised: false, ..ntp }, &ask, Duration::ZERO).expect("reply");
        assert_eq!(lost[..2], [0xe4, 16]);
    }
}
