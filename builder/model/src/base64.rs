//! Bytes as text: RFC 4648, section 4, with padding.

/// `Zm9v` of `foo`.
pub fn encode(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            match place <= chunk.len() {
                true => text.push(char::from(ALPHABET[(word >> (18 - 6 * place) & 63) as usize])),
                false => text.push('='),
            }
        }
    }
    text
}

/// `foo` of `Zm9v`; `None` of anything that [`encode`] does not write.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for chunk in text.trim_end_matches('=').as_bytes().chunks(4) {
        let mut word = 0_u32;
        for byte in chunk {
            word = word << 6
                | u32::from(match byte {
                    b'A'..=b'Z' => byte - b'A',
                    b'a'..=b'z' => byte - b'a' + 26,
                    b'0'..=b'9' => byte - b'0' + 52,
                    b'+' => 62,
                    b'/' => 63,
                    _ => return None,
                });
        }
        let whole = chunk.len() * 6 / 8;
        bytes.extend_from_slice(&(word << (32 - 6 * chunk.len())).to_be_bytes()[..whole]);
    }
    (encode(&bytes) == text).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of RFC 4648 §10.
    #[test]
    fn base64_as_specified() {
        for (plain, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(encode(plain.as_bytes()), text);
            assert_eq!(decode(text).as_deref(), Some(plain.as_bytes()));
        }
        assert_eq!(encode(&[0xff, 0xfe]), "//4=");
        // Padding that is missing or too long, bits after the end, foreign characters.
        for wrong in ["Zg", "Zg=", "Zg===", "Zh==", "Z", "Zm9v\n", "Zm-v", "Zg==Zg=="] {
            assert_eq!(decode(wrong), None, "{wrong:?}");
        }
    }
}
