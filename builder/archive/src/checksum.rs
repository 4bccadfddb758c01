//! The digests by which a repository vouches for files: SHA-256, or SHA-512 where there is no other. MD5 and SHA-1, which can be
//! forged, count for nothing.

use diorite_model::Digest;
use sha2::{Digest as _, Sha512};
use std::fmt;

/// Names of the fields of release files and indexes that are read, and of the directories of `by-hash`.
pub const FIELDS: [&str; 2] = ["SHA256", "SHA512"];
/// Names of the fields whose digests can be forged.
pub const FORGEABLE: [&str; 3] = ["SHA1", "MD5Sum", "MD5sum"];

/// A digest that a repository lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// SHA-256, by which the lock names files.
    Sha256(Digest),
    /// SHA-512, FIPS 180-4.
    Sha512([u8; 64]),
}

impl Checksum {
    /// The digest in a field of this name, one of [`FIELDS`]: hexadecimal, in either case. `None` for anything else.
    pub fn parse(field: &str, text: &str) -> Option<Self> {
        if field == FIELDS[0] {
            return text.to_ascii_lowercase().parse().ok().map(Self::Sha256);
        }
        if field != FIELDS[1] || text.len() != 128 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let mut bytes = [0; 64];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
        }
        Some(Self::Sha512(bytes))
    }

    /// The field it stands in.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Sha256(_) => FIELDS[0],
            Self::Sha512(_) => FIELDS[1],
        }
    }

    /// `Err` with what is wrong where these are not `size` bytes with this digest.
    pub fn check(&self, bytes: &[u8], size: u64) -> Result<(), String> {
        if bytes.len() as u64 != size {
            return Err(format!("it has {} bytes instead of {size}", bytes.len()));
        }
        let found = match self {
            Self::Sha256(_) => Self::Sha256(Digest::of(bytes)),
            Self::Sha512(_) => Self::Sha512(Sha512::digest(bytes).into()),
        };
        let name = if matches!(self, Self::Sha256(_)) { "SHA-256" } else { "SHA-512" };
        if found == *self { Ok(()) } else { Err(format!("its {name} is {found} instead of {self}")) }
    }
}

/// In hexadecimal.
impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha256(digest) => digest.fmt(f),
            Self::Sha512(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4's example, as sha512sum(1) prints it: `printf abc | sha512sum`.
    const ABC: &str = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                       2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";

    #[test]
    fn both_are_read_and_judge() {
        let sha512 = Checksum::parse("SHA512", &ABC.to_uppercase()).unwrap();
        let sha256 = Checksum::parse("SHA256", &Digest::of(b"abc").to_string()).unwrap();
        assert_eq!(sha512.to_string(), ABC);
        for (checksum, field) in [(sha512, "SHA512"), (sha256, "SHA256")] {
            assert_eq!(checksum.field(), field);
            assert_eq!(checksum.check(b"abc", 3), Ok(()));
            assert!(checksum.check(b"abd", 3).unwrap_err().contains("instead of"));
            assert!(checksum.check(b"abc", 4).unwrap_err().contains("3 bytes instead of 4"));
        }
        for (field, text) in [("SHA512", &ABC[1..]), ("SHA256", ABC), ("MD5Sum", ABC), ("SHA512", "")] {
            assert_eq!(Checksum::parse(field, text), None, "{field} {text}");
        }
    }
}
