//! The least of the secure shell that makes a server show its host key, which it does before anything is encrypted:
//! versions, algorithms, an elliptic-curve exchange (RFC 4253 §4.2, §6, §7; RFC 8731), and a farewell.

/// Message numbers, RFC 4250 §4.1.2 and RFC 5656 §7.1.
const DISCONNECT: u8 = 1;
const KEXINIT: u8 = 20;
const ECDH_INIT: u8 = 30;
const ECDH_REPLY: u8 = 31;
/// The reason of a farewell that is nobody's fault: by application, RFC 4250 §4.2.2.
const BY_APPLICATION: u32 = 11;

/// Name-lists of the first message, RFC 4253 §7.1: exchange, host key, ciphers, MACs and compressions both ways, and
/// languages. One choice each, so that what is agreed on is known before the server has spoken.
const ALGORITHMS: [&[u8]; 10] = [
    b"curve25519-sha256",
    b"ssh-ed25519",
    CIPHER,
    CIPHER,
    b"hmac-sha2-256-etm@openssh.com",
    b"hmac-sha2-256-etm@openssh.com",
    b"none",
    b"none",
    b"",
    b"",
];
const CIPHER: &[u8] = b"chacha20-poly1305@openssh.com";

fn string(bytes: &[u8]) -> Vec<u8> {
    // Nothing here is longer than a name-list.
    [&(bytes.len() as u32).to_be_bytes(), bytes].concat()
}

/// A packet before there are keys: length, padding to a multiple of 8 and of 4 bytes at least, RFC 4253 §6.
fn packet(payload: &[u8]) -> Vec<u8> {
    let mut padding = 8 - (payload.len() + 5) % 8;
    if padding < 4 {
        padding += 8;
    }
    let length = (payload.len() + padding + 1) as u32;
    [&length.to_be_bytes()[..], &[padding as u8], payload, &vec![0; padding]].concat()
}

/// Everything a client says until it has seen the key. It ends the conversation itself, so nobody waits for a timeout.
pub(crate) fn hello() -> Vec<u8> {
    let mut init = vec![KEXINIT];
    // The cookie should be random; it protects a secret that this conversation does not have.
    init.extend([0; 16]);
    ALGORITHMS.iter().for_each(|list| init.extend(string(list)));
    // No guessed packet follows; reserved.
    init.extend([0; 5]);
    // The curve's base point: a public key whose secret is 1.
    let mut point = [0; 32];
    point[0] = 9;
    let exchange = [&[ECDH_INIT][..], &string(&point)].concat();
    let farewell = [&[DISCONNECT][..], &BY_APPLICATION.to_be_bytes(), &string(b"seen"), &string(b"")].concat();
    [b"SSH-2.0-diorite\r\n", &packet(&init)[..], &packet(&exchange), &packet(&farewell)].concat()
}

/// The host key in what a server has said, as it stands in a line of known_hosts before base64.
pub(crate) fn host_key(said: &[u8]) -> Option<&[u8]> {
    // Other lines may come before the version, RFC 4253 §4.2.
    let mut rest = said;
    loop {
        let end = rest.iter().position(|b| *b == b'\n')?;
        let (line, after) = rest.split_at(end + 1);
        rest = after;
        if line.starts_with(b"SSH-") {
            break;
        }
    }
    let word = |bytes: &[u8]| Some(u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?) as usize);
    loop {
        let length = word(rest)?;
        let (padding, body) = rest.get(4..4 + length)?.split_first()?;
        let payload = body.get(..body.len().checked_sub(usize::from(*padding))?)?;
        if let Some((&ECDH_REPLY, fields)) = payload.split_first() {
            return fields.get(4..4 + word(fields)?);
        }
        rest = &rest[4 + length..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What OpenSSH's server says, shortened: a version, its algorithms, its answer.
    fn said(key: &[u8]) -> Vec<u8> {
        let reply = [&[ECDH_REPLY][..], &string(key), &string(&[7; 32]), &string(&[8; 83])].concat();
        [b"Welcome\r\nSSH-2.0-OpenSSH_10.0\r\n", &packet(&[KEXINIT, 1, 2, 3])[..], &packet(&reply)].concat()
    }

    #[test]
    fn packets_are_whole_blocks_with_padding() {
        for length in 0..40 {
            let packet = packet(&vec![1; length]);
            let padding = usize::from(packet[4]);
            assert_eq!((packet.len() % 8, packet.len()), (0, 5 + length + padding));
            assert!((4..=11).contains(&padding), "{padding}");
        }
    }

    #[test]
    fn the_key_is_found_and_nothing_is_taken_for_one() {
        assert_eq!(host_key(&said(b"ssh-ed25519 key")), Some(&b"ssh-ed25519 key"[..]));
        let whole = said(b"key");
        for length in 0..whole.len() {
            assert!(host_key(&whole[..length]).is_none(), "{length} of {} bytes", whole.len());
        }
        assert_eq!(host_key(b"SSH-2.0-x\r\n\xff\xff\xff\xff"), None, "a length beyond everything");
        assert_eq!(host_key(b"SSH-2.0-x\r\n\0\0\0\x02\x09\x1f"), None, "more padding than packet");
        assert_eq!(host_key(b"220 smtp\r\n"), None);
    }
}
