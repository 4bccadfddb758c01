//! SubjectPublicKeyInfo ⇄ [`AttestationPublicKey`]; its id, and verification. RFC 5280 §4.1.2.7, RFC 8410, RFC 5480.

use super::pem::{self, KeyHalf};
use diorite_model::{Digest, Result};
use ed25519_dalek::VerifyingKey as EdwardsKey;
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{DerSignature, Signature, VerifyingKey as NistKey};
use pkcs8::der::{Decode as _, pem::LineEnding};
use pkcs8::spki::SubjectPublicKeyInfoRef;
use pkcs8::{EncodePublicKey as _, ObjectIdentifier};

/// id-Ed25519, RFC 8410.
pub(super) const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// id-ecPublicKey, RFC 5480.
pub(super) const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// secp256r1, RFC 5480.
pub(super) const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");

/// How attestations are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttestationAlgorithm {
    /// Ed25519 (RFC 8032). Its signatures are 64 bytes.
    Ed25519,
    /// ECDSA on P-256 with SHA-256 (FIPS 186-5), deterministic (RFC 6979). Its signatures are DER.
    EcdsaP256,
}

impl AttestationAlgorithm {
    /// `ed25519`, `ecdsa-p256`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256 => "ecdsa-p256",
        }
    }
}

/// What a signature is verified with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttestationPublicKey(pub(super) PublicHalf);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PublicHalf {
    Ed25519(EdwardsKey),
    EcdsaP256(NistKey),
}

impl AttestationPublicKey {
    /// Reads PEM; `place` is where it is, for errors.
    ///
    /// # Errors
    /// It is something else, which is named: a certificate, a private key, an RSA key, another curve, a point that is not on it.
    pub fn read(text: &[u8], place: &str) -> Result<Self> {
        let half = KeyHalf::Public;
        let der = pem::der(half, text, place)?;
        let damaged = |what: &str| pem::refused(half, place, format!("its {what} is damaged"));
        let info = SubjectPublicKeyInfoRef::from_der(&der).map_err(|_| damaged("DER"))?;
        match (info.algorithm.oid, info.algorithm.parameters_oid().ok()) {
            (ED25519, _) => {
                let key = EdwardsKey::try_from(info).map_err(|_| damaged("point"))?;
                match key.is_weak() {
                    false => Ok(Self(PublicHalf::Ed25519(key))),
                    true => Err(pem::refused(half, place, "it is a weak point, for which anybody can sign")),
                }
            }
            (EC, Some(P256)) => {
                let key = NistKey::try_from(info).map_err(|_| damaged("point"))?;
                Ok(Self(PublicHalf::EcdsaP256(key)))
            }
            _ => Err(pem::other_algorithm(half, place, &info.algorithm)),
        }
    }

    /// Its algorithm.
    pub fn algorithm(&self) -> AttestationAlgorithm {
        match self.0 {
            PublicHalf::Ed25519(_) => AttestationAlgorithm::Ed25519,
            PublicHalf::EcdsaP256(_) => AttestationAlgorithm::EcdsaP256,
        }
    }

    /// SubjectPublicKeyInfo in DER.
    pub fn der(&self) -> Vec<u8> {
        let document = match &self.0 {
            PublicHalf::Ed25519(key) => key.to_public_key_der(),
            PublicHalf::EcdsaP256(key) => key.to_public_key_der(),
        };
        document.expect("a key can be written").into_vec()
    }

    /// `-----BEGIN PUBLIC KEY-----`.
    pub fn pem(&self) -> String {
        let text = match &self.0 {
            PublicHalf::Ed25519(key) => key.to_public_key_pem(LineEnding::LF),
            PublicHalf::EcdsaP256(key) => key.to_public_key_pem(LineEnding::LF),
        };
        text.expect("a key can be written")
    }

    /// Its id: SHA-256 of the DER, as `openssl pkey -pubin -outform DER | sha256sum` prints it.
    pub fn id(&self) -> Digest {
        Digest::of(&self.der())
    }

    /// Whether this is a signature of these bytes by the private half.
    pub fn verifies(&self, bytes: &[u8], signature: &[u8]) -> bool {
        match &self.0 {
            PublicHalf::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(bytes, &signature).is_ok()),
            PublicHalf::EcdsaP256(key) => {
                DerSignature::from_bytes(signature).is_ok_and(|signature| key.verify(bytes, &signature).is_ok())
            }
        }
    }

    /// The signature as attestations carry it. Tools of PKCS#11 answer with the two numbers of an ECDSA signature side by side:
    /// that becomes DER.
    pub(super) fn normal(&self, signature: Vec<u8>) -> Vec<u8> {
        match &self.0 {
            PublicHalf::EcdsaP256(_) if DerSignature::from_bytes(&signature).is_err() => {
                Signature::from_slice(&signature).map_or(signature, |plain| plain.to_der().as_bytes().to_vec())
            }
            _ => signature,
        }
    }
}
