//! UUIDs that follow from a digest, so that the same inputs have the same identifiers: RFC 9562, version 8.

use crate::Digest;
use std::fmt;

/// A UUID: 16 bytes, written in groups of 8, 4, 4, 4 and 12 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

/// The UUID that follows from a digest: its first 16 bytes with version 8 and the variant of RFC 9562 put in.
pub fn derived(digest: &Digest) -> Uuid {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.0[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Uuid(bytes)
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            if [4, 6, 8, 10].contains(&i) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_and_variant_stand_where_the_standard_says() {
        assert_eq!(derived(&Digest([0xff; 32])).to_string(), "ffffffff-ffff-8fff-bfff-ffffffffffff");
        assert_eq!(derived(&Digest([0; 32])).to_string(), "00000000-0000-8000-8000-000000000000");
        assert_eq!(derived(&Digest::of(b"x")), derived(&Digest::of(b"x")));
        assert_ne!(derived(&Digest::of(b"x")), derived(&Digest::of(b"y")));
    }
}
