//! Bytes → signature: by a key that is here, or by a program or a device elsewhere, whose answer is believed only after the public
//! key has verified it.

use super::{AttestationKey, AttestationPublicKey};
use diorite_model::{Error, Result};

/// Who signs.
pub trait AttestationSigner {
    /// Whose signatures they are.
    fn public(&self) -> AttestationPublicKey;
    /// A signature of these bytes that [`AttestationSigner::public`] verifies.
    ///
    /// # Errors
    /// The signer failed, or answered with something else.
    fn signature(&self, bytes: &[u8]) -> Result<Vec<u8>>;
}

impl AttestationSigner for AttestationKey {
    fn public(&self) -> AttestationPublicKey {
        Self::public(self)
    }
    fn signature(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        Ok(self.sign(bytes))
    }
}

/// Bytes to sign → what a signer answers.
pub type AskSigner<'a> = Box<dyn Fn(&[u8]) -> Result<Vec<u8>> + 'a>;

/// A signer that keeps its key to itself: asked for each signature.
pub struct OutsideSigner<'a> {
    /// Whose signatures are expected.
    pub public: AttestationPublicKey,
    /// Who is asked, for errors: its command.
    pub name: String,
    /// Bytes to sign → raw signature: 64 bytes of ed25519; of ECDSA DER, or the two numbers side by side.
    pub ask: AskSigner<'a>,
}

impl AttestationSigner for OutsideSigner<'_> {
    fn public(&self) -> AttestationPublicKey {
        self.public.clone()
    }
    fn signature(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        let answer = (self.ask)(bytes)?;
        let length = answer.len();
        let signature = self.public.normal(answer);
        if self.public.verifies(bytes, &signature) {
            return Ok(signature);
        }
        let because = match length {
            0 => "it answered nothing".to_owned(),
            _ => format!("the public key {} does not verify its answer of {length} bytes", self.public.id().short(12)),
        };
        Err(Error::input("the signer did not sign what it was given").at(self.name.clone()).because(because).hint(
            "it has to read the bytes from its standard input and print nothing but the raw signature, made with the private half \
             of that public key",
        ))
    }
}
