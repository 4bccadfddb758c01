//! PKCS#8 ⇄ [`AttestationKey`], and a new one. RFC 5208, RFC 8410, RFC 5915.

use super::pem::{self, KeyHalf};
use super::public::{AttestationAlgorithm, AttestationPublicKey, EC, ED25519, P256, PublicHalf};
use diorite_model::Result;
use ed25519_dalek::SigningKey as EdwardsKey;
use ed25519_dalek::pkcs8::KeypairBytes;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{DerSignature, SigningKey as NistKey};
use pkcs8::der::{Decode as _, pem::LineEnding};
use pkcs8::{EncodePrivateKey as _, PrivateKeyInfo};

/// What attestations are signed with. Its memory is overwritten when it goes.
pub struct AttestationKey(Half);

enum Half {
    Ed25519(EdwardsKey),
    EcdsaP256(NistKey),
}

impl AttestationKey {
    /// A new key. `random` fills its bytes from a cryptographically secure source (getrandom(2)); it is asked again in the one of
    /// 2³² cases in which its 32 bytes are no number of the curve.
    ///
    /// # Errors
    /// Those of `random`.
    pub fn generate(
        algorithm: AttestationAlgorithm,
        random: &mut dyn FnMut(&mut [u8; 32]) -> Result<()>,
    ) -> Result<Self> {
        let mut bytes = [0; 32];
        loop {
            random(&mut bytes)?;
            let half = match algorithm {
                AttestationAlgorithm::Ed25519 => Some(Half::Ed25519(EdwardsKey::from_bytes(&bytes))),
                AttestationAlgorithm::EcdsaP256 => NistKey::from_slice(&bytes).ok().map(Half::EcdsaP256),
            };
            if let Some(half) = half {
                bytes.fill(0);
                return Ok(Self(half));
            }
        }
    }

    /// Reads PKCS#8 in PEM; `place` is where it is, for errors.
    ///
    /// # Errors
    /// It is something else, which is named: encrypted, a certificate, a public key, an RSA key, another curve.
    pub fn read(text: &[u8], place: &str) -> Result<Self> {
        let half = KeyHalf::Private;
        let der = pem::der(half, text, place)?;
        let damaged = |what: &str| pem::refused(half, place, format!("its {what} is damaged"));
        let info = PrivateKeyInfo::from_der(&der).map_err(|_| damaged("DER"))?;
        match (info.algorithm.oid, info.algorithm.parameters_oid().ok()) {
            (ED25519, _) => {
                let key = EdwardsKey::try_from(info).map_err(|_| damaged("number"))?;
                Ok(Self(Half::Ed25519(key)))
            }
            (EC, Some(P256)) => {
                let key = NistKey::try_from(info).map_err(|_| damaged("number"))?;
                Ok(Self(Half::EcdsaP256(key)))
            }
            _ => Err(pem::other_algorithm(half, place, &info.algorithm)),
        }
    }

    /// `-----BEGIN PRIVATE KEY-----`, for a file of mode 600.
    pub fn pem(&self) -> String {
        let text = match &self.0 {
            // Without the public half: OpenSSL before 3 and others read only this version of the format.
            Half::Ed25519(key) => {
                KeypairBytes { secret_key: key.to_bytes(), public_key: None }.to_pkcs8_pem(LineEnding::LF)
            }
            Half::EcdsaP256(key) => key.to_pkcs8_pem(LineEnding::LF),
        };
        text.expect("a key can be written").to_string()
    }

    /// Its public half.
    pub fn public(&self) -> AttestationPublicKey {
        AttestationPublicKey(match &self.0 {
            Half::Ed25519(key) => PublicHalf::Ed25519(key.verifying_key()),
            Half::EcdsaP256(key) => PublicHalf::EcdsaP256(*key.verifying_key()),
        })
    }

    /// The signature of these bytes: always the same for the same bytes.
    pub fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        match &self.0 {
            Half::Ed25519(key) => key.sign(bytes).to_bytes().to_vec(),
            Half::EcdsaP256(key) => {
                let signature: DerSignature = key.sign(bytes);
                signature.as_bytes().to_vec()
            }
        }
    }
}

/// Never shows the key.
impl std::fmt::Debug for AttestationKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AttestationKey({})", self.public().id())
    }
}
