//! NTP answers (RFC 5905 §7.3, client/server mode) with a clock that can be set off.

use std::time::Duration;

/// Seconds from 1900, where NTP counts from, to 1970.
const ERA: u64 = 2_208_988_800;

/// The reply to a client's request at this time since 1970; `None` for anything that is not a request.
pub fn answer(request: &[u8], since_1970: Duration, offset: i64) -> Option<Vec<u8>> {
    let (first, transmit) = (*request.first()?, request.get(40..48)?);
    if first & 7 != 3 {
        return None;
    }
    let seconds = (since_1970.as_secs() + ERA).wrapping_add_signed(offset) as u32;
    let fraction = ((u64::from(since_1970.subsec_nanos()) << 32) / 1_000_000_000) as u32;
    let now = [seconds.to_be_bytes(), fraction.to_be_bytes()].concat();
    let mut reply = vec![first & 0x38 | 4, 1, request[2], 0xec]; // same version, server, stratum 1, 2^-20 s
    reply.extend_from_slice(&[0; 8]); // root delay and dispersion
    reply.extend_from_slice(b"GPS\0");
    for time in [&now[..], transmit, &now, &now] {
        reply.extend_from_slice(time); // reference, origin, receive, transmit
    }
    Some(reply)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_reply_repeats_the_askers_time_and_tells_ours() {
        let mut ask = [0; 48];
        ask[0] = 0x23;
        ask[40..48].copy_from_slice(b"mystamp!");
        let reply = super::answer(&ask, std::time::Duration::from_millis(1_500), 60).expect("reply");
        assert_eq!((reply.len(), reply[0], &reply[24..32]), (48, 0x24, &b"mystamp!"[..]));
        assert_eq!(reply[40..44], (super::ERA as u32 + 61).to_be_bytes());
        assert_eq!(reply[44..48], [0x80, 0, 0, 0]);
        assert!(super::answer(&reply, std::time::Duration::ZERO, 0).is_none(), "a reply is not a request");
        assert!(super::answer(&ask[..47], std::time::Duration::ZERO, 0).is_none());
    }
}
