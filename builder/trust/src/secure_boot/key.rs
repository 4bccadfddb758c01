//! An RSA key: made, read from PEM (PKCS #8 or PKCS #1), and used. The `rsa` crate makes and reads it; ring signs, in constant
//! time.

use diorite_model::{Error, Result};
use ring::rand::SystemRandom;
use ring::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding};
use rsa::{RsaPrivateKey, rand_core::OsRng};

/// Fewest bits of a modulus: less is refused by firmware and by NIST SP 800-131A.
pub const LEAST_BITS: usize = 2048;
/// Most bits: what firmware is known to take.
pub const MOST_BITS: usize = 4096;

/// A private RSA key. It is never printed.
pub struct PrivateRsaKey(RsaKeyPair);

impl std::fmt::Debug for PrivateRsaKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrivateRsaKey")
    }
}

impl PrivateRsaKey {
    /// Draws a key of so many bits from the system's random numbers. Returns it, and its text in PEM (PKCS #8).
    ///
    /// # Errors
    /// A bug: the system gives no random numbers.
    pub fn generate(bits: usize) -> Result<(Self, String)> {
        let failed = |e: &dyn std::fmt::Display| Error::bug("an RSA key could not be made").because(e);
        let key = RsaPrivateKey::new(&mut OsRng, bits).map_err(|e| failed(&e))?;
        let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(|e| failed(&e))?;
        Ok((Self::of(&key)?, pem.as_str().to_owned()))
    }

    /// Reads one from PEM.
    ///
    /// # Errors
    /// It is no RSA key in PEM, is encrypted, or has fewer than [`LEAST_BITS`] or more than [`MOST_BITS`] bits. Errors have no
    /// place: whoever has read the file knows it.
    pub fn of_pem(text: &str) -> Result<Self> {
        let refused = |why: String| Error::input("this is not a key that can sign").because(why);
        if text.contains("ENCRYPTED") {
            return Err(refused("it is encrypted".into())
                .hint("decrypt it (openssl rsa), or let a program that asks for its passphrase sign: --signer"));
        }
        let key = RsaPrivateKey::from_pkcs8_pem(text)
            .or_else(|_| RsaPrivateKey::from_pkcs1_pem(text))
            .map_err(|_| refused("it is not an RSA key in PEM".into()).hint("make keys with `diorite keys new DIR`"))?;
        Self::of(&key)
    }

    fn of(key: &RsaPrivateKey) -> Result<Self> {
        use rsa::traits::PublicKeyParts as _;
        let bits = key.n().bits();
        if !(LEAST_BITS..=MOST_BITS).contains(&bits) {
            return Err(Error::input(format!("the RSA key has {bits} bits"))
                .because(format!("firmware takes {LEAST_BITS} to {MOST_BITS}"))
                .hint("make keys with `diorite keys new DIR`"));
        }
        let failed = |e: &dyn std::fmt::Display| Error::input("the RSA key cannot be used").because(e);
        let der = key.to_pkcs8_der().map_err(|e| failed(&e))?;
        RsaKeyPair::from_pkcs8(der.as_bytes()).map(Self).map_err(|e| failed(&e))
    }

    /// Signs a message: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 §8.2). The same message gives the same bytes.
    ///
    /// # Errors
    /// A bug.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let mut signature = vec![0; self.0.public().modulus_len()];
        let signed = self.0.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature);
        signed.map_err(|_| Error::bug("an RSA key could not sign"))?;
        Ok(signature)
    }

    /// The public half: `RSAPublicKey` of PKCS #1 in DER.
    pub fn public(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }
}
