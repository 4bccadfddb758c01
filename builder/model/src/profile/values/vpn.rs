//! Forms of what tunnels say: identities and algorithms of IKEv2.

use super::{Form, form, only, starts};

/// What an end of an IPsec tunnel calls itself, RFC 7296 3.5: an address, a name, a mail address, or the subject of a
/// certificate.
pub const IKE_ID: Form = form(
    "a name, an address, or the subject of a certificate without spaces: `gate.example.org`, `192.0.2.1`, `CN=gate,O=School`",
    200,
    |text| {
        starts(text, |c| c.is_ascii_alphanumeric(), "a letter or digit")?;
        only(text, |c| c.is_ascii_alphanumeric() || "-_.:@=,+".contains(c))
    },
);

const CIPHERS: &[&str] = &["aes128", "aes192", "aes256"];
/// Ciphers that prove by themselves that nothing was changed.
const SEALING: &[&str] = &["aes128gcm16", "aes192gcm16", "aes256gcm16", "chacha20poly1305"];
const INTEGRITY: &[&str] = &["sha256", "sha384", "sha512"];
const FUNCTIONS: &[&str] = &["prfsha256", "prfsha384", "prfsha512"];
const GROUPS: &[&str] = &[
    "ecp256",
    "ecp384",
    "ecp521",
    "curve25519",
    "curve448",
    "modp2048",
    "modp3072",
    "modp4096",
    "modp6144",
    "modp8192",
];
/// What was broken, or can be by those with much money: NIST SP 800-131A, RFC 8247.
const WEAK: &[&str] = &[
    "des", "3des", "null", "md5", "sha1", "sha", "prfmd5", "prfsha1", "modp768", "modp1024", "modp1536", "ecp192",
    "ecp224",
];

/// Algorithms of the negotiation.
pub const IKE_PROPOSAL: Form = form(
    "algorithms as strongSwan writes them, a cipher, integrity or a pseudo-random function, and groups: `aes256-sha256-modp2048`, \
     `aes256gcm16-prfsha384-ecp384`",
    120,
    |text| {
        let kinds = kinds(text)?;
        let (cipher, sealing) = (kinds.has(CIPHERS), kinds.has(SEALING));
        one_of(cipher, sealing)?;
        if cipher && !kinds.has(INTEGRITY) {
            return Err("integrity is missing: `sha256`".into());
        }
        if sealing && !kinds.has(FUNCTIONS) {
            return Err("a pseudo-random function is missing: `prfsha256`".into());
        }
        if sealing && kinds.has(INTEGRITY) {
            return Err("its cipher proves by itself that nothing was changed: leave integrity out".into());
        }
        if kinds.has(GROUPS) { Ok(()) } else { Err("a group is missing: `ecp384`, `modp2048`".into()) }
    },
);

/// Algorithms of the packets.
pub const ESP_PROPOSAL: Form = form(
    "algorithms as strongSwan writes them, a cipher, integrity, and groups for keys that do not follow from each other: \
     `aes256-sha256-modp2048`, `aes256gcm16-ecp384`",
    120,
    |text| {
        let kinds = kinds(text)?;
        let (cipher, sealing) = (kinds.has(CIPHERS), kinds.has(SEALING));
        one_of(cipher, sealing)?;
        if kinds.has(FUNCTIONS) {
            return Err("a pseudo-random function belongs to `proposals`".into());
        }
        if cipher && !kinds.has(INTEGRITY) {
            return Err("integrity is missing: `sha256`".into());
        }
        if sealing && kinds.has(INTEGRITY) {
            return Err("its cipher proves by itself that nothing was changed: leave integrity out".into());
        }
        Ok(())
    },
);

/// The words of a proposal.
struct Words<'a>(Vec<&'a str>);

impl Words<'_> {
    fn has(&self, kind: &[&str]) -> bool {
        self.0.iter().any(|word| kind.contains(word))
    }
}

fn kinds(text: &str) -> Result<Words<'_>, String> {
    let words: Vec<&str> = text.split('-').collect();
    for word in &words {
        if WEAK.contains(word) {
            return Err(format!("`{word}` is no protection any more"));
        }
        if ![CIPHERS, SEALING, INTEGRITY, FUNCTIONS, GROUPS].iter().any(|kind| kind.contains(word)) {
            return Err(format!("`{word}` is not an algorithm that is offered here"));
        }
    }
    Ok(Words(words))
}

fn one_of(cipher: bool, sealing: bool) -> Result<(), String> {
    match (cipher, sealing) {
        (true, true) => Err("it mixes ciphers with and without integrity of their own: make two proposals".into()),
        (false, false) => Err("a cipher is missing: `aes256gcm16`".into()),
        _ => Ok(()),
    }
}
