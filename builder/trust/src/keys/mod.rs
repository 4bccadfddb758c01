//! Keys for attestations, and who signs with them. A file uses only those below it:
//!
//! ```text
//! signer                    bytes → signature: a key, or a program elsewhere whose answer is verified before it is used
//! private                   PKCS#8 ⇄ AttestationKey; a new one
//! public                    SubjectPublicKeyInfo ⇄ AttestationPublicKey; its id; verification
//! pem                       text → the one key in it, or what it is instead
//! ```

mod pem;
mod private;
mod public;
mod signer;

pub use private::AttestationKey;
pub use public::{AttestationAlgorithm, AttestationPublicKey};
pub use signer::{AskSigner, AttestationSigner, OutsideSigner};
